"""Windows that the calendar sets: the same season a period ago, and the year so far.

What comes next often resembles what came after the same day a year ago: how many events there
are to be, and how they end. Of the periods that lie back, the latest is taken whose window was
over by what is known, so that examples that know less look further back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from relcast.learners.features.block import Block, asked_of
from relcast.learners.features.kernels import usable
from relcast.learners.features.resolver import Resolver, unique_pairs
from relcast.learners.features.spec import Feature, Recipe, Stream
from relcast.relations.kernels import known_end

__all__ = ["span"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_MEASURES = {"count": 0, "sum": 1, "mean": 2, "moments": 3}


def span(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Compute count, sum, mean and distinct moments of the values in windows of the calendar."""
    stream, value = asked_of(features[0].recipe)
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    owners, asof, anchors, inverse = _distinct(resolver, stream)
    windows = list(dict.fromkeys((f.recipe.word, f.recipe.width, f.recipe.other) for f in features))
    places = [windows.index((f.recipe.word, f.recipe.width, f.recipe.other)) for f in features]
    bounds = {w: _bounds(_first(features, w), anchors, asof) for w in windows}

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), len(windows), 4))
        for k, window in enumerate(windows):
            low, high = bounds[window]
            _between(
                *(events.indptr, events.time, over, known, edge),
                *(owners[part], asof[part], low[part], high[part], out[:, k]),
            )
        columns = [
            out[:, place, _MEASURES[f.recipe.measure]]
            for f, place in zip(features, places, strict=True)
        ]
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _first(features: Sequence[Feature], window: tuple[str | None, int, int]) -> Recipe:
    return next(
        f.recipe for f in features if (f.recipe.word, f.recipe.width, f.recipe.other) == window
    )


def _distinct(resolver: Resolver, stream: Stream) -> tuple[Rows, Rows, Rows, Rows | None]:
    """Return the distinct owners, moments known and anchors, and which of them each example has."""
    owners, asof, anchors = resolver.owners(stream), resolver.asof, resolver.anchors
    if stream.down and not stream.seed and stream.by is None:
        return owners, asof, anchors, None
    (rows, known), first = unique_pairs(owners, asof)
    (pair, moments), inverse = unique_pairs(first, anchors)
    return rows[pair], known[pair], moments, inverse


def _bounds(recipe: Recipe, anchors: Rows, asof: Rows) -> tuple[Rows, Rows]:
    """Return the open left and closed right end of each example's window, int64[n] ns."""
    if recipe.word == "year":
        day = asof.astype("datetime64[ns]")
        start = day.astype("datetime64[Y]").astype("datetime64[ns]").astype(np.int64)
        return start - 1, asof
    period = recipe.other
    back = np.maximum(1, -((asof - anchors - recipe.width) // period))
    low = anchors - back * period
    return low, low + recipe.width


@njit(nogil=True, cache=True)
def _between(
    indptr: Any,
    time: Any,
    over: Any,
    known: Any,
    values: Any,
    owners: Any,
    asof: Any,
    low: Any,
    high: Any,
    out: Any,
) -> None:
    """Write count, sum, mean and distinct moments of the values in ``(low, high]``: [n, 4]."""
    for i in range(len(owners)):
        p = owners[i]
        count, total, origin, first, moments = 0, 0.0, 0.0, 0.0, 0
        last = np.iinfo(np.int64).min
        if p >= 0:
            begin = indptr[p]
            end = known_end(time, begin, indptr[p + 1], min(high[i], asof[i]))
            for j in range(end - 1, begin - 1, -1):
                if time[j] <= low[i]:
                    break
                v = values[j]
                if np.isnan(v) or not usable(over, known, j, asof[i]):
                    continue
                if count == 0:
                    origin = v
                if count == 0 or time[j] != last:
                    moments += 1
                    last = time[j]
                count += 1
                total += v
                first += v - origin
        out[i, 0] = count
        out[i, 1] = total
        out[i, 2] = origin + first / count if count > 0 else np.nan
        out[i, 3] = moments
