"""What a user should hear of a copy: much left out, much unreadable, times far ahead of the rest.

Not for what was inferred; each inference has its own reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import duckdb
import numpy as np
from sqlglot import expressions as exp

from relcast.core.schema import Table
from relcast.snapshots.parquet_rows import numbered_cell
from relcast.snapshots.readings import sql_type
from relcast.snapshots.records import IngestReport

__all__ = ["doubts_of"]

_MUCH = 0.05
_WORDS = {
    "null_key": "without a primary key",
    "null_time": "without a time",
    "unreadable_time": "with a time that cannot be read",
    "duplicate_key": "with a key that an earlier row has",
}


def doubts_of(
    connection: duckdb.DuckDBPyConnection,
    rows: exp.Expr,
    table: Table,
    report: IngestReport,
    now: datetime,
) -> tuple[str, ...]:
    """Return sentences on a copy.

    Told are: 5 % or more of the rows left out; 5 % or more of a column's rows unreadable; rows
    later than ``now``, or later than all others by more than these are apart, since the newest
    row of a table is what counts as the present.

    Args:
        connection: Reads ``rows``.
        rows: The copied rows, cells by number.
        table: The copied table.
        report: What was read and kept.
        now: The present, aware.
    """
    return (*_left_out(table, report), *_ahead(connection, rows, table, now))


def _left_out(table: Table, report: IngestReport) -> Iterator[str]:
    lost = report.rows_read - report.rows_kept
    if lost and lost >= _MUCH * report.rows_read:
        why = ", ".join(f"{n:,} {_WORDS[reason]}" for reason, n in report.dropped.items())
        yield (
            f"{table.name}: {lost:,} of {report.rows_read:,} rows are left out ({why}): mend them "
            "at the source, or choose another primary key or time column."
        )
    for name, count in report.unreadable.items():
        if count >= _MUCH * report.rows_kept:
            yield (
                f"{table.name}.{name}: {count:,} of {report.rows_kept:,} values cannot be read as "
                f"{table.column(name).dtype.value} and are missing."
            )


def _ahead(
    connection: duckdb.DuckDBPyConnection, rows: exp.Expr, table: Table, now: datetime
) -> Iterator[str]:
    if table.time_column is None:
        return
    place = [c.name for c in table.columns].index(table.time_column)
    cell = exp.func("epoch_ns", exp.cast(numbered_cell(place), sql_type("TIMESTAMP_NS")))
    bulk = exp.Anonymous(
        this="quantile_disc", expressions=[cell.copy(), exp.Literal.number("0.99")]
    )
    ends = exp.select(exp.func("min", cell), bulk, exp.func("max", cell.copy())).from_(rows.copy())
    first, usual, last = connection.sql(ends.sql("duckdb")).fetchall()[0]
    if first is None:
        return
    present = int(now.timestamp()) * 10**9
    apart = usual + (usual - first) if usual > first else last
    bound = min(present, apart)
    if last <= bound:
        return
    late = exp.GT(this=cell.copy(), expression=exp.Literal.number(bound))
    count, before = connection.sql(
        exp.select(
            exp.func("count_if", late),
            exp.func("max", exp.case().when(exp.not_(exp.paren(late.copy())), cell.copy())),
        )
        .from_(rows.copy())
        .sql("duckdb")
    ).fetchall()[0]
    ahead = "the present" if bound == present else "the others by more than these are apart"
    told = f"; all others end by {_day(before)}" if before is not None else ""
    yield (
        f"{table.name}: {count:,} row{'s are' if count > 1 else ' is'} later than {ahead} "
        f"({table.time_column} reaches {_day(last)}{told}). The newest row counts as now, so that "
        "training and prediction look there: mend or remove what is no time of an event."
    )


def _day(moment: int) -> str:
    return str(np.datetime64(moment, "ns").astype("datetime64[D]"))
