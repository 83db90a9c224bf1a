"""What each column of a snapshot's file holds, counted over all rows with DuckDB."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
from sqlglot import expressions as exp

from relcast.core.schema import Column, Dtype, Table
from relcast.snapshots.parquet_rows import numbered_cell
from relcast.snapshots.readings import sql_type
from relcast.snapshots.records import ColumnStatistics

__all__ = ["BINS", "QUANTILES", "TOP", "column_statistics"]

BINS = 20
TOP = 20
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_EXACT_ROWS = 200_000
_TOP_DISTINCT = 100_000


def column_statistics(
    connection: duckdb.DuckDBPyConnection, source: exp.Expr, table: Table, rows: int
) -> tuple[ColumnStatistics, ...]:
    """Return the statistics of all columns, in their order.

    Distinct values and quantiles are exact up to 200,000 rows and estimates above.
    """
    exact = rows <= _EXACT_ROWS
    measures: list[exp.Expr] = []
    for i, column in enumerate(table.columns):
        measures += _measures(numbered_cell(i), column, exact=exact)
    query = exp.select(*measures).from_(source)
    row = connection.sql(query.sql("duckdb")).fetchall()[0] if measures else ()
    found = []
    for i, column in enumerate(table.columns):
        present, distinct, low, high, mean, deviation, quantiles, first, last, length = row[
            10 * i : 10 * i + 10
        ]
        cell = numbered_cell(i)
        histogram: tuple[int, ...] = ()
        if low is not None and not column.dtype.is_list:
            histogram = _histogram(connection, source, cell, low, high)
        top: tuple[tuple[str, int], ...] = ()
        if distinct is not None and distinct <= _TOP_DISTINCT and _has_top(column):
            top = _top(connection, source, cell)
        found.append(
            ColumnStatistics(
                column=column.name,
                count=rows,
                nulls=rows - present,
                distinct=distinct,
                exact=exact,
                minimum=low,
                maximum=high,
                mean=mean,
                deviation=deviation,
                quantiles={}
                if quantiles is None
                else {str(q): v for q, v in zip(QUANTILES, quantiles, strict=True)},
                histogram=histogram,
                top=top,
                first=_moment(first),
                last=_moment(last),
                mean_length=length,
            )
        )
    return tuple(found)


def _measures(cell: exp.Expr, column: Column, *, exact: bool) -> list[exp.Expr]:
    nothing = exp.null()
    counted: exp.Expr = (
        exp.Count(this=exp.Distinct(expressions=[cell.copy()]))
        if exact
        else exp.Anonymous(this="approx_count_distinct", expressions=[cell.copy()])
    )
    number: exp.Expr | None = None
    first: exp.Expr = nothing
    last: exp.Expr = nothing
    length: exp.Expr = nothing
    if column.dtype.is_number:
        number = exp.cast(cell.copy(), sql_type("DOUBLE"))
    elif column.dtype.is_list:
        number = exp.cast(exp.Anonymous(this="len", expressions=[cell.copy()]), sql_type("DOUBLE"))
        counted = nothing
    elif column.dtype in (Dtype.binary, Dtype.unsupported):
        counted = nothing
    if column.dtype.is_time:
        text = sql_type("VARCHAR")
        first = exp.cast(exp.func("min", cell.copy()), text)
        last = exp.cast(exp.func("max", cell.copy()), text.copy())
    if column.dtype is Dtype.string:
        length = exp.func("avg", exp.func("length", cell.copy()))
    return [
        exp.func("count", cell.copy()), counted, *_of_numbers(number, exact=exact),
        first, last, length,
    ]  # fmt: skip


def _of_numbers(number: exp.Expr | None, *, exact: bool) -> list[exp.Expr]:
    if number is None:
        return [exp.null() for _ in range(5)]
    quantiles = exp.Anonymous(
        this="quantile_cont" if exact else "approx_quantile",
        expressions=[number.copy(), exp.array(*[exp.Literal.number(q) for q in QUANTILES])],
    )
    # Sums of squares of values near 1e308 overflow, which DuckDB takes for an error.
    tame = exp.case().when(
        exp.LT(this=exp.func("abs", number.copy()), expression=exp.Literal.number("1e150")),
        number.copy(),
    )
    return [
        exp.func("min", number.copy()),
        exp.func("max", number.copy()),
        exp.func("avg", tame.copy()),
        exp.Anonymous(this="stddev_samp", expressions=[tame]),
        quantiles,
    ]


def _histogram(
    connection: duckdb.DuckDBPyConnection, source: exp.Expr, cell: exp.Expr, low: float, high: float
) -> tuple[int, ...]:
    width = high / BINS - low / BINS
    if not width > 0:
        return ()
    number = exp.cast(cell.copy(), sql_type("DOUBLE"))
    place = exp.func(
        "floor",
        exp.Div(
            this=exp.paren(exp.Sub(this=number, expression=_float(low))), expression=_float(width)
        ),
    )
    capped = exp.func("least", exp.cast(place, sql_type("INTEGER")), exp.Literal.number(BINS - 1))
    query = (
        exp.select(exp.alias_(capped, "bin"), exp.func("count", exp.Star()))
        .from_(source.copy())
        .where(cell.copy().is_(exp.null()).not_())
        .group_by("1")
    )
    counts = [0] * BINS
    for place_of, count in connection.sql(query.sql("duckdb")).fetchall():
        if place_of is not None:
            counts[place_of] = count
    return tuple(counts)


def _float(value: float) -> exp.Expr:
    return exp.cast(exp.Literal.string(repr(value)), sql_type("DOUBLE"))


def _has_top(column: Column) -> bool:
    return column.dtype in (Dtype.string, Dtype.bool) or column.dtype.is_integer


def _top(
    connection: duckdb.DuckDBPyConnection, source: exp.Expr, cell: exp.Expr
) -> tuple[tuple[str, int], ...]:
    value = exp.cast(cell.copy(), sql_type("VARCHAR"))
    query = (
        exp.select(exp.alias_(value, "value"), exp.alias_(exp.func("count", exp.Star()), "occurs"))
        .from_(source.copy())
        .where(cell.copy().is_(exp.null()).not_())
        .group_by("1")
        .order_by(exp.column("occurs").desc(), "value")
        .limit(TOP)
    )
    return tuple((value, count) for value, count in connection.sql(query.sql("duckdb")).fetchall())


def _moment(text: Any) -> str | None:
    if text is None:
        return None
    seconds, _, fraction = str(text).partition(".")
    moment = datetime.fromisoformat(seconds).isoformat()
    return f"{moment}.{fraction}Z" if fraction else f"{moment}Z"
