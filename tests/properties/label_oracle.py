"""The slow label oracle: what docs/pql.md says, row by row, in plain Python over pandas frames.

Written apart from ``relcast.tasks``: it shares the checked syntax tree and nothing else. Times are
pandas timestamps moved by ``pd.DateOffset``; rows are dictionaries; NULL is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from relcast.core.schema import Table
from relcast.pql.ast import (
    Aggregation,
    And,
    CheckedQuery,
    ColumnRef,
    Comparison,
    IsNull,
    Not,
    Operator,
    Or,
)
from tests.tasks.worlds import World

Row = dict[str, Any]
DROPPED = object()


class Oracle:
    """Answers for one world and one query."""

    def __init__(self, world: World, query: CheckedQuery) -> None:
        self.query = query
        self.schema: dict[str, Table] = dict(world.graph().tables)
        self.rows = {name: _rows(t.rows, t.columns) for name, t in world.tables.items()}
        self.entity = query.query.entity.table

    # -- answers ------------------------------------------------------------------------------

    def training(self, anchors: list[pd.Timestamp]) -> dict[tuple[Any, int], Any]:
        """Target by (entity key, anchor ns) of every example that is in the training table."""
        found = {}
        for anchor in anchors:
            for row in self.population(anchor):
                assuming = self.query.query.assuming
                if assuming is not None and not self._holds(assuming, row, anchor, past=False):
                    continue
                value = self.target(row, anchor)
                if value is not DROPPED:
                    found[self._key(row), anchor.value] = value
        return found

    def static(self) -> tuple[dict[Any, Any], set[Any]]:
        """Target by entity key, and the keys whose target is absent."""
        found, absent = {}, set()
        for row in self.rows[self.entity]:
            where = self.query.query.where
            if where is not None and not self._holds(where, row, None, past=True):
                continue
            value = self.target(row, None)
            if value is DROPPED:
                absent.add(self._key(row))
            else:
                found[self._key(row)] = value
        return found, absent

    def population(self, anchor: pd.Timestamp) -> list[Row]:
        """The entities there are at an anchor, for which WHERE holds."""
        where = self.query.query.where
        return [
            row
            for row in self.rows[self.entity]
            if self._key(row) is not None
            and self._alive(self.schema[self.entity], row, anchor)
            and (where is None or self._holds(where, row, anchor, past=True))
        ]

    def target(self, row: Row, anchor: pd.Timestamp | None) -> Any:
        """The target of an entity at an anchor, or DROPPED."""
        target = self.query.query.target
        if isinstance(target, Aggregation):
            value = self._aggregate(target, row, anchor, past=False)
            return DROPPED if value is None else value
        if isinstance(target, ColumnRef):
            value = self._column(target, row, None)
            return DROPPED if value is None else value
        if any(
            isinstance(leaf, Comparison) and self._operand(leaf, row, anchor, past=False) is None
            for leaf in _leaves(target)
        ):
            return DROPPED
        return self._holds(target, row, anchor, past=False)

    # -- conditions ---------------------------------------------------------------------------

    def _holds(self, node: Any, row: Row, anchor: pd.Timestamp | None, *, past: bool) -> bool:
        def value(leaf: Comparison | IsNull) -> Any:
            return self._operand(leaf, row, anchor, past=past)

        return _decide(node, value)

    def _operand(
        self, leaf: Comparison | IsNull, row: Row, anchor: pd.Timestamp | None, *, past: bool
    ) -> Any:
        if isinstance(leaf.operand, Aggregation):
            return self._aggregate(leaf.operand, row, anchor, past=past)
        return self._column(leaf.operand, row, anchor if past else None)

    def _column(self, ref: ColumnRef, row: Row, anchor: pd.Timestamp | None) -> Any:
        """A column of the row, or of the row that it points to, if that was known at the anchor."""
        if ref.hop is None:
            return row[str(ref.column)]
        parent = self._parent(ref, row)
        if parent is None:
            return None
        if anchor is not None and not self._alive(self.schema[ref.hop.to], parent, anchor):
            return None
        return parent[str(ref.column)]

    def _parent(self, ref: ColumnRef, row: Row) -> Row | None:
        assert ref.hop is not None
        wanted = row[ref.hop.foreign_key]
        key = self.schema[ref.hop.to].primary_key
        for candidate in self.rows[ref.hop.to]:
            if wanted is not None and candidate[str(key)] == wanted:
                return candidate
        return None

    def _alive(self, table: Table, row: Row, anchor: pd.Timestamp) -> bool:
        if table.time_column is not None:
            begin = row[table.time_column]
            if begin is None or begin > anchor:
                return False
        if table.end_time_column is not None:
            end = row[table.end_time_column]
            if end is not None and end <= anchor:
                return False
        return True

    # -- aggregations -------------------------------------------------------------------------

    def _aggregate(
        self, node: Aggregation, entity: Row, anchor: pd.Timestamp | None, *, past: bool
    ) -> Any:
        assert node.link is not None
        assert anchor is not None
        assert node.window is not None
        table = self.schema[node.link.table]
        unit = node.window.unit.value
        low = (
            None
            if node.window.start is None
            else anchor + pd.DateOffset(**{unit: node.window.start})
        )
        high = anchor + pd.DateOffset(**{unit: node.window.end})
        inside: list[tuple[Any, Row]] = []
        for place, row in enumerate(self.rows[table.name]):
            moment = row[str(table.time_column)]
            if row[node.link.foreign_key] is None:
                continue
            if row[node.link.foreign_key] != self._key(entity):
                continue
            if (low is not None and not low < moment) or not moment <= high:
                continue
            if past and table.end_time_column is not None:
                end = row[table.end_time_column]
                if end is not None and end <= anchor:
                    continue
            if node.where is not None and not self._row_holds(node.where, row, anchor, past=past):
                continue
            key = row[table.primary_key] if table.primary_key else 0
            inside.append(((moment, key, place), row))
        inside.sort(key=lambda pair: pair[0])
        rows = [row for _, row in inside]
        if node.column.column is None:
            return len(rows)
        values = [row[node.column.column] for row in rows if row[node.column.column] is not None]
        return _AGGREGATES[node.kind.value](values)

    def _row_holds(self, node: Any, row: Row, anchor: pd.Timestamp, *, past: bool) -> bool:
        return _decide(node, lambda leaf: self._column(leaf.operand, row, anchor if past else None))

    def _key(self, row: Row) -> Any:
        return row[str(self.query.query.entity.column)]


_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "COUNT_DISTINCT": lambda v: len(set(v)),
    "SUM": lambda v: math.fsum(v) if any(isinstance(x, float) for x in v) else sum(v),
    "AVG": lambda v: math.fsum(v) / len(v) if v else None,
    "MIN": lambda v: min(v, default=None),
    "MAX": lambda v: max(v, default=None),
    "FIRST": lambda v: v[0] if v else None,
    "LAST": lambda v: v[-1] if v else None,
}


def _decide(node: Any, value: Callable[[Any], Any]) -> bool:
    if isinstance(node, And):
        return _decide(node.left, value) and _decide(node.right, value)
    if isinstance(node, Or):
        return _decide(node.left, value) or _decide(node.right, value)
    if isinstance(node, Not):
        return not _decide(node.condition, value)
    found = value(node)
    if isinstance(node, IsNull):
        return (found is None) != node.negated
    return found is not None and _compare(found, node.operator, node.constant)


def _compare(found: Any, operator: Operator, constant: Any) -> bool:
    if operator is Operator.IN:
        return any(_equal(found, c) for c in constant)
    if operator is Operator.NOT_IN:
        return not any(_equal(found, c) for c in constant)
    if constant is None:
        return False
    right = _like(found, constant)
    match operator:
        case Operator.EQ:
            return bool(found == right)
        case Operator.NE:
            return bool(found != right)
        case Operator.LT:
            return bool(found < right)
        case Operator.LE:
            return bool(found <= right)
        case Operator.GT:
            return bool(found > right)
        case Operator.GE:
            return bool(found >= right)
        case Operator.CONTAINS:
            return right in found
        case Operator.NOT_CONTAINS:
            return right not in found
        case Operator.STARTS_WITH:
            return bool(found[: len(right)] == right)
        case Operator.NOT_STARTS_WITH:
            return bool(found[: len(right)] != right)
        case Operator.ENDS_WITH:
            return found.endswith(right)
        case Operator.NOT_ENDS_WITH:
            return not found.endswith(right)
    raise AssertionError(operator)


def _equal(found: Any, constant: Any) -> bool:
    return constant is not None and bool(found == _like(found, constant))


def _like(found: Any, constant: Any) -> Any:
    """The constant as a value to compare: floats compare as floats, times as times."""
    if isinstance(found, pd.Timestamp):
        moment = pd.Timestamp(constant) if isinstance(constant, datetime | str) else constant
        return moment.tz_convert(None) if moment.tzinfo else moment
    if isinstance(found, float) and isinstance(constant, Decimal):
        return float(constant)
    return constant


def _leaves(node: Any) -> list[Any]:
    if isinstance(node, And | Or):
        return _leaves(node.left) + _leaves(node.right)
    if isinstance(node, Not):
        return _leaves(node.condition)
    return [node]


def _rows(frame: pd.DataFrame, columns: dict[str, str]) -> list[Row]:
    """Rows as dictionaries; NaN, NaT and NA are None, whole numbers are int."""
    found = []
    for values in zip(*(frame[c].tolist() for c in columns), strict=True):
        row: Row = {}
        for (name, kind), value in zip(columns.items(), values, strict=True):
            if value is None or pd.isna(value):
                row[name] = None
            elif kind in ("key", "int", "code"):
                row[name] = int(value)
            elif kind == "number":
                row[name] = float(value)
            elif kind == "bool":
                row[name] = bool(value)
            elif kind == "time":
                row[name] = pd.Timestamp(value)
            else:
                row[name] = str(value)
        found.append(row)
    return found
