"""The compiled loops of this room: which classes an entity has had, read backwards from a moment.

Both loops visit the events of one example that are known at its moment, newest first, and depend on
nothing else, so that the results are the same bits in any batch. All release the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.relations.kernels import known_end

__all__ = ["add_product", "count_classes", "places", "recall_classes"]


@njit(nogil=True, cache=True)
def _usable(over: Any, known: Any, j: int, moment: int) -> bool:
    if over.size > 0 and over[j] <= moment:
        return False
    return not (known.size > 0 and known[j] > moment)


@njit(nogil=True, cache=True)
def count_classes(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    codes: Any,
    owners: Any,
    moments: Any,
    classes: int,
    most: int,
    out: Any,
) -> None:
    """Write how many different classes each example has had, at most ``most``: ``out`` int64[n]."""
    stamp = np.full(classes, -1, dtype=np.int64)
    for i in range(len(owners)):
        p, moment = owners[i], moments[i]
        out[i] = 0
        if p < 0:
            continue
        for j in range(known_end(time, indptr[p], indptr[p + 1], moment) - 1, indptr[p] - 1, -1):
            c = codes[j]
            if c < 0 or not _usable(over, known, j, moment):
                continue
            if stamp[c] != i:
                stamp[c] = i
                out[i] += 1
                if out[i] == most:
                    break


@njit(nogil=True, cache=True)
def recall_classes(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    codes: Any,
    owners: Any,
    moments: Any,
    width: int,
    starts: Any,
    slots: Any,
    classes: Any,
    numbers: Any,
    whole: Any,
) -> None:
    """Write what each example has had of each of its classes, the latest class first.

    Events (``indptr``, ``time``, ``over``, ``known``, ``codes``; a code of -1 is no class) stand in
    owner order; ``owners`` and ``moments`` int64[n] say whose are read, and up to when. Windows of
    ``width`` ns lie end to end, back from the moment. ``classes`` int64[m] of example i are written
    from ``starts[i]`` to ``starts[i + 1]``; ``slots`` int64[classes] is scratch. ``numbers``
    float64[m, 5] are the windows that held the class, its events, those of the last window, those
    of the last four, and how many windows ago the last one was; ``whole`` float64[n, 2] the windows
    since the first event (0 without one), and the events.
    """
    slots[:] = -1
    for i in range(len(owners)):
        p, moment = owners[i], moments[i]
        whole[i, 0] = 0.0
        whole[i, 1] = 0.0
        if p < 0:
            continue
        begin = starts[i]
        found, room = begin, starts[i + 1]
        oldest = np.int64(-1)
        for j in range(known_end(time, indptr[p], indptr[p + 1], moment) - 1, indptr[p] - 1, -1):
            c = codes[j]
            if c < 0 or not _usable(over, known, j, moment):
                continue
            window = (moment - time[j]) // width
            oldest = window
            whole[i, 1] += 1.0
            slot = slots[c]
            if slot < begin or slot >= found or classes[slot] != c:
                if found == room:
                    continue
                slot = found
                found += 1
                slots[c] = slot
                classes[slot] = c
                numbers[slot, :] = 0.0
                numbers[slot, 4] = (moment - time[j]) / width
                last = np.int64(-1)
            else:
                last = np.int64(numbers[slot, 0] // 1048576.0) - 1
            # The newest window that was counted is held above the count until the example ends.
            if window != last:
                count = numbers[slot, 0] % 1048576.0 + 1.0
                numbers[slot, 0] = (window + 1.0) * 1048576.0 + count
            numbers[slot, 1] += 1.0
            if window == 0:
                numbers[slot, 2] += 1.0
            if window < 4:
                numbers[slot, 3] += 1.0
        whole[i, 0] = oldest + 1.0
        for slot in range(begin, found):
            numbers[slot, 0] = numbers[slot, 0] % 1048576.0


@njit(nogil=True, cache=True)
def add_product(left: Any, right: Any, out: Any) -> None:
    """Add ``left @ right`` to ``out``, row by row: float64[n, d], float64[d, c], float64[n, c].

    BLAS would be faster, but its sums depend on how many rows there are.
    """
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            factor = left[i, k]
            if factor != 0.0:
                for j in range(right.shape[1]):
                    out[i, j] += factor * right[k, j]


@njit(nogil=True, cache=True)
def places(top: Any, rows: Any, score: Any, out: Any) -> None:
    """Write how many of its row's best scores are above each pair's own: ``out`` float32[p].

    ``top`` float64[n, m] holds the best scores of each row, the highest first; ``rows`` int64[p]
    and ``score`` float64[p] are the pairs.
    """
    for i in range(len(rows)):
        row = rows[i]
        low, high = 0, top.shape[1]
        while low < high:
            middle = (low + high) >> 1
            if top[row, middle] > score[i]:
                low = middle + 1
            else:
                high = middle
        out[i] = low
