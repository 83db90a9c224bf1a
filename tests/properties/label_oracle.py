"""The slow label oracle: what docs/pql.md says, row by row, in plain Python over pandas frames.

Written apart from ``relcast.tasks``: it shares the checked syntax tree and nothing else. Times are
pandas timestamps moved by ``pd.DateOffset``; rows are dictionaries; NULL is None. Which foreign
keys lead from one table to another is found anew here, and must be what the checked tree says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from relcast.core.schema import Graph, Link, Table, TaskType
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    IsNull,
    Not,
    Or,
    Unit,
    Window,
    aggregations,
)
from tests.properties.label_values import Single, aggregate, combine, decide, distinct, text_of_key
from tests.tasks.worlds import World

__all__ = ["DROPPED", "ENDLESS", "Ambiguous", "Dropped", "Oracle", "Row", "chain", "later"]

Row = dict[str, Any]
LISTS = {
    TaskType.MULTILABEL_CLASSIFICATION,
    TaskType.MULTILABEL_RANKING,
    TaskType.TEMPORAL_LINK_PREDICTION,
    TaskType.STATIC_LINK_PREDICTION,
}
_HOPS = 4


class Dropped:
    """Why an example has no target."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"DROPPED({self.reason})"


DROPPED = Dropped("target is NULL")
ENDLESS = Dropped("target is not a finite number")
EMPTY = Dropped("target list is empty, so it ranks nothing")


class Ambiguous(Exception):
    """More than one way leads from a table to another."""


def later(moment: pd.Timestamp, count: int, unit: Unit) -> pd.Timestamp:
    """A moment moved by a calendar offset."""
    return moment + pd.DateOffset(**{unit.value: count})


def chain(graph: Graph, table: str, entity: str) -> tuple[Link, ...] | None:
    """The foreign keys from a table to the entity table; None without any, Ambiguous by several."""
    direct = [link for link in graph.links if link.table == table and link.to == entity]
    if len(direct) == 1:
        return (direct[0],)
    if direct:
        raise Ambiguous
    found: list[tuple[Link, ...]] = []

    def walk(at: str, way: tuple[Link, ...], seen: set[str]) -> None:
        for link in graph.links:
            if link.table != at or link.to in seen:
                continue
            if link.to == entity:
                found.append((*way, link))
            elif len(way) + 1 < _HOPS:
                walk(link.to, (*way, link), seen | {link.to})

    walk(table, (), {table})
    if len(found) > 1:
        raise Ambiguous
    return found[0] if found else None


@dataclass(frozen=True)
class _Reached:
    """A row that reaches an entity: its place in its table, and the rows between."""

    row: Row
    place: int
    between: tuple[tuple[Table, Row], ...]


class Oracle:
    """Answers for one world and one query."""

    def __init__(self, world: World, query: CheckedQuery) -> None:
        self.query = query
        self.graph = world.graph()
        self.schema: dict[str, Table] = dict(self.graph.tables)
        self.rows = {name: _rows(t.rows, t.columns) for name, t in world.tables.items()}
        self.entity = query.query.entity.table
        self.key = str(self.schema[self.entity].primary_key)
        self._reaching: dict[tuple[Link, ...], dict[str, list[_Reached]]] = {}

    # -- answers ------------------------------------------------------------------------------

    def training(
        self, anchors: list[pd.Timestamp]
    ) -> tuple[dict[tuple[Any, int], Any], dict[str, int]]:
        """Target by (entity key, anchor ns) of every example, and the dropped ones by reason."""
        found: dict[tuple[Any, int], Any] = {}
        dropped: dict[str, int] = {}
        for anchor in anchors:
            for row in self.rows[self.entity]:
                reason = self._left_out(row, anchor)
                if reason is None:
                    value = self.target(row, anchor)
                    if not isinstance(value, Dropped):
                        found[row[self.key], anchor.value] = value
                        continue
                    reason = value.reason
                dropped[reason] = dropped.get(reason, 0) + 1
        return found, dropped

    def _left_out(self, row: Row, anchor: pd.Timestamp) -> str | None:
        if not self._alive(self.schema[self.entity], row, anchor):
            return "entity not yet or no longer there"
        where, assuming = self.query.query.where, self.query.query.assuming
        if where is not None and not self._holds(where, row, anchor, past=True):
            return "WHERE does not hold"
        if assuming is not None and not self._holds(assuming, row, anchor, past=False):
            return "ASSUMING does not hold"
        return None

    def static(self) -> tuple[dict[Any, Any], list[Any], dict[str, int]]:
        """Target by entity key, the keys whose target is absent, and those dropped by reason."""
        found, absent, dropped = {}, [], {}
        where = self.query.query.where
        for row in self.rows[self.entity]:
            if where is not None and not self._holds(where, row, None, past=True):
                reason = "WHERE does not hold"
            else:
                value = self.target(row, None)
                if not isinstance(value, Dropped):
                    found[row[self.key]] = value
                    continue
                reason = value.reason
                if value is DROPPED:
                    absent.append(row[self.key])
            dropped[reason] = dropped.get(reason, 0) + 1
        return found, absent, dropped

    def population(self, anchor: pd.Timestamp) -> list[Row]:
        """The entities there are at an anchor, for which WHERE holds."""
        where = self.query.query.where
        return [
            row
            for row in self.rows[self.entity]
            if self._alive(self.schema[self.entity], row, anchor)
            and (where is None or self._holds(where, row, anchor, past=True))
        ]

    def target(self, row: Row, anchor: pd.Timestamp | None, back: int = 0) -> Any:
        """The target of an entity at an anchor, its windows moved back; or why it is dropped.

        A number, a truth value, a class; a list of numbers for a forecast; a list of values for a
        multilabel target, of item rows for links.
        """
        target, length = self.query.query.target, self.query.forecast_length
        if length is not None:
            values = [self._number(target, row, anchor, step - back) for step in range(length)]
            bad = [v for v in values if isinstance(v, Dropped)]
            return (DROPPED if DROPPED in bad else ENDLESS) if bad else values
        if isinstance(target, Aggregation | Arithmetic):
            if self.query.task_type in LISTS:
                assert isinstance(target, Aggregation)
                return self._list(target, row, anchor, back)
            return self._number(target, row, anchor, -back)
        if isinstance(target, ColumnRef):
            value = self._column(target, row, None)
            if value is None:
                return DROPPED
            if isinstance(value, list):
                ranked = self.query.task_type is TaskType.MULTILABEL_RANKING
                return EMPTY if ranked and not value else value
            return ENDLESS if _endless(value) else value
        if any(
            isinstance(leaf, Comparison)
            and self._operand(leaf, row, anchor, past=False, step=-back) is None
            for leaf in _leaves(target)
        ):
            return DROPPED
        return self._holds(target, row, anchor, past=False, step=-back)

    def _number(self, target: Any, row: Row, anchor: pd.Timestamp | None, step: int) -> Any:
        value = self._value(target, row, anchor, past=False, step=step)
        if value is None:
            return DROPPED
        return ENDLESS if _endless(value) else value

    def _list(self, node: Aggregation, row: Row, anchor: pd.Timestamp | None, back: int) -> Any:
        value = self._value(node, row, anchor, past=False, step=-back)
        if value is None:
            return DROPPED
        if self.query.items is None:
            return value
        places = self._places[self.query.items.to]
        return distinct(places[str(text_of_key(v))] for v in value)

    # -- conditions ---------------------------------------------------------------------------

    def _holds(
        self, node: Any, row: Row, anchor: pd.Timestamp | None, *, past: bool, step: int = 0
    ) -> bool:
        return decide(node, lambda leaf: self._operand(leaf, row, anchor, past=past, step=step))

    def _operand(
        self,
        leaf: Comparison | IsNull,
        row: Row,
        anchor: pd.Timestamp | None,
        *,
        past: bool,
        step: int = 0,
    ) -> Any:
        if isinstance(leaf.operand, ColumnRef):
            return self._column(leaf.operand, row, anchor if past else None)
        return self._value(leaf.operand, row, anchor, past=past, step=step)

    def _column(self, ref: ColumnRef, row: Row, anchor: pd.Timestamp | None) -> Any:
        """A column of the row, or of the row that it points to, if that was known at the anchor."""
        if ref.hop is None:
            return row[str(ref.column)]
        parent = self._parent(ref.hop, row)
        if parent is None:
            return None
        if anchor is not None and not self._alive(self.schema[ref.hop.to], parent, anchor):
            return None
        return parent[str(ref.column)]

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        """By table and text of its key: the place of a row."""
        return {
            name: {
                str(text_of_key(row[str(table.primary_key)])): place
                for place, row in reversed(list(enumerate(self.rows[name])))
            }
            for name, table in self.schema.items()
            if table.primary_key is not None
        }

    def _parent(self, link: Link, row: Row) -> Row | None:
        """The row that a foreign key names; None for NULL and for a key that is not there."""
        wanted = text_of_key(row[link.foreign_key])
        place = None if wanted is None else self._places[link.to].get(wanted)
        return None if place is None else self.rows[link.to][place]

    def _alive(self, table: Table, row: Row, anchor: pd.Timestamp) -> bool:
        if table.time_column is not None:
            begin = row[table.time_column]
            if begin is None or begin > anchor:
                return False
        return not self._ended(table, row, anchor)

    def _ended(self, table: Table, row: Row, anchor: pd.Timestamp) -> bool:
        if table.end_time_column is None:
            return False
        end = row[table.end_time_column]
        return end is not None and end <= anchor

    # -- aggregations -------------------------------------------------------------------------

    def _value(
        self, node: Any, entity: Row, anchor: pd.Timestamp | None, *, past: bool, step: int
    ) -> Any:
        if isinstance(node, Arithmetic):
            left = self._value(node.left, entity, anchor, past=past, step=step)
            right = self._value(node.right, entity, anchor, past=past, step=step)
            return combine(node.operator, left, right)
        if isinstance(node, Aggregation):
            return self._aggregate(node, entity, anchor, past=past, step=step)
        return node

    def _aggregate(
        self, node: Aggregation, entity: Row, anchor: pd.Timestamp | None, *, past: bool, step: int
    ) -> Any:
        table = self.schema[node.column.table]
        inside: list[tuple[Any, Row]] = []
        span = None if node.window is None else self._span(node.window, anchor, step)
        if span is not None and step < 0:
            # A window that was moved into the past is read as it was known at the anchor.
            past = past or span[1] <= anchor
        for reached in self._rows_of(node, entity):
            row = reached.row
            moment = None
            if span is not None:
                moment = row[str(table.time_column)]
                low, high = span
                if moment is None or (low is not None and not low < moment) or not moment <= high:
                    continue
            if past and anchor is not None and not self._known(table, reached, anchor):
                continue
            known = anchor if past else None
            if node.where is not None and not self._row_holds(node.where, row, known):
                continue
            key = row[table.primary_key] if table.primary_key else 0
            inside.append(((moment, key, reached.place), row))
        inside.sort(key=lambda pair: tuple(x for x in pair[0] if x is not None))
        rows = [row for _, row in inside]
        if node.column.column is None:
            return len(rows)
        values = [row[node.column.column] for row in rows if row[node.column.column] is not None]
        if node.kind is AggregationKind.LIST_DISTINCT:
            values = [v for v in values if self._listed(node, v, anchor if past else None)]
        return aggregate(node.kind, values)

    def _span(
        self, window: Window, anchor: pd.Timestamp | None, step: int
    ) -> tuple[pd.Timestamp | None, pd.Timestamp]:
        """The ends of a window that is moved by ``step`` lengths of the target's window."""
        assert anchor is not None
        if step == 0 or window.start is None:
            start = None if window.start is None else later(anchor, window.start, window.unit)
            return start, later(anchor, window.end, window.unit)
        unit, length = self.frame
        if unit is window.unit:
            by = step * length
            start = later(anchor, window.start + by, unit)
            return start, later(anchor, window.end + by, unit)
        moved = later(anchor, step * length, unit)
        return later(moved, window.start, window.unit), later(moved, window.end, window.unit)

    @cached_property
    def frame(self) -> tuple[Unit, int]:
        """The unit of the target's window that ends last, and the length of them all in it."""
        windows = [a.window for a in aggregations(self.query.query.target) if a.window is not None]
        month = pd.Timestamp("1970-01-01")
        widest = max(windows, key=lambda w: (later(month, w.end, w.unit), w.unit is Unit.months))
        alike = all(w.unit is widest.unit for w in windows)
        return widest.unit, widest.end - (min(w.start or 0 for w in windows) if alike else 0)

    def _known(self, table: Table, reached: _Reached, anchor: pd.Timestamp) -> bool:
        """Whether a row has not ended by the anchor, and every row between lives then."""
        return not self._ended(table, reached.row, anchor) and all(
            self._alive(t, r, anchor) for t, r in reached.between
        )

    def _listed(self, node: Aggregation, value: Any, anchor: pd.Timestamp | None) -> bool:
        """Whether a listed value is one: of a foreign key, only if it names a row that is known."""
        link = self._items(node)
        assert link == node.items
        if link is None:
            return True
        place = self._places[link.to].get(str(text_of_key(value)))
        if place is None:
            return False
        row = self.rows[link.to][place]
        return anchor is None or self._alive(self.schema[link.to], row, anchor)

    def _items(self, node: Aggregation) -> Link | None:
        links = [
            link
            for link in self.graph.links
            if (link.table, link.foreign_key) == (node.column.table, node.column.column)
        ]
        return links[0] if links else None

    def _rows_of(self, node: Aggregation, entity: Row) -> list[_Reached]:
        """The rows that reach an entity over the foreign keys between, in their table's order."""
        path = chain(self.graph, node.column.table, self.entity)
        assert path is not None
        assert path == node.path, (path, node.path)
        if path not in self._reaching:
            by_entity: dict[str, list[_Reached]] = {}
            for place, row in enumerate(self.rows[node.column.table]):
                at: Row | None = row
                between = []
                for link in path:
                    at = self._parent(link, at)
                    if at is None:
                        break
                    between.append((self.schema[link.to], at))
                if at is not None:
                    reached = _Reached(row, place, tuple(between[:-1]))
                    by_entity.setdefault(str(text_of_key(at[self.key])), []).append(reached)
            self._reaching[path] = by_entity
        return self._reaching[path].get(str(text_of_key(entity[self.key])), [])

    def _row_holds(self, node: Any, row: Row, anchor: pd.Timestamp | None) -> bool:
        return decide(node, lambda leaf: self._column(leaf.operand, row, anchor))


def _endless(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _leaves(node: Any) -> list[Any]:
    if isinstance(node, And | Or):
        return _leaves(node.left) + _leaves(node.right)
    if isinstance(node, Not):
        return _leaves(node.condition)
    return [node]


_READ = {
    "key": int,
    "int": int,
    "code": int,
    "number": float,
    "raw": float,
    "single": lambda v: Single(np.float32(v)),
    "float_key": float,
    "bool": bool,
    "time": pd.Timestamp,
    "tags": lambda v: distinct(x for x in v if x is not None),
    "codes": lambda v: distinct(x for x in v if x is not None),
}


def _rows(frame: pd.DataFrame, columns: dict[str, str]) -> list[Row]:
    """Rows as dictionaries; NaN, NaT and NA are None, a list holds its distinct elements."""
    found = []
    for values in zip(*(frame[c].tolist() for c in columns), strict=True):
        row: Row = {}
        for (name, kind), value in zip(columns.items(), values, strict=True):
            missing = value is None or (not isinstance(value, list) and bool(pd.isna(value)))
            row[name] = None if missing else _READ.get(kind, str)(value)
        found.append(row)
    return found
