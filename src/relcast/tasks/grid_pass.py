"""The clauses of a query over some anchors and entities, as masks and values of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
from relcast.tasks.conditions import Leaf, leaves, value_when_absent
from relcast.tasks.facts import Fact, Sight
from relcast.tasks.grid_entities import GridEntities, unended
from relcast.tasks.label_sql import LabelSql
from relcast.tasks.moments import Moments
from relcast.tasks.offsets import EARLIEST, LATEST

__all__ = ["Pass"]

Mask = npt.NDArray[np.bool_]

_SIMPLE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: np.equal,
    Operator.NE: np.not_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
}


class _Grid(Protocol):
    """What a pass asks of the grid that it is a part of."""

    sql: LabelSql
    entities: GridEntities
    evaluators: list[Evaluator]

    def decide(self, leaf: Leaf, fact: Fact, values: pa.Array) -> Mask:
        """Return whether a leaf holds for each value of an aggregation, as SQL says."""


class Pass:
    """Some anchors, some entities: the clauses as masks ``[n, E]``, or of a shape that spreads."""

    def __init__(self, grid: _Grid, moments: Moments, part: Batch) -> None:
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
                found[n] &= unended(entities.until[self._slice], moment)
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
            values = [s.at(cells).astype(np.float64) for s in steps]
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
        if not as_of_anchor or leaf not in staged.lives:
            return held[np.newaxis]
        since, until = (entities.columns[name][self._slice] for name in staged.lives[leaf])
        found = np.empty(self._shape, dtype=np.bool_)
        for row, moment in zip(found, self._moment.tolist(), strict=True):
            known = (since <= moment) & unended(until, moment)
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
                found: Mask = compare(values.at(slice(None)).reshape(self._shape), constant)
                return found if values.there is None else found & values.there
        if values.dictionary is None:
            return self._grid.decide(leaf, fact, values.arrow()).reshape(self._shape)
        # Text is compared once for each different one, and once for none.
        texts = pa.concat_arrays([values.dictionary, pa.nulls(1, values.dictionary.type)])
        truth = self._grid.decide(leaf, fact, texts)
        code = values.at(slice(None)).reshape(self._shape)
        if values.there is not None:
            code = np.where(values.there, code, -1)
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


def _both(left: Mask | None, right: Mask | None) -> Mask | None:
    if left is None or right is None:
        return right if left is None else left
    return left & right
