"""Features that need no events: values of a row that a seed walks to, and the anchor's calendar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features.block import Block, index_of, translated
from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Feature
from relcast.learners.features.values import Numbers, column_known
from relcast.relations import NOT_A_TIME, rows_known

__all__ = ["calendar", "calendar_part", "own"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_DAY = 86_400 * 10**9


def own(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Compute values of the seed's row; missing where they are not known by then.

    Measures: ``number``, ``category``; of times ``age`` (days since), ``ahead`` (days until; the
    time lies ahead and is known), ``epoch`` and the parts of a calendar.
    """
    recipe = features[0].recipe
    value = recipe.value
    if value is None or value.column is None:
        raise AssertionError("a recipe of the family own has a column")
    table = resolver.relations.table(value.table)
    rows = resolver.seed(recipe.seed)
    known = rows_known(table, rows, None if resolver.timeless else resolver.asof)
    rows = resolver.value_rows(value.table, value.column, np.where(known, rows, -1))
    column = table.column(value.column)
    told = len(column_known(resolver.relations, value.table, value.column)) > 0

    def fill(part: slice) -> Float:
        at, anchors, asof = rows[part], resolver.anchors[part], resolver.asof[part]
        columns = []
        for feature in features:
            measure = feature.recipe.measure
            if measure == "number":
                found = np.append(numbers.values, np.nan)[at]
                if len(numbers.known):
                    found = np.where(np.append(numbers.known, 0)[at] <= asof, found, np.nan)
            elif measure == "category":
                codes = np.append(column.values, -1)[at].astype(np.float64)
                found = translated(np.where(codes < 0, np.nan, codes), index[feature.name])
            else:
                time = np.append(column.values, NOT_A_TIME)[at]
                found = _moment(measure, time, anchors, None if told else asof)
            columns.append(found)
        return np.stack(columns, axis=1)

    wanted = {f.recipe.measure for f in features}
    nothing = Numbers(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    numbers = resolver.numbers(value) if "number" in wanted else nothing
    index = {
        f.name: index_of(column.dictionary, f.categories)
        for f in features
        if f.recipe.measure == "category"
    }
    return Block(len(rows), None, fill)


def _moment(measure: str, time: Rows, anchors: Rows, asof: Rows | None) -> Float:
    """Return a time as a feature.

    One that is later than what is known had not been written yet, unless the schema says when it
    is written (``asof`` None).
    """
    missing = time == NOT_A_TIME
    if asof is not None:
        missing |= time > asof
    with np.errstate(over="ignore"):
        if measure in ("age", "ahead"):
            found = (anchors - time) / _DAY
            if measure == "ahead":
                found, missing = -found, missing | (time <= anchors)
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


def calendar(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Compute parts of the anchor, and how far it is from what is known."""

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
