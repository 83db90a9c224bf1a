"""Labels: the value of a query's target, and whether its filters hold, for many examples at once.

Works in batches of examples, so that memory is bounded whatever the number of anchors and however
much their windows overlap. What the labels are is written in ``label_sql``; this runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery
from relcast.tasks.batches import Histogram, batches, count_by_time
from relcast.tasks.grid import Grid
from relcast.tasks.label_sql import LabelSql
from relcast.tasks.moments import Moments, Moved
from relcast.tasks.offsets import EARLIEST, LATEST, Times
from relcast.tasks.scan import Session
from relcast.tasks.sums import find_scale

__all__ = ["Labeller", "Labels"]

BATCH = 2_000_000
"""Examples (windows of a forecast, rows of lists) of one pass; a few hundred bytes each."""

_CHOSEN = "chosen_entities"


@dataclass(frozen=True)
class Labels:
    """What a batch of examples is: in order of (anchor, entity), or as they were given.

    Attributes:
        entity: int64[n] dense entity rows.
        anchor: int64[n] index of the anchor; 0 for a static query.
        target: The target's value as an Arrow array of length n: bool, number, or a class's value;
            a fixed-size list of h floats for a forecast; a list of values, or of dense rows for
            links. NULL where the example is to be dropped.
        chosen: bool[n], whether the WHERE clause holds.
        assumed: bool[n], whether the ASSUMING clause holds.
        weight: float64[n] or None.
        time: int64[n] ns; the time that orders a static query's rows; None without one.
        considered: Examples looked at, eligible or not.
        left_out: Examples that are not here although their entity lived: because WHERE does not
            hold; of the others, because ASSUMING does not; of the others, for a NULL target.
        ranked: Whether the target is ranked, so that an empty list tells nothing.
    """

    entity: npt.NDArray[np.int64]
    anchor: npt.NDArray[np.int64]
    target: pa.Array
    chosen: npt.NDArray[np.bool_]
    assumed: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64] | None
    time: npt.NDArray[np.int64] | None
    considered: int
    ranked: bool = False
    left_out: tuple[int, int, int] = (0, 0, 0)

    def take(self, keep: npt.NDArray[np.bool_]) -> Labels:
        """Return the examples where a mask holds."""
        if keep.all():
            return self
        return Labels(
            entity=self.entity[keep],
            anchor=self.anchor[keep],
            target=self.target.filter(pa.array(keep)),
            chosen=self.chosen[keep],
            assumed=self.assumed[keep],
            weight=None if self.weight is None else self.weight[keep],
            time=None if self.time is None else self.time[keep],
            considered=self.considered,
            ranked=self.ranked,
            left_out=self.left_out,
        )


class Labeller:
    """A query's target and filters over one session; stages what they need, once."""

    def __init__(
        self,
        session: Session,
        query: CheckedQuery,
        *,
        target: bool = True,
        where: bool = True,
        assuming: bool = True,
        weight_column: str | None = None,
        among: npt.NDArray[np.int64] | None = None,
        batch: int | None = None,
        moved: Moved | None = None,
        arrays: bool = True,
    ) -> None:
        """Choose what is evaluated: the target, the WHERE clause, the ASSUMING clause.

        ``among`` are the only dense entity rows looked at; ``batch`` is the weight of a pass
        (``BATCH``). ``moved`` moves the target's windows into the past. Without ``arrays`` SQL
        alone evaluates, whatever the clauses; the labels are the same.
        """
        self._among = None if among is None else np.unique(among)
        if self._among is not None:
            session.register(_CHOSEN, pa.table({"entity": self._among}))
        self.session = session
        self.query = query
        self.sql = LabelSql(
            session,
            query,
            target=target,
            where=where,
            assuming=assuming,
            weight_column=weight_column,
            chosen_entities=None if among is None else _CHOSEN,
            moved=moved,
        )
        self.rows = self.sql.rows
        self._batch = batch or BATCH
        self._held: dict[int, Histogram] = {}
        self._staged = False
        self._arrays = arrays
        self._grid: Grid | None = None

    def _stage(self) -> None:
        """Store what the statement reads, once."""
        if self._staged:
            return
        self._staged = True
        session = self.session
        for stage in self.sql.stages:
            session.materialise(stage.name, stage.rows)
        for fact in list(self.sql.facts):
            if fact.adds_floats:
                self.sql.set_scale(fact.number, find_scale(session, fact.name))
            if fact.holds_rows and fact.aggregation.window is not None:
                self._held[fact.number] = count_by_time(session, fact.name)

    @property
    def has_static_time(self) -> bool:
        """Whether a time orders the rows of a static query."""
        return self.sql.has_static_time

    # -- examples ---------------------------------------------------------------------------

    def static(self) -> Labels:
        """Return every entity with a key, as a static query sees it (no anchor)."""
        self._stage()
        moments = self._moments(np.array([LATEST], dtype=np.int64))
        pairs = self.sql.static_pairs()
        return self._evaluate(
            moments, range(1), pairs, considered=self._looked_at(range(self.rows))
        )

    def grid(self, anchors: Times) -> Iterator[Labels]:
        """Yield the eligible entities at each anchor, a batch of whole anchors at a time.

        ``anchors`` ascend. An anchor too large for one batch comes in several, by entity.
        """
        if self._arrays and self._grid is None:
            self._grid = Grid.of(self.session, self.sql, memory=self.session.memory // 2)
        if self._grid is not None:
            yield from self._cells(self._grid, anchors)
            return
        self._arrays = False
        self._stage()
        moments = self._moments(anchors)
        examples = self._looked_at(range(self.rows))
        weights = np.full(len(anchors), examples * self.sql.steps, dtype=np.int64)
        weights += self._rows_held(moments, len(anchors))
        for part in batches(weights, self.rows, self._batch):
            pairs = self.sql.living_pairs(part.anchors, part.entities)
            considered = len(part.anchors) * self._looked_at(part.entities)
            yield self._evaluate(moments, part.anchors, pairs, considered=considered)

    def pairs(self, entity: npt.NDArray[np.int64], anchor: Times) -> Iterator[Labels]:
        """Yield the given (entity row, anchor) examples, eligible or not, in batches, in order.

        ``Labels.anchor`` is meaningless here.
        """
        self._stage()
        size = self._batch // self._weight_of_a_pair(anchor)
        for first in range(0, len(entity), max(1, size)):
            part = slice(first, first + max(1, size))
            anchors, place = np.unique(anchor[part], return_inverse=True)
            moments = self._moments(anchors)
            numbers = np.arange(first, first + len(place), dtype=np.int64)
            self.session.register(
                "given", pa.table({"pair": numbers, "entity": entity[part], "anchor": place})
            )
            given = exp.select("pair", "entity", "anchor").from_("given")
            yield self._evaluate(moments, range(len(anchors)), given, considered=len(numbers))

    def _cells(self, grid: Grid, anchors: Times) -> Iterator[Labels]:
        """Yield the examples that are kept, as arrays find them."""
        moments = self.sql.moments(anchors)
        for part, cells in grid.evaluated(moments, len(anchors), self._batch):
            everything = np.ones(len(cells.entity), dtype=np.bool_)
            yield Labels(
                entity=cells.entity,
                anchor=cells.anchor,
                target=cells.target,
                chosen=everything,
                assumed=everything,
                weight=grid.weight(cells.entity) if self.sql.weighted else None,
                time=None,
                considered=len(part.anchors) * self._looked_at(part.entities),
                left_out=cells.left_out,
            )

    # -- one batch --------------------------------------------------------------------------

    def _evaluate(
        self, moments: Moments, anchors: range, pairs: exp.Select, considered: int
    ) -> Labels:
        self.session.materialise("pairs", pairs)
        spans = moments.spans(anchors)
        return self._labels(self.session.fetch(self.sql.labels(spans)), considered)

    def _labels(self, rows: pa.Table, considered: int) -> Labels:
        """Read the statement's rows: one for each example, window, or element."""
        pair = _integers(rows, "pair")
        if self.sql.lists:
            begins = np.flatnonzero(np.diff(pair, prepend=-1))
            target = _lists(rows, begins)
        elif self.sql.forecasts:
            begins = np.arange(0, len(pair), self.sql.steps)
            target = _forecasts(rows.column("target"), self.sql.steps)
        else:
            begins = np.arange(len(pair))
            target = _values(rows.column("target"))
        if len(begins) < len(pair):
            rows = rows.drop_columns(["target"]).take(pa.array(begins))
        return Labels(
            entity=_integers(rows, "entity"),
            anchor=_integers(rows, "anchor"),
            target=target,
            chosen=rows.column("chosen").to_numpy().astype(np.bool_),
            assumed=rows.column("assumed").to_numpy().astype(np.bool_),
            weight=_floats(rows, "weight") if self.sql.weighted else None,
            time=_integers(rows, "static_time", EARLIEST) if self.has_static_time else None,
            considered=considered,
            ranked=self.query.task_type is TaskType.MULTILABEL_RANKING,
        )

    def _moments(self, anchors: Times) -> Moments:
        moments = self.sql.moments(anchors)
        self.session.register("bounds", moments.table)
        return moments

    def _rows_held(self, moments: Moments, anchors: int) -> npt.NDArray[np.int64]:
        """Return how many staged rows a pass keeps for each anchor, at most."""
        held = np.zeros(anchors, dtype=np.int64)
        for number, histogram in self._held.items():
            rows = histogram.between(*moments.ends(number, range(anchors)))
            held += rows.reshape(anchors, self.sql.steps).sum(axis=1)
        return held

    def _weight_of_a_pair(self, anchor: Times) -> int:
        if not self._held:
            return self.sql.steps
        moments = self.sql.moments(np.unique(anchor))
        held = self._rows_held(moments, len(moments.table) // self.sql.steps)
        return self.sql.steps + int(held.max(initial=0)) // max(1, self.rows)

    def _looked_at(self, entities: range) -> int:
        if self._among is None:
            return len(entities)
        first, stop = np.searchsorted(self._among, [entities.start, entities.stop])
        return int(stop - first)


def _values(found: pa.ChunkedArray) -> pa.Array:
    """Return a target as one array: text dictionary-coded, exact integers as float64."""
    array = found.combine_chunks()
    if pa.types.is_decimal(array.type):  # how a sum of 64-bit integers arrives
        return _rounded_once(array)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.string()).dictionary_encode()
    return array


def _rounded_once(whole: pa.Array) -> pa.Array:
    """Return integers of up to 128 bits as the nearest floats; Arrow's own cast rounds twice."""
    try:
        return whole.cast(pa.int64()).cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return pa.array(
            [None if v is None else float(int(v)) for v in whole.to_pylist()], pa.float64()
        )


def _forecasts(found: pa.ChunkedArray, steps: int) -> pa.Array:
    """Return h values of each example as one list of them, NULL where one of them is."""
    values = _values(found).cast(pa.float64(), safe=False)
    missing = values.is_null().to_numpy(zero_copy_only=False).reshape(-1, steps).any(axis=1)
    return pa.FixedSizeListArray.from_arrays(values, steps, mask=pa.array(missing))


def _lists(rows: pa.Table, begins: npt.NDArray[np.int64]) -> pa.Array:
    """Return the elements of each example, in order, as one list; NULL where there is none."""
    values = _values(rows.column("target"))
    held = values.is_valid().to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(held)])
    offsets = before[np.append(begins, len(held))]
    there = rows.column("present").to_numpy().astype(np.bool_)[begins]
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), values.drop_null(), mask=pa.array(~there)
    )


def _integers(rows: pa.Table, name: str, missing: int = 0) -> npt.NDArray[np.int64]:
    found = rows.column(name).cast(pa.int64()).fill_null(missing)
    return found.to_numpy().astype(np.int64, copy=False)  # type: ignore[no-any-return]


def _floats(rows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return rows.column(name).cast(pa.float64()).to_numpy().astype(np.float64, copy=False)  # type: ignore[no-any-return]
