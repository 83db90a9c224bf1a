"""The compiled loop that proposes candidates for one example after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.learners.ranking.comparing import profile
from relcast.learners.ranking.walking import walk
from relcast.relations.kernels import first_after

__all__ = ["propose"]

_MOST_LINKS = 4096


@njit(nogil=True, cache=True)
def _best(score: Any, rows: Any, most: int, allowed: Any, taken: Any, number: int, out: Any) -> int:
    """Append the ``most`` best of ``rows`` by score to ``out`` from place ``number`` on.

    Ties go to the smaller row. Rows that are not allowed, taken, or have no positive score are
    passed over; what is appended is marked in ``taken``. Returns the new number.
    """
    kept = np.empty(len(rows), dtype=np.int64)
    count = 0
    for row in rows:
        if score[row] > 0 and allowed[row] and not taken[row]:
            kept[count] = row
            count += 1
    kept = np.sort(kept[:count])
    values = np.empty(count)
    for k in range(count):
        values[k] = -score[kept[k]]
    if count > 4 * most and most > 0:
        bound = np.partition(values, most - 1)[most - 1]
        kept = kept[values <= bound]
        values = values[values <= bound]
        count = len(values)
    order = np.argsort(values, kind="mergesort")
    for k in range(min(most, count)):
        row = kept[order[k]]
        taken[row] = True
        out[number] = row
        number += 1
    return number


@njit(nogil=True, cache=True)
def propose(
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
    allowed: Any,
    group: Any,
    lists: Any,
    list_of: Any,
    vectors: Any,
    space: Any,
    reach: Any,
    quota: Any,
    out: Any,
    count: Any,
) -> None:
    """Write at most ``quota[0] + ...`` distinct candidates of each example to ``out[n, :]``.

    The entity's own newest items (``quota[0]``), the best of its walk by any link and by later
    links (``quota[1]`` each), the nearest to it by vectors (``quota[2]``), then of each list of
    popular items (``quota[3]``). ``allowed[group[i]]`` is bool[items]. ``lists[list_of[l, i]]`` is
    example i's l-th list, filled up with -1. ``vectors[space[i]]`` is float64[items, d]; -1 has
    none.
    """
    items = len(i_indptr) - 1
    score = np.zeros((4, items))
    touched = np.empty(items, dtype=np.int64)
    marked = np.zeros(items, dtype=np.bool_)
    taken = np.zeros(items, dtype=np.bool_)
    near = np.zeros(items)
    every = np.arange(items)
    taste = np.zeros(vectors.shape[2])
    for i in range(len(entity)):
        number = 0
        row = out[i]
        free = allowed[group[i]]
        begin = e_indptr[entity[i]]
        end = first_after(e_time, begin, e_indptr[entity[i] + 1], known[i])
        own = 0
        for place in range(end - 1, max(begin, end - _MOST_LINKS) - 1, -1):
            j = e_other[place]
            if taken[j] or not free[j] or (e_over.size and e_over[place] <= known[i]):
                continue
            if own < quota[0]:
                row[number] = j
                number += 1
                own += 1
                taken[j] = True
        size = 0
        if quota[1] > 0:
            size = walk(
                e_indptr, e_other, e_time, e_over,
                i_indptr, i_other, i_time, i_over, i_twin,
                entity[i], name[i], known[i], reach, score, touched, marked,
            )  # fmt: skip
            number = _best(score[0], touched[:size], quota[1], free, taken, number, row)
            number = _best(score[2], touched[:size], quota[1], free, taken, number, row)
        for t in range(size):
            for k in range(4):
                score[k, touched[t]] = 0.0
        if quota[2] > 0 and space[i] >= 0:
            basis = vectors[space[i]]
            if profile(e_indptr, e_other, e_time, e_over, basis, entity[i], known[i], 200, taste):
                for j in range(items):
                    total = 0.0
                    for k in range(len(taste)):
                        total += basis[j, k] * taste[k]
                    near[j] = total
                number = _best(near, every, quota[2], free, taken, number, row)
        for which in range(len(list_of)):
            found = 0
            for j in lists[list_of[which, i]]:
                if j < 0 or found >= quota[3]:
                    break
                if free[j] and not taken[j]:
                    taken[j] = True
                    row[number] = j
                    number += 1
                    found += 1
        count[i] = number
        for p in range(number):
            taken[row[p]] = False
