"""Labels: the value of a query's target, and whether its filters hold, for many examples at once.

Works in batches of examples, so that memory is bounded whatever the number of anchors and however
much their windows overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.core.schema import TaskType
from relcast.pql.ast import (
    Aggregation,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
    aggregations,
)
from relcast.tasks.conditions import (
    TRUE,
    Leaf,
    Operand,
    both,
    compile_condition,
    compile_leaf,
    leaves,
)
from relcast.tasks.facts import Fact, stage_fact
from relcast.tasks.offsets import EARLIEST, LATEST, Times, bounds
from relcast.tasks.scan import Session
from relcast.tasks.staging import Focus, StagedLeaves, within_life

__all__ = ["Labeller", "Labels"]

BATCH = 2_000_000
"""Examples that are looked at in one pass; a few hundred bytes each."""


@dataclass(frozen=True)
class Labels:
    """What a batch of examples is, in ascending order of ``pair``.

    Attributes:
        entity: int64[n] dense entity rows.
        anchor: int64[n] index of the anchor; 0 for a static query.
        target: The target's value as an Arrow array: bool, number, or a class's value; NULL where
            the example is to be dropped.
        chosen: bool[n], whether the WHERE clause holds.
        assumed: bool[n], whether the ASSUMING clause holds.
        weight: float64[n] or None.
        time: int64[n] ns; the time that orders a static query's rows; None without one.
        considered: Examples looked at, eligible or not.
    """

    pair: npt.NDArray[np.int64]
    entity: npt.NDArray[np.int64]
    anchor: npt.NDArray[np.int64]
    target: pa.Array
    chosen: npt.NDArray[np.bool_]
    assumed: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64] | None
    time: npt.NDArray[np.int64] | None
    considered: int

    def take(self, keep: npt.NDArray[np.bool_]) -> Labels:
        """Return the examples where a mask holds."""
        return Labels(
            pair=self.pair[keep],
            entity=self.entity[keep],
            anchor=self.anchor[keep],
            target=self.target.filter(pa.array(keep)),
            chosen=self.chosen[keep],
            assumed=self.assumed[keep],
            weight=None if self.weight is None else self.weight[keep],
            time=None if self.time is None else self.time[keep],
            considered=self.considered,
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
    ) -> None:
        """Choose what is evaluated: the target, the WHERE clause, the ASSUMING clause."""
        self.session = session
        self.query = query
        self._target: Expression | None = query.query.target if target else None
        self._where = query.query.where if where else None
        self._assuming = query.query.assuming if assuming else None
        self._weight = weight_column
        self._classes = query.task_type is TaskType.MULTICLASS_CLASSIFICATION
        self._entities = session.scan(query.entity_table)
        self.rows = self._entities.rows
        self._staged, self._column = self._stage_entities()
        self.has_static_time = self._static_time is not None
        self._facts: dict[tuple[Aggregation, bool], Fact] = {}
        for condition, back in (
            (self._target, False),
            (self._assuming, False),
            (self._where, True),
        ):
            for aggregation in aggregations(condition):
                key = (aggregation, back)
                if key not in self._facts:
                    self._facts[key] = stage_fact(
                        session, aggregation, len(self._facts), looks_back=back
                    )

    # -- examples ---------------------------------------------------------------------------

    def static(self) -> Labels:
        """Return every entity with a key, as a static query sees it (no anchor)."""
        moment = np.array([LATEST], dtype=np.int64)
        pairs = self._eligible(0, 1, eligible=False)
        return self._evaluate(moment, moment, 0, 1, pairs, considered=self.rows)

    def grid(self, anchors: Times, shift_from: Times | None = None) -> Iterator[Labels]:
        """Yield the eligible entities at each anchor, a batch of whole anchors at a time.

        ``anchors`` ascend. ``shift_from`` gives the moments that windows are counted from, where
        they are not the anchors themselves.
        """
        per = max(1, BATCH // max(1, self.rows))
        origin = anchors if shift_from is None else shift_from
        for first in range(0, len(anchors), per):
            stop = min(len(anchors), first + per)
            self._register_bounds(anchors, origin)
            pairs = self._eligible(first, stop, eligible=True)
            yield self._evaluate(
                anchors, origin, first, stop, pairs, considered=(stop - first) * self.rows
            )

    def pairs(
        self, entity: npt.NDArray[np.int64], anchor: Times, origin: Times | None = None
    ) -> Iterator[Labels]:
        """Yield the given (entity row, anchor) examples, eligible or not, in batches, in order.

        ``Labels.anchor`` is meaningless here; ``pair`` is the example's place.
        """
        for first in range(0, len(entity), BATCH):
            part = slice(first, first + BATCH)
            anchors, place = np.unique(
                np.stack([anchor[part], (anchor if origin is None else origin)[part]]),
                axis=1,
                return_inverse=True,
            )
            self._register_bounds(anchors[0], anchors[1])
            numbers = np.arange(first, first + len(place.ravel()), dtype=np.int64)
            self.session.register(
                "given",
                pa.table({"pair": numbers, "entity": entity[part], "anchor": place.ravel()}),
            )
            given = exp.select("pair", "entity", "anchor").from_("given")
            yield self._evaluate(
                anchors[0], anchors[1], 0, anchors.shape[1], given, considered=len(numbers)
            )

    # -- one batch --------------------------------------------------------------------------

    def _evaluate(
        self,
        anchors: Times,
        origin: Times,
        first: int,
        stop: int,
        pairs: exp.Select,
        considered: int,
    ) -> Labels:
        if not self.query.temporal:
            self._register_bounds(anchors, origin)
        self.session.materialise("pairs", pairs)
        moment = _column("moment", "bounds") if self.query.temporal else None
        target, valid = self._target_sql()
        select = exp.select(
            _column("pair", "pairs"),
            _column("entity", "pairs"),
            _column("anchor", "pairs"),
            exp.Case().when(valid, target).as_("target", quoted=True),
            self._condition(self._where, True, moment).as_("chosen", quoted=True),
            self._condition(self._assuming, False, moment).as_("assumed", quoted=True),
            _column("weight", "entities"),
            _column("static_time", "entities"),
        ).from_(exp.to_table("pairs"))
        select = select.join(
            exp.to_table("bounds"), on=_same("anchor", "bounds", "pairs"), copy=False
        )
        select = select.join(
            exp.to_table("entities"), on=_same("entity", "entities", "pairs"), copy=False
        )
        for fact in self._facts.values():
            name = _value_name(fact)
            low, high = bounds(fact.aggregation.window, origin[first:stop])  # type: ignore[arg-type]
            span = (int(low.min(initial=LATEST)), int(high.max(initial=EARLIEST)))
            grouped = fact.grouped(span).subquery(alias=exp.to_identifier(name, quoted=True))
            select = select.join(
                grouped, on=_same("pair", name, "pairs"), join_type="left", copy=False
            )
        rows = self.session.fetch(select.order_by(_column("pair", "pairs")))
        return Labels(
            pair=_integers(rows, "pair"),
            entity=_integers(rows, "entity"),
            anchor=_integers(rows, "anchor"),
            target=_target(rows.column("target")),
            chosen=rows.column("chosen").to_numpy().astype(np.bool_),
            assumed=rows.column("assumed").to_numpy().astype(np.bool_),
            weight=None if self._weight is None else _floats(rows, "weight"),
            time=_integers(rows, "static_time", EARLIEST) if self.has_static_time else None,
            considered=considered,
        )

    def _register_bounds(self, anchors: Times, origin: Times) -> None:
        columns: dict[str, npt.NDArray[np.int64]] = {
            "anchor": np.arange(len(anchors), dtype=np.int64),
            "moment": anchors,
        }
        for fact in self._facts.values():
            if fact.aggregation.window is None:
                raise InternalError("the query was not checked: an aggregation has no window")
            low, high = bounds(fact.aggregation.window, origin)
            columns[f"low_{fact.number}"], columns[f"high_{fact.number}"] = low, high
        self.session.register("bounds", pa.table(columns))

    def _eligible(self, first: int, stop: int, *, eligible: bool) -> exp.Select:
        """Return the pairs of a range of anchors: entities with a key, living at the anchor."""
        if not eligible:
            return (
                exp.select(
                    _column("entity", "entities").as_("pair", quoted=True),
                    _column("entity", "entities"),
                    exp.cast(exp.Literal.number(0), "BIGINT").as_("anchor", quoted=True),
                )
                .from_(exp.to_table("entities"))
                .where(_column("has_key", "entities"))
            )
        entity, anchor = _column("entity", "entities"), _column("anchor", "bounds")
        pair = exp.Add(
            this=exp.Mul(this=anchor, expression=exp.Literal.number(self.rows)), expression=entity
        )
        since = _column("since", "entities") if self._entities.table.time_column else None
        until = _column("until", "entities") if self._entities.table.end_time_column else None
        return (
            exp.select(pair.as_("pair", quoted=True), entity.copy(), anchor.copy())
            .from_(exp.to_table("entities"))
            .join(exp.to_table("bounds"), join_type="cross")
            .where(
                _column("has_key", "entities"),
                exp.GTE(this=anchor.copy(), expression=exp.Literal.number(first)),
                exp.LT(this=anchor.copy(), expression=exp.Literal.number(stop)),
                within_life(since, until, _column("moment", "bounds")),
            )
        )

    # -- SQL of the clauses -----------------------------------------------------------------

    def _target_sql(self) -> tuple[exp.Expr, exp.Expr]:
        """Return the target's SQL, and whether it is there at all."""
        match self._target:
            case None:
                return exp.null(), TRUE.copy()
            case Aggregation():
                found = self._operand(self._target, False)
                return found.value, _present(found)
            case ColumnRef():
                value = _column("column", "entities")
                return value, _present(
                    Operand(value, self._column.kind if self._column else "text")
                )
            case condition:
                # Every comparison needs its operand; a null test needs none.
                needed = [
                    self._presence(leaf)
                    for leaf in leaves(condition)
                    if isinstance(leaf, Comparison)
                ]
                return self._condition(condition, False, None), both(*needed)

    def _presence(self, leaf: Comparison) -> exp.Expr:
        if isinstance(leaf.operand, Aggregation):
            return _present(self._operand(leaf.operand, False))
        return _column(f"present_{self._present_of[leaf]}", "entities")

    def _operand(self, aggregation: Aggregation, back: bool) -> Operand:
        fact = self._facts[aggregation, back]
        return fact.operand(_value_name(fact))

    def _condition(
        self,
        condition: Condition | None,
        back: bool,
        moment: exp.Expr | None,
    ) -> exp.Expr:
        if condition is None:
            return TRUE.copy()

        def leaf(node: Leaf) -> exp.Expr:
            if isinstance(node.operand, Aggregation):
                return compile_leaf(node, self._operand(node.operand, back))
            return self._staged.leaf(node, "entities", moment)

        return compile_condition(condition, leaf)

    # -- entities ---------------------------------------------------------------------------

    def _stage_entities(self) -> tuple[StagedLeaves, Operand | None]:
        """Store ``entities (entity, has_key, since, until, leaf_i, present_i, column, ...)``."""
        scan = self._entities
        focus = Focus(self.session, scan, "own")
        conditions = [self._where, self._assuming]
        column: Operand | None = None
        if isinstance(self._target, ColumnRef):
            column = focus.operand(self._target)
        elif self._target is not None and not isinstance(self._target, Aggregation):
            conditions.append(self._target)
        own = [n for c in conditions for n in leaves(c) if isinstance(n.operand, ColumnRef)]
        staged = StagedLeaves.of(focus, own)
        self._present_of = {leaf: n for n, leaf in enumerate(staged.columns)}
        extra = staged.projections(focus)
        for leaf, n in self._present_of.items():
            if isinstance(leaf.operand, ColumnRef):
                found = _present(focus.operand(leaf.operand))
                extra.append(found.as_(f"present_{n}", quoted=True))
        key = scan.table.primary_key
        if key is None:
            raise InternalError("the query was not checked: the entity table has no primary key")
        weight = exp.null() if self._weight is None else scan.value(self._weight, "own")
        self._static_time = None if self.query.temporal else self._order_time(focus)
        extra += [
            scan.row("own").as_("entity", quoted=True),
            exp.not_(exp.paren(exp.Is(this=scan.raw(key, "own"), expression=exp.null()))).as_(
                "has_key", quoted=True
            ),
            exp.cast(scan.time("own") or exp.null(), "BIGINT").as_("since", quoted=True),
            exp.cast(scan.end_time("own") or exp.null(), "BIGINT").as_("until", quoted=True),
            (exp.null() if column is None else column.value).as_("column", quoted=True),
            exp.cast(weight, "DOUBLE").as_("weight", quoted=True),
            exp.cast(self._static_time or exp.null(), "BIGINT").as_("static_time", quoted=True),
        ]
        self.session.materialise("entities", focus.from_(exp.select(*extra)))
        return staged, column

    def _order_time(self, focus: Focus) -> exp.Expr | None:
        """Return the time that orders a static query's rows: the entity's, else the target's."""
        own = focus.scan.time(focus.alias)
        if own is not None:
            return own
        for ref in _columns(self.query.query.target):
            if ref.hop is not None and ref.hop in focus.hops:
                found = self.session.scan(ref.hop.to).time(focus.hops[ref.hop])
                if found is not None:
                    return found
        return None


def _columns(node: Expression | None) -> Sequence[ColumnRef]:
    if isinstance(node, ColumnRef):
        return [node]
    if node is None or isinstance(node, Aggregation):
        return []
    return [n.operand for n in leaves(node) if isinstance(n.operand, ColumnRef)]


def _present(found: Operand) -> exp.Expr:
    return exp.paren(exp.not_(exp.paren(exp.Is(this=found.value.copy(), expression=exp.null()))))


def _target(column: pa.ChunkedArray) -> pa.Array:
    """Return a target as one array: text dictionary-coded, exact integers as float64."""
    array = column.combine_chunks()
    if pa.types.is_decimal(array.type):  # how a sum of 64-bit integers arrives
        return array.cast(pa.float64())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.string()).dictionary_encode()
    return array


def _value_name(fact: Fact) -> str:
    return f"value_{fact.number}"


def _column(name: str, table: str) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def _same(name: str, left: str, right: str) -> exp.Expr:
    return exp.EQ(this=_column(name, left), expression=_column(name, right))


def _integers(rows: pa.Table, name: str, missing: int = 0) -> npt.NDArray[np.int64]:
    column = rows.column(name).cast(pa.int64()).fill_null(missing)
    return column.to_numpy().astype(np.int64, copy=False)  # type: ignore[no-any-return]


def _floats(rows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return rows.column(name).cast(pa.float64()).to_numpy().astype(np.float64, copy=False)  # type: ignore[no-any-return]
