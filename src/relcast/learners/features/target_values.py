"""What the query's target reads of each row: its column where its filter holds, and when known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.learners.features.conditions import Operand, holds
from relcast.learners.features.target import TargetAggregation
from relcast.learners.features.values import Codes, Numbers, column_known, finite, later
from relcast.relations import NOT_A_TIME
from relcast.relations import convert as arrow

if TYPE_CHECKING:
    from relcast.learners.features.resolver import Resolver

__all__ = ["filter_mask", "target_codes", "target_numbers"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_NONE = np.empty(0, dtype=np.int64)


def filter_mask(resolver: Resolver, number: int) -> tuple[npt.NDArray[np.bool_], Rows, Rows]:
    """Return which rows a target aggregation counts, and when that is known and over.

    Its filter holds, and what a list names is there.
    """
    part = _part_of(resolver, number)
    mask = np.ones(resolver.relations.table(part.table).rows, dtype=bool)
    known: list[Rows] = []
    over: list[Rows] = []
    if part.items is not None:
        at, end, parent = resolver.at_parent((part.items,))
        known.extend([at] if len(at) else [])
        over.extend([end] if len(end) else [])
        mask &= np.asarray(parent) >= 0

    def operand(leaf: Mapping[str, Any]) -> Operand:
        found = _operand(resolver, leaf["table"], leaf["column"])
        if leaf["hop"] is None:
            late = column_known(resolver.relations, leaf["table"], leaf["column"])
            known.extend([late] if len(late) else [])
            return found
        at, end, parent = resolver.at_parent((Link.from_json(leaf["hop"]),))
        at = later(at, column_known(resolver.relations, leaf["table"], leaf["column"], parent))
        known.extend([at] if len(at) else [])
        over.extend([end] if len(end) else [])
        missing = np.append(found.missing, True)[parent]
        values = np.append(found.values, found.values.dtype.type(0))[parent]
        return Operand(values, missing, found.words, found.is_time)

    if part.where is not None:
        mask &= holds(part.where, operand)
    return (
        mask,
        np.maximum.reduce(known) if known else _NONE,
        np.minimum.reduce(over) if over else _NONE,
    )


def _operand(resolver: Resolver, table: str, name: str) -> Operand:
    """Return a column as conditions compare it: by its stored type, whatever it means."""
    column = resolver.relations.table(table).column(name)
    dtype = resolver.relations.graph.table(table).column(name).dtype
    raw = column.raw()
    if dtype.is_time:
        times = arrow.times(raw)
        return Operand(times, times == NOT_A_TIME, None, is_time=True)
    if dtype.is_number or dtype.value == "bool":
        values = arrow.numbers(raw).astype(np.float64)
        return Operand(values, np.isnan(values))
    if dtype.is_list:
        lists, elements = _lists(raw)
        return Operand(lists, lists < 0, elements)
    codes, words = arrow.categories(raw)
    return Operand(codes, codes < 0, words)


def _part_of(resolver: Resolver, number: int) -> TargetAggregation:
    if resolver.target is None:
        raise AssertionError("a target value needs the target")
    return resolver.target.aggregations[number]


def target_numbers(resolver: Resolver, number: int) -> Numbers:
    """Return a target aggregation's column where its filter holds, NaN elsewhere."""
    part = _part_of(resolver, number)
    mask, known, over = filter_mask(resolver, number)
    known = later(known, column_known(resolver.relations, part.table, part.column))
    if part.column is None:
        values = np.ones(len(mask))
    elif part.element is not None:
        values = _is_element(resolver, part)
    else:
        found = _operand(resolver, part.table, part.column)
        counted = part.kind in ("COUNT", "COUNT_DISTINCT") or found.words is not None
        values = np.ones(len(mask)) if counted else found.values.astype(np.float64)
        values = np.where(found.missing, np.nan, values)
    return Numbers(finite(np.where(mask, values, np.nan)), known, over)


def _is_element(resolver: Resolver, part: TargetAggregation) -> Float:
    """Return 1 where a row's cell is what a list is asked for, 0 where not, NaN where empty."""
    found = _operand(resolver, part.table, part.column or "")
    tree = {"op": "=", "operand": {}, "constants": [part.element]}
    return np.where(found.missing, np.nan, holds(tree, lambda _: found).astype(np.float64))


def target_codes(resolver: Resolver, number: int) -> Codes:
    """Return a target aggregation's column as categories where its filter holds."""
    part = _part_of(resolver, number)
    mask, known, over = filter_mask(resolver, number)
    column = resolver.relations.table(part.table).column(part.column or "")
    known = later(known, column_known(resolver.relations, part.table, column.name))
    codes, words = arrow.categories(column.raw())
    return Codes(np.where(mask, codes, -1).astype(np.int32), known, over, words, len(words))


def _lists(raw: Any) -> tuple[npt.NDArray[np.int32], list[tuple[str, ...]]]:
    """Return int32 codes (-1 missing) of a list column's cells, and the lists as texts."""
    position: dict[tuple[str, ...], int] = {}
    codes = [
        -1
        if cell is None
        else position.setdefault(tuple(str(e) for e in cell if e is not None), len(position))
        for cell in raw.to_pylist()
    ]
    return np.array(codes, dtype=np.int32), list(position)
