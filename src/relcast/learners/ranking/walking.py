"""The compiled walk from an entity's items to who else has them, and on to what those have.

As in ``counting``: only links that are known count, and no neighbour in a batch changes a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.relations import NOT_A_TIME
from relcast.relations.kernels import first_after

__all__ = ["walk", "walk_pairs"]

_TIMELESS = NOT_A_TIME


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
    name: int,
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
    ``name`` is who the entity is among walkers: itself, of a copy the one that it is a copy of.
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
            if walker == name or (i_over.size and i_over[link] <= known):
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
    name: Any,
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
            entity[i], name[i], known[i], reach, score, touched, marked,
        )  # fmt: skip
        for p in range(indptr[i], indptr[i + 1]):
            for k in range(4):
                out[p, k] = score[k, item[p]]
        for t in range(size):
            for k in range(4):
                score[k, touched[t]] = 0.0
