"""What a ranking is of: the items, and the links between entities and items as of any moment.

A link is a row of the target's table that counts for the query: it belongs to an entity, it names
an item, and it is known from some time on. Everything here is found again in any later snapshot by
names and values; dense rows are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InternalError
from relcast.core.schema import Link
from relcast.learners.features.conditions import column_leaf, tree_of
from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Value
from relcast.learners.features.target import Target as Shape
from relcast.learners.features.target import TargetAggregation
from relcast.learners.ranking import counting
from relcast.pql.ast import Aggregation, CheckedQuery, Unit
from relcast.relations import NEVER, NOT_A_TIME, Events, Relations, events_below, rows_known

if TYPE_CHECKING:
    from relcast.learners.protocol import Target

__all__ = ["Items", "LinkSpec", "Links", "Side", "other_links"]

Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]

_EMPTY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Items:
    """What is ranked: the rows of a table, or the classes of a column.

    Attributes:
        table: The table; None for classes.
        classes: The classes; None for a table.
    """

    table: str | None
    classes: tuple[Any, ...] | None

    @classmethod
    def of(cls, target: Target) -> Items:
        """Return the items of a target."""
        return cls(target.items, None if target.items is not None else target.classes)

    def count(self, relations: Relations) -> int:
        """Return how many items there are in a snapshot."""
        if self.table is not None:
            return relations.table(self.table).rows
        return len(self.classes or ())

    def there(self, relations: Relations, known: int) -> Bools:
        """Return which items are there at ``known`` (ns), bool[items]; classes always are."""
        rows = np.arange(self.count(relations))
        if self.table is None or known == NEVER:
            return np.ones(len(rows), dtype=bool)
        return rows_known(relations.table(self.table), rows, np.full(len(rows), known))

    def class_index(self, words: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the class of each text (-1: none), and -1 once more for a code of -1."""
        place = {word_of(c): i for i, c in enumerate(self.classes or ())}
        return np.array([place.get(w, -1) for w in words] + [-1], dtype=np.int32)


def word_of(value: Any) -> str:
    """Return a class as the arrays of a snapshot write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True)
class LinkSpec:
    """Which rows are links, by name.

    Attributes:
        entity_table: Whose links they are.
        shape: The query's target, whose first aggregation says which rows count; or None where
            ``down`` and ``up`` say it.
        down: Links from the entity table down to the links' table.
        up: The link from there to the item table; None where items are classes.
    """

    entity_table: str
    shape: Shape | None
    down: tuple[Link, ...]
    up: Link | None

    @classmethod
    def of(cls, query: CheckedQuery) -> LinkSpec | None:
        """Return the links of a query; None where its target is a column and has none."""
        target = query.query.target
        if not isinstance(target, Aggregation):
            return None
        shape = Shape.of(target) if query.temporal else None
        if shape is None:
            where = None if target.where is None else tree_of(target.where, column_leaf)
            shape = Shape(
                (
                    TargetAggregation(
                        target.kind,
                        target.column.table,
                        target.column.column,
                        target.path,
                        where,
                        0,
                        Unit.days,
                        items=target.items,
                    ),
                ),
                None,
            )
        part = shape.aggregations[0]
        return cls(query.entity_table, shape, part.down, part.items)

    @property
    def table(self) -> str:
        """The table whose rows are the links."""
        return self.down[-1].table

    @property
    def horizon(self) -> int:
        """The length of the target's window in ns; 0 for a static query."""
        return 0 if self.shape is None else self.shape.aggregations[0].nanoseconds

    @property
    def filtered(self) -> bool:
        """Whether some rows of the table are no links."""
        return self.shape is not None and self.shape.aggregations[0].where is not None

    def unfiltered(self) -> LinkSpec:
        """Return the same without the query's filter."""
        return LinkSpec(self.entity_table, None, self.down, self.up)

    def to_json(self) -> dict[str, Any]:
        return {
            "entity_table": self.entity_table,
            "shape": None if self.shape is None else self.shape.to_json(),
            "down": [link.to_json() for link in self.down],
            "up": None if self.up is None else self.up.to_json(),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> LinkSpec:
        return cls(
            obj["entity_table"],
            None if obj["shape"] is None else Shape.from_json(obj["shape"]),
            tuple(Link.from_json(link) for link in obj["down"]),
            None if obj["up"] is None else Link.from_json(obj["up"]),
        )


def other_links(relations: Relations, spec: LinkSpec, items: Items) -> list[LinkSpec]:
    """Return other ways from the entity to the items: tables that point to both, one step each.

    Where the query has a filter, the target's own table without it is the first.
    """
    found = [spec.unfiltered()] if spec.filtered and spec.up is not None else []
    graph = relations.graph
    for down in graph.links_to(spec.entity_table):
        for up in graph.links_from(down.table):
            same = (down,) == spec.down and up == spec.up
            if up.to == items.table and up != down and not same:
                found.append(LinkSpec(spec.entity_table, None, (down,), up))
    return found


@dataclass(frozen=True)
class Side:
    """Links grouped by their owner at one side (entities, or items), oldest first.

    Attributes:
        indptr: int64[owners + 1].
        other: int32[links], the row at the other side.
        time: int64[links] ns from which each is known; ``NOT_A_TIME`` in a timeless table.
        over: int64[links] ns from which it is over; empty where none ends.
        twin: int64[links], of items: the same link's place at the side of the entities.
    """

    indptr: Index
    other: npt.NDArray[np.int32]
    time: Index
    over: Index
    twin: Index


@dataclass(frozen=True)
class Links:
    """All links of a snapshot, at both sides.

    Attributes:
        entity, item: int32[links], in the order of time.
        time, over: As in ``Side``, in the order of time.
        row: int64[links], the link's row in its table; empty where links are remembered.
        copied: The links of an entity's copies (``explaining.copies``), which the copies alone
            have: no item counts them. None without copies.
        copies, copy_of: As the entity table has them (``TableArrays``).
    """

    spec: LinkSpec
    entities: int
    items: int
    entity: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: Index
    over: Index
    row: Index = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    copied: Links | None = None
    copies: int = 0
    copy_of: int = -1

    @classmethod
    def build(cls, relations: Relations, spec: LinkSpec, items: Items) -> Links:
        """Find the links of a snapshot; those that are over before they are known are none."""
        entities = relations.table(spec.entity_table)
        events, item, time, over = (
            _plain(relations, spec) if spec.shape is None else _counted(relations, spec, items)
        )
        owner = np.repeat(np.arange(len(events.indptr) - 1), np.diff(events.indptr))
        born = entities.time
        if born is not None and len(owner):
            # Nobody links before they are there: of whom is yet to come, nothing is known.
            since = born[owner]
            time = np.maximum(time, np.where(since == NOT_A_TIME, NEVER, since))
        keep = item >= 0
        if len(over):
            keep &= over > time
            over = over[keep]
        rank = np.full(relations.table(spec.table).rows, -1, dtype=np.int64)
        ordered = relations.table(spec.table).order
        rank[ordered] = np.arange(len(ordered))
        owner, item, time = owner[keep], item[keep], time[keep]
        row = events.rows[keep].astype(np.int64)
        order = np.lexsort((owner, rank[row], time))
        own = owner[order] < entities.counted

        def of(order: Index, copied: Links | None = None) -> Links:
            return cls(
                spec,
                entities.rows,
                items.count(relations),
                owner[order].astype(np.int32),
                item[order].astype(np.int32),
                time[order],
                over[order] if len(over) else _EMPTY,
                row[order],
                copied,
                entities.copies,
                entities.copy_of,
            )

        return of(order[own], of(order[~own]) if entities.copies else None)

    @property
    def timed(self) -> bool:
        """Whether links have times."""
        return bool(len(self.time)) and int(self.time[-1]) != NOT_A_TIME

    def originals(self, entity: Index) -> Index:
        """Return who entities are, int64[n]: of copies the one that they are copies of."""
        if not self.copies:
            return entity
        return np.where(entity < self.entities - self.copies, entity, self.copy_of)

    @cached_property
    def _with_copies(self) -> Links:
        """All links, those of copies behind the others."""
        more = self.copied
        if more is None:
            return self
        return replace(
            self,
            entity=np.concatenate([self.entity, more.entity]),
            item=np.concatenate([self.item, more.item]),
            time=np.concatenate([self.time, more.time]),
            over=np.concatenate([self.over, more.over]),
            row=np.concatenate([self.row, more.row]),
            copied=None,
        )

    @cached_property
    def _orders(self) -> tuple[Index, Index]:
        return (
            np.argsort(self._with_copies.entity, kind="stable"),
            np.argsort(self.item, kind="stable"),
        )

    @cached_property
    def by_entity(self) -> Side:
        """The links of each entity, copies among them."""
        every, order = self._with_copies, self._orders[0]
        return _side(every, every.entity, every.item, order, self.entities, _EMPTY)

    @cached_property
    def by_item(self) -> Side:
        """The links of each item."""
        theirs, order = self._orders
        place = np.empty(len(theirs), dtype=np.int64)
        place[theirs] = np.arange(len(theirs))
        return _side(self, self.item, self.entity, order, self.items, place[order])

    @cached_property
    def rows(self) -> Index:
        """int64[links], ``row`` of all links, those of copies behind the others."""
        return self._with_copies.row

    @cached_property
    def before(self) -> Index:
        """int64[links], in the order of time: what its entity had just before each link.

        The item of the first link at the latest earlier moment; -1 before an entity's first moment.
        """
        side = self.by_entity
        found = np.empty(len(side.other), dtype=np.int64)
        counting.before(side.indptr, side.other, side.time, found)
        placed = np.empty_like(found)
        placed[self._orders[0]] = found
        return placed[: len(self.entity)]

    def in_item_order(self, values: Array) -> Array:
        """Return values of links in the order of time in that of ``by_item``."""
        ordered: Array = values[self._orders[1]]
        return ordered

    def latest(self, entity: Index, known: Index) -> tuple[Index, Index]:
        """Return the first item at each entity's latest known moment and the latest link's place.

        Places are those of ``rows``; -1 for an entity without links.
        """
        side = self.by_entity
        item, place = np.empty(len(entity), dtype=np.int64), np.empty(len(entity), dtype=np.int64)
        counting.latest(side.indptr, side.other, side.time, side.over, entity, known, item, place)
        return item, np.append(self._orders[0], -1)[place]


def _side(links: Links, owner: Array, other: Array, order: Index, owners: int, twin: Index) -> Side:
    indptr = np.concatenate(
        [np.zeros(1, dtype=np.int64), np.cumsum(np.bincount(owner, minlength=owners))]
    )
    over = links.over[order] if len(links.over) else _EMPTY
    return Side(indptr, other[order], links.time[order], over, twin)


def _counted(
    relations: Relations, spec: LinkSpec, items: Items
) -> tuple[Events, Array, Index, Index]:
    """Return the rows that the query's target counts: the item of each, when known and over."""
    if spec.shape is None:
        raise InternalError("links of a query need its target", code="ranking.no_shape")
    part = spec.shape.aggregations[0]
    resolver = Resolver(relations, spec.entity_table, _EMPTY, None, spec.shape)
    events = resolver.target_events(part)
    holds = resolver.numbers(Value("holds", part.table, part.column, number=0))
    counts, known, over = resolver.edge_numbers(events, holds)
    if part.items is not None:
        item = relations.link(part.items).parent[events.rows].astype(np.int64)
    else:
        codes = resolver.codes(Value("target", part.table, part.column, number=0))
        code, known, over = resolver.edge_codes(events, codes)
        item = items.class_index(codes.words)[code].astype(np.int64)
    item = np.where(counts == 1.0, item, -1)
    return events, item, _from(events, known), np.asarray(over)


def _plain(relations: Relations, spec: LinkSpec) -> tuple[Events, Array, Index, Index]:
    """Return every row that points to an entity and an item."""
    events = events_below(relations, spec.down)
    if spec.up is None:
        raise InternalError("links to classes need a target", code="ranking.no_shape")
    item = relations.link(spec.up).parent[events.rows].astype(np.int64)
    time = _from(events, events.known)
    over = np.asarray(events.over)
    table = relations.table(spec.up.to)
    if table.time is not None:
        there = np.append(table.time, NOT_A_TIME)[item]
        time = np.maximum(time, np.where(there == NOT_A_TIME, NEVER, there))
    if table.end_time is not None:
        end = np.append(table.end_time, NOT_A_TIME)[item]
        end = np.where(end == NOT_A_TIME, NEVER, end)
        over = np.minimum(over, end) if len(over) else end
    return events, item, time, over


def _from(events: Events, known: Index) -> Index:
    """Return when each event is there to be used, ``NOT_A_TIME`` where it always is."""
    time = np.asarray(events.time)
    if not len(time):
        time = np.full(len(events.rows), NOT_A_TIME, dtype=np.int64)
    return np.maximum(time, known) if len(known) else time.copy()
