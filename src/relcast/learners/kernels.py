"""Compiled loops of the learners; cached on disk, so that a process compiles them at most once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["expanding_mean", "expanding_median", "expanding_mode"]


@njit(nogil=True, cache=True)
def expanding_mean(indptr: Any, values: Any, out: Any) -> None:
    """Write, at each place of a group, the mean of the group's values up to and with it.

    Each group is added up by itself: what other entities did changes no digit of it.
    """
    for group in range(len(indptr) - 1):
        total = 0.0
        for place in range(indptr[group], indptr[group + 1]):
            total += values[place]
            out[place] = total / (place - indptr[group] + 1)


@njit(nogil=True, cache=True)
def expanding_median(indptr: Any, values: Any, out: Any) -> None:
    """Write, at each place of a group, the median of the group's values up to and with it."""
    for group in range(len(indptr) - 1):
        begin = indptr[group]
        ordered = np.empty(indptr[group + 1] - begin, dtype=np.float64)
        for count in range(len(ordered)):
            value = values[begin + count]
            place = count
            while place > 0 and ordered[place - 1] > value:
                ordered[place] = ordered[place - 1]
                place -= 1
            ordered[place] = value
            middle = (count + 1) // 2
            if (count + 1) % 2 == 1:
                out[begin + count] = ordered[middle]
            else:
                out[begin + count] = (ordered[middle - 1] + ordered[middle]) / 2


@njit(nogil=True, cache=True)
def expanding_mode(indptr: Any, codes: Any, classes: int, out: Any) -> None:
    """Write, at each place of a group, its most frequent code so far; the latest wins a tie."""
    counts = np.zeros(classes, dtype=np.int64)
    for group in range(len(indptr) - 1):
        best = -1
        for place in range(indptr[group], indptr[group + 1]):
            code = codes[place]
            counts[code] += 1
            if best < 0 or counts[code] >= counts[best]:
                best = code
            out[place] = best
        for place in range(indptr[group], indptr[group + 1]):
            counts[codes[place]] = 0
