"""Offers over the events below the entity, and over what these events point to."""

from __future__ import annotations

from collections.abc import Sequence

from relcast.core.schema import Link
from relcast.learners.features.offer_rows import times
from relcast.learners.features.offers import Offers
from relcast.learners.features.spec import Step, Stream, Value, ValueKind
from relcast.learners.features.windows import ALL, YEAR

__all__ = ["below"]

_SHARED = 0.2
"""Least share of rows that have a sibling of the same moment, so that rows are compared."""

_KINDS: tuple[ValueKind, ...] = ("rank", "relative", "others")
_LATER: tuple[tuple[float, ValueKind], ...] = (
    (0.5, "relative"),
    (0.6, "rank"),
    (0.7, "others"),
    (0.9, "ratio"),
)


def below(o: Offers) -> None:
    """Offer windows over the events below the entity, over one, two and three links.

    The target's own rows come first, however many links away they are. What a static list is
    made of is the answer itself and no feature.
    """
    wanted = [p.down for p in o.target.aggregations] if o.target else []
    wanted = [down for down in wanted if set(down) <= set(o.graph.links)]
    direct = {down[0] for down in wanted}
    links = [link for link in o.graph.links_to(o.entity_table) if link not in o.answer]
    links.sort(key=lambda link: link not in direct)
    for down in dict.fromkeys(d for d in wanted if len(d) > 1):
        _stream(o, 1.1, Stream(down[-1].table, (), down), across=True)
    for place, link in enumerate(links):
        rank = 1.1 if (link,) in wanted else 1.35 + 0.15 * min(place, 4)
        _stream(o, rank, Stream(link.table, (), (link,)), across=True)
        _latest(o, rank + 0.6, link)
        for second in o.graph.links_to(link.table):
            if second.table == o.entity_table:
                continue
            if (link, second) not in wanted:
                stream = Stream(second.table, (), (link, second))
                _stream(o, rank + 1.5, stream, across=False)
            for third in o.graph.links_to(second.table):
                down = (link, second, third)
                if third.table not in (o.entity_table, link.table) and down not in wanted:
                    _far(o, rank + 3.5, Stream(third.table, (), down))


def _stream(o: Offers, rank: float, stream: Stream, *, across: bool) -> None:
    """Offer everything about the events of one stream."""
    table, timed = stream.table, o.timed(stream.table)
    wanted = [p.column for p in o.target.aggregations] if o.target else []
    columns = o.columns.of(table)
    o.timing(rank, stream, Value("own", table))
    for k, column in enumerate(o.numeric(table, wanted)):
        value = Value("own", table, column)
        o.numbers(rank + 0.03 * k, stream, value, full=column in wanted)
        if timed and o.target is not None and rank < 1.3:
            o.year_so_far(rank + 0.1 + 0.05 * k, stream, value)
    for k, column in enumerate(columns.categories):
        o.codes(rank + 0.2 + 0.05 * k, stream, Value("own", table, column), brief=False)
    if timed and o.target is not None:
        for column in columns.times:
            if column != o.graph.table(table).time_column:
                lag = Value("lag", table, column)
                o.means(rank + 0.6, stream, lag, o.some())
                o.recent(rank + 0.6, stream, lag, counts=(1, 5), fades=())
    for value in o.columns.inside(table):
        late = 1.5 if value.kind == "text" else 0.5
        o.means(rank + late, stream, value, (o.middle(),))
        o.recent(rank + late + 0.2, stream, value, counts=(1,), fades=())
    if not across:
        return
    for link in o.across(stream):
        parent = Value("parent", link.to, path=(link,))
        o.codes(rank + 0.6, stream, parent, brief=False)
        joined = o.columns.of(link.to)
        for column in joined.numbers:
            value = Value("joined", link.to, column, (link,))
            o.numbers(rank + 0.8, stream, value, full=False)
        for column in joined.categories:
            value = Value("joined", link.to, column, (link,))
            o.codes(rank + 0.9, stream, value, brief=False)
        for inside in o.columns.inside(link.to, (link,)):
            late = 1.9 if inside.kind == "text" else 1.0
            o.means(rank + late, stream, inside, (o.middle(),))
        if o.target is not None:
            _beside(o, rank, stream, link, wanted)


def _far(o: Offers, rank: float, stream: Stream) -> None:
    """Offer counts and means of events three links away."""
    o.timing(rank, stream, Value("own", stream.table), brief=True)
    for column in o.columns.of(stream.table).numbers:
        o.means(rank + 0.1, stream, Value("own", stream.table, column), (o.middle(), ALL))


def _latest(o: Offers, rank: float, link: Link) -> None:
    """Offer the times of the latest event's row: a date ahead of the anchor, where it is known."""
    if o.target is None or not o.timed(link.table):
        return
    for column in o.columns.of(link.table).times:
        if column != o.graph.table(link.table).time_column:
            times(o, rank, (Step("latest", link),), column)


def _beside(
    o: Offers, rank: float, stream: Stream, link: Link, wanted: Sequence[str | None]
) -> None:
    """Offer events beside the others of one parent: at their moment, and before it."""
    table = stream.table
    if stream.down[-1].table != link.table:
        return
    timed = o.timed(table)
    filters = [
        Value("holds", part.table, part.column, number=k)
        for k, part in enumerate(o.target.aggregations if o.target else ())
        if part.table == table and part.where is not None and o.columns.past_labels
    ]
    firsts = [*filters, *(Value("own", table, c) for c in o.numeric(table, wanted) if c in wanted)]
    if o.shares_moments(link) >= _SHARED:
        size = Value("size", table, None, (link,))
        o.means(rank + 0.5, stream, size, (o.middle(),))
        o.recent(rank + 0.4, stream, size, counts=(1,), fades=())
        for inner in firsts:
            for kind in _KINDS:
                if kind == "rank" and inner.kind == "holds":
                    continue
                value = Value(kind, table, inner.column, (link,), of=inner)
                o.means(rank + 0.3, stream, value, (o.year(), *o.some()))
                o.recent(rank + 0.25, stream, value, counts=(1, 5), fades=(8,))
        for k, column in enumerate(c for c in o.numeric(table, wanted) if c not in wanted):
            for late, kind in _LATER:
                value = Value(kind, table, column, (link,))
                o.means(rank + late + 0.3 + 0.05 * k, stream, value, (o.middle(), o.year()))
                o.recent(rank + late + 0.05 * k, stream, value, counts=(1, 5), fades=(8,))
    if not timed or not o.affordable(link):
        return
    popular = Value("prior", table, None, (link,), below=link, width=YEAR)
    o.means(rank + 0.9, stream, popular, (o.middle(),))
    o.recent(rank + 0.9, stream, popular, counts=(1,), fades=())
    for inner in firsts:
        of = inner if inner.kind == "holds" else None
        prior = Value("prior", table, inner.column, (link,), below=link, width=YEAR, of=of)
        o.means(rank + 0.7, stream, prior, o.some())
        o.recent(rank + 0.7, stream, prior, counts=(1, 5), fades=())
