"""The computations behind features, one per family: recipes that read the same thing share a pass.

Each family's function takes the resolver and recipes with one stream and one value, and returns a
``Block``. Nothing here depends on which other examples are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relcast.learners.features import kernels
from relcast.learners.features.block import Block, asked, asked_of, index_of, translated
from relcast.learners.features.own import calendar, own
from relcast.learners.features.past import past
from relcast.learners.features.resolver import Resolver, exact_sums, running_sums
from relcast.learners.features.span import span
from relcast.learners.features.spec import Feature, Recipe, Stream
from relcast.learners.features.standing import standing

__all__ = ["prepare"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


def prepare(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Return the pass that computes features of one group (same family, seed, stream, value)."""
    match features[0].recipe.family:
        case "own":
            return own(resolver, features)
        case "calendar":
            return calendar(resolver, features)
        case "numbers":
            return _numbers(resolver, features)
        case "recent":
            return _recent(resolver, features)
        case "codes":
            return _codes(resolver, features)
        case "timing":
            return _timing(resolver, features)
        case "past":
            return past(resolver, features)
        case "span":
            return span(resolver, features)
        case "standing":
            return standing(resolver, features, prepare)


def _widths(recipes: Sequence[Recipe], *, pairs: bool = False) -> Rows:
    """Return the widths that recipes need, from short to long, everything (-1) last."""
    found = {r.width for r in recipes} | ({r.other for r in recipes} if pairs else set())
    ordered = sorted(w for w in found if w >= 0)
    return np.array(ordered + ([-1] if -1 in found else []), dtype=np.int64)


_STATISTICS = ("count", "sum", "mean", "min", "max", "std")


def _numbers(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = asked_of(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    trends = [r for r in recipes if r.measure == "trend"]
    widths = _widths([*recipes, *(Recipe("numbers", "mean", width=r.other) for r in trends)])
    place = {int(w): k for k, w in enumerate(widths)}
    owners, anchors, inverse = asked(resolver, stream)
    sums = _sums(stream, recipes, events.indptr, edge, over, known)
    exact = None
    if sums is None and _summed(recipes) and not len(over):
        exact = exact_sums(events.indptr, edge, known)

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), len(widths), 6))
        whom = owners[part], anchors[part], widths, out
        if sums is not None:
            kernels.window_sums(events.indptr, events.time, *sums, *whom)
        elif exact is not None:
            kernels.window_exact(events.indptr, events.time, known, edge, *exact, *whom)
        else:
            kernels.window_numbers(events.indptr, events.time, over, known, edge, *whom)
        columns = []
        for r in recipes:
            if r.measure == "trend":
                columns.append(out[:, place[r.width], 2] - out[:, place[r.other], 2])
            else:
                columns.append(out[:, place[r.width], _STATISTICS.index(r.measure)])
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _sums(
    stream: Stream, recipes: Sequence[Recipe], indptr: Rows, values: Float, over: Rows, known: Rows
) -> tuple[Rows, Float] | None:
    """Return running counts and sums of a stream that many share, None where they do not serve.

    A whole table or a category has so many events that no example should pass over them.
    """
    shared = not stream.down or stream.by is not None
    if not shared or not _summed(recipes) or len(over) or len(known):
        return None
    return running_sums(indptr, values)


def _summed(recipes: Sequence[Recipe]) -> bool:
    """Tell whether counts and sums are all that is asked for."""
    return all(r.measure in ("count", "sum", "mean", "trend", "pace") for r in recipes)


def _recent(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = asked_of(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    counts = sorted({r.other for r in recipes if r.measure == "last"})
    halves = sorted({r.other for r in recipes if r.measure == "half-life"})
    fades = sorted({r.other for r in recipes if r.measure == "fade"})
    owners, anchors, inverse = asked(resolver, stream)
    position: dict[tuple[str, int], int] = {}
    for group, name in ((counts, "last"), (halves, "half-life"), (fades, "fade")):
        for number in group:
            position[name, number] = len(position)

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), len(position)))
        kernels.recent_numbers(
            events.indptr,
            events.time,
            over,
            known,
            edge,
            owners[part],
            anchors[part],
            np.array(counts, dtype=np.int64),
            np.array(halves, dtype=np.float64),
            np.array(fades, dtype=np.float64),
            out,
        )
        return out[:, [position[r.measure, r.other] for r in recipes]]

    return Block(len(owners), inverse, fill)


_AFTER_SHARES = {"distinct": -3, "entropy": -2, "top share": -1}
_OF_WINDOWS = ("share", *_AFTER_SHARES)


def _codes(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = asked_of(recipes[0])
    events = resolver.events(stream)
    codes = resolver.codes(value)
    edge, known, over = resolver.edge_codes(events, codes)
    words = list(dict.fromkeys(r.word for r in recipes if r.word is not None))
    slots = np.full(max(codes.count, 1), -1, dtype=np.int64)
    if words:
        position = {word: code for code, word in enumerate(codes.words)}
        for slot, word in enumerate(words):
            if word in position:
                slots[position[word]] = slot
    windowed = [r for r in recipes if r.measure in _OF_WINDOWS]
    widths = _widths(windowed)
    place = {int(w): k for k, w in enumerate(widths)}
    index = [index_of(codes.words, f.categories) for f in features]
    owners, anchors, inverse = asked(resolver, stream)

    def fill(part: slice) -> Float:
        n = len(owners[part])
        out = np.empty((n, len(widths), len(words) + 4))
        common = (events.indptr, events.time, over, known, edge)
        if windowed:
            kernels.window_codes(*common, slots, owners[part], anchors[part], widths, out)
        last = np.empty((n, 3))
        if len(windowed) < len(recipes):
            kernels.recent_codes(*common, owners[part], anchors[part], last)
        columns = []
        for r, table in zip(recipes, index, strict=True):
            if r.measure == "share":
                row = out[:, place[r.width]]
                count = row[:, -4]
                share = row[:, words.index(r.word or "")] / np.where(count == 0, np.nan, count)
                columns.append(share)
            elif r.measure in _AFTER_SHARES:
                columns.append(out[:, place[r.width], _AFTER_SHARES[r.measure]])
            elif r.measure == "run":
                columns.append(last[:, 2])
            else:
                columns.append(translated(last[:, 0], table))
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _timing(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = asked_of(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    paced = [r for r in recipes if r.measure == "pace"]
    counted = [r for r in recipes if r.measure in ("count", "pace")]
    widths = _widths([*counted, *(Recipe("timing", "count", width=r.other) for r in paced)])
    place = {int(w): 5 + k for k, w in enumerate(widths)}
    halves = sorted({r.other for r in recipes if r.measure == "faded count"})
    fixed = {"since last": 0, "since first": 1, "mean gap": 2, "last gap": 3, "gap deviation": 4}
    owners, anchors, inverse = asked(resolver, stream)

    sums = _sums(stream, recipes, events.indptr, edge, over, known)

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), 5 + len(widths) + len(halves)))
        if sums is not None:
            counted = np.empty((len(owners[part]), len(widths), 6))
            whom = owners[part], anchors[part], widths, counted
            kernels.window_sums(events.indptr, events.time, *sums, *whom)
            out[:, 5:] = counted[:, :, 0]
            return np.stack([_timed(r, out, place, halves, fixed) for r in recipes], axis=1)
        kernels.timing(
            events.indptr,
            events.time,
            over,
            known,
            edge,
            owners[part],
            anchors[part],
            widths,
            np.array(halves, dtype=np.float64),
            out,
        )
        return np.stack([_timed(r, out, place, halves, fixed) for r in recipes], axis=1)

    return Block(len(owners), inverse, fill)


def _timed(
    r: Recipe, out: Float, place: dict[int, int], halves: list[int], fixed: dict[str, int]
) -> Float:
    """Return one measure of ``kernels.timing``."""
    if r.measure == "count":
        return out[:, place[r.width]]
    if r.measure == "pace":
        short, long = out[:, place[r.width]], out[:, place[r.other]]
        return np.asarray(short / np.where(long > 0, long * (r.width / r.other), np.nan))
    if r.measure == "faded count":
        return out[:, 5 + len(place) + halves.index(r.other)]
    if r.measure == "overdue":
        gap = out[:, 2]
        return np.asarray(out[:, 0] / np.where(gap > 0, gap, np.nan))
    return out[:, fixed[r.measure]]
