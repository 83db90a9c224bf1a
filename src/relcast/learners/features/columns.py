"""Which columns may be features, and what they held on the training side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Column, Dtype, Stype
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
)
from relcast.relations import NOT_A_TIME, Relations

__all__ = ["Columns", "TableColumns", "target_columns"]

_MEANINGS = (Stype.numerical, Stype.categorical, Stype.timestamp)
_SHARES = 5
_SHARE = 0.02
_CATEGORIES = 64


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

    Keys, identifiers and texts are no features; neither is anything that a static target is
    computed from, nor the time at which a row ends (it is written later).
    """

    def __init__(self, relations: Relations, query: CheckedQuery, until: int | None) -> None:
        self.relations = relations
        self.until = until
        self._banned = set() if query.temporal else target_columns(query.query.target)
        for link in relations.graph.links:
            self._banned.add((link.table, link.foreign_key))
        self._tables: dict[str, TableColumns] = {}
        self._known: dict[str, npt.NDArray[np.bool_]] = {}

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

    def vocabulary(self, table: str, column: str, most: int = _CATEGORIES) -> tuple[str, ...]:
        """Return the categories by frequency among rows known at ``until``, ties by name."""
        array = self.relations.table(table).column(column)
        codes = array.values[self.known(table)]
        counts = np.bincount(codes[codes >= 0], minlength=len(array.dictionary))
        order = np.lexsort((np.arange(len(counts)), -counts))[:most]
        return tuple(array.dictionary[k] for k in order if counts[k] > 0)

    def shared(self, table: str, column: str) -> tuple[str, ...]:
        """Return the categories that at least one row in fifty has; of two, one says both."""
        array = self.relations.table(table).column(column)
        codes = array.values[self.known(table)]
        counts = np.bincount(codes[codes >= 0], minlength=len(array.dictionary))
        frequent = int((counts >= _SHARE * max(1, counts.sum())).sum())
        words = self.vocabulary(table, column, min(_SHARES, frequent))
        both = len(words) == 2 and int((counts > 0).sum()) == 2
        return words[:1] if both else words

    def known(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which rows of a table were known at ``until``."""
        if name not in self._known:
            table = self.relations.table(name)
            if table.time is None or self.until is None:
                self._known[name] = np.ones(table.rows, dtype=bool)
            else:
                self._known[name] = (table.time <= self.until) & (table.time != NOT_A_TIME)
        return self._known[name]

    def _varies(self, table: str, column: str) -> bool:
        array = self.relations.table(table).column(column)
        values = array.values[self.known(table)]
        if len(values) == 0:
            return False
        if array.kind == "category":
            return bool(values.min() != values.max())
        here = values[np.isfinite(values)]
        holes = len(here) < len(values)
        return len(here) > 0 and (holes or bool(here.min() != here.max()))


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
