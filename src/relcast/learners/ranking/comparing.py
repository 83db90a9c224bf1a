"""The compiled loops that compare an item with what an entity has had: cohorts, labels, vectors.

As in ``counting``: only links that are known count, and no neighbour in a batch changes a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from relcast.relations.kernels import first_after

__all__ = ["affinity", "likeness", "match", "profile", "shares"]


@njit(nogil=True, cache=True)
def shares(
    i_indptr: Any, i_other: Any, i_time: Any, i_over: Any, code: Any, name: Any, known: Any,
    indptr: Any, item: Any, mine: Any, newest: int, out: Any,
) -> None:  # fmt: skip
    """Write the share of each candidate's newest links that have the example's code.

    ``code`` is int32[links] in the order of items; links of a code of -1 do not count, nor do the
    example's own, ``name`` (see ``walk``). NaN where the example's code, ``mine``, is -1.
    """
    for i in range(len(name)):
        for p in range(indptr[i], indptr[i + 1]):
            out[p] = np.nan
            if mine[i] < 0:
                continue
            begin = i_indptr[item[p]]
            end = first_after(i_time, begin, i_indptr[item[p] + 1], known[i])
            count = 0
            same = 0
            for place in range(max(begin, end - newest), end):
                if i_other[place] == name[i] or (i_over.size and i_over[place] <= known[i]):
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
    spreads one over the categories of its item; a candidate takes the mean over its own. NaN
    without links or categories.
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
