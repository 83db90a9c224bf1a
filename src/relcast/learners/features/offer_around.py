"""Offers about the surroundings: parents of the entity and of its latest events, cohorts, all."""

from __future__ import annotations

from relcast.learners.features.offers import Offers
from relcast.learners.features.spec import Recipe, Step, Stream, Value
from relcast.learners.features.windows import ALL

__all__ = ["around"]

_HISTORY = 8
"""Horizons that history must span before what is one for all at an anchor is learned from."""

_EACH = 5
"""Entities that a category must have on average, so that it is a cohort and no name."""


def around(o: Offers) -> None:
    """Offer what happened to the parents: the entity's own, and those of its latest events."""
    targets = {p.down[0] for p in o.target.aggregations} if o.target else set()
    for link in o.graph.links_from(o.entity_table):
        _parent(o, 2.2, (Step("up", link),))
    if o.target is None:
        return
    for down in o.graph.links_to(o.entity_table):
        if not o.timed(down.table):
            continue
        for up in o.graph.links_from(down.table):
            if up != down:
                seed = (Step("latest", down), Step("up", up))
                _parent(o, 1.15 if down in targets else 2.4, seed)
    if o.span >= _HISTORY * o.horizon:
        _everybody(o)
        _cohorts(o)


def _everybody(o: Offers) -> None:
    """Offer how the whole population did, how much is to come by the season, and who is active."""
    for number, part in enumerate(o.target.aggregations if o.target else ()):
        if not o.timed(part.table) or not o.shares(part.table, part.column):
            continue
        stream, below = Stream(part.table), Stream(part.table, (), part.down)
        own = Value("own", part.table)
        if part.where is not None and o.columns.past_labels:
            holds = Value("holds", part.table, part.column, number=number)
            o.means(2.3, stream, holds, (*o.some(), o.year()))
            o.season(1.3, stream, holds, ("mean",))
        if part.column in o.columns.of(part.table).numbers:
            value = Value("own", part.table, part.column)
            o.means(2.3, stream, value, (*o.some(), o.year()))
            o.season(1.3, stream, value, ("mean",))
            o.season(1.25, below, value, ("mean", "sum"))
            if set(part.down) <= set(o.graph.links):
                for recipe in (
                    Recipe("numbers", "mean", (), below, value, o.year().width),
                    Recipe("numbers", "mean", (), below, value, o.middle().width),
                    Recipe("recent", "last", (), below, value, other=1),
                    Recipe("recent", "fade", (), below, value, other=8),
                ):
                    o.standing(1.15, below, recipe)
        o.season(1.25, stream, own, ("count", "moments"))
        if set(part.down) <= set(o.graph.links):
            o.season(1.25, below, own, ("count",))
            o.standing(1.2, below, None)
            o.standing(1.2, below, Recipe("timing", "count", (), below, own, o.middle().width))
        o.pace(2.5, stream, own)


def _cohorts(o: Offers) -> None:
    """Offer how those did who share a category of the entity."""
    table = o.entity_table
    known = int(o.columns.known(table).sum())
    categories = [
        column
        for column in o.columns.of(table).categories
        if o.columns.distinct(table, column) * _EACH <= known
    ]
    for number, part in enumerate(o.target.aggregations if o.target else ()):
        if not set(part.down) <= set(o.graph.links) or not o.shares(part.table, part.column):
            continue
        for k, column in enumerate(categories[:4]):
            stream = Stream(part.table, (), part.down, by=column)
            at = 2.4 + 0.1 * k
            if part.where is not None and o.columns.past_labels:
                holds = Value("holds", part.table, part.column, number=number)
                o.means(at, stream, holds, o.some())
            if part.column in o.columns.of(part.table).numbers:
                o.means(at, stream, Value("own", part.table, part.column), o.some())
            o.pace(at + 0.2, stream, Value("own", part.table))


def _parent(o: Offers, rank: float, seed: tuple[Step, ...]) -> None:
    """Offer the events below a parent, those of the target's table first."""
    tables = {p.table for p in o.target.aggregations} if o.target else set()
    wanted = {p.column for p in o.target.aggregations} if o.target else set()
    for link in o.graph.links_to(seed[-1].table):
        if not o.timed(link.table) and o.target is not None:
            continue
        if link.table in {answer.table for answer in o.answer}:
            continue
        stream = Stream(link.table, seed, (link,))
        near = link.table in tables
        base = rank if near else rank + 0.5
        # Where a parent's rows come all at one moment (a race, a basket), windows are one.
        spread = o.spread(link)
        parts = o.target.aggregations if o.target and o.columns.past_labels else ()
        for number, part in enumerate(parts):
            if part.table == link.table and part.where is not None:
                holds = Value("holds", part.table, part.column, number=number)
                o.means(base, stream, holds, o.windows if spread else (ALL,))
                if spread:
                    o.recent(base, stream, holds, counts=(1, 5), fades=(8,))
                    recipe = Recipe("numbers", "mean", (), stream, holds, o.year().width)
                    o.standing(base + 0.15, stream, recipe)
        for k, column in enumerate(o.numeric(link.table, sorted(filter(None, wanted)))):
            value = Value("own", link.table, column)
            first = near and column in wanted
            at = base if first else base + 0.3 + 0.05 * k
            if not spread:
                o.means(at, stream, value, (ALL,))
                continue
            o.means(at, stream, value, o.some() if not first else o.windows)
            if o.target is not None:
                o.recent(at, stream, value, counts=(1, 5), fades=(8,))
            if first:
                o.year_so_far(at + 0.1, stream, value)
                for width in (o.year().width, o.middle().width):
                    recipe = Recipe("numbers", "mean", (), stream, value, width)
                    o.standing(at + 0.15, stream, recipe)
        if not spread:
            continue
        count = Value("own", link.table)
        o.timing(base + 1.0, stream, count, brief=True)
        for column in o.columns.of(link.table).categories:
            o.codes(base + 1.5, stream, Value("own", link.table, column), brief=True)
