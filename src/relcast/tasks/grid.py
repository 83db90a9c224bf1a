"""Labels of all entities at many anchors, on arrays: what ``label_sql`` gives, faster.

SQL reads the rows: scans, joins, filters, types. From then on an aggregation is an array
``[anchors, entities]`` that windows moving over the rows fill (``sweeps``), and clauses are masks
of that shape. Memory is bounded by passes of some anchors. ``Grid.of`` says which queries it takes;
the others, and examples that are given, stay with SQL.

    n  anchors of a pass    E  entities of a pass    a cell is one of both
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.pql.ast import (
    Aggregation,
    And,
    ColumnRef,
    Comparison,
    Condition,
    IsNull,
    Not,
    Operator,
    Or,
)
from relcast.tasks.batches import Batch
from relcast.tasks.cell_values import CellValues, Evaluator
from relcast.tasks.conditions import Leaf, compile_leaf, leaves, value_when_absent
from relcast.tasks.facts import Fact, Sight
from relcast.tasks.key_index import KeyIndex
from relcast.tasks.label_sql import ENTITIES, LabelSql, value_name
from relcast.tasks.moments import Moments
from relcast.tasks.offsets import EARLIEST, LATEST, Times
from relcast.tasks.scan import Session
from relcast.tasks.sql import column
from relcast.tasks.timed_rows import ROW_BYTES, RowSource, TooWide, rows_of

__all__ = ["Cells", "Grid"]

Mask = npt.NDArray[np.bool_]

CELL_BYTES = 64
"""Of a cell and an aggregation in a pass."""

_SIMPLE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: np.equal,
    Operator.NE: np.not_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
}


@dataclass(frozen=True)
class Cells:
    """The examples of a pass that are kept, in ascending order of (anchor, entity).

    Attributes:
        anchor: int64[k], the number of the anchor.
        entity: int64[k], dense entity rows.
        target: Arrow array of length k.
        living: Cells whose entity lived at the anchor.
        left_out: Of these, what the WHERE clause leaves out; of the rest, what ASSUMING does; of
            the rest, those whose target is NULL.
    """

    anchor: npt.NDArray[np.int64]
    entity: npt.NDArray[np.int64]
    target: pa.Array
    living: int
    left_out: tuple[int, int, int]


class Grid:
    """A query's clauses over all entities at ascending anchors."""

    def __init__(self, session: Session, sql: LabelSql, *, memory: int) -> None:
        """Read the entities and the rows of the aggregations; see ``of``."""
        self._session = session
        self.sql = sql
        self._memory = memory
        self.lock = RLock()
        self.entities = _Entities.read(session, sql)
        self.evaluators: list[Evaluator] = []
        texts = [rows_of(session, fact, by_key=False).sql() for fact in sql.facts]
        share = memory // 2 // max(1, len(set(texts)))
        sources: dict[str, RowSource] = {}
        index = KeyIndex.of(session, sql.query.entity_table)
        for text, fact in zip(texts, sql.facts, strict=True):
            if text not in sources:
                sources[text] = RowSource(session, fact, index, most=share)
            self.evaluators.append(Evaluator(fact, sources[text], self.lock))
        self._sources = len(sources)

    @classmethod
    def of(cls, session: Session, sql: LabelSql, *, memory: int) -> Grid | None:
        """Return a grid, or None where a clause takes what only SQL does.

        ``memory`` is about how many bytes rows and passes may take.
        """
        if not _takes(session, sql):
            return None
        try:
            return cls(session, sql, memory=memory)
        except TooWide:
            return None

    def passes(self, moments: Moments, anchors: int, most: int) -> Iterator[Batch]:
        """Divide the anchors into passes of at most ``most`` cells that fit into memory."""
        per_cell = CELL_BYTES * max(1, len(self.evaluators))
        share = self._memory // 2 // self._session.threads
        cells = max(1, min(most, share // per_cell) // self.sql.steps)
        rows = max(1, self._memory // 2 // max(1, self._sources) // ROW_BYTES)
        first = 0
        while first < anchors:
            stop = min(anchors, first + max(1, cells // max(1, self.sql.rows)))
            while stop > first + 1 and self._rows(moments, range(first, stop)) > rows:
                stop = first + (stop - first) // 2
            here = range(first, stop)
            parts = -(-self.sql.rows // cells) if len(here) == 1 else 1
            edges = np.linspace(0, self.sql.rows, max(1, parts) + 1).astype(np.int64).tolist()
            for start, end in pairwise(edges):
                yield Batch(here, range(start, end))
            first = stop

    def evaluated(self, moments: Moments, anchors: int, most: int) -> Iterator[tuple[Batch, Cells]]:
        """Yield the passes in order, as many at a time as there are threads."""
        threads = self._session.threads
        most = max(most // threads, min(most, self.sql.rows * self.sql.steps))
        waiting: deque[tuple[Batch, Future[Cells]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for part in self.passes(moments, anchors, most):
                waiting.append((part, pool.submit(self.cells, moments, part)))
                if len(waiting) > threads:
                    done, cells = waiting.popleft()
                    yield done, cells.result()
            while waiting:
                done, cells = waiting.popleft()
                yield done, cells.result()

    def cells(self, moments: Moments, part: Batch) -> Cells:
        """Evaluate the clauses in one pass."""
        work = _Pass(self, moments, part)
        keep = work.living()
        living = int(np.count_nonzero(keep))
        unchosen, unassumed = (_narrow(keep, holds) for holds in work.filters())
        target, there = work.target()
        absent = _narrow(keep, there)
        cells = np.flatnonzero(keep)
        held = np.count_nonzero(keep, axis=1)
        anchor = np.repeat(np.arange(part.anchors.start, part.anchors.stop), held)
        entity = cells
        if len(held) > 1 or part.entities.start:
            first = part.entities.start - np.arange(len(held)) * len(part.entities)
            entity = cells + np.repeat(first, held)
        return Cells(
            anchor=anchor,
            entity=entity,
            target=target(cells),
            living=living,
            left_out=(unchosen, unassumed, absent),
        )

    def weight(self, entity: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the weights of entities, NaN where they have none."""
        return self.entities.weight[entity]

    def decide(self, leaf: Leaf, fact: Fact, values: pa.Array) -> Mask:
        """Return whether a leaf holds for each value of an aggregation, as SQL says."""
        name = value_name(fact)
        with self.lock:
            return self._decide(leaf, fact, values, name)

    def _decide(self, leaf: Leaf, fact: Fact, values: pa.Array, name: str) -> Mask:
        self._session.register(name, pa.table({"value": values}))
        holds = (
            fact.leaf(leaf, name)
            if isinstance(leaf, Comparison)
            else compile_leaf(leaf, fact.operand(name))
        )
        rows = self._session.fetch(exp.select(holds.as_("holds")).from_(exp.to_table(name)))
        found: Mask = rows.column("holds").to_numpy().astype(np.bool_)
        return found

    def _rows(self, moments: Moments, anchors: range) -> int:
        """Return at most how many rows a pass reads of one staged table."""
        most = 0
        for evaluator in self.evaluators:
            count = evaluator.source.count
            if count is not None:
                low, high = moments.ends(evaluator.fact.number, anchors)
                most = max(most, int(count.between(low.min(), high.max())))
        return most


@dataclass(frozen=True)
class _Entities:
    """The staged entities by dense row; whoever is not staged has no key."""

    has_key: Mask
    since: Times | None
    until: Times | None
    weight: npt.NDArray[np.float64]
    columns: dict[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, session: Session, sql: LabelSql) -> _Entities:
        stage = sql.stages[0]
        scan = session.scan(sql.query.entity_table)
        names = ["entity", "has_key", "weight"]
        times = []
        if scan.table.time_column is not None:
            times.append("since")
        if scan.table.end_time_column is not None:
            times.append("until")
        staged = sql.own_conditions
        for pair in staged.lives.values():
            times += pair
        truths = [*staged.columns.values(), *(f"{c}_present" for c in staged.columns.values())]
        session.materialise(stage.name, stage.rows)
        rows = session.fetch(
            exp.select(
                *(column(n, ENTITIES) for n in (*names, *times, *dict.fromkeys(truths)))
            ).from_(exp.to_table(ENTITIES))
        )
        place = rows.column("entity").to_numpy()

        def spread(name: str, missing: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
            found = np.full(sql.rows, missing, dtype=dtype)
            held = rows.column(name)
            found[place] = (
                held.fill_null(missing).to_numpy() if held.null_count else held.to_numpy()
            )
            return found

        # A begin that is missing never comes; an end that is missing neither.
        held = {name: spread(name, LATEST, np.int64) for name in times}
        held |= {name: spread(name, False, np.bool_) for name in truths}
        return cls(
            has_key=spread("has_key", False, np.bool_),
            since=held.get("since"),
            until=held.get("until"),
            weight=spread("weight", np.nan, np.float64),
            columns=held,
        )


class _Pass:
    """Some anchors, some entities: the clauses as masks ``[n, E]``, or of a shape that spreads."""

    def __init__(self, grid: Grid, moments: Moments, part: Batch) -> None:
        self._grid = grid
        self._sql = grid.sql
        self._moments = moments
        self._part = part
        self._slice = slice(part.entities.start, part.entities.stop)
        self._shape = (len(part.anchors), len(part.entities))
        table = moments.table.column("moment").to_numpy()
        self._moment = table.reshape(-1, moments.steps)[part.anchors.start : part.anchors.stop, 0]
        self._values: dict[tuple[int, int], CellValues] = {}

    def living(self) -> Mask:
        """Return the cells whose entity has a key and lives at the anchor."""
        entities = self._grid.entities
        found = np.empty(self._shape, dtype=np.bool_)
        found[:] = entities.has_key[self._slice]
        for n, moment in enumerate(self._moment.tolist()):
            if entities.since is not None:
                found[n] &= entities.since[self._slice] <= moment
            if entities.until is not None:
                found[n] &= _unended(entities.until[self._slice], moment)
        return found

    def filters(self) -> Iterator[Mask | None]:
        """Yield where WHERE holds, then where ASSUMING does; None is everywhere."""
        yield self._holds(self._sql.where, sight=Sight.past, as_of_anchor=True)
        yield self._holds(self._sql.assuming, sight=Sight.ahead)

    def target(self) -> tuple[Callable[[npt.NDArray[np.int64]], pa.Array], Mask | None]:
        """Return how to read the target of some cells, and where there is one."""
        match self._sql.target:
            case None:
                return lambda cells: pa.nulls(len(cells)), None
            case Aggregation() as aggregation:
                return self._aggregated(self._fact(aggregation))
            case condition:
                holds = self._holds(condition)  # type: ignore[arg-type]
                there: Mask | None = None
                for leaf in leaves(condition):  # type: ignore[arg-type]
                    if isinstance(leaf, Comparison):
                        there = _both(there, self._presence(leaf))
                if holds is None:
                    raise InternalError("a target that is a condition holds somewhere or not")
                truth = np.broadcast_to(holds, self._shape).ravel()
                return lambda cells: pa.array(truth[cells]), there

    def _aggregated(
        self, fact: Fact
    ) -> tuple[Callable[[npt.NDArray[np.int64]], pa.Array], Mask | None]:
        if not fact.stepped:
            found = self._value(fact)
            return found.arrow, found.there
        steps = [self._value(fact, step) for step in range(self._sql.steps)]
        there: Mask | None = None
        for found in steps:
            there = _both(there, found.there)

        def forecasts(cells: npt.NDArray[np.int64]) -> pa.Array:
            values = [s.value.ravel()[cells].astype(np.float64) for s in steps]
            flat = np.stack(values, axis=1).ravel() if len(cells) else np.zeros(0)
            return pa.FixedSizeListArray.from_arrays(pa.array(flat), len(steps))

        return forecasts, there

    # -- conditions ------------------------------------------------------------------------------

    def _holds(
        self,
        condition: Condition | None,
        *,
        sight: Sight | None = None,
        as_of_anchor: bool = False,
    ) -> Mask | None:
        def holds(node: Condition) -> Mask:
            match node:
                case And(left=left, right=right):
                    return holds(left) & holds(right)
                case Or(left=left, right=right):
                    return holds(left) | holds(right)
                case Not(condition=inner):
                    return ~holds(inner)
                case Comparison() | IsNull():
                    if isinstance(node.operand, ColumnRef):
                        return self._own(node, as_of_anchor=as_of_anchor)
                    fact = self._fact(node.operand, sight)
                    return self._compared(node, fact)

        return None if condition is None else holds(condition)

    def _own(self, leaf: Leaf, *, as_of_anchor: bool) -> Mask:
        """Return where a leaf on the entity's columns holds: [1, E]; as of the anchors [n, E]."""
        staged, entities = self._sql.own_conditions, self._grid.entities
        held: Mask = entities.columns[staged.columns[leaf]][self._slice]
        hop = leaf.operand.hop if isinstance(leaf.operand, ColumnRef) else None
        if not as_of_anchor or hop is None or hop not in staged.lives:
            return held[np.newaxis]
        since, until = (entities.columns[name][self._slice] for name in staged.lives[hop])
        found = np.empty(self._shape, dtype=np.bool_)
        for row, moment in zip(found, self._moment.tolist(), strict=True):
            known = (since <= moment) & _unended(until, moment)
            row[:] = np.where(known, held, value_when_absent(leaf))
        return found

    def _presence(self, leaf: Comparison) -> Mask | None:
        if isinstance(leaf.operand, ColumnRef):
            name = f"{self._sql.own_conditions.columns[leaf]}_present"
            held: Mask = self._grid.entities.columns[name][self._slice]
            return held[np.newaxis]
        return self._value(self._fact(leaf.operand)).there

    def _compared(self, leaf: Leaf, fact: Fact) -> Mask:
        """Return where a leaf on an aggregation holds."""
        values = self._value(fact)
        if isinstance(leaf, Comparison) and fact.kind == "integer" and values.dictionary is None:
            constant, compare = leaf.constant, _SIMPLE.get(leaf.operator)
            whole = isinstance(constant, int) and not isinstance(constant, bool)
            if compare is not None and whole and EARLIEST < constant < LATEST:  # type: ignore[operator]
                found: Mask = compare(values.value, constant)
                return found if values.there is None else found & values.there
        if values.dictionary is None:
            return self._grid.decide(leaf, fact, values.arrow()).reshape(self._shape)
        # Text is compared once for each different one, and once for none.
        texts = pa.concat_arrays([values.dictionary, pa.nulls(1, values.dictionary.type)])
        truth = self._grid.decide(leaf, fact, texts)
        code = values.value if values.there is None else np.where(values.there, values.value, -1)
        return truth[code]  # type: ignore[no-any-return]

    # -- values ----------------------------------------------------------------------------------

    def _fact(self, operand: Any, sight: Sight | None = None) -> Fact:
        """Return the fact of an aggregation in a filter, or without a sight in the target."""
        if sight is None:
            return self._sql.fact(operand, self._sql.target_sight, of_target=True)
        return self._sql.fact(operand, sight, of_target=False)

    def _value(self, fact: Fact, step: int = 0) -> CellValues:
        key = (fact.number, step)
        if key not in self._values:
            low, high = (
                ends.reshape(-1, self._moments.steps)[:, step]
                for ends in self._moments.ends(fact.number, self._part.anchors)
            )
            everybody = len(self._part.entities) == self._sql.rows
            self._values[key] = self._grid.evaluators[fact.number].values(
                low, high, self._part.entities, everybody=everybody
            )
        return self._values[key]


def _takes(session: Session, sql: LabelSql) -> bool:
    if not sql.query.temporal or sql.lists:
        return False
    for clause in (sql.target, sql.where, sql.assuming):
        nodes = [clause] if clause is None or isinstance(clause, Aggregation) else None
        if nodes is None:
            if isinstance(clause, ColumnRef) or not isinstance(clause, Condition):
                return False
            if any(not isinstance(n.operand, Aggregation | ColumnRef) for n in leaves(clause)):
                return False
    scans = session.scan
    return all(Evaluator.takes(f, scans(f.aggregation.column.table)) for f in sql.facts)


def _narrow(keep: Mask, holds: Mask | None) -> int:
    """Keep the cells where a mask holds, in place; return how many go."""
    if holds is None:
        return 0
    before = int(np.count_nonzero(keep))
    keep &= holds
    return before - int(np.count_nonzero(keep))


def _both(left: Mask | None, right: Mask | None) -> Mask | None:
    if left is None or right is None:
        return right if left is None else left
    return left & right


def _unended(until: Times, moment: int) -> Mask:
    """Return who has not ended; an end that is missing stands as ``LATEST``."""
    found: Mask = (until > moment) | (until == LATEST)
    return found
