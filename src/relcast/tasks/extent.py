"""How far the data of a query's target reaches in time."""

from __future__ import annotations

from sqlglot import exp

from relcast.core.errors import TaskError
from relcast.pql import CheckedQuery
from relcast.pql.ast import aggregations
from relcast.tasks.anchors import TimeRange
from relcast.tasks.scan import Session

__all__ = ["data_range"]


def data_range(session: Session, query: CheckedQuery) -> TimeRange:
    """Return the earliest and latest time in the tables that the target aggregates.

    Raises ``task.empty_table`` when none of them has a row with a time.
    """
    tables = dict.fromkeys(a.column.table for a in aggregations(query.query.target))
    begins, ends = [], []
    for name in tables:
        scan = session.scan(name)
        time = scan.time("own")
        if time is None:
            continue
        row = session.fetch(
            exp.select(exp.Min(this=time).as_("begin"), exp.Max(this=time.copy()).as_("end")).from_(
                scan.relation("own")
            )
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
