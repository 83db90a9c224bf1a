"""Arrow columns as the arrays of this room: numbers, codes, times and comparable keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "NOT_A_TIME",
    "categories",
    "key_array",
    "match_keys",
    "numbers",
    "one_array",
    "times",
]

NOT_A_TIME = int(np.iinfo(np.int64).min)
_LATEST = int(np.iinfo(np.int64).max) - 1
_PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, dictionaries decoded."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return float32, or float64 where float32 would lose digits; NaN where missing.

    Truth values are 0 and 1, durations are seconds, decimals are rounded to float64.
    """
    array = one_array(column)
    scale = 1.0
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    elif pa.types.is_duration(array.type):
        scale = _PER_UNIT[array.type.unit] / 1e9
        array = array.cast(pa.int64())
    wide: npt.NDArray[np.float64] = array.cast(pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    if scale != 1.0:
        wide = wide * scale
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    exact = (narrow.astype(np.float64) == wide) | np.isnan(wide)
    return narrow if bool(exact.all()) else wide


def times(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return int64 ns UTC, ``NOT_A_TIME`` where missing.

    Times that 64-bit nanoseconds cannot hold (before 1677, after 2262) become the earliest or
    latest that they can: order against any anchor is what counts.
    """
    array = one_array(column)
    if pa.types.is_date32(array.type):
        array, per = array.cast(pa.int32()).cast(pa.int64()), 86_400 * 10**9
    elif pa.types.is_date64(array.type):
        array, per = array.cast(pa.int64()), 10**6
    else:
        per = _PER_UNIT[array.type.unit]
        array = array.cast(pa.int64())
    missing = array.is_null().to_numpy(zero_copy_only=False)
    ticks = array.fill_null(0).to_numpy(zero_copy_only=False)
    bound = _LATEST // per
    result: npt.NDArray[np.int64] = np.clip(ticks, -bound, bound) * per
    result[missing] = NOT_A_TIME
    return result


def categories(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return int32 codes (-1 missing) and the categories as text, in ascending order.

    The order depends on the values alone, never on the rows' order.
    """
    array = one_array(column)
    array = _text(array)
    encoded = array.dictionary_encode()
    words = encoded.dictionary
    order = pc.sort_indices(words).to_numpy()
    rank = np.empty(len(order) + 1, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    rank[-1] = -1
    codes = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return rank[codes], words.take(pa.array(order)).to_pylist()


def key_array(keys: pa.Array | pa.ChunkedArray | Sequence[Any] | npt.NDArray[Any]) -> pa.Array:
    """Return keys of any shape as one Arrow array."""
    if isinstance(keys, pa.Array | pa.ChunkedArray):
        return one_array(keys)
    return pa.array(keys, from_pandas=True)


def match_keys(keys: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    """Return the place of each key in ``among`` (int64), -1 when null or absent."""
    keys, among = _comparable(keys), _comparable(among)
    if keys.type != among.type:
        keys, among = _text(keys), _text(among)
    found = pc.index_in(keys, value_set=among, skip_nulls=True)
    places: npt.NDArray[np.int64] = (
        found.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    )
    # A copy of its own: Arrow's buffers are read-only, and compiled loops know the difference.
    return places.copy()


def _comparable(array: pa.Array) -> pa.Array:
    """Bring integers of every width to int64, and every kind of text to string."""
    kind = array.type
    if pa.types.is_null(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return array.cast(pa.int64())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return array


def _text(array: pa.Array) -> pa.Array:
    """Write values as text, each by itself: a whole float is written like the integer."""
    if not pa.types.is_floating(array.type):
        return array.cast(pa.string())
    array = array.cast(pa.float64())
    array = pc.if_else(pc.is_nan(array), None, array)
    whole = pc.and_(pc.equal(pc.trunc(array), array), pc.less(pc.abs(array), 2.0**53))
    integers = pc.if_else(whole, array, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(integers, array.cast(pa.string()))
