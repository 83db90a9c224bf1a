"""The value of an aggregation in each cell (anchor, entity) of a pass, on arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.errors import InternalError
from relcast.pql.ast import AggregationKind
from relcast.tasks import exact, kernels, sweeps
from relcast.tasks.facts import Fact
from relcast.tasks.offsets import Times
from relcast.tasks.scan import Scan
from relcast.tasks.timed_rows import RowSource, TimedRows, TooWide

__all__ = ["CellValues", "Evaluator"]

_EXTREMES = {AggregationKind.MIN: np.minimum, AggregationKind.MAX: np.maximum}
_TAKEN = frozenset(
    {
        AggregationKind.COUNT,
        AggregationKind.SUM,
        AggregationKind.COUNT_DISTINCT,
        AggregationKind.AVG,
        AggregationKind.FIRST,
        AggregationKind.LAST,
        *_EXTREMES,
    }
)
_BEYOND_64_BITS = ("HUGEINT", "UHUGEINT", "UBIGINT")
_ROOM = 2**62


@dataclass(frozen=True)
class CellValues:
    """An aggregation's values.

    Attributes:
        value: [n, E]; use ``at``: integers, floats, bool, or codes into ``dictionary``.
        there: bool[n, E], where there is a value; None: everywhere.
        dictionary: What codes stand for; None for other values.
    """

    value: npt.NDArray[Any]
    there: npt.NDArray[np.bool_] | None = None
    dictionary: pa.Array | None = None

    def at(self, cells: npt.NDArray[Any] | slice) -> npt.NDArray[Any]:
        """Return the values of some cells, by their places in the flat arrays."""
        return self.value.ravel()[cells]

    def arrow(self, cells: npt.NDArray[Any] | slice = slice(None)) -> pa.Array:
        """Return the values of some cells, NULL where there is none."""
        value = self.at(cells)
        mask = None if self.there is None else ~self.there.ravel()[cells]
        if mask is not None and not mask.any():
            mask = None
        if self.dictionary is None:
            return pa.array(value, mask=mask)
        return pa.DictionaryArray.from_arrays(
            pa.array(value.astype(np.int32, copy=False), mask=mask), self.dictionary
        )


@dataclass(frozen=True)
class _Picked(CellValues):
    """Values of rows; ``value`` are their places, [n, E], -1 for none.

    Attributes:
        rows: The values of all rows.
    """

    rows: npt.NDArray[Any] = field(kw_only=True)

    def at(self, cells: npt.NDArray[Any] | slice) -> npt.NDArray[Any]:
        place = self.value.ravel()[cells]
        if len(self.rows) == 0:
            return np.zeros(len(place), dtype=self.rows.dtype)
        found: npt.NDArray[Any] = self.rows[place]
        return found


@dataclass
class _Held:
    """Rows that are at hand, and what was worked out of their values."""

    rows: TimedRows
    parts: exact.Parts | None = None


class Evaluator:
    """One aggregation over windows; raises ``TooWide`` where its sums need more than 64 bits."""

    def __init__(self, fact: Fact, source: RowSource, lock: RLock) -> None:
        """Take the rows of a fact for which ``takes`` holds; ``lock`` guards the engine."""
        self._lock = lock
        self.fact = fact
        self.source = source
        self._kind = fact.aggregation.kind
        self._held: _Held | None = None
        self._top: int | None = None
        if fact.adds_floats:
            self._top = source.top()
        elif self._kind is AggregationKind.SUM and source.largest() * source.rows >= _ROOM:
            raise TooWide

    @staticmethod
    def takes(fact: Fact, scan: Scan) -> bool:
        """Return whether arrays can evaluate an aggregation over the table ``scan``."""
        aggregation = fact.aggregation
        if aggregation.kind not in _TAKEN or aggregation.window is None:
            return False
        if fact.staged is not None or fact.begins or fact.ends or fact.holds:
            return False
        name = aggregation.column.column
        if aggregation.kind is AggregationKind.COUNT or name is None:
            return True
        if scan.types[name] in _BEYOND_64_BITS:
            return False
        ordered = (AggregationKind.FIRST, AggregationKind.LAST, AggregationKind.COUNT_DISTINCT)
        return scan.kind(name) not in ("text", "list") or aggregation.kind in ordered

    def values(self, low: Times, high: Times, entities: range, *, everybody: bool) -> CellValues:
        """Return the values in the windows ``(low, high]``, ascending, of a range of entities."""
        with self._lock:
            held = self._rows(int(low[0]), int(high[-1]), entities, everybody=everybody)
        rows = held.rows
        windows = sweeps.Windows(*rows.places(low, high), len(entities))
        match self._kind:
            case AggregationKind.COUNT:
                return CellValues(sweeps.counts(rows.entity, windows))
            case AggregationKind.SUM:
                return CellValues(self._sums(held, windows))
            case AggregationKind.AVG:
                count = sweeps.counts(rows.entity, windows)
                there = count > 0
                return CellValues(self._sums(held, windows) / np.where(there, count, 1), there)
            case AggregationKind.COUNT_DISTINCT:
                value = _present(rows)
                return CellValues(sweeps.distinct(rows.entity, value, rows.codes, windows))
            case AggregationKind.MIN | AggregationKind.MAX:
                return _extremes(rows, windows, self._kind)
            case AggregationKind.FIRST:
                return _picked(rows, sweeps.earliest(rows.entity, windows))
            case AggregationKind.LAST:
                return _picked(rows, sweeps.latest(rows.entity, windows))
            case kind:
                raise InternalError(f"{kind} is not evaluated on arrays")

    def _rows(self, low: int, high: int, entities: range, *, everybody: bool) -> _Held:
        if self._held is not None:
            held = self._held
        else:
            held = _Held(self.source.between(low, high))
            if self.source.count is None:
                self._held = held
        if everybody:
            return held
        return _Held(held.rows.of(low, high, entities))

    def _sums(self, held: _Held, windows: sweeps.Windows) -> npt.NDArray[Any]:
        rows = held.rows
        if self._top is None:
            value = _present(rows).astype(np.int64, copy=False)
            return sweeps.totals(rows.entity, value, windows)
        with self._lock:
            if held.parts is None:
                most = _most_rows(rows.entity)
                floats = _present(rows).astype(np.float64, copy=False)
                held.parts = exact.cut(floats, self._top, most)
        sums = tuple(sweeps.totals(rows.entity, part, windows) for part in held.parts)
        return exact.joined(sums, self._top)


def _most_rows(entity: npt.NDArray[np.int32]) -> int:
    """Return the most rows that an entity has."""
    if len(entity) == 0:
        return 0
    held = np.zeros(int(entity.max()) + 1, dtype=np.int32)
    kernels.count(held, entity, 1)
    return int(held.max())


def _extremes(rows: TimedRows, windows: sweeps.Windows, kind: AggregationKind) -> CellValues:
    value = _present(rows)
    if value.dtype == np.bool_:
        value = value.astype(np.int8)
    ends = (-np.inf, np.inf) if value.dtype.kind == "f" else _ends(value.dtype)
    nothing = ends[1] if kind is AggregationKind.MIN else ends[0]
    found = sweeps.extremes(rows.entity, value, windows, _EXTREMES[kind], nothing)
    there = found != nothing
    if not there.all():  # a value can be as extreme as that
        there = sweeps.counts(rows.entity, windows) > 0
    return CellValues(found.astype(_present(rows).dtype, copy=False), there)


def _ends(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _picked(rows: TimedRows, place: npt.NDArray[Any]) -> CellValues:
    """Return the values of the rows at some places; -1 is no row."""
    return _Picked(place, place >= 0, rows.dictionary, rows=_present(rows))


def _present(rows: TimedRows) -> npt.NDArray[Any]:
    if rows.value is None:
        raise InternalError("rows without values were asked for them")
    return rows.value
