"""The compiled loops of this room: grouping children by parent, and finding what was known.

All release the GIL and are cached on disk, so that a process compiles them at most once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["bounds", "first_after", "group_by_parent", "known_end"]


@njit(nogil=True, cache=True)
def group_by_parent(parent: Any, order: Any, parents: int) -> Any:
    """Group rows by parent in one counting pass, keeping ``order`` inside each group.

    Returns ``indptr`` int64[parents + 1] and ``child`` int64[edges]; rows with parent -1 are left
    out.
    """
    indptr = np.zeros(parents + 1, dtype=np.int64)
    for row in order:
        if parent[row] >= 0:
            indptr[parent[row] + 1] += 1
    for p in range(parents):
        indptr[p + 1] += indptr[p]
    place = indptr[:-1].copy()
    child = np.empty(indptr[parents], dtype=np.int64)
    for row in order:
        p = parent[row]
        if p >= 0:
            child[place[p]] = row
            place[p] += 1
    return indptr, child


@njit(nogil=True, cache=True)
def first_after(time: Any, low: int, high: int, moment: int) -> int:
    """Return the first place in ``time[low:high]`` (ascending) later than ``moment``."""
    while low < high:
        middle = (low + high) >> 1
        if time[middle] <= moment:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def known_end(time: Any, low: int, high: int, anchor: int) -> int:
    """Return the end of what is known at ``anchor`` in a slice; an empty ``time`` is all known."""
    if time.size == 0:
        return high
    return first_after(time, low, high, anchor)


@njit(nogil=True, cache=True)
def bounds(
    indptr: Any, time: Any, parents: Any, after: Any, until: Any, begin: Any, end: Any
) -> None:
    """Write the slice of each parent's children with ``after < t <= until``; empty for parent -1.

    ``time`` is aligned with the children; when it is empty every child is always known.
    """
    for i in range(len(parents)):
        p = parents[i]
        if p < 0:
            begin[i] = 0
            end[i] = 0
            continue
        low, high = indptr[p], indptr[p + 1]
        end[i] = known_end(time, low, high, until[i])
        begin[i] = low if time.size == 0 else first_after(time, low, end[i], after[i])
