"""How a staged value is read as a dtype, as SQL expressions.

Each reading gives NULL for a value that it cannot read; what was there and became NULL is counted
as unreadable. NaN is a missing value and is not counted; infinities are unreadable. Times that
64-bit nanoseconds cannot hold (before 1677-09-22 or after 2262-04-11) are unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from sqlglot import expressions as exp

from relcast.core.errors import SchemaError
from relcast.core.schema import Dtype
from relcast.snapshots.arrow_types import FINAL_TYPES
from relcast.snapshots.staging import StagedColumn

__all__ = [
    "EPOCH_RANGES",
    "TEXT_TIME_FORMATS",
    "Reading",
    "count_where",
    "is_present",
    "read_as",
    "readings_of_time",
    "sql_type",
]

EPOCH_RANGES: dict[str, tuple[int, int]] = {
    # 1980 to 2100, in each unit; the ranges do not meet, so a value has one unit at most.
    "epoch_s": (315_532_800, 4_102_444_800),
    "epoch_ms": (315_532_800_000, 4_102_444_800_000),
    "epoch_us": (315_532_800_000_000, 4_102_444_800_000_000),
    "epoch_ns": (315_532_800_000_000_000, 4_102_444_800_000_000_000),
}
_PER_UNIT = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}

TEXT_TIME_FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%d-%m-%Y", "%d-%b-%Y", "%b %d, %Y", "%Y%m%d", "%Y%m%d%H%M%S",
)  # fmt: skip
"""Ways to write a time besides ISO 8601 that are tried, in this order."""

_TICKS = (2**63 - 1) // 10**9


@dataclass(frozen=True, slots=True)
class Reading:
    """A dtype and, for times, the way they are written: ``iso``, ``epoch_ms``, ``%d/%m/%Y``."""

    dtype: Dtype
    form: str = ""


def is_present(column: StagedColumn) -> exp.Expr:
    """Say whether a staged cell holds a value; NaN and blank text are none."""
    cell = column.cell
    filled = cell.is_(exp.null()).not_()
    if pa.types.is_floating(column.type.arrow):
        return exp.and_(filled, exp.not_(exp.func("isnan", cell.copy())))
    if pa.types.is_string(column.type.arrow):
        blank = exp.EQ(this=exp.func("trim", cell.copy()), expression=exp.Literal.string(""))
        return exp.and_(filled, exp.not_(blank))
    return filled


def read_as(column: StagedColumn, reading: Reading) -> exp.Expr:
    """Return the expression that reads the column so; NULL where a value cannot be read.

    Raises ``schema.bad_dtype`` when no value of the column's type could ever be read so.
    """
    staged, dtype = column.type.arrow, reading.dtype
    if column.type.is_presence and dtype in (Dtype.binary, Dtype.unsupported):
        return column.cell
    if dtype in (Dtype.binary, Dtype.unsupported):
        return exp.case().when(is_present(column), exp.true())
    value = _dispatch(column, staged, reading)
    if value is None:
        raise SchemaError(
            f"Column {column.name!r} is {column.type.dtype} and cannot be read as {dtype}",
            code="schema.bad_dtype",
            hint="Leave the dtype out to have it inferred.",
        )
    return value


def readings_of_time(column: StagedColumn) -> tuple[str, ...]:
    """Return the ways in which a staged column may hold times, the likeliest first."""
    staged = column.type.arrow
    if pa.types.is_timestamp(staged) or pa.types.is_date(staged):
        return ("native",)
    if pa.types.is_string(staged):
        return ("iso", *TEXT_TIME_FORMATS)
    if pa.types.is_integer(staged) or pa.types.is_floating(staged) or pa.types.is_decimal(staged):
        return (*EPOCH_RANGES, "%Y%m%d")
    return ()


def count_where(condition: exp.Expr) -> exp.Expr:
    """Count the rows that meet a condition; 0, and not NULL, where there is no row."""
    return exp.func("count", _if(condition, exp.Literal.number(1)))


def sql_type(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")


def _dispatch(column: StagedColumn, staged: pa.DataType, reading: Reading) -> exp.Expr | None:
    cell, dtype = column.cell, reading.dtype
    is_text = pa.types.is_string(staged)
    is_whole = pa.types.is_integer(staged) or pa.types.is_decimal(staged)
    is_scalar = is_text or is_whole or pa.types.is_floating(staged) or pa.types.is_boolean(staged)
    if dtype.is_time:
        return _time(column, reading.form)
    if dtype is Dtype.string:
        return _text(cell, staged)
    if dtype is Dtype.bool and is_scalar:
        plain = exp.cast(cell, sql_type("DOUBLE")) if not (is_text or is_whole) else cell
        return exp.TryCast(this=plain, to=sql_type("BOOLEAN"))
    if dtype.is_integer and is_scalar:
        return _whole(cell, staged, FINAL_TYPES[dtype])
    if dtype.is_number and is_scalar:
        number = exp.TryCast(this=cell, to=sql_type("DOUBLE"))
        finite = _if(exp.func("isfinite", number), number.copy())
        if dtype is Dtype.float32:
            return exp.TryCast(this=finite, to=sql_type("FLOAT"))
        return finite
    if dtype.is_list and pa.types.is_list(staged):
        element = {
            Dtype.intlist: "BIGINT[]",
            Dtype.floatlist: "DOUBLE[]",
            Dtype.stringlist: "VARCHAR[]",
        }
        return exp.TryCast(this=cell, to=sql_type(element[dtype]))
    return None


def _whole(cell: exp.Expr, staged: pa.DataType, final: pa.DataType) -> exp.Expr:
    names = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}
    target = sql_type(names[final.bit_width])
    if pa.types.is_integer(staged) or pa.types.is_decimal(staged) or pa.types.is_boolean(staged):
        return exp.TryCast(this=cell, to=target)
    if pa.types.is_string(staged):
        # DuckDB would round '1.5'; only digits, or digits with a point and zeros, are whole.
        digits = exp.Anonymous(
            this="regexp_full_match",
            expressions=[
                exp.func("trim", cell),
                exp.Literal.string(r"[+-]?[0-9]+([.]0*)?"),
            ],
        )
        return _if(digits, exp.TryCast(this=exp.func("trim", cell.copy()), to=target))
    same = exp.EQ(this=exp.func("trunc", cell), expression=cell.copy())
    return _if(
        exp.and_(exp.func("isfinite", cell.copy()), same), exp.TryCast(this=cell.copy(), to=target)
    )


def _text(cell: exp.Expr, staged: pa.DataType) -> exp.Expr | None:
    if pa.types.is_list(staged):
        return None
    if pa.types.is_floating(staged):
        # A whole number that pandas made a float reads 12, not 12.0, as the key that it once was.
        whole = exp.TryCast(this=cell, to=sql_type("BIGINT"))
        same = exp.EQ(this=exp.func("trunc", cell.copy()), expression=cell.copy())
        number = exp.case().when(same, exp.cast(whole, sql_type("VARCHAR")))
        shown = number.else_(exp.cast(cell.copy(), sql_type("VARCHAR")))
        return _if(exp.not_(exp.func("isnan", cell.copy())), shown)
    if pa.types.is_string(staged):
        blank = exp.EQ(this=exp.func("trim", cell), expression=exp.Literal.string(""))
        return _if(exp.not_(blank), cell.copy())
    return exp.cast(cell, sql_type("VARCHAR"))


def _time(column: StagedColumn, form: str) -> exp.Expr | None:
    staged, cell = column.type.arrow, column.cell
    if not readings_of_time(column):
        return None
    if pa.types.is_timestamp(staged) or pa.types.is_date(staged):
        return _nanoseconds(cell)
    if form in _PER_UNIT:
        return _epoch(column, form)
    text: exp.Expr = cell
    if not pa.types.is_string(staged):
        text = exp.cast(exp.TryCast(this=cell, to=sql_type("BIGINT")), sql_type("VARCHAR"))
    trimmed = exp.func("trim", text)
    if form == "iso":
        zoned = exp.TryCast(this=trimmed, to=sql_type("TIMESTAMPTZ"))
        return _nanoseconds(exp.cast(zoned, sql_type("TIMESTAMP")))
    parsed = exp.Anonymous(this="try_strptime", expressions=[trimmed, exp.Literal.string(form)])
    return _nanoseconds(parsed)


def _nanoseconds(moment: exp.Expr) -> exp.Expr:
    """Return TIMESTAMP_NS, NULL where infinite or out of range."""
    return _if(
        exp.func("isfinite", moment), exp.TryCast(this=moment.copy(), to=sql_type("TIMESTAMP_NS"))
    )


def _epoch(column: StagedColumn, form: str) -> exp.Expr:
    per, cell = exp.Literal.number(_PER_UNIT[form]), column.cell
    if pa.types.is_floating(column.type.arrow):
        wide: exp.Expr = exp.func(
            "trunc", exp.Mul(this=exp.cast(cell, sql_type("DOUBLE")), expression=per)
        )
    else:
        wide = exp.Mul(this=exp.TryCast(this=cell, to=sql_type("HUGEINT")), expression=per)
    bound = exp.Literal.number(_TICKS * 10**9)
    inside = exp.Between(this=wide, low=exp.Neg(this=bound), high=bound.copy())
    # make_timestamp_ns takes no more than microseconds do, which the bound is far inside of.
    ticks = exp.TryCast(this=wide.copy(), to=sql_type("BIGINT"))
    return _if(inside, exp.Anonymous(this="make_timestamp_ns", expressions=[ticks]))


def _if(condition: exp.Expr, value: exp.Expr) -> exp.Expr:
    return exp.case().when(condition, value)
