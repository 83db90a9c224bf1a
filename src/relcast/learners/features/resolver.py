"""From recipes to arrays: streams, seeds, values and codes of one snapshot, as of each anchor.

Every value carries the time from which it is known, so that no recipe can read what an anchor did
not: a value joined from a row that appeared later than the event waits for that row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.learners.features import kernels
from relcast.learners.features.conditions import Operand, holds
from relcast.learners.features.spec import Step, Stream, Value
from relcast.learners.features.target import Target, TargetAggregation
from relcast.relations import (
    NEVER,
    NOT_A_TIME,
    Events,
    Relations,
    events_below,
    events_of,
    latest_known,
    rows_known,
)
from relcast.relations import convert as arrow

__all__ = ["Codes", "Numbers", "Resolver"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_NONE = np.empty(0, dtype=np.int64)


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


class Resolver:
    """Resolves recipes against one snapshot, for one set of examples.

    Attributes:
        anchors: int64[n] ns UTC: the moments that are predicted from, for calendar and ages.
        asof: int64[n] ns UTC: up to when rows are read, at most the anchor.
    """

    def __init__(
        self,
        relations: Relations,
        entity_table: str,
        rows: Rows,
        anchors: Rows | None,
        target: Target | None,
        known: Rows | None = None,
    ) -> None:
        self.relations = relations
        self.entity_table = entity_table
        self.rows = rows
        self.timeless = anchors is None
        self.anchors = np.full(len(rows), NEVER, dtype=np.int64) if anchors is None else anchors
        self.asof = self.anchors if known is None else np.minimum(known, self.anchors)
        self.target = target
        self._seeds: dict[tuple[Step, ...], Rows] = {(): rows}
        self._events: dict[tuple[str, tuple[Link, ...]], Events] = {}
        self._latest: tuple[Value, Numbers] | None = None

    def seed(self, steps: tuple[Step, ...]) -> Rows:
        """Return the row that a walk from each entity ends on (int64[n]), -1 where it ends early.

        Every row on the way is known by then.
        """
        if steps in self._seeds:
            return self._seeds[steps]
        before, step = self.seed(steps[:-1]), steps[-1]
        link = self.relations.link(step.link)
        moments = None if self.timeless else self.asof
        if step.kind == "latest":
            found = latest_known(link, self.relations.table(step.table), before, moments)
        else:
            found = _gather(link.parent, before)
            known = rows_known(self.relations.table(step.table), found, moments)
            found = np.where(known, found, -1)
        self._seeds[steps] = found
        return found

    def events(self, stream: Stream) -> Events:
        """Return a stream's events grouped by the rows of its seed's table."""
        key = (stream.table, stream.down)
        if key not in self._events:
            self._events[key] = (
                events_below(self.relations, stream.down)
                if stream.down
                else events_of(self.relations, stream.table)
            )
        return self._events[key]

    def target_events(self, part: TargetAggregation) -> Events:
        """Return the rows of a target's aggregation, each at its own time.

        That the rows between were there is no matter of the label's window, only of what may be
        used by now.
        """
        if len(part.path) == 1:
            return self.events(Stream(part.table, (), part.down))
        return events_below(self.relations, part.down, by_own_time=True)

    def owners(self, stream: Stream) -> Rows:
        """Return the row whose events each example reads; row 0 of a whole table."""
        return self.seed(stream.seed) if stream.down else np.zeros(len(self.rows), dtype=np.int64)

    def numbers(self, value: Value) -> Numbers:
        """Return a value as a number for every row of the table it belongs to.

        The latest is kept: families that read one value come one after the other.
        """
        if self._latest is None or self._latest[0] != value:
            self._latest = (value, self._numbers(value))
        return self._latest[1]

    def _numbers(self, value: Value) -> Numbers:
        match value.kind:
            case "own":
                return self._own(value)
            case "joined":
                return self._joined(value)
            case "target":
                return self._target(value.number)
            case "holds":
                mask, known, over = self._mask(value.number)
                return Numbers(mask.astype(np.float64), known, over)
            case "prior":
                return self._prior(value)
            case "relative":
                return self._relative(value)
            case "parent":
                codes = self.codes(value)
                return Numbers(np.where(codes.codes < 0, np.nan, 1.0), codes.known, codes.over)

    def codes(self, value: Value) -> Codes:
        """Return a value as a category for every row of the table it belongs to."""
        if value.kind == "parent":
            link = self.relations.link(value.path[-1])
            known, over, _ = self._at_parent(value.path)
            rows = self.relations.table(value.path[-1].to).rows
            return Codes(link.parent.astype(np.int32), known, over, (), rows)
        if value.kind == "target":
            return self._target_codes(value.number)
        column = self.relations.table(value.table).column(value.column or "")
        known, over, parent = self._at_parent(value.path)
        codes = column.values if parent is None else _gather(column.values, parent)
        return Codes(codes.astype(np.int32), known, over, column.dictionary, len(column.dictionary))

    def _own(self, value: Value) -> Numbers:
        table = self.relations.table(value.table)
        if value.column is None:
            return Numbers(np.ones(table.rows), _NONE, _NONE)
        return Numbers(_finite(table.column(value.column).numbers()), _NONE, _NONE)

    def _joined(self, value: Value) -> Numbers:
        known, over, parent = self._at_parent(value.path)
        if parent is None:
            return self._own(value)
        values = self._own(Value("own", value.table, value.column)).values
        padded = np.append(values, np.nan)  # a missing parent, -1, reads the last
        return Numbers(padded[parent], known, over)

    def _at_parent(self, path: tuple[Link, ...]) -> tuple[Rows, Rows, Rows | None]:
        """Return when what stands at the end of a path is known and over, and its row."""
        parent: Rows | None = None
        known, over = _NONE, _NONE
        for link in path:
            up = self.relations.link(link).parent
            parent = np.asarray(up) if parent is None else _gather(up, parent)
            table = self.relations.table(link.to)
            if table.time is not None:
                time = np.append(table.time, NOT_A_TIME)[parent]
                # That a parent is missing is not known either: its row may be yet to come.
                time = np.where(time == NOT_A_TIME, NEVER, time)
                known = time if len(known) == 0 else np.maximum(known, time)
            if table.end_time is not None:
                end = np.append(table.end_time, NOT_A_TIME)[parent]
                end = np.where(end == NOT_A_TIME, NEVER, end)
                over = end if len(over) == 0 else np.minimum(over, end)
        return known, over, parent

    def _prior(self, value: Value) -> Numbers:
        """Compute the mean over what the parent's rows held strictly before each row."""
        first = value.path[0].table
        time = self.relations.table(first).time
        known, over, parent = self._at_parent(value.path)
        if parent is None or time is None or value.below is None:
            raise AssertionError("a prior value has a path, a time and a link below it")
        column = Value("own", value.table, value.column)
        stream = Stream(value.table, (), (value.below,))
        before = np.where(time == NOT_A_TIME, NOT_A_TIME, time - 1)
        values = self._window_mean(stream, column, np.asarray(parent), before, value.width)
        return Numbers(values, known, over)

    def _relative(self, value: Value) -> Numbers:
        """Subtract the mean of the rows with the same parent at the same moment."""
        own = self._own(Value("own", value.table, value.column))
        time = self.relations.table(value.table).time
        known, over, parent = self._at_parent(value.path)
        if parent is None or time is None:
            raise AssertionError("a relative value has a path and a time")
        stream = Stream(value.table, (), (value.path[0],))
        column = Value("own", value.table, value.column)
        mean = self._window_mean(stream, column, parent, np.asarray(time), 1)
        return Numbers(own.values - mean, known, over)

    def _window_mean(
        self, stream: Stream, value: Value, owners: Rows, anchors: Rows, width: int
    ) -> Float:
        events = self.events(stream)
        edge, known, over = self.edge_numbers(events, self.numbers(value))
        result = np.full(len(owners), np.nan)
        place = np.flatnonzero(owners >= 0)
        # Rows that share parent and moment share the mean.
        pairs, inverse = unique_pairs(owners[place], anchors[place])
        out = np.empty((len(pairs[0]), 1, 6))
        widths = np.array([width], dtype=np.int64)
        kernels.window_numbers(
            events.indptr, events.time, over, known, edge, pairs[0], pairs[1], widths, out
        )
        result[place] = out[inverse, 0, 2]
        return result

    def edge_numbers(self, events: Events, numbers: Numbers) -> tuple[Float, Rows, Rows]:
        """Return values, known and over in the order of the events."""
        return (
            numbers.values[events.rows],
            _later(events, numbers.known),
            _earlier(events, numbers.over),
        )

    def edge_codes(self, events: Events, codes: Codes) -> tuple[npt.NDArray[np.int32], Rows, Rows]:
        """Return codes, known and over in the order of the events."""
        known, over = _later(events, codes.known), _earlier(events, codes.over)
        return codes.codes[events.rows], known, over

    def _mask(self, number: int) -> tuple[npt.NDArray[np.bool_], Rows, Rows]:
        """Return which rows a target aggregation counts, and when that is known and over.

        Its filter holds, and what a list names is there.
        """
        part = self._part(number)
        mask = np.ones(self.relations.table(part.table).rows, dtype=bool)
        known: list[Rows] = []
        over: list[Rows] = []
        if part.items is not None:
            at, end, parent = self._at_parent((part.items,))
            known.extend([at] if len(at) else [])
            over.extend([end] if len(end) else [])
            mask &= np.asarray(parent) >= 0

        def operand(leaf: Mapping[str, Any]) -> Operand:
            found = self._raw_operand(leaf["table"], leaf["column"])
            if leaf["hop"] is None:
                return found
            at, end, parent = self._at_parent((Link.from_json(leaf["hop"]),))
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

    def _raw_operand(self, table: str, name: str) -> Operand:
        """Return a column as conditions compare it: by its stored type, whatever it means."""
        column = self.relations.table(table).column(name)
        dtype = column_dtype(self.relations, table, name)
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

    def _part(self, number: int) -> TargetAggregation:
        if self.target is None:
            raise AssertionError("a target value needs the target")
        return self.target.aggregations[number]

    def _target(self, number: int) -> Numbers:
        part = self._part(number)
        mask, known, over = self._mask(number)
        if part.column is None:
            values = np.ones(len(mask))
        elif part.element is not None:
            values = self._is_element(part)
        else:
            found = self._raw_operand(part.table, part.column)
            counted = part.kind in ("COUNT", "COUNT_DISTINCT") or found.words is not None
            values = np.ones(len(mask)) if counted else found.values.astype(np.float64)
            values = np.where(found.missing, np.nan, values)
        return Numbers(_finite(np.where(mask, values, np.nan)), known, over)

    def _is_element(self, part: TargetAggregation) -> Float:
        """Return 1 where a row's cell is what a list is asked for, 0 where not, NaN where empty."""
        found = self._raw_operand(part.table, part.column or "")
        tree = {"op": "=", "operand": {}, "constants": [part.element]}
        return np.where(found.missing, np.nan, holds(tree, lambda _: found).astype(np.float64))

    def _target_codes(self, number: int) -> Codes:
        part = self._part(number)
        mask, known, over = self._mask(number)
        column = self.relations.table(part.table).column(part.column or "")
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


def column_dtype(relations: Relations, table: str, name: str) -> Any:
    """Return a column's dtype."""
    return relations.graph.table(table).column(name).dtype


def unique_pairs(owners: Rows, anchors: Rows) -> tuple[tuple[Rows, Rows], Rows]:
    """Return the distinct (owner, anchor) pairs, and which of them each row has."""
    if len(owners) == 0:
        return (owners, anchors), owners
    moments, moment = np.unique(anchors, return_inverse=True)
    key = (owners + 1) * len(moments) + moment
    keys, inverse = np.unique(key, return_inverse=True)
    return (keys // len(moments) - 1, moments[keys % len(moments)]), inverse


def _finite(values: Float) -> Float:
    return np.where(np.isfinite(values), values, np.nan)


def _gather(values: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Return ``values[rows]`` with -1 where the row is -1."""
    if len(values) == 0:
        return np.full(len(rows), -1, dtype=values.dtype)
    return np.where(rows >= 0, values[rows], -1)


def _later(events: Events, known: Rows) -> Rows:
    """Return from when each event's value is known, where that is not with the event."""
    if len(known) == 0:
        return np.array(events.known)
    value: Rows = known[events.rows]
    return value if len(events.known) == 0 else np.maximum(value, events.known)


def _earlier(events: Events, over: Rows) -> Rows:
    """Return from when each event is unusable: its own end, or its value's."""
    if len(over) == 0:
        return np.array(events.over)
    value: Rows = over[events.rows]
    return value if len(events.over) == 0 else np.minimum(value, events.over)
