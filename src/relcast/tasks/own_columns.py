"""Columns of rows of one's own: found, cast, and refused with what is wrong with them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.errors import TaskError

__all__ = ["bad_column", "cast", "is_list", "one_array", "times", "without_nan"]


def one_array(rows: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, its dictionary resolved."""
    column = rows.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def times(column: pa.Array) -> pa.Array:
    """Return times as int64 ns UTC; texts in ISO 8601 are read."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = cast(column, pa.timestamp("ns"), "TIMESTAMP")
    elif pa.types.is_date(kind):
        column = cast(column, pa.timestamp("s"), "TIMESTAMP")
    elif not pa.types.is_timestamp(kind):
        raise bad_column("TIMESTAMP", f"its type is {kind}, which is no time")
    # A zone only says how a time is shown: Arrow holds UTC either way.
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return cast(column, pa.timestamp("ns", tz=zone), "TIMESTAMP").cast(pa.int64())


def without_nan(column: pa.Array) -> pa.Array:
    """Return numbers with NULL in place of NaN; other columns as they are."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column


def is_list(kind: pa.DataType) -> bool:
    """Return whether values are lists, of any length or of one."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def cast(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    """Cast a column; raises ``task.bad_column`` where its values do not fit."""
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise bad_column(name, str(error)) from error


def bad_column(name: str, why: str) -> TaskError:
    """Return the error of a column that cannot be used."""
    return TaskError(
        f"The column {name} of the table of rows cannot be used: {why}",
        code="task.bad_column",
        hint="ENTITY holds keys, TIMESTAMP times, TARGET the target's values (lists for forecasts, "
        "multilabel and link queries), SPLIT train, val or test, WEIGHT numbers.",
    )
