"""The rows of an aggregation as arrays in order of time, read whole or a span of time at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from relcast.pql.ast import AggregationKind
from relcast.tasks.batches import Histogram, count_by_time
from relcast.tasks.conditions import number
from relcast.tasks.fact_rows import rows_by_key
from relcast.tasks.facts import Fact
from relcast.tasks.key_index import KeyIndex
from relcast.tasks.keyed_rows import rows_of_entities
from relcast.tasks.offsets import Times
from relcast.tasks.scan import Session
from relcast.tasks.sql import column
from relcast.tasks.sums import find_scale
from relcast.tasks.ties import twins

__all__ = ["ROW_BYTES", "RowSource", "TimedRows", "TooWide", "rows_of"]

ROW_BYTES = 48
"""Of a row while it is read and put in order."""

_ORDERED = (AggregationKind.FIRST, AggregationKind.LAST)


class TooWide(Exception):
    """Sums that need more than 64 bits, or floats that no single scale makes whole numbers."""


@dataclass(frozen=True)
class TimedRows:
    """Rows in ascending order of time; for FIRST and LAST of (time, primary key, row).

    Attributes:
        time: int64[m] ns.
        entity: int32[m] dense entity rows.
        value: [m]: integers, floats, bool, or codes; None where rows are only counted.
        dictionary: What codes stand for, for FIRST and LAST; None for other values.
        codes: For COUNT_DISTINCT: the codes are below it.
    """

    time: Times
    entity: npt.NDArray[np.int32]
    value: npt.NDArray[Any] | None = None
    dictionary: pa.Array | None = None
    codes: int = 0

    def places(self, low: Times, high: Times) -> tuple[Times, Times]:
        """Return the first row of each ``(low, high]``, and the one behind its last."""
        first = np.searchsorted(self.time, low, side="right")
        return first, np.maximum(first, np.searchsorted(self.time, high, side="right"))

    def of(self, low: int, high: int, entities: range) -> TimedRows:
        """Return the rows in ``(low, high]`` of some entities, counted from the first of them."""
        near = slice(*np.searchsorted(self.time, [low, high], side="right").tolist())
        entity = self.entity[near]
        inside = np.flatnonzero((entity >= entities.start) & (entity < entities.stop))
        return TimedRows(
            self.time[near][inside],
            entity[inside] - entities.start,
            None if self.value is None else self.value[near][inside],
            self.dictionary,
            self.codes,
        )


class RowSource:
    """The rows of a fact: arrays where they fit in ``most`` bytes, else a table of the engine.

    Attributes:
        rows: How many there are.
        count: Where they are in a table: about how many, by time; None otherwise.
    """

    def __init__(self, session: Session, fact: Fact, index: KeyIndex | None, *, most: int) -> None:
        """Read or store the rows; ``index`` finds entities by key, SQL joins them without it."""
        self._session = session
        self._fact = fact
        known = index is not None and index.reads(session, fact.aggregation.path[-1])
        self._index = index if known else None
        self._table = f"rows_{fact.number}"
        self.count: Histogram | None = None
        self._read: pa.Table | None = None
        self._ready: TimedRows | None = None
        select = rows_of(session, fact, by_key=self._index is not None)
        if session.scan(fact.aggregation.column.table).rows * ROW_BYTES <= most:
            self._read = session.fetch(select)
            self.rows = self._read.num_rows
        else:
            session.materialise(self._table, select)
            self.count = count_by_time(session, self._table)
            self.rows = int(self.count.total[-1])

    def between(self, low: int, high: int) -> TimedRows:
        """Return rows, among them all whose time is in ``(low, high]``."""
        if self.count is None:
            if self._ready is None and self._read is not None:
                self._ready, self._read = self._ordered(self._read), None
            if self._ready is not None:
                return self._ready
        time = column("time", self._table)
        return self._ordered(
            self._session.fetch(
                exp.select(exp.Star())
                .from_(exp.to_table(self._table))
                .where(
                    exp.GT(this=time, expression=number(low)),
                    exp.LTE(this=time.copy(), expression=number(high)),
                )
            )
        )

    def top(self) -> int:
        """Return the power of two above all floats with which their sums are exact.

        Raises ``TooWide`` where there is none, or a value is infinite.
        """
        if self._read is not None:
            self._session.register(self._table, self._read)
        scale = find_scale(self._session, self._table)
        if self._read is not None:
            self._session.connection.unregister(self._table)
        if scale.infinite or len(scale.tops) != 1:
            raise TooWide
        return scale.tops[0]

    def largest(self) -> int:
        """Return the size of the largest whole number."""
        if self._read is not None:
            ends = pc.min_max(self._read.column("value")).as_py()
        else:
            value = column("value", self._table)
            ends = self._session.fetch(
                exp.select(
                    exp.Min(this=value).as_("min"), exp.Max(this=value.copy()).as_("max")
                ).from_(exp.to_table(self._table))
            ).to_pylist()[0]
        return int(max(abs(ends["min"] or 0), abs(ends["max"] or 0)))

    def _ordered(self, rows: pa.Table) -> TimedRows:
        time, entity, order = self._in_time(rows)
        if "value" not in rows.column_names:
            return TimedRows(time, entity)
        kind = self._fact.aggregation.kind
        value, dictionary, codes = _values(rows.column("value"), kind, self._session.threads)
        if order is not None:
            value = value[order]
        if kind in _ORDERED:
            scan = self._session.scan(self._fact.aggregation.column.table)
            row = _whole(rows, "row")
            if (tied := twins(self._session, scan, time, entity, row, order)) is not None:
                there, taken = tied
                value = value.copy() if order is None else value
                value[there] = value[taken]
        return TimedRows(time, entity, value, dictionary, codes)

    def _in_time(
        self, rows: pa.Table
    ) -> tuple[Times, npt.NDArray[np.int32], npt.NDArray[np.int64] | None]:
        """Return times and entities in order of time, and which rows they are; None: as read."""
        order = None
        if self._index is not None:
            time, entity, order, ascends = rows_of_entities(
                rows, self._index, self._session.threads, ordered="value" in rows.column_names
            )
        else:
            time = _whole(rows, "time")
            entity = rows.column("entity").to_numpy().astype(np.int32, copy=False)
            ascends = not (time[1:] < time[:-1]).any()
        if not ascends:
            by_time = np.argsort(time, kind="stable")
            time, entity = time[by_time], entity[by_time]
            order = order[by_time] if order is not None and len(order) else by_time
        return time, entity, order


def rows_of(session: Session, fact: Fact, *, by_key: bool) -> exp.Select:
    """Return the SQL of a fact's rows without what arrays find out more cheaply: their order.

    ``by_key``: with the foreign key in place of the entity.
    """
    select = rows_by_key(session, fact) if by_key else fact.rows.copy()
    unused = {"place"} | ({"value"} if fact.aggregation.kind is AggregationKind.COUNT else set())
    kept = [e for e in select.expressions if e.alias not in unused]
    if fact.aggregation.kind in _ORDERED:
        scan = session.scan(fact.aggregation.column.table)
        kept.append(scan.row("own").as_("row", quoted=True))
    select.set("expressions", kept)
    return select


def _whole(rows: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return rows.column(name).to_numpy().astype(np.int64, copy=False)  # type: ignore[no-any-return]


def _values(
    found: pa.ChunkedArray, kind: AggregationKind, threads: int
) -> tuple[npt.NDArray[Any], pa.Array | None, int]:
    """Return values, or codes with what they stand for and how many there are."""
    plain = (
        pa.types.is_integer(found.type)
        or pa.types.is_floating(found.type)
        or pa.types.is_boolean(found.type)
    )
    if plain and kind is not AggregationKind.COUNT_DISTINCT:
        return found.to_numpy(), None, 0
    if pa.types.is_integer(found.type) and len(found):
        ends = pc.min_max(found).as_py()
        if ends["min"] >= 0 and ends["max"] < max(1024, 4 * len(found)):
            return found.to_numpy().astype(np.int64, copy=False), None, ends["max"] + 1
    if pa.types.is_floating(found.type):  # -0.0 is 0.0
        found = pa.chunked_array([pa.array(found.to_numpy() + 0.0)])
    coded = _coded(found, threads)
    codes = np.empty(len(coded), dtype=np.int32)
    first = 0
    for chunk in coded.chunks:
        codes[first : first + len(chunk)] = chunk.indices.to_numpy(zero_copy_only=False)
        first += len(chunk)
    dictionary = coded.chunk(0).dictionary if coded.num_chunks else pa.array([], found.type)
    return codes, dictionary, max(1, len(dictionary))


def _coded(found: pa.ChunkedArray, threads: int) -> pa.ChunkedArray:
    """Return values dictionary-coded in order of first appearance; each thread codes a part."""
    edges = np.linspace(0, found.num_chunks, threads + 1).astype(np.int64).tolist()
    parts = [found.chunks[start:stop] for start, stop in pairwise(edges) if start < stop]
    with ThreadPoolExecutor(threads) as pool:
        coded = list(pool.map(lambda part: pc.dictionary_encode(pa.chunked_array(part)), parts))
    kind = pa.dictionary(pa.int32(), found.type)
    return pa.chunked_array([c for part in coded for c in part.chunks], kind).unify_dictionaries()
