"""Texts and lists as bags: for each cell, places in an embedding. Needs no torch.

A text's words (runs of letters and digits; ASCII is lowered, other letters stand as they are) and
its pairs of neighbouring words are hashed into buckets: the hashing trick of Weinberger et al.,
Feature hashing for large scale multitask learning (2009), over n-grams.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from relcast.learners.gnn.codes import bucket_of
from relcast.relations import convert

__all__ = ["joined", "of_lists", "of_text", "take", "without"]

Place = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]

_MOST = 64


def of_text(raw: Any, buckets: int, base: int) -> tuple[Place, Index]:
    """Return the bag of each text: int32 places and int64[n + 1] ends; a null text is empty."""
    column = convert.one_array(raw).cast(pa.large_string())
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    letters = np.zeros(1, np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    null = np.asarray(column.is_null())
    return _hashed(np.ascontiguousarray(offsets), letters, null, buckets, base)  # type: ignore[no-any-return]


def of_lists(raw: Any, buckets: int, base: int) -> tuple[Place, Index]:
    """Return the bag of each list, its first 64 elements."""
    cells = convert.one_array(raw).to_pylist()
    bags = [
        [base + bucket_of(str(e), buckets) for e in (cell or ())[:_MOST] if e is not None]
        for cell in cells
    ]
    ends = np.append(0, np.cumsum([len(bag) for bag in bags])).astype(np.int64)
    return np.array([place for bag in bags for place in bag], dtype=np.int32), ends


def take(values: Place, ends: Index, rows: Index) -> tuple[Place, Index]:
    """Return the bags of the chosen rows."""
    lengths = np.diff(ends)[rows]
    after = np.append(0, np.cumsum(lengths)).astype(np.int64)
    inside = np.arange(after[-1]) - np.repeat(after[:-1], lengths)
    return values[np.repeat(ends[:-1][rows], lengths) + inside], after


def without(values: Place, ends: Index, gone: npt.NDArray[np.bool_]) -> tuple[Place, Index]:
    """Return the bags with those of some rows emptied."""
    lengths = np.diff(ends)
    left = np.where(gone, 0, lengths)
    return values[np.repeat(~gone, lengths)], np.append(0, np.cumsum(left)).astype(np.int64)


def joined(bags: list[tuple[Place, Index]], rows: int) -> tuple[Place, Index]:
    """Lay the bags of several columns end to end."""
    values, ends, at = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)], 0
    for found, after in bags:
        values.append(found)
        ends.append(after[1:] + at)
        at += int(after[rows])
    return np.concatenate(values), np.concatenate(ends)


@njit(nogil=True, cache=True)
def _hashed(offsets: Any, letters: Any, null: Any, buckets: int, base: int) -> Any:
    cells = len(null)
    ends = np.zeros(cells + 1, dtype=np.int64)
    values = np.empty(max(16, 8 * cells), dtype=np.int32)
    count = 0
    for cell in range(cells):
        first = count
        if not null[cell]:
            word = np.uint32(2166136261)
            before = np.uint32(0)
            inside = False
            for at in range(offsets[cell], offsets[cell + 1] + 1):
                letter = letters[at] if at < offsets[cell + 1] else np.uint8(32)
                upper = np.uint8(65) <= letter <= np.uint8(90)
                if upper:
                    letter = np.uint8(letter + np.uint8(32))
                part = (
                    letter >= np.uint8(128)
                    or np.uint8(97) <= letter <= np.uint8(122)
                    or np.uint8(48) <= letter <= np.uint8(57)
                )
                if part:
                    word = np.uint32((word ^ np.uint32(letter)) * np.uint32(16777619))
                    inside = True
                elif inside:
                    if count - first >= _MOST:
                        break
                    if count + 2 > len(values):
                        larger = np.empty(2 * len(values), dtype=np.int32)
                        larger[:count] = values[:count]
                        values = larger
                    values[count] = base + int(word) % buckets
                    count += 1
                    if before != np.uint32(0):
                        pair = np.uint32(before * np.uint32(31) ^ word)
                        values[count] = base + int(pair) % buckets
                        count += 1
                    before = word
                    word = np.uint32(2166136261)
                    inside = False
        ends[cell + 1] = count
    return values[:count], ends
