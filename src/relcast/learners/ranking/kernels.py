"""The compiled loops of rankings: popularity, candidates' walks, and pair aggregates.

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

__all__ = [
    "affinity",
    "before",
    "item_history",
    "latest",
    "likeness",
    "match",
    "popularity",
    "popularity_of_pairs",
    "profile",
    "shares",
    "walk",
    "walk_pairs",
]

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
def walk(
    e_indptr: Any,
    e_other: Any,
    e_time: Any,
    e_over: Any,
    i_indptr: Any,
    i_other: Any,
    i_time: Any,
    i_over: Any,
    i_twin: Any,
    entity: int,
    known: int,
    reach: Any,
    score: Any,
    touched: Any,
    marked: Any,
) -> int:
    """Walk from an entity's latest items to who else has them, and on to what else those have.

    Writes ``score[4, items]`` (which must be zero) and the rows that were touched; returns how many
    these are. The four scores: any link of the other entity, links at the very moment of the shared
    one, later ones, and any from the items of the entity's own latest moment. An item's walk counts
    one over its number of walkers, a walker one over the root of its known links.
    ``reach``: latest items, latest walkers per item, links per walker around the shared one.
    """
    begin = e_indptr[entity]
    end = first_after(e_time, begin, e_indptr[entity + 1], known)
    size = 0
    steps = 0
    newest = _TIMELESS
    place = end - 1
    while place >= begin and steps < reach[0]:
        item = e_other[place]
        if e_over.size and e_over[place] <= known:
            place -= 1
            continue
        if steps == 0:
            newest = e_time[place]
        latest = e_time[place] == newest
        steps += 1
        first = i_indptr[item]
        last = first_after(i_time, first, i_indptr[item + 1], known)
        low = max(first, last - reach[1])
        walkers = last - low
        for link in range(low, last):
            walker = i_other[link]
            if walker == entity or (i_over.size and i_over[link] <= known):
                continue
            w_begin = e_indptr[walker]
            w_end = first_after(e_time, w_begin, e_indptr[walker + 1], known)
            weight = 1.0 / (walkers * np.sqrt(w_end - w_begin))
            middle = i_twin[link]
            moment = i_time[link]
            for there in range(
                max(w_begin, middle - reach[2] // 2), min(w_end, middle + reach[2] // 2 + 1)
            ):
                found = e_other[there]
                if found == item or (e_over.size and e_over[there] <= known):
                    continue
                if not marked[found]:
                    marked[found] = True
                    touched[size] = found
                    size += 1
                score[0, found] += weight
                if e_time[there] == moment:
                    score[1, found] += weight
                elif e_time[there] > moment:
                    score[2, found] += weight
                if latest:
                    score[3, found] += weight
        place -= 1
    for k in range(size):
        marked[touched[k]] = False
    return size


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


@njit(nogil=True, cache=True)
def shares(
    i_indptr: Any, i_other: Any, i_time: Any, i_over: Any, code: Any, entity: Any, known: Any,
    indptr: Any, item: Any, mine: Any, newest: int, out: Any,
) -> None:  # fmt: skip
    """Write the share of each candidate's newest links that have the example's code.

    ``code`` is int32[links] in the order of items; links of a code of -1 do not count, nor do the
    entity's own. NaN where the example's code, ``mine``, is -1.
    """
    for i in range(len(entity)):
        for p in range(indptr[i], indptr[i + 1]):
            out[p] = np.nan
            if mine[i] < 0:
                continue
            begin = i_indptr[item[p]]
            end = first_after(i_time, begin, i_indptr[item[p] + 1], known[i])
            count = 0
            same = 0
            for place in range(max(begin, end - newest), end):
                if i_other[place] == entity[i] or (i_over.size and i_over[place] <= known[i]):
                    continue
                if code[place] < 0:
                    continue
                count += 1
                if code[place] == mine[i]:
                    same += 1
            # Two links of no code stand before the first, so that one link is no certainty.
            out[p] = same / (count + 2.0)


@njit(nogil=True, cache=True)
def match(
    e_indptr: Any,
    e_other: Any,
    e_time: Any,
    e_over: Any,
    c_indptr: Any,
    codes: Any,
    width: int,
    entity: Any,
    known: Any,
    indptr: Any,
    item: Any,
    newest: int,
    out: Any,
) -> None:
    """Write how much of an entity's newest links share the candidate's categories.

    ``codes[c_indptr[j]:c_indptr[j + 1]]`` are item j's categories, of ``width`` there are. A link
    spreads one over the categories of its item; a candidate takes the mean over its own. Links of
    the candidate itself do not count. NaN without links or categories.
    """
    mass = np.zeros(width)
    for i in range(len(entity)):
        begin = e_indptr[entity[i]]
        end = first_after(e_time, begin, e_indptr[entity[i] + 1], known[i])
        begin = max(begin, end - newest)
        total = 0
        for place in range(begin, end):
            if e_over.size and e_over[place] <= known[i]:
                continue
            j = e_other[place]
            many = c_indptr[j + 1] - c_indptr[j]
            total += 1
            for c in range(c_indptr[j], c_indptr[j + 1]):
                mass[codes[c]] += 1.0 / many
        for p in range(indptr[i], indptr[i + 1]):
            j = item[p]
            many = c_indptr[j + 1] - c_indptr[j]
            out[p] = np.nan
            if many == 0 or total == 0:
                continue
            found = 0.0
            for c in range(c_indptr[j], c_indptr[j + 1]):
                found += mass[codes[c]]
            out[p] = found / (many * total)
        for place in range(begin, end):
            j = e_other[place]
            for c in range(c_indptr[j], c_indptr[j + 1]):
                mass[codes[c]] = 0.0


@njit(nogil=True, cache=True)
def affinity(
    e_indptr: Any,
    e_other: Any,
    e_time: Any,
    e_over: Any,
    values: Any,
    entity: Any,
    known: Any,
    indptr: Any,
    item: Any,
    newest: int,
    out: Any,
) -> None:
    """Write each candidate's value less the mean over the items of the entity's newest links."""
    for i in range(len(entity)):
        begin = e_indptr[entity[i]]
        end = first_after(e_time, begin, e_indptr[entity[i] + 1], known[i])
        total = 0.0
        count = 0
        for place in range(max(begin, end - newest), end):
            value = values[e_other[place]]
            if (e_over.size and e_over[place] <= known[i]) or np.isnan(value):
                continue
            total += value
            count += 1
        for p in range(indptr[i], indptr[i + 1]):
            out[p] = values[item[p]] - total / count if count else np.nan


@njit(nogil=True, cache=True)
def walk_pairs(
    e_indptr: Any,
    e_other: Any,
    e_time: Any,
    e_over: Any,
    i_indptr: Any,
    i_other: Any,
    i_time: Any,
    i_over: Any,
    i_twin: Any,
    entity: Any,
    known: Any,
    indptr: Any,
    item: Any,
    items: int,
    reach: Any,
    out: Any,
) -> None:
    """Write the four scores of ``walk`` for each candidate, ``out[pairs, 4]``."""
    score = np.zeros((4, items))
    touched = np.empty(items, dtype=np.int64)
    marked = np.zeros(items, dtype=np.bool_)
    for i in range(len(entity)):
        size = walk(
            e_indptr, e_other, e_time, e_over,
            i_indptr, i_other, i_time, i_over, i_twin,
            entity[i], known[i], reach, score, touched, marked,
        )  # fmt: skip
        for p in range(indptr[i], indptr[i + 1]):
            for k in range(4):
                out[p, k] = score[k, item[p]]
        for t in range(size):
            for k in range(4):
                score[k, touched[t]] = 0.0


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
def profile(
    e_indptr: Any, e_other: Any, e_time: Any, e_over: Any, vectors: Any, entity: int, known: int,
    newest: int, out: Any,
) -> int:  # fmt: skip
    """Write the sum of the vectors of an entity's newest links to ``out``; return how many."""
    out[:] = 0.0
    begin = e_indptr[entity]
    end = first_after(e_time, begin, e_indptr[entity + 1], known)
    count = 0
    for place in range(max(begin, end - newest), end):
        if e_over.size and e_over[place] <= known:
            continue
        for k in range(len(out)):
            out[k] += vectors[e_other[place], k]
        count += 1
    return count


@njit(nogil=True, cache=True)
def likeness(
    e_indptr: Any, e_other: Any, e_time: Any, e_over: Any, stack: Any, space: Any,
    entity: Any, known: Any, indptr: Any, item: Any, newest: int, few: int, out: Any,
) -> None:  # fmt: skip
    """Write how near each candidate is to what its entity had lately, ``out[pairs, 3]``.

    The inner product with the sum over ``newest`` links, and the cosines with it and with the sum
    over the ``few`` newest. Pairs whose entity or item has no vector keep what stands in ``out``.
    """
    width = stack.shape[2]
    long = np.empty(width)
    short = np.empty(width)
    for i in range(len(entity)):
        if space[i] < 0:
            continue
        vectors = stack[space[i]]
        if not profile(
            e_indptr, e_other, e_time, e_over, vectors, entity[i], known[i], newest, long
        ):
            continue
        profile(e_indptr, e_other, e_time, e_over, vectors, entity[i], known[i], few, short)
        size_long = 0.0
        size_short = 0.0
        for k in range(width):
            size_long += long[k] * long[k]
            size_short += short[k] * short[k]
        for p in range(indptr[i], indptr[i + 1]):
            dot_long = 0.0
            dot_short = 0.0
            size = 0.0
            for k in range(width):
                value = vectors[item[p], k]
                dot_long += value * long[k]
                dot_short += value * short[k]
                size += value * value
            if size == 0.0:
                continue
            out[p, 0] = dot_long
            if size_long > 0.0:
                out[p, 1] = dot_long / np.sqrt(size * size_long)
            if size_short > 0.0:
                out[p, 2] = dot_short / np.sqrt(size * size_short)
