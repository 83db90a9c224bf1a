"""Which columns may be features, and what they held on the training side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Column, Dtype, Graph, Link, Stype
from relcast.learners.features import cells
from relcast.learners.features.spec import Value
from relcast.pql.ast import (
    Aggregation,
    And,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Expression,
    IsNull,
    Not,
    Or,
    aggregations,
)
from relcast.relations import NOT_A_TIME, Relations

__all__ = ["Columns", "TableColumns", "target_columns", "unusable"]

_MEANINGS = (Stype.numerical, Stype.categorical, Stype.timestamp)
_SHARES = 5
_SHARE = 0.02
_CATEGORIES = 64
_ELEMENTS = 12
_ITEMS = 32


@dataclass(frozen=True)
class TableColumns:
    """A table's usable columns by how they are used, in the order of the schema.

    ``numbers`` and ``categories`` may share a column: a code that is a number is both.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    times: tuple[str, ...]


class Columns:
    """Looks at columns as they were at ``until``: what varies, and which categories are frequent.

    Keys and identifiers are no features; neither is anything that a static target is
    computed from, nor the time at which a row ends (it is written later), nor (of a temporal query)
    what is overwritten in place.

    Attributes:
        past_labels: Whether the target may be looked at in the past: nothing that it reads is
            overwritten.
    """

    def __init__(
        self,
        relations: Relations,
        query: CheckedQuery,
        until: int | None,
        *,
        allow_mutable: bool = False,
    ) -> None:
        self.relations = relations
        self.until = until
        target = query.query.target
        left_out = unusable(relations.graph, query, allow_mutable=allow_mutable)
        self.past_labels = not left_out & (
            target_columns(target)
            | {(k.table, k.foreign_key) for a in aggregations(target) for k in a.path}
        )
        self._banned = left_out if query.temporal else target_columns(target)
        for link in relations.graph.links:
            self._banned.add((link.table, link.foreign_key))
        self._tables: dict[str, TableColumns] = {}
        self._inside: dict[str, tuple[Value, ...]] = {}
        self._known: dict[tuple[str, str | None], npt.NDArray[np.bool_]] = {}

    def of(self, name: str) -> TableColumns:
        """Return a table's usable columns; those that never vary are left out."""
        if name not in self._tables:
            table = self.relations.graph.table(name)
            numbers, categories, times = [], [], []
            for column in table.columns:
                roles = (table.primary_key, table.end_time_column)
                if (name, column.name) in self._banned or column.name in roles:
                    continue
                if column.stype not in _MEANINGS:
                    continue
                kind = self.relations.table(name).column(column.name).kind
                if kind == "time":
                    times.append(column.name)
                elif not self._varies(name, column.name):
                    continue
                elif kind == "number" or (kind == "category" and _counts(column)):
                    numbers.append(column.name)
                if kind == "category" and self._varies(name, column.name):
                    categories.append(column.name)
            self._tables[name] = TableColumns(tuple(numbers), tuple(categories), tuple(times))
        return self._tables[name]

    def inside(self, name: str, path: tuple[Link, ...] = ()) -> tuple[Value, ...]:
        """Return what the texts and lists of a table hold, as numbers, at the end of ``path``.

        Parts of texts, frequent elements and lengths of lists, items of lists of one length.
        """
        if name not in self._inside:
            table = self.relations.graph.table(name)
            self._inside[name] = tuple(
                value
                for column in table.columns
                if (name, column.name) not in self._banned
                for value in self._within(name, column)
            )
        return tuple(replace(value, path=path) for value in self._inside[name])

    def _within(self, name: str, column: Column) -> list[Value]:
        array = self.relations.table(name).column(column.name)
        known = self.known(name, column.name)
        if array.kind == "text" and column.stype is Stype.text:
            parts = [Value("text", name, column.name, number=k) for k in range(cells.PARTS)]
            return [Value("length", name, column.name), *parts]
        if array.kind != "list":
            return []
        found = [Value("length", name, column.name)]
        if column.dtype is Dtype.floatlist:
            count = cells.item_count(array, known)
            if 0 < count <= _ITEMS:
                return [Value("item", name, column.name, number=k) for k in range(count)]
            return found
        words = cells.common_elements(array, known, _ELEMENTS, _SHARE)
        return found + [Value("element", name, column.name, word=word) for word in words]

    def is_told(self, table: str, column: str) -> bool:
        """Tell whether the schema says when a column's values are known."""
        said = self.relations.graph.table(table).column(column)
        return said.known_at is not None or said.known_after is not None

    def vocabulary(self, table: str, column: str, most: int = _CATEGORIES) -> tuple[str, ...]:
        """Return the categories by frequency among values known at ``until``, ties by name."""
        array = self.relations.table(table).column(column)
        codes = array.values[self.known(table, column)]
        counts = np.bincount(codes[codes >= 0], minlength=len(array.dictionary))
        order = np.lexsort((np.arange(len(counts)), -counts))[:most]
        return tuple(array.dictionary[k] for k in order if counts[k] > 0)

    def distinct(self, table: str, column: str) -> int:
        """Return how many categories a column has among values known at ``until``."""
        codes = self.relations.table(table).column(column).values[self.known(table, column)]
        return len(np.unique(codes[codes >= 0]))

    def shared(self, table: str, column: str) -> tuple[str, ...]:
        """Return the categories that at least one row in fifty has; of two, one says both."""
        array = self.relations.table(table).column(column)
        codes = array.values[self.known(table, column)]
        counts = np.bincount(codes[codes >= 0], minlength=len(array.dictionary))
        frequent = int((counts >= _SHARE * max(1, counts.sum())).sum())
        words = self.vocabulary(table, column, min(_SHARES, frequent))
        both = len(words) == 2 and int((counts > 0).sum()) == 2
        return words[:1] if both else words

    def known(self, name: str, column: str | None = None) -> npt.NDArray[np.bool_]:
        """Return which rows of a table, or values of a column, were known at ``until``."""
        if (name, column) not in self._known:
            table = self.relations.table(name)
            since = None if column is None else table.value_known(column)
            if since is None and column is not None:
                return self.known(name)
            since = table.time if since is None else since
            if since is None or self.until is None:
                found = np.ones(table.rows, dtype=bool)
            else:
                found = (since <= self.until) & (since != NOT_A_TIME)
            self._known[name, column] = found
        return self._known[name, column]

    def _varies(self, table: str, column: str) -> bool:
        array = self.relations.table(table).column(column)
        values = array.values[self.known(table, column)]
        if len(values) == 0:
            return False
        if array.kind == "category":
            return bool(values.min() != values.max())
        here = values[np.isfinite(values)]
        holes = len(here) < len(values)
        return len(here) > 0 and (holes or bool(here.min() != here.max()))


def unusable(
    graph: Graph, query: CheckedQuery, *, allow_mutable: bool = False
) -> set[tuple[str, str]]:
    """Return the columns ``(table, column)`` that hold what nobody knew at past anchors.

    Those that are overwritten in place, for a temporal query: what they held is lost. A static
    query has no past. ``allow_mutable`` insists on them.
    """
    if allow_mutable or not query.temporal:
        return set()
    return {
        (table.name, column.name)
        for table in graph.tables.values()
        for column in table.columns
        if column.mutable
    }


def _counts(column: Column) -> bool:
    return column.dtype.is_number or column.dtype is Dtype.bool


def target_columns(node: Expression | int | Decimal | None) -> set[tuple[str, str]]:
    """Return every column that a target is computed from, filters included."""
    match node:
        case ColumnRef(table=table, column=str(column)):
            return {(table, column)}
        case Comparison(operand=operand) | IsNull(operand=operand):
            return target_columns(operand)
        case Aggregation(column=column, where=where):
            return target_columns(column) | target_columns(where)
        case Arithmetic(left=left, right=right):
            return _union(target_columns(part) for part in (left, right))
        case Not(condition=inner):
            return target_columns(inner)
        case And(left=left, right=right) | Or(left=left, right=right):
            return _union(target_columns(part) for part in (left, right))
        case _:
            return set()


def _union(parts: Iterable[set[tuple[str, str]]]) -> set[tuple[str, str]]:
    return set().union(*parts)
