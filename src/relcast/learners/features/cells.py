"""What is inside of texts and lists, as numbers: lengths, elements, items, hashed n-grams.

Texts are folded as fastText folds them (Bojanowski et al., 2017): whole words and the n-grams of
characters inside them are hashed to a fixed number of columns, here with a sign so that what
collides cancels out on average (Weinberger et al., 2009).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from relcast.relations import ColumnArray
from relcast.relations import convert as arrow

__all__ = [
    "PARTS",
    "common_elements",
    "holds_element",
    "item",
    "item_count",
    "lengths",
    "text_part",
]

Float = npt.NDArray[np.float64]

PARTS = 16
"""Columns that a text is folded to."""

_SHORTEST, _LONGEST = 3, 5
_MOST_BYTES = 2_000


def lengths(column: ColumnArray) -> Float:
    """Return the characters of each text or the elements of each list; NaN where missing."""
    array = arrow.one_array(column.raw())
    if pa.types.is_nested(array.type):
        found = pc.list_value_length(array)
    else:
        found = pc.utf8_length(array.cast(pa.string()))
    numbers: Float = found.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def holds_element(column: ColumnArray, word: str) -> Float:
    """Return 1 where a list holds an element, 0 where not, NaN where the list is missing."""
    parents, codes, words, missing = _elements(column)
    found = np.where(missing, np.nan, 0.0)
    if word in words:
        found[parents[codes == words.index(word)]] = 1.0
    return found


def common_elements(
    column: ColumnArray, rows: npt.NDArray[np.bool_], most: int, share: float
) -> tuple[str, ...]:
    """Return the elements that at least ``share`` of the rows' lists hold, frequent ones first."""
    parents, codes, words, _ = _elements(column)
    kept = rows[parents] & (codes >= 0)
    # An element that a list holds twice counts once.
    pairs = np.unique(parents[kept] * max(1, len(words)) + codes[kept])
    counts = np.bincount(pairs % max(1, len(words)), minlength=len(words))
    order = np.lexsort((np.arange(len(words)), -counts))[:most]
    least = share * max(1, int(rows.sum()))
    return tuple(words[k] for k in order if counts[k] >= max(1.0, least))


def item(column: ColumnArray, number: int) -> Float:
    """Return the element at a place of each list of numbers; NaN where there is none."""
    array = arrow.one_array(column.raw())
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(array).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    start = np.cumsum(sizes) - sizes
    found = np.full(len(array), np.nan)
    long = sizes > number
    found[long] = flat[start[long] + number]
    return found


def item_count(column: ColumnArray, rows: npt.NDArray[np.bool_]) -> int:
    """Return how long the lists of the rows are where all are of one length, else 0."""
    array = arrow.one_array(column.raw())
    sizes = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    sizes = sizes[rows & array.is_valid().to_numpy(zero_copy_only=False)]
    if not len(sizes) or sizes.min() != sizes.max():
        return 0
    return int(sizes[0])


def text_part(column: ColumnArray, number: int) -> Float:
    """Return one of the ``PARTS`` columns that a text's n-grams fold to; NaN where missing.

    The columns of one text have length 1 together: a long text weighs as much as a short one.
    """
    return _text_parts(column)[:, number].astype(np.float64)


def _text_parts(column: ColumnArray) -> npt.NDArray[np.float32]:
    """Return float32[rows, PARTS]; kept with the column, which is read-only."""
    held: npt.NDArray[np.float32] | None = column.__dict__.get("_text_parts")
    if held is None:
        array = arrow.one_array(column.raw()).cast(pa.large_string())
        array = pc.utf8_lower(array)
        ends = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset :][: len(array) + 1]
        data = array.buffers()[2]
        held = np.zeros((len(array), PARTS), dtype=np.float32)
        if data is not None:
            _fold(np.frombuffer(data, dtype=np.uint8), ends, held)
        held[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
        column.__dict__["_text_parts"] = held
    return held


def _elements(
    column: ColumnArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], list[str], npt.NDArray[np.bool_]]:
    """Return the row and the code of every element, the elements, and which rows have no list.

    Kept with the column, which is read-only.
    """
    held: Any = column.__dict__.get("_elements")
    if held is None:
        array = arrow.one_array(column.raw())
        parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False).astype(np.int64)
        codes, words = arrow.categories(pa.chunked_array([pc.list_flatten(array)]))
        missing = array.is_null().to_numpy(zero_copy_only=False)
        held = column.__dict__["_elements"] = (parents, codes, words, missing)
    found: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], list[str], npt.NDArray[np.bool_]] = (
        held
    )
    return found


@njit(nogil=True, cache=True)
def _fold(data: Any, ends: Any, out: Any) -> None:
    """Hash words and their n-grams (FNV-1a, 64 bits) into ``out`` [rows, parts], length 1 each."""
    parts = np.uint64(out.shape[1])
    for row in range(len(ends) - 1):
        stop = min(ends[row + 1], ends[row] + _MOST_BYTES)
        begin = ends[row]
        while begin < stop:
            # A word is a run of letters, digits, and bytes beyond ASCII.
            while begin < stop and not _in_word(data[begin]):
                begin += 1
            end = begin
            while end < stop and _in_word(data[end]):
                end += 1
            if end > begin:
                _count(data, begin, end, parts, out[row])
                if end - begin > _SHORTEST:
                    for first in range(begin, end - _SHORTEST + 1):
                        for last in range(first + _SHORTEST, min(end, first + _LONGEST) + 1):
                            _count(data, first, last, parts, out[row])
            begin = end
        size = 0.0
        for k in range(out.shape[1]):
            size += out[row, k] * out[row, k]
        if size > 0.0:
            for k in range(out.shape[1]):
                out[row, k] /= np.sqrt(size)


@njit(nogil=True, cache=True)
def _in_word(byte: Any) -> bool:
    return bool(byte >= 128 or 48 <= byte <= 57 or 97 <= byte <= 122)


@njit(nogil=True, cache=True)
def _count(data: Any, begin: int, end: int, parts: Any, out: Any) -> None:
    mixed = np.uint64(0xCBF29CE484222325)
    for k in range(begin, end):
        mixed = (mixed ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    mixed ^= mixed >> np.uint64(33)  # FNV's low bits are weak
    place = np.int64((mixed >> np.uint64(1)) % parts)
    out[place] += 1.0 if mixed & np.uint64(1) else -1.0
