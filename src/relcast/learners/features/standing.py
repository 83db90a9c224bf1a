"""A feature of the entity beside that of everybody who is active: its rank, and how far it is off.

Active are the owners of a stream with an event in the width before the moment. All of them are
looked at whatever examples are asked for, so that a score does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from relcast.learners.features.block import Block, asked, asked_of
from relcast.learners.features.kernels import usable, window_limit
from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Feature, Recipe, Stream
from relcast.relations import NEVER, NOT_A_TIME, rows_known

__all__ = ["standing"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Prepare = Callable[[Resolver, Sequence[Feature]], Block]
_CHUNK = 8192


def standing(resolver: Resolver, features: Sequence[Feature], prepare: Prepare) -> Block:
    """Compute where each owner stands among the active ones.

    Measures: ``rank`` (share of the active with less, ties half, 0 to 1), ``off`` (minus their
    mean), ``active`` (how many they are). ``prepare`` computes the features that are compared.
    """
    recipe = features[0].recipe
    stream, _ = asked_of(recipe)
    owners, asof, inverse = asked(resolver, stream)
    moments, which = np.unique(asof, return_inverse=True)
    active, bounds = _active(resolver, stream, moments, recipe.width)
    compared = list(dict.fromkeys(f.recipe.of for f in features if f.recipe.of is not None))
    there = resolver.among(stream, active, np.repeat(moments, np.diff(bounds)))
    mine = resolver.among(stream, owners, asof)
    theirs = [_values(there, r, features[0], prepare) for r in compared]
    own = [_values(mine, r, features[0], prepare) for r in compared]
    ordered = [_in_order(values, bounds) for values in theirs]
    size = np.diff(bounds)

    def fill(part: slice) -> Float:
        columns: list[Float] = []
        for f in features:
            if f.recipe.of is None:
                columns.append(size[which[part]].astype(np.float64))
                continue
            k = compared.index(f.recipe.of)
            out = np.empty((len(owners[part]), 2))
            _place(own[k][part], which[part], *ordered[k], bounds, out)
            columns.append(out[:, 0 if f.recipe.measure == "rank" else 1])
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _values(resolver: Resolver, recipe: Recipe, like: Feature, prepare: Prepare) -> Float:
    """Compute one feature for a resolver's owners, float64[owners]."""
    block = prepare(resolver, [replace(like, recipe=recipe, kind="number", categories=None)])
    found = np.empty(block.rows)
    for begin in range(0, block.rows, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, block.rows))
        found[part] = block.fill(part)[:, 0]
    return found if block.inverse is None else found[block.inverse]


def _active(resolver: Resolver, stream: Stream, moments: Rows, width: int) -> tuple[Rows, Rows]:
    """Return, for each moment, who had a usable event in the width before it: moment by moment.

    Owners int64[active], ascending within a moment, and where each moment begins,
    int64[moments + 1].
    """
    events = resolver.events(stream)
    if len(stream.down) == 1 and stream.by is None:
        table = resolver.relations.table(stream.table)
        if table.time is None:
            raise AssertionError("standing needs times")
        order = table.order
        time = table.time[order]
        if len(moments):  # only what lies in a window is looked at
            low = window_limit(int(moments[0]), width)
            begin = np.searchsorted(time, low, side="right")
            end = np.searchsorted(time, moments[-1], side="right")
            order, time = order[begin:end], time[begin:end]
        owner = np.asarray(resolver.relations.link(stream.down[0]).parent)[order]
        kept = owner >= 0
        order, time, owner = order[kept], time[kept], owner[kept]
        over = table.end_time
        over = over[order] if over is not None else events.over[:0]
        over = np.where(over == NOT_A_TIME, NEVER, over)
        known = events.known[:0]
    else:
        owner = np.repeat(np.arange(len(events.indptr) - 1), np.diff(events.indptr))
        order = np.argsort(events.time, kind="stable")
        if stream.down and stream.by is None:  # copies of a row are nobody else
            order = order[owner[order] < resolver.relations.table(stream.down[0].to).counted]
        time, owner = events.time[order], owner[order]
        over = events.over[order] if len(events.over) else events.over
        known = events.known[order] if len(events.known) else events.known
    counts = np.zeros(len(moments), dtype=np.int64)
    stamp = np.zeros(len(events.indptr), dtype=np.int64)
    nobody = np.empty(0, dtype=np.int64)
    common = (time, over, known, owner, moments, width)
    _find(*common, stamp, counts, nobody)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    found = np.empty(int(bounds[-1]), dtype=np.int64)
    stamp[:] = 0
    _find(*common, stamp, counts, found)
    for k in range(len(moments)):
        found[bounds[k] : bounds[k + 1]].sort()
    # An event may be known before its owner is; who is not there has no standing.
    place = np.repeat(np.arange(len(moments)), np.diff(bounds))
    there = rows_known(resolver.relations.table(stream.down[0].to), found, moments[place])
    counts = np.bincount(place[there], minlength=len(moments))
    return found[there], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@njit(nogil=True, cache=True)
def _find(
    time: Any,
    over: Any,
    known: Any,
    owner: Any,
    moments: Any,
    width: int,
    stamp: Any,
    counts: Any,
    found: Any,
) -> None:
    """Write how many owners are active at each moment and, given room, which."""
    place = 0
    for m in range(len(moments)):
        a = moments[m]
        j = np.searchsorted(time, a, side="right") - 1
        limit = window_limit(a, width)
        count = 0
        while j >= 0 and time[j] > limit:
            p = owner[j]
            if stamp[p] != m + 1 and usable(over, known, j, a):
                stamp[p] = m + 1
                if found.size > 0:
                    found[place] = p
                    place += 1
                count += 1
            j -= 1
        counts[m] = count


def _in_order(values: Float, bounds: Rows) -> tuple[Float, Rows, Float]:
    """Return values in order within each moment, how many are there, and their mean."""
    ordered = values.copy()
    count = np.zeros(len(bounds) - 1, dtype=np.int64)
    mean = np.full(len(bounds) - 1, np.nan)
    for k in range(len(bounds) - 1):
        part = np.sort(values[bounds[k] : bounds[k + 1]])  # NaN comes last
        ordered[bounds[k] : bounds[k + 1]] = part
        count[k] = int((~np.isnan(part)).sum())
        if count[k]:
            mean[k] = part[0] + (part[: count[k]] - part[0]).mean()
    return ordered, count, mean


@njit(nogil=True, cache=True)
def _place(
    own: Any, which: Any, ordered: Any, count: Any, mean: Any, bounds: Any, out: Any
) -> None:
    """Write rank and distance to the mean of each owner's value: [n, 2]."""
    for i in range(len(own)):
        m = which[i]
        out[i, 0] = np.nan
        out[i, 1] = np.nan
        if np.isnan(own[i]) or count[m] == 0:
            continue
        there = ordered[bounds[m] : bounds[m] + count[m]]
        low = np.searchsorted(there, own[i], side="left")
        high = np.searchsorted(there, own[i], side="right")
        out[i, 0] = 0.5 * (low + high) / count[m]
        out[i, 1] = own[i] - mean[m]
