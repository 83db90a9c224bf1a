"""The compiled loops that count links: of items, of entities, and of pairs of both.

A link is known at ``a`` when its time is ``<= a`` and it is not over (``over > a``, or ``over`` is
empty). Every loop works on one example after the other, in a fixed order of additions, so that
neither threads nor neighbours in a batch change a bit. All release the GIL and are cached.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.relations import NOT_A_TIME
from relcast.relations.kernels import first_after

__all__ = ["before", "item_history", "latest", "popularity", "popularity_of_pairs"]

_TIMELESS = NOT_A_TIME


@njit(nogil=True, cache=True)
def popularity(
    indptr: Any, time: Any, over: Any, known: int, low: int, count: Any, latest: Any
) -> None:
    """Count each item's links with ``low < t <= known``, and write the time of its latest.

    ``low`` of ``NOT_A_TIME`` counts from the beginning. ``latest`` is ``NOT_A_TIME`` without links.
    """
    for item in range(len(indptr) - 1):
        begin, end = indptr[item], indptr[item + 1]
        end = first_after(time, begin, end, known)
        latest[item] = _TIMELESS
        if low != _TIMELESS:
            begin = first_after(time, begin, end, low)
        if over.size == 0:
            count[item] = end - begin
            if end > begin:
                latest[item] = time[end - 1]
            continue
        found = 0
        for place in range(begin, end):
            if over[place] > known:
                found += 1
                latest[item] = time[place]
        count[item] = found


@njit(nogil=True, cache=True)
def item_history(
    e_indptr: Any,
    e_other: Any,
    e_time: Any,
    e_over: Any,
    entity: Any,
    known: Any,
    anchor: Any,
    indptr: Any,
    item: Any,
    items: int,
    widths: Any,
    back: Any,
    out: Any,
) -> None:
    """Write what each entity's own links say of each of its candidates, ``out[pairs, :]``.

    Columns: links ever; share of the entity's links; days since the last and since the first
    before ``anchor``; mean days between; place of the item among the entity's distinct items, the
    newest first; links at the entity's newest moment; then links in each of the windows ``widths``
    (ns, ending at known); then links in each of the windows ``(anchor - back[k, 0],
    anchor - back[k, 1]]``. The history is bounded by its newest 4,096 links.
    """
    slot = np.full(items, -1, dtype=np.int64)
    stamp = np.zeros(items, dtype=np.int64)
    day = 86_400e9
    fixed = 7
    for i in range(len(entity)):
        low, high = indptr[i], indptr[i + 1]
        for p in range(low, high):
            slot[item[p]] = p
            out[p, :] = 0.0
            for k in range(2, 6):
                out[p, k] = np.nan
        begin = e_indptr[entity[i]]
        end = first_after(e_time, begin, e_indptr[entity[i] + 1], known[i])
        begin = max(begin, end - 4096)
        total = 0
        distinct = 0
        newest = _TIMELESS
        for place in range(end - 1, begin - 1, -1):
            if e_over.size and e_over[place] <= known[i]:
                continue
            t = e_time[place]
            if total == 0:
                newest = t
            total += 1
            j = e_other[place]
            if stamp[j] != i + 1:
                stamp[j] = i + 1
                distinct += 1
            p = slot[j]
            if p < 0:
                continue
            if out[p, 0] == 0:
                out[p, 5] = distinct
                if t != _TIMELESS:
                    out[p, 2] = (anchor[i] - t) / day
            out[p, 0] += 1
            if t == _TIMELESS:
                continue
            out[p, 3] = (anchor[i] - t) / day
            if t == newest:
                out[p, 6] += 1
            for k in range(len(widths)):
                if known[i] - t < widths[k]:
                    out[p, fixed + k] += 1
            for k in range(len(back)):
                if anchor[i] - back[k, 0] < t <= anchor[i] - back[k, 1]:
                    out[p, fixed + len(widths) + k] += 1
        for p in range(low, high):
            slot[item[p]] = -1
            if out[p, 0] > 0:
                out[p, 1] = out[p, 0] / total
            if out[p, 0] > 1:
                out[p, 4] = (out[p, 3] - out[p, 2]) / (out[p, 0] - 1)


@njit(nogil=True, cache=True)
def popularity_of_pairs(
    indptr: Any, time: Any, over: Any, item: Any, known: Any, anchor: Any, widths: Any,
    back: Any, out: Any,
) -> None:  # fmt: skip
    """Write what an item's links say of it at each pair's moments, ``out[pairs, :]``.

    Columns: links ever; days since the last and since the first before ``anchor``; then links in
    each window of ``widths`` (ns, ending at known); then links in each of the windows
    ``(anchor - back[k, 0], anchor - back[k, 1]]`` as far as known.
    """
    day = 86_400e9
    for p in range(len(item)):
        begin = indptr[item[p]]
        end = first_after(time, begin, indptr[item[p] + 1], known[p])
        out[p, 1] = np.nan
        out[p, 2] = np.nan
        if end > begin and time[begin] != _TIMELESS:
            out[p, 2] = (anchor[p] - time[begin]) / day
        newest = end - 1
        while over.size and newest >= begin and over[newest] <= known[p]:
            newest -= 1
        if newest >= begin and time[newest] != _TIMELESS:
            out[p, 1] = (anchor[p] - time[newest]) / day
        out[p, 0] = _alive(over, begin, end, known[p])
        for k in range(len(widths)):
            low = first_after(time, begin, end, known[p] - widths[k])
            out[p, 3 + k] = _alive(over, low, end, known[p])
        for k in range(len(back)):
            low = first_after(time, begin, end, anchor[p] - back[k, 0])
            high = first_after(time, begin, end, anchor[p] - back[k, 1])
            out[p, 3 + len(widths) + k] = _alive(over, low, high, known[p])


@njit(nogil=True, cache=True)
def _alive(over: Any, begin: int, end: int, known: int) -> int:
    if over.size == 0:
        return end - begin
    count = 0
    for place in range(begin, end):
        if over[place] > known:
            count += 1
    return count


@njit(nogil=True, cache=True)
def before(e_indptr: Any, e_other: Any, e_time: Any, out: Any) -> None:
    """Write the first item of the moment before each link of an entity, -1 in its first moment."""
    for e in range(len(e_indptr) - 1):
        earlier = -1
        first = -1
        for place in range(e_indptr[e], e_indptr[e + 1]):
            if place == e_indptr[e] or e_time[place] != e_time[place - 1]:
                earlier = first
                first = e_other[place]
            out[place] = earlier


@njit(nogil=True, cache=True)
def latest(
    e_indptr: Any, e_other: Any, e_time: Any, e_over: Any, entity: Any, known: Any, item: Any,
    place: Any,
) -> None:  # fmt: skip
    """Write the first item of each entity's latest known moment, and the place of its last link.

    Both are -1 without a known link.
    """
    for i in range(len(entity)):
        item[i] = -1
        place[i] = -1
        begin = e_indptr[entity[i]]
        end = first_after(e_time, begin, e_indptr[entity[i] + 1], known[i])
        for k in range(end - 1, begin - 1, -1):
            if e_over.size and e_over[k] <= known[i]:
                continue
            if place[i] < 0:
                place[i] = k
            elif e_time[k] != e_time[place[i]]:
                break
            item[i] = e_other[k]
