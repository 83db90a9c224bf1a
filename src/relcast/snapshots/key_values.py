"""The different values of a column that may be a key, with how often each stands there.

Links are found by comparing such sets. Whole numbers are compared as such, so that 7 and 7.0 meet;
all else is compared as text.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import expressions as exp

from relcast.core.schema import Column, Dtype, Stype
from relcast.snapshots.readings import Reading, count_where, read_as, sql_type
from relcast.snapshots.staging import Staged

__all__ = ["KeyValues", "file_key_values", "key_value", "may_be_key", "staged_key_values"]

_MOST_FOREIGN = 50_000


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Distinct values of a column.

    Attributes:
        values: The values, int64 or text; of a column that is no primary key, at most the 50,000
            most frequent.
        counts: Rows of each.
        rows: Rows of the table.
        is_number: Whether they are whole numbers.
    """

    values: pa.Array
    counts: pa.Array
    rows: int
    is_number: bool

    @property
    def present(self) -> int:
        """Rows of the values kept."""
        return pc.sum(self.counts).as_py() or 0


def may_be_key(column: Column) -> bool:
    """Say whether a column's type lets it be a key or point to one."""
    if column.stype in (Stype.text, Stype.timestamp, Stype.multicategorical, Stype.unsupported):
        return False
    return column.dtype.is_integer or column.dtype in (Dtype.string, Dtype.float32, Dtype.float64)


def staged_key_values(
    staged: Staged, column: Column, reading: Reading, *, is_key: bool
) -> KeyValues | None:
    """Return the values of a staged column, None where it cannot be a key."""
    if not may_be_key(column):
        return None
    value = read_as(staged.columns[column.name], reading)
    return _values(staged.connection, exp.to_table("raw"), value, column, staged.rows, is_key)


def file_key_values(
    connection: duckdb.DuckDBPyConnection,
    rows_of_file: exp.Expr,
    cell: exp.Expr,
    column: Column,
    rows: int,
    *,
    is_key: bool,
) -> KeyValues | None:
    """Return the values of a column of a snapshot's file, None where it cannot be a key."""
    if not may_be_key(column):
        return None
    return _values(connection, rows_of_file, cell, column, rows, is_key)


def key_value(value: exp.Expr, dtype: Dtype) -> exp.Expr:
    """Return a key so that equal keys compare equal: whole numbers as BIGINT, others as text.

    Numbers that are not whole become NULL.
    """
    if dtype in (Dtype.float32, Dtype.float64, Dtype.float):
        same = exp.EQ(this=exp.func("trunc", value.copy()), expression=value.copy())
        return exp.case().when(same, exp.TryCast(this=value.copy(), to=sql_type("BIGINT")))
    return exp.cast(value.copy(), sql_type("BIGINT" if dtype.is_integer else "VARCHAR"))


def _values(
    connection: duckdb.DuckDBPyConnection,
    source: exp.Expr,
    value: exp.Expr,
    column: Column,
    rows: int,
    is_key: bool,
) -> KeyValues | None:
    key = key_value(value, column.dtype)
    if column.dtype in (Dtype.float32, Dtype.float64):
        real = exp.not_(exp.func("isnan", value.copy()))
        lost = exp.and_(key.copy().is_(exp.null()), value.copy().is_(exp.null()).not_(), real)
        query = exp.select(count_where(lost)).from_(source.copy())
        if connection.sql(query.sql("duckdb")).fetchall()[0][0]:
            return None
    keys = exp.select(exp.alias_(key, "key")).from_(source.copy()).subquery("keys")
    cell = exp.column("key", quoted=True)
    query = (
        exp.select(cell, exp.alias_(exp.func("count", exp.Star()), "occurs"))
        .from_(keys)
        .where(cell.copy().is_(exp.null()).not_())
        .group_by(cell.copy())
    )
    if not is_key:
        query = query.order_by(exp.column("occurs").desc(), cell.copy()).limit(_MOST_FOREIGN)
    table = connection.sql(query.sql("duckdb")).to_arrow_table()
    if table is None:
        return None
    is_number = column.dtype is not Dtype.string
    return KeyValues(
        values=table.column(0).combine_chunks().cast(pa.int64() if is_number else pa.string()),
        counts=table.column(1).combine_chunks().cast(pa.int64()),
        rows=rows,
        is_number=is_number,
    )
