"""Times as whole nanoseconds since 1970 UTC, in each engine's own words.

A column can be a date, a time without zone (which is UTC) or with one; the type is the warehouse's
business, so each of these serves all of them, whatever the session's time zone. NULL stays NULL.
Years that 64-bit nanoseconds cannot say stop at the edge, so that order is kept.
"""

from __future__ import annotations

from sqlglot import exp

from relcast.tasks.conditions import number
from relcast.tasks.offsets import EARLIEST, LATEST

__all__ = ["bigquery", "duckdb", "postgres", "snowflake", "spark"]

_FIRST, _LAST = -(-EARLIEST // 1000), LATEST // 1000
_MICROSECONDS_OF = {"DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000}


def duckdb(column: exp.Expr) -> exp.Expr:
    """Times of microseconds or nanoseconds."""
    microseconds = _call("EPOCH_US", column)
    early = exp.LT(this=microseconds, expression=number(_FIRST))
    late = exp.GT(this=microseconds.copy(), expression=number(_LAST))
    # The conversion fails for far years even where its result would not be looked at.
    near = exp.Case().when(exp.not_(exp.paren(exp.or_(early, late))), column.copy())
    return (
        exp.Case()
        .when(early.copy(), number(EARLIEST))
        .when(late.copy(), number(LATEST))
        .else_(_call("EPOCH_NS", near))
    )


def postgres(column: exp.Expr) -> exp.Expr:
    """EXTRACT gives an exact decimal number; ``infinity`` is the edge too."""
    seconds = exp.Extract(this=exp.var("EPOCH"), expression=column.copy())
    return _from_microseconds(column, exp.Mul(this=seconds, expression=number(1_000_000)))


def spark(column: exp.Expr) -> exp.Expr:
    """A time without zone is taken apart: a conversion would read it in the session's zone."""
    zoned = exp.EQ(this=_call("TYPEOF", column), expression=exp.Literal.string("timestamp"))
    since = exp.cast(exp.Literal.string("1970-01-01"), "DATE")
    days = exp.Anonymous(this="DATEDIFF", expressions=[exp.cast(column.copy(), "DATE"), since])
    seconds = exp.Extract(this=exp.var("SECOND"), expression=column.copy())
    whole = exp.cast(exp.Mul(this=seconds, expression=number(1_000_000)), "BIGINT")
    parts = [
        exp.Mul(this=exp.cast(part, "BIGINT"), expression=number(_MICROSECONDS_OF[unit]))
        for unit, part in (
            ("DAY", days),
            ("HOUR", _call("HOUR", column)),
            ("MINUTE", _call("MINUTE", column)),
        )
    ]
    taken_apart: exp.Expr = parts[0]
    for part in (*parts[1:], whole):
        taken_apart = exp.Add(this=taken_apart, expression=part)
    instant = exp.cast(column.copy(), exp.DataType.build("TIMESTAMPTZ"))
    return _from_microseconds(
        column,
        exp.Case().when(zoned, _call("UNIX_MICROS", instant)).else_(taken_apart),
    )


def bigquery(column: exp.Expr) -> exp.Expr:
    """A cast takes a time without zone for UTC."""
    instant = exp.cast(column.copy(), exp.DataType.build("TIMESTAMPTZ"))
    return _from_microseconds(column, _call("UNIX_MICROS", instant))


def snowflake(column: exp.Expr) -> exp.Expr:
    """Times of nanoseconds."""
    ticks = exp.Anonymous(
        this="DATE_PART", expressions=[exp.var("EPOCH_NANOSECOND"), column.copy()]
    )
    return _known(column, _between(ticks, EARLIEST, LATEST))


def _from_microseconds(column: exp.Expr, microseconds: exp.Expr) -> exp.Expr:
    within = exp.cast(_between(microseconds, _FIRST, _LAST), "BIGINT")
    return _known(column, exp.Mul(this=within, expression=number(1000)))


def _between(ticks: exp.Expr, low: int, high: int) -> exp.Expr:
    return exp.Least(
        this=exp.Greatest(this=ticks, expressions=[number(low)]), expressions=[number(high)]
    )


def _known(column: exp.Expr, value: exp.Expr) -> exp.Expr:
    # LEAST and GREATEST of some engines leave NULL out.
    missing = exp.paren(exp.Is(this=column.copy(), expression=exp.null()))
    return exp.Case().when(exp.not_(missing), value)


def _call(name: str, value: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[value.copy()])
