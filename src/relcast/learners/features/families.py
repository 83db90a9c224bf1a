"""The computations behind features, one per family: recipes that read the same thing share a pass.

Each family's function takes the resolver and recipes with one stream and one value, and returns a
``Block``: whose events are read at which anchors, and a function from a range of these to float64
[range, recipes]. Nothing here depends on which other examples are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import kernels
from relcast.learners.features.resolver import Resolver, unique_pairs
from relcast.learners.features.spec import Feature, Recipe, Stream, Value

__all__ = ["Block", "prepare"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Fill = Callable[[slice], Float]


@dataclass(frozen=True)
class Block:
    """One pass over ``rows`` distinct questions.

    Attributes:
        rows: How many distinct (owner, anchor) pairs are asked for.
        inverse: int64[n] which of them each example is; None when they are the examples.
        fill: Computes a range of them, float64[range, features].
    """

    rows: int
    inverse: Rows | None
    fill: Fill


def prepare(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Return the pass that computes features of one group (same family, seed, stream, value)."""
    recipe = features[0].recipe
    match recipe.family:
        case "own":
            return _own(resolver, features)
        case "calendar":
            return _calendar(resolver, features)
        case "numbers":
            return _numbers(resolver, features)
        case "recent":
            return _recent(resolver, features)
        case "codes":
            return _codes(resolver, features)
        case "timing":
            return _timing(resolver, features)
        case "past":
            from relcast.learners.features.past import past

            return past(resolver, features)


_DAY = 86_400 * 10**9


def asked(resolver: Resolver, stream: Stream) -> tuple[Rows, Rows, Rows | None]:
    """Return the distinct owners and anchors of a stream, and which each example has.

    Examples of one entity table are distinct already; many share a parent, all share a cohort.
    """
    owners = resolver.owners(stream)
    if stream.down and not stream.seed:
        return owners, resolver.asof, None
    (rows, anchors), inverse = unique_pairs(owners, resolver.asof)
    return rows, anchors, inverse


def _source(recipe: Recipe) -> tuple[Stream, Value]:
    if recipe.stream is None or recipe.value is None:
        raise AssertionError(f"a recipe of the family {recipe.family} has a stream and a value")
    return recipe.stream, recipe.value


def _widths(recipes: Sequence[Recipe], *, pairs: bool = False) -> Rows:
    """Return the widths that recipes need, from short to long, everything (-1) last."""
    found = {r.width for r in recipes} | ({r.other for r in recipes} if pairs else set())
    ordered = sorted(w for w in found if w >= 0)
    return np.array(ordered + ([-1] if -1 in found else []), dtype=np.int64)


_STATISTICS = ("count", "sum", "mean", "min", "max", "std")


def _numbers(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = _source(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    trends = [r for r in recipes if r.measure == "trend"]
    widths = _widths([*recipes, *(Recipe("numbers", "mean", width=r.other) for r in trends)])
    place = {int(w): k for k, w in enumerate(widths)}
    owners, anchors, inverse = asked(resolver, stream)

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), len(widths), 6))
        kernels.window_numbers(
            events.indptr, events.time, over, known, edge, owners[part], anchors[part], widths, out
        )
        columns = []
        for r in recipes:
            if r.measure == "trend":
                columns.append(out[:, place[r.width], 2] - out[:, place[r.other], 2])
            else:
                columns.append(out[:, place[r.width], _STATISTICS.index(r.measure)])
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _recent(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = _source(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    counts = sorted({r.other for r in recipes if r.measure == "last"})
    halves = sorted({r.other for r in recipes if r.measure == "half-life"})
    fades = sorted({r.other for r in recipes if r.measure == "fade"})
    owners, anchors, inverse = asked(resolver, stream)
    position = {("first", 0): 0}
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


def _codes(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = _source(recipes[0])
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
    windowed = [r for r in recipes if r.measure in ("share", "distinct")]
    widths = _widths(windowed)
    place = {int(w): k for k, w in enumerate(widths)}
    index = [_index_of(codes.words, f.categories) for f in features]
    owners, anchors, inverse = asked(resolver, stream)

    def fill(part: slice) -> Float:
        n = len(owners[part])
        out = np.empty((n, len(widths), len(words) + 2))
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
                count = row[:, -2]
                share = row[:, words.index(r.word or "")] / np.where(count == 0, np.nan, count)
                columns.append(share)
            elif r.measure == "distinct":
                columns.append(out[:, place[r.width], -1])
            elif r.measure == "run":
                columns.append(last[:, 2])
            else:
                columns.append(_translated(last[:, 0], table))
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _timing(resolver: Resolver, features: Sequence[Feature]) -> Block:
    recipes = [f.recipe for f in features]
    stream, value = _source(recipes[0])
    events = resolver.events(stream)
    edge, known, over = resolver.edge_numbers(events, resolver.numbers(value))
    widths = _widths([r for r in recipes if r.measure == "count"])
    place = {int(w): 5 + k for k, w in enumerate(widths)}
    halves = sorted({r.other for r in recipes if r.measure == "faded count"})
    fixed = {"since last": 0, "since first": 1, "mean gap": 2, "last gap": 3, "gap deviation": 4}
    owners, anchors, inverse = asked(resolver, stream)

    def fill(part: slice) -> Float:
        out = np.empty((len(owners[part]), 5 + len(widths) + len(halves)))
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
        columns = []
        for r in recipes:
            if r.measure == "count":
                columns.append(out[:, place[r.width]])
            elif r.measure == "faded count":
                columns.append(out[:, 5 + len(widths) + halves.index(r.other)])
            elif r.measure == "overdue":
                gap = out[:, 2]
                columns.append(out[:, 0] / np.where(gap > 0, gap, np.nan))
            else:
                columns.append(out[:, fixed[r.measure]])
        return np.stack(columns, axis=1)

    return Block(len(owners), inverse, fill)


def _own(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Columns of the seed's row; missing where the row is not known at the anchor."""
    from relcast.relations import NOT_A_TIME, rows_known

    recipe = features[0].recipe
    value = recipe.value
    if value is None or value.column is None:
        raise AssertionError("a recipe of the family own has a column")
    table = resolver.relations.table(value.table)
    rows = resolver.seed(recipe.seed)
    known = rows_known(table, rows, None if resolver.timeless else resolver.asof)
    rows = np.where(known, rows, -1)
    column = table.column(value.column)

    def fill(part: slice) -> Float:
        at, anchors, asof = rows[part], resolver.anchors[part], resolver.asof[part]
        columns = []
        for feature in features:
            measure = feature.recipe.measure
            if measure == "number":
                found = np.append(numbers, np.nan)[at]
            elif measure == "category":
                codes = np.append(column.values, -1)[at].astype(np.float64)
                found = _translated(np.where(codes < 0, np.nan, codes), index[feature.name])
            else:
                time = np.append(column.values, NOT_A_TIME)[at]
                found = _moment(measure, time, anchors, asof)
            columns.append(found)
        return np.stack(columns, axis=1)

    wanted = {f.recipe.measure for f in features}
    numbers = column.numbers() if "number" in wanted else np.empty(0)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    index = {
        f.name: _index_of(column.dictionary, f.categories)
        for f in features
        if f.recipe.measure == "category"
    }
    return Block(len(rows), None, fill)


def _moment(measure: str, time: Rows, anchors: Rows, asof: Rows) -> Float:
    """Return a time as a feature; one later than what is known had not been written yet."""
    from relcast.relations import NOT_A_TIME

    missing = (time == NOT_A_TIME) | (time > asof)
    if measure == "age":
        with np.errstate(over="ignore"):
            found = (anchors - time) / _DAY
    else:
        found = calendar_part(measure, time)
    return np.where(missing, np.nan, found)


def calendar_part(part: str, moments: Rows) -> Float:
    """Return ``month`` 1-12, ``day`` 1-31, ``day of year``, ``weekday`` 0-6, ``hour``, ``year``.

    ``week`` is the day of the year in weeks (0-52), ``epoch`` days since 1970.
    """
    day = moments // _DAY
    stamps = day.astype("datetime64[D]")
    year, month = stamps.astype("datetime64[Y]"), stamps.astype("datetime64[M]")
    match part:
        case "year":
            found: Any = year.astype(np.int64) + 1970
        case "month":
            found = month.astype(np.int64) % 12 + 1
        case "day":
            found = (stamps - month.astype("datetime64[D]")).astype(np.int64) + 1
        case "day of year":
            found = (stamps - year.astype("datetime64[D]")).astype(np.int64) + 1
        case "week":
            found = (stamps - year.astype("datetime64[D]")).astype(np.int64) // 7
        case "weekday":
            found = (day + 3) % 7
        case "hour":
            found = (moments % _DAY) // (3_600 * 10**9)
        case _:
            found = moments / _DAY
    return np.asarray(found, dtype=np.float64)


def _calendar(resolver: Resolver, features: Sequence[Feature]) -> Block:
    def fill(part: slice) -> Float:
        anchors = resolver.anchors[part]
        columns = [
            (anchors - resolver.asof[part]) / _DAY
            if f.recipe.measure == "staleness"
            else calendar_part(f.recipe.measure, anchors)
            for f in features
        ]
        return np.stack(columns, axis=1)

    return Block(len(resolver.anchors), None, fill)


def _index_of(words: Sequence[str], categories: tuple[str, ...] | None) -> Float:
    """Return the feature's index of each code, NaN for words outside its categories."""
    position = {word: k for k, word in enumerate(categories or ())}
    return np.array([position.get(word, np.nan) for word in words] + [np.nan], dtype=np.float64)


def _translated(codes: Float, table: Float) -> Float:
    return table[np.where(np.isnan(codes), len(table) - 1, codes).astype(np.int64)]
