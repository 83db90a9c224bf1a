"""How far the data of a query's target reaches in time."""

from __future__ import annotations

from sqlglot import exp

from relcast.core.errors import TaskError
from relcast.pql import CheckedQuery
from relcast.pql.ast import aggregations
from relcast.tasks.anchors import TimeRange
from relcast.tasks.conditions import number
from relcast.tasks.offsets import text
from relcast.tasks.scan import Session
from relcast.tasks.sql import column

__all__ = ["data_range", "rows_to_come"]


def data_range(session: Session, query: CheckedQuery) -> TimeRange:
    """Return the earliest and latest time in the tables that the target aggregates.

    Raises ``task.empty_table`` when none of them has a row with a time.
    """
    tables = _tables(query)
    begins, ends = [], []
    for name in tables:
        scan = session.scan(name)
        time = scan.table.time_column
        if time is None:
            continue
        # The ends of the raw column stand in the file's statistics; those of an expression do not.
        raw = scan.raw(time, "own")
        ends_of = exp.select(
            exp.Min(this=raw).as_("begin", quoted=True),
            exp.Max(this=raw.copy()).as_("end", quoted=True),
        ).from_(scan.relation("own"))
        row = session.fetch(
            exp.select(
                scan.nanoseconds(time, column("begin", "ends")).as_("begin"),
                scan.nanoseconds(time, column("end", "ends")).as_("end"),
            ).from_(ends_of.subquery("ends"))
        ).to_pylist()[0]
        if row["begin"] is not None:
            begins.append(row["begin"])
            ends.append(row["end"])
    if not begins:
        names = ", ".join(tables)
        raise TaskError(
            f"The target's table {names} has no row with a time, so there is nothing to learn from",
            code="task.empty_table",
            hint="Bring rows, and check the table's time column.",
        )
    return TimeRange(min(begins), max(ends))


def rows_to_come(session: Session, query: CheckedQuery, now: int) -> tuple[str, ...]:
    """Return a sentence for each aggregated table that has rows later than ``now`` (ns UTC).

    A few rows of the year 2200 move ``D``, and with it every anchor, to where nothing happens.
    """
    found = []
    for name in _tables(query):
        scan = session.scan(name)
        time = scan.time("own")
        if time is None:
            continue
        row = session.fetch(
            exp.select(
                exp.Count(this=exp.Star()).as_("rows"), exp.Max(this=time.copy()).as_("newest")
            )
            .from_(scan.relation("own"))
            .where(exp.GT(this=time, expression=number(now)))
        ).to_pylist()[0]
        if row["rows"]:
            are = "row is" if row["rows"] == 1 else "rows are"
            found.append(
                f"{row['rows']:,} {are} later than now ({text(now)}) in {name}, the newest of "
                f"{text(row['newest'])}: anchors count back from the newest. Mend these times, or "
                "set end_time."
            )
    return tuple(found)


def _tables(query: CheckedQuery) -> dict[str, None]:
    return dict.fromkeys(a.column.table for a in aggregations(query.query.target))
