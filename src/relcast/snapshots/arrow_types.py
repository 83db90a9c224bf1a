"""Every Arrow type that a source may give, brought to the few that are staged.

Zones become UTC and are dropped, dictionaries are decoded, decimals become numbers, durations and
times of day become seconds. A column that cannot be an input (structs, maps, binary) is staged as
whether it holds a value, so that it can be counted and never crashes anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.schema import Dtype

__all__ = ["FINAL_TYPES", "StagedType", "stage_array", "staged_type"]

FINAL_TYPES: dict[Dtype, pa.DataType] = {
    Dtype.bool: pa.bool_(),
    Dtype.byte: pa.int8(),
    Dtype.int16: pa.int16(),
    Dtype.int32: pa.int32(),
    Dtype.int: pa.int64(),
    Dtype.int64: pa.int64(),
    Dtype.float32: pa.float32(),
    Dtype.float: pa.float64(),
    Dtype.float64: pa.float64(),
    Dtype.timedelta: pa.float64(),
    Dtype.string: pa.string(),
    Dtype.date: pa.timestamp("ns"),
    Dtype.time: pa.timestamp("ns"),
    Dtype.intlist: pa.list_(pa.int64()),
    Dtype.floatlist: pa.list_(pa.float64()),
    Dtype.stringlist: pa.list_(pa.string()),
    Dtype.binary: pa.bool_(),
    Dtype.unsupported: pa.bool_(),
}
"""How each dtype is stored in a snapshot's Parquet file."""

_HEX_BYTES = 32
_SIGNED = {
    pa.int8(): Dtype.byte,
    pa.int16(): Dtype.int16,
    pa.int32(): Dtype.int32,
    pa.int64(): Dtype.int64,
    pa.uint8(): Dtype.int16,
    pa.uint16(): Dtype.int32,
    pa.uint32(): Dtype.int64,
}


@dataclass(frozen=True, slots=True)
class StagedType:
    """The type in which a column is staged, the dtype that it suggests, and why."""

    arrow: pa.DataType
    dtype: Dtype
    reason: str

    @property
    def is_presence(self) -> bool:
        """Whether only the presence of a value is kept."""
        return self.dtype in (Dtype.binary, Dtype.unsupported)


def staged_type(given: pa.DataType) -> StagedType:
    """Return how a column of the given type is staged."""
    reason = f"stored as {given}"
    if isinstance(given, pa.BaseExtensionType):
        given = given.storage_type
    if pa.types.is_dictionary(given):
        given = given.value_type
    if given in _SIGNED:
        dtype = _SIGNED[given]
        return StagedType(FINAL_TYPES[dtype], dtype, reason)
    if pa.types.is_uint64(given):
        return StagedType(given, Dtype.int64, reason)
    if pa.types.is_boolean(given):
        return StagedType(given, Dtype.bool, reason)
    if pa.types.is_float32(given) or pa.types.is_float16(given):
        return StagedType(pa.float32(), Dtype.float32, reason)
    if pa.types.is_float64(given):
        return StagedType(given, Dtype.float64, reason)
    if pa.types.is_decimal(given):
        return _decimal(given, reason)
    if _is_text(given):
        return StagedType(pa.string(), Dtype.string, reason)
    if pa.types.is_null(given):
        return StagedType(pa.string(), Dtype.string, "holds no value at all")
    if pa.types.is_date(given):
        return StagedType(pa.date32(), Dtype.date, reason)
    if pa.types.is_timestamp(given):
        zone = f", zone {given.tz} brought to UTC" if given.tz else ""
        return StagedType(pa.timestamp(given.unit), Dtype.time, reason + zone)
    if pa.types.is_time(given) or pa.types.is_duration(given):
        return StagedType(pa.float64(), Dtype.timedelta, reason + ", kept as seconds")
    if pa.types.is_fixed_size_binary(given) and given.byte_width <= _HEX_BYTES:
        return StagedType(pa.string(), Dtype.string, reason + ", kept as hexadecimal digits")
    if pa.types.is_binary(given) or pa.types.is_large_binary(given):
        return StagedType(pa.bool_(), Dtype.binary, reason + ", which cannot be an input")
    element = _list_element(given)
    if element is not None:
        return element
    return StagedType(pa.bool_(), Dtype.unsupported, reason + ", which cannot be an input")


def stage_array(array: pa.Array, staged: StagedType) -> pa.Array:
    """Return the array in its staged type; values that do not fit are null, never an error."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    given = array.type
    if staged.is_presence:
        return pc.if_else(array.is_valid(), True, pa.scalar(None, pa.bool_()))
    if given == staged.arrow:
        return array
    if pa.types.is_timestamp(given):
        # Dropping the zone keeps the instants: they are stored as UTC.
        return array.cast(pa.int64()).cast(staged.arrow)
    if pa.types.is_time(given) or pa.types.is_duration(given):
        per = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[given.unit]
        whole = array.cast(pa.int32()) if given.bit_width == 32 else array
        return pc.divide(whole.cast(pa.int64()).cast(pa.float64(), safe=False), per)
    if pa.types.is_fixed_size_binary(given):
        return pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string())
    return array.cast(staged.arrow, safe=False)


def _is_text(given: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(given) or pa.types.is_large_string(given) or given == pa.string_view()
    )


def _decimal(given: pa.DataType, reason: str) -> StagedType:
    if given.scale <= 0 and given.precision <= 18:
        return StagedType(pa.int64(), Dtype.int64, reason)
    if given.scale == 0 and given.precision <= 38:
        return StagedType(pa.decimal128(38, 0), Dtype.int64, reason)
    return StagedType(pa.float64(), Dtype.float64, reason + ", rounded to 15 digits")


def _list_element(given: pa.DataType) -> StagedType | None:
    if not (
        pa.types.is_list(given)
        or pa.types.is_large_list(given)
        or pa.types.is_fixed_size_list(given)
    ):
        return None
    element = given.value_type
    if pa.types.is_dictionary(element):
        element = element.value_type
    reason = f"stored as {given}"
    if pa.types.is_integer(element) and not pa.types.is_uint64(element):
        return StagedType(pa.list_(pa.int64()), Dtype.intlist, reason)
    if pa.types.is_boolean(element):
        return StagedType(pa.list_(pa.int64()), Dtype.intlist, reason)
    if pa.types.is_floating(element):
        return StagedType(pa.list_(pa.float64()), Dtype.floatlist, reason)
    if _is_text(element):
        return StagedType(pa.list_(pa.string()), Dtype.stringlist, reason)
    return None
