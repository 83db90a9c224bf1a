"""The compiled loops over past windows: bucket after bucket backwards from the anchor.

Shapes as in ``kernels``: E events in owner order, n examples, K windows; ``edges`` holds the ends
of the windows of each distinct anchor, newest first. All release the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.learners.features.kernels import usable
from relcast.relations.kernels import known_end

__all__ = ["bucket_codes", "bucket_numbers", "bucket_spread", "first_known"]

_LAST = np.iinfo(np.int64).max


@njit(nogil=True, cache=True)
def bucket_numbers(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    anchors: Any,
    edges: Any,
    which: Any,
    out: Any,
) -> None:
    """Write count, sum, min, max, first, last per past window: ``out`` [n, K, 6].

    Window k of example i is ``(edges[which[i], k + 1], edges[which[i], k]]``.
    """
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        begin, j = 0, -1
        if p >= 0:
            begin = indptr[p]
            j = known_end(time, begin, indptr[p + 1], a) - 1
        for k in range(out.shape[1]):
            count, total, low, high = 0, 0.0, np.nan, np.nan
            first, last = np.nan, np.nan
            limit = edges[which[i], k + 1]
            while j >= begin and time[j] > limit:
                v = values[j]
                if not np.isnan(v) and usable(over, known, j, a):
                    if count == 0:
                        low, high, last = v, v, v
                    count += 1
                    total += v
                    low = min(low, v)
                    high = max(high, v)
                    first = v
                j -= 1
            out[i, k, 0] = count
            out[i, k, 1] = total
            out[i, k, 2] = low
            out[i, k, 3] = high
            out[i, k, 4] = first
            out[i, k, 5] = last


@njit(nogil=True, cache=True)
def bucket_spread(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    anchors: Any,
    edges: Any,
    which: Any,
    out: Any,
) -> None:
    """Write median and sample standard deviation per past window: ``out`` [n, K, 2].

    The deviation of fewer than two values is NaN. Windows as in ``bucket_numbers``.
    """
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        begin, j = 0, -1
        if p >= 0:
            begin = indptr[p]
            j = known_end(time, begin, indptr[p + 1], a) - 1
        for k in range(out.shape[1]):
            limit = edges[which[i], k + 1]
            first = j
            while j >= begin and time[j] > limit:
                j -= 1
            found = np.empty(first - j)
            count = 0
            for m in range(j + 1, first + 1):
                v = values[m]
                if not np.isnan(v) and usable(over, known, m, a):
                    found[count] = v
                    count += 1
            out[i, k, 0] = np.nan
            out[i, k, 1] = np.nan
            if count > 0:
                ordered = np.sort(found[:count])
                low, high = ordered[(count - 1) // 2], ordered[count // 2]
                out[i, k, 0] = low + (high - low) / 2 if high != low else low
            if count > 1:
                mean = ordered[0] + np.mean(ordered - ordered[0])
                out[i, k, 1] = np.sqrt(np.sum((ordered - mean) ** 2) / (count - 1))


@njit(nogil=True, cache=True)
def first_known(indptr: Any, time: Any, known: Any, owners: Any, anchors: Any, out: Any) -> None:
    """Write the time of the first event that is known at the anchor, the end of time without one.

    ``known`` is that of the events themselves, not of their values: ``out`` int64[n].
    """
    for i in range(len(owners)):
        out[i] = _LAST
        p = owners[i]
        if p < 0:
            continue
        for j in range(indptr[p], known_end(time, indptr[p], indptr[p + 1], anchors[i])):
            if known.size == 0 or known[j] <= anchors[i]:
                out[i] = time[j]
                break


@njit(nogil=True, cache=True)
def bucket_codes(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    codes: Any,
    distinct: int,
    owners: Any,
    anchors: Any,
    edges: Any,
    which: Any,
    out: Any,
) -> None:
    """Write how many different codes each past window holds: ``out`` [n, K]."""
    stamp = np.zeros(max(distinct, 1), dtype=np.int64)
    mark = 0
    for i in range(len(owners)):
        p, a = owners[i], anchors[i]
        begin, j = 0, -1
        if p >= 0:
            begin = indptr[p]
            j = known_end(time, begin, indptr[p + 1], a) - 1
        for k in range(out.shape[1]):
            mark += 1
            found = 0
            limit = edges[which[i], k + 1]
            while j >= begin and time[j] > limit:
                c = codes[j]
                if c >= 0 and usable(over, known, j, a) and stamp[c] != mark:
                    stamp[c] = mark
                    found += 1
                j -= 1
            out[i, k] = found
