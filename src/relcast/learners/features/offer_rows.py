"""Offers that need no events: columns of the entity and of what it points to, and the calendar."""

from __future__ import annotations

from relcast.learners.features.cells import PARTS
from relcast.learners.features.offers import Offers
from relcast.learners.features.spec import Recipe, Step, Value

__all__ = ["row", "rows"]

_DAY = 86_400 * 10**9


def rows(o: Offers) -> None:
    """Offer the entity's own columns, those of what it points to (three links up), the calendar."""
    row(o, 1.0, ())
    for link in o.graph.links_from(o.entity_table):
        step = (Step("up", link),)
        row(o, 1.3, step)
        for second in o.graph.links_from(link.to):
            row(o, 1.6, (*step, Step("up", second)))
            for third in o.graph.links_from(second.to):
                row(o, 2.6, (*step, Step("up", second), Step("up", third)))
    if o.target is None:
        return
    recipe = Recipe("calendar", "staleness")
    o.add(0.5, "days from what is known to the anchor", recipe, None, None)
    short = o.horizon < 28 * _DAY
    parts = ["month", "day of year", "year"] + (["weekday", "day"] if short else ["week"])
    for part in [*parts, *(["hour"] if o.horizon < _DAY else [])]:
        name = f"{part} of the anchor"
        o.add(1.2, name, Recipe("calendar", part), None, None)


def row(o: Offers, rank: float, seed: tuple[Step, ...]) -> None:
    """Offer the columns of the row at the end of a seed."""
    table = seed[-1].table if seed else o.entity_table
    columns = o.columns.of(table)
    where = o.phrases.seed(seed)
    for column in columns.numbers:
        _number(o, rank, seed, Value("own", table, column))
    for column in columns.categories:
        words = o.columns.vocabulary(table, column)
        recipe = Recipe("own", "category", seed, value=Value("own", table, column))
        name = f"{table}.{column}{where}"
        if column in columns.numbers:
            name = f"{name} as a category"
        o.add(rank, name, recipe, (table, column), None, words)
    for column in columns.times:
        times(o, rank, seed, column)
    for value in o.columns.inside(table):
        late = 0.4 if value.kind == "text" else 0.1
        _number(o, rank + late, seed, value)


def times(o: Offers, rank: float, seed: tuple[Step, ...], column: str) -> None:
    """Offer how long ago a time of a row was, or how far ahead it lies, and its calendar."""
    table = seed[-1].table if seed else o.entity_table
    value = Value("own", table, column)
    where = o.phrases.seed(seed)
    first = "age" if o.target is not None else "epoch"
    ahead = ["ahead"] if o.target is not None and o.columns.is_told(table, column) else []
    names = {
        "age": f"days since {table}.{column}{where}",
        "ahead": f"days until {table}.{column}{where}",
        "epoch": f"{table}.{column} in days{where}",
    }
    for measure in [first, *ahead, "month", "weekday"]:
        name = names.get(measure, f"{measure} of {table}.{column}{where}")
        late = 0.0 if measure in (first, "ahead") else 1.0
        o.add(rank + late, name, Recipe("own", measure, seed, value=value), (table, column), None)


def _number(o: Offers, rank: float, seed: tuple[Step, ...], value: Value) -> None:
    name = f"{o.phrases.value(value)}{o.phrases.seed(seed)}"
    late = value.number / PARTS / 10 if value.kind == "text" else 0.0
    recipe = Recipe("own", "number", seed, value=value)
    o.add(rank + late, name, recipe, (value.table, value.column), None)
