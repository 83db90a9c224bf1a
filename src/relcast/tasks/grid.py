"""Labels of all entities at many anchors, on arrays: what ``label_sql`` gives, faster.

SQL reads the rows: scans, joins, filters, types. From then on an aggregation is an array
``[anchors, entities]`` that windows moving over the rows fill (``sweeps``), and clauses are masks
of that shape. Memory is bounded by passes of some anchors. ``Grid.of`` says which queries it takes;
the others, and examples that are given, stay with SQL.

    n  anchors of a pass    E  entities of a pass    a cell is one of both
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import RLock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.pql.ast import Aggregation, ColumnRef, Comparison, Condition
from relcast.tasks.batches import Batch
from relcast.tasks.cell_values import Evaluator
from relcast.tasks.conditions import Leaf, compile_leaf, leaves
from relcast.tasks.facts import Fact
from relcast.tasks.grid_entities import GridEntities
from relcast.tasks.grid_pass import Pass
from relcast.tasks.key_index import KeyIndex
from relcast.tasks.label_sql import LabelSql, value_name
from relcast.tasks.moments import Moments
from relcast.tasks.scan import Session
from relcast.tasks.timed_rows import ROW_BYTES, RowSource, TooWide, rows_of

__all__ = ["Cells", "Grid"]

Mask = npt.NDArray[np.bool_]

CELL_BYTES = 64
"""Of a cell and an aggregation in a pass."""


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
        self.entities = GridEntities.read(session, sql)
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
        work = Pass(self, moments, part)
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
        if self.entities.weight is None:
            raise InternalError("entities without weights were asked for them")
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
