"""What every row of a table has, as a number or a category, and from when that is known.

A value joined from a row that appeared later than the event waits for that row, and one that is
filled in later (``Relations.value_known``) for that. No value knows of examples or anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import cells, groups
from relcast.learners.features.spec import Value
from relcast.relations import NEVER, NOT_A_TIME

if TYPE_CHECKING:
    from relcast.learners.features.resolver import Resolver
    from relcast.relations import Relations

__all__ = [
    "Codes",
    "Numbers",
    "codes_of",
    "column_known",
    "earlier",
    "finite",
    "gather",
    "later",
    "numbers_of",
]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_NONE = np.empty(0, dtype=np.int64)
_DAY = 86_400 * 10**9


@dataclass(frozen=True)
class Numbers:
    """A number per row of a table.

    Attributes:
        values: float64[rows]; NaN is missing, infinities are taken as missing.
        known: int64[rows] ns from which each value is known; empty: known with the row.
        over: int64[rows] ns from which it is no longer usable; empty: none ends before its row.
    """

    values: Float
    known: Rows
    over: Rows


@dataclass(frozen=True)
class Codes:
    """A category per row of a table: as ``Numbers``, with int32 codes (-1 is missing).

    ``words`` are the categories by code; empty for codes that are rows of a parent.
    """

    codes: npt.NDArray[np.int32]
    known: Rows
    over: Rows
    words: Sequence[str]
    count: int


def numbers_of(resolver: Resolver, value: Value) -> Numbers:
    """Return a value as a number for every row of the table that its path starts from."""
    match value.kind:
        case "own" | "joined" | "lag" | "length" | "element" | "item" | "text":
            return _lifted(resolver, value)
        case "target" | "holds":
            from relcast.learners.features import target_values

            if value.kind == "target":
                return target_values.target_numbers(resolver, value.number)
            mask, known, over = target_values.filter_mask(resolver, value.number)
            return Numbers(mask.astype(np.float64), known, over)
        case "prior":
            return _prior(resolver, value)
        case "relative" | "rank" | "ratio" | "others" | "size":
            return _among(resolver, value)
        case "parent":
            codes = codes_of(resolver, value)
            return Numbers(np.where(codes.codes < 0, np.nan, 1.0), codes.known, codes.over)


def codes_of(resolver: Resolver, value: Value) -> Codes:
    """Return a value as a category for every row of the table that its path starts from."""
    known, over, parent = resolver.at_parent(value.path)
    if value.kind == "parent":
        link = resolver.relations.link(value.path[-1])
        rows = resolver.relations.table(value.path[-1].to).rows
        codes = np.asarray(link.parent)
        if len(value.path) > 1:
            _, _, before = resolver.at_parent(value.path[:-1])
            codes = codes if before is None else gather(codes, before)
        return Codes(codes.astype(np.int32), known, over, (), rows)
    if value.kind == "target":
        from relcast.learners.features import target_values

        return target_values.target_codes(resolver, value.number)
    column = resolver.relations.table(value.table).column(value.column or "")
    late = column_known(resolver.relations, value.table, column.name, parent)
    codes = column.values if parent is None else gather(column.values, parent)
    return Codes(
        codes.astype(np.int32),
        later(known, late),
        over,
        column.dictionary,
        len(column.dictionary),
    )


def column_known(
    relations: Relations, table: str, column: str | None, parent: Rows | None = None
) -> Rows:
    """Return from when a column's values are known, empty where that is with their rows.

    Of every row, or with ``parent`` of the rows at the end of a path.
    """
    known = None if column is None else relations.value_known(table, column)
    if known is None:
        return _NONE
    return known if parent is None else np.append(known, NEVER)[parent]


def later(one: Rows, other: Rows) -> Rows:
    """Return the later of two times of each row, where an empty one says nothing."""
    if not len(one) or not len(other):
        return other if not len(one) else one
    return np.maximum(one, other)


def earlier(one: Rows, other: Rows) -> Rows:
    """Return the earlier of two times of each row, where an empty one says nothing."""
    if not len(one) or not len(other):
        return other if not len(one) else one
    return np.minimum(one, other)


def finite(values: Float) -> Float:
    """Return values with infinities as NaN."""
    return np.where(np.isfinite(values), values, np.nan)


def gather(values: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Return ``values[rows]`` with -1 where the row is -1."""
    if len(values) == 0:
        return np.full(len(rows), -1, dtype=values.dtype)
    return np.where(rows >= 0, values[rows], -1)


def _lifted(resolver: Resolver, value: Value) -> Numbers:
    """Read the cells of a column, at the row itself or at the end of the value's path."""
    values, told = _cells(resolver.relations, value)
    known, over, parent = resolver.at_parent(value.path)
    if parent is None:
        return Numbers(values, told, _NONE)
    padded = np.append(values, np.nan)  # a missing parent, -1, reads the last
    told = np.append(told, NEVER)[parent] if len(told) else told
    return Numbers(padded[parent], later(known, told), over)


def _cells(relations: Relations, value: Value) -> tuple[Float, Rows]:
    """Return what each row of the value's own table has, and from when that is known."""
    table = relations.table(value.table)
    if value.column is None:
        return np.ones(table.rows), _NONE
    column = table.column(value.column)
    known = column_known(relations, value.table, value.column)
    match value.kind:
        case "lag":
            if table.time is None:
                raise AssertionError("a lag needs the row's time")
            time = np.asarray(column.values)
            there = (time != NOT_A_TIME) & (table.time != NOT_A_TIME)
            with np.errstate(over="ignore"):
                days = np.where(there, (time - table.time) / _DAY, np.nan)
            # Nobody said when it is known: then when it has come.
            come = np.where(there, np.maximum(time, table.time), NEVER)
            return days, known if len(known) else come
        case "length":
            return cells.lengths(column), known
        case "element":
            return cells.holds_element(column, value.word or ""), known
        case "item":
            return finite(cells.item(column, value.number)), known
        case "text":
            return cells.text_part(column, value.number), known
        case _:
            return finite(column.numbers()), known


def _prior(resolver: Resolver, value: Value) -> Numbers:
    """Compute what the parent's rows held strictly before each row: their mean, or how many."""
    first = value.path[0].table
    time = resolver.relations.table(first).time
    known, over, parent = resolver.at_parent(value.path)
    if parent is None or time is None or value.below is None:
        raise AssertionError("a prior value has a path, a time and a link below it")
    before = np.where(time == NOT_A_TIME, NOT_A_TIME, time - 1)
    counted = value.column is None and value.of is None
    numbers = resolver.numbers(value.inner)
    found = resolver.window(
        value.below, numbers, np.asarray(parent), before, value.width, 0 if counted else 2
    )
    return Numbers(found, known, over)


def _among(resolver: Resolver, value: Value) -> Numbers:
    """Compute a value beside those of the rows with the same parent and moment.

    It is known when the last of them is; rows whose value never is have no part in it.
    """
    known, over, _ = resolver.at_parent(value.path)
    inner = numbers_of(resolver, value.inner)
    found, told = resolver.groups(value.path[0], value.inner, inner)
    values = found[groups.MEASURES.index(value.kind)]
    return Numbers(values, later(known, told), earlier(over, inner.over))
