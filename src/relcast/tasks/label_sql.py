"""The SQL of a query's labels: what to stage, and one statement over it. Nothing here runs.

    entities     one row per entity: life, key, own conditions, weight
    elements     one row per element of a static list
    fact_<i>     one row per row that an aggregation reads
    pairs        the examples: entity and anchor
    bounds       given: anchor, step, moment, and the ends of each window

``LabelSql`` writes these and the statement that gives the labels; ``labels.Labeller`` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from sqlglot import exp

from relcast.core.schema import TaskType
from relcast.pql.ast import (
    Aggregation,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
)
from relcast.tasks.arithmetic import arithmetic
from relcast.tasks.conditions import (
    TRUE,
    Leaf,
    Operand,
    both,
    compile_condition,
    compile_leaf,
    leaves,
)
from relcast.tasks.entities import EntityRows
from relcast.tasks.fact_set import FactSet
from relcast.tasks.facts import Fact, Sight
from relcast.tasks.moments import Moments, Moved
from relcast.tasks.offsets import Times
from relcast.tasks.scan import Catalog
from relcast.tasks.sql import column, present, same
from relcast.tasks.staging import StagedLeaves, within_life
from relcast.tasks.sums import Scale

__all__ = ["ELEMENTS", "ENTITIES", "LISTS", "LabelSql", "Stage", "value_name"]

ENTITIES = "entities"
ELEMENTS = "elements"
_LISTED = "listed"
LISTS = frozenset(
    {
        TaskType.MULTILABEL_CLASSIFICATION,
        TaskType.MULTILABEL_RANKING,
        TaskType.TEMPORAL_LINK_PREDICTION,
        TaskType.STATIC_LINK_PREDICTION,
    }
)
"""The tasks whose targets are lists."""


class Stage(NamedTuple):
    """A table to store before the labels are asked for."""

    name: str
    rows: exp.Select


class LabelSql:
    """The SQL of a query's target and filters.

    Attributes:
        query: The query.
        target, where, assuming: The clauses that are evaluated; None for the others.
        target_sight: From where the target's rows are seen.
        steps: Windows of a forecast; 1 for other targets.
        forecasts: Whether the target is a forecast: each of its windows is a row of the labels.
        lists: Whether the target is a list: then each of its elements is a row of the labels.
        rows: Rows of the entity table.
        has_static_time: Whether ``static_time`` orders the rows of a static query.
        weighted: Whether entities have weights.
    """

    def __init__(
        self,
        catalog: Catalog,
        query: CheckedQuery,
        *,
        target: bool = True,
        where: bool = True,
        assuming: bool = True,
        weight_column: str | None = None,
        chosen_entities: str | None = None,
        moved: Moved | None = None,
    ) -> None:
        """Choose the clauses that are evaluated.

        ``chosen_entities`` names a table ``entity`` of the dense rows that are looked at; None is
        all. ``moved`` moves the target's windows into the past.
        """
        self.catalog = catalog
        self.query = query
        self.target: Expression | None = query.query.target if target else None
        self.where = query.query.where if where else None
        self.assuming = query.query.assuming if assuming else None
        self._moved = moved
        self.target_sight = Sight.ahead if moved is None else Sight.either
        self.steps = (query.forecast_length or 1) if target else 1
        self.forecasts = target and query.forecast_length is not None
        self.lists = target and query.task_type in LISTS
        self._scan = catalog.scan(query.entity_table)
        self.rows = self._scan.rows
        self._entities = EntityRows.of(
            catalog,
            query,
            target=self.target,
            filters=(self.where, self.assuming),
            lists=self.lists,
            weight_column=weight_column,
            chosen=chosen_entities,
        )
        self.has_static_time = self._entities.has_static_time
        self.weighted = weight_column is not None
        self._listed: int | None = None
        self._fact_set = FactSet(catalog)
        if self.lists and isinstance(self.target, Aggregation):
            dense_rows = query.items is not None
            self._listed = self._fact_set.add_list(
                self.target, self.target_sight, dense_rows=dense_rows
            )
        else:
            self._fact_set.add_target(self.target, self.target_sight, stepped=self.forecasts)
        self._fact_set.add(self.assuming, Sight.ahead)
        self._fact_set.add(self.where, Sight.past)

    @property
    def facts(self) -> list[Fact]:
        """What the aggregations read, by number."""
        return self._fact_set.facts

    @property
    def own_conditions(self) -> StagedLeaves:
        """Where the conditions on the entity's own columns stand."""
        return self._entities.conditions

    # -- what is stored --------------------------------------------------------------------------

    @property
    def stages(self) -> list[Stage]:
        """What to store before ``pairs``, in order; each reads the catalog's tables alone."""
        found = [Stage(ENTITIES, self._entities.rows)]
        if self._entities.elements is not None:
            found.append(Stage(ELEMENTS, self._entities.elements))
        return found + [Stage(fact.name, fact.rows) for fact in self.facts]

    def set_scale(self, number: int, scale: Scale) -> None:
        """Say how large the floats are that a fact adds, once it is stored."""
        self.facts[number] = replace(self.facts[number], scale=scale)

    def moments(self, anchors: Times) -> Moments:
        """Return the table ``bounds`` of some anchors."""
        return Moments.of(self.facts, anchors, self.steps, self._moved)

    def static_pairs(self) -> exp.Select:
        """Return ``pairs`` of a static query: the entities that have a key."""
        entity = column("entity", ENTITIES)
        anchor = exp.cast(exp.Literal.number(0), "BIGINT")
        return (
            exp.select(
                entity.as_("pair", quoted=True), entity.copy(), anchor.as_("anchor", quoted=True)
            )
            .from_(exp.to_table(ENTITIES))
            .where(column("has_key", ENTITIES))
        )

    def living_pairs(self, anchors: range, entities: range) -> exp.Select:
        """Return ``pairs`` of a range of anchors: entities with a key, living at the anchor."""
        entity, anchor = column("entity", ENTITIES), column("anchor", "bounds")
        pair = exp.Add(
            this=exp.Mul(this=anchor, expression=exp.Literal.number(self.rows)), expression=entity
        )
        since = column("since", ENTITIES) if self._scan.table.time_column else None
        until = column("until", ENTITIES) if self._scan.table.end_time_column else None
        tests = [
            column("has_key", ENTITIES),
            exp.EQ(this=column("step", "bounds"), expression=exp.Literal.number(0)),
            exp.GTE(this=anchor.copy(), expression=exp.Literal.number(anchors.start)),
            exp.LT(this=anchor.copy(), expression=exp.Literal.number(anchors.stop)),
            within_life(since, until, column("moment", "bounds")),
        ]
        if len(entities) < self.rows:
            tests.append(exp.GTE(this=entity.copy(), expression=exp.Literal.number(entities.start)))
            tests.append(exp.LT(this=entity.copy(), expression=exp.Literal.number(entities.stop)))
        return (
            exp.select(pair.as_("pair", quoted=True), entity.copy(), anchor.copy())
            .from_(exp.to_table(ENTITIES))
            .join(exp.to_table("bounds"), join_type="cross")
            .where(*tests)
        )

    # -- the labels ------------------------------------------------------------------------------

    def labels(self, spans: Mapping[int, tuple[int, int]] | None = None) -> exp.Select:
        """Return the statement that gives the labels of ``pairs``, in ascending order of ``pair``.

        Columns: ``pair, entity, anchor, target, chosen, assumed, weight, static_time``. A forecast
        has one row per window, in the order of ``step``; a list one row per element, in the order
        of ``first``, or one with a NULL ``target`` when it has none, and ``present`` says whether
        there is a list. ``spans`` hold, by fact, all windows ``(low, high]`` of these pairs.
        """
        moment = column("moment", "bounds") if self.query.temporal else None
        target, valid = self._target_sql()
        order = [column("pair", "pairs")]
        columns: list[exp.Expr] = [
            column("pair", "pairs"),
            column("entity", "pairs"),
            column("anchor", "pairs"),
            exp.Case().when(valid, target).as_("target", quoted=True),
            self._condition(self.where, moment, sight=Sight.past).as_("chosen", quoted=True),
            self._condition(self.assuming, None).as_("assumed", quoted=True),
            column("weight", ENTITIES),
            column("static_time", ENTITIES),
        ]
        if self.forecasts:
            order.append(column("step", "bounds"))
        if self.lists:
            order.append(column("first", _LISTED))
            columns.append(self._list_is_there().as_("present", quoted=True))
        select = (
            exp.select(*columns)
            .from_(exp.to_table("pairs"))
            .join(exp.to_table("bounds"), on=same("anchor", "bounds", "pairs"), copy=False)
            .join(exp.to_table(ENTITIES), on=same("entity", ENTITIES, "pairs"), copy=False)
        )
        for fact in self.facts:
            select = self._with_fact(select, fact, (spans or {}).get(fact.number))
        if self.lists and self._listed is None:
            elements = exp.to_table(ELEMENTS).as_(_LISTED, quoted=True, table=True)
            select = select.join(
                elements, on=same("entity", _LISTED, "pairs"), join_type="left", copy=False
            )
        return select.order_by(*(o.copy() for o in order))

    def _with_fact(
        self, select: exp.Select, fact: Fact, span: tuple[int, int] | None
    ) -> exp.Select:
        if fact.number == self._listed:
            name, rows = _LISTED, fact.listed(span)
        else:
            name, rows = value_name(fact), fact.grouped(span, self.steps)
        on = same("pair", name, "pairs")
        if fact.stepped:
            on = exp.and_(on, same("step", name, "bounds"))
        grouped = rows.subquery(alias=exp.to_identifier(name, quoted=True))
        return select.join(grouped, on=on, join_type="left", copy=False)

    # -- clauses ---------------------------------------------------------------------------------

    def _target_sql(self) -> tuple[exp.Expr, exp.Expr]:
        """Return the target's SQL, and whether it is there at all."""
        if self.lists:
            return column("value", _LISTED), TRUE.copy()
        match self.target:
            case None:
                return exp.null(), TRUE.copy()
            case Aggregation() | Arithmetic():
                value = self._operand(self.target, self.target_sight, of_target=True).value
                return value, present(value)
            case ColumnRef():
                value = column("column", ENTITIES)
                return value, present(value)
            case condition:
                # Every comparison needs its operand; a null test needs none.
                needed = [self._presence(n) for n in leaves(condition) if isinstance(n, Comparison)]
                return self._condition(condition, None, of_target=True), both(*needed)

    def _list_is_there(self) -> exp.Expr:
        if self._listed is None:
            return column("list_is_there", ENTITIES)
        return present(column("value", _LISTED))

    def _presence(self, leaf: Comparison) -> exp.Expr:
        if isinstance(leaf.operand, ColumnRef):
            return self._entities.is_present(leaf, ENTITIES)
        return present(self._operand(leaf.operand, self.target_sight, of_target=True).value)

    def _condition(
        self,
        condition: Condition | None,
        moment: exp.Expr | None,
        *,
        sight: Sight = Sight.ahead,
        of_target: bool = False,
    ) -> exp.Expr:
        if condition is None:
            return TRUE.copy()
        sight = self.target_sight if of_target else sight

        def leaf(node: Leaf) -> exp.Expr:
            operand = node.operand
            if isinstance(operand, ColumnRef):
                return self._entities.conditions.leaf(node, ENTITIES, moment)
            if isinstance(operand, Aggregation) and isinstance(node, Comparison):
                fact = self.fact(operand, sight, of_target)
                return fact.leaf(node, value_name(fact))
            return compile_leaf(node, self._operand(operand, sight, of_target=of_target))

        return compile_condition(condition, leaf)

    def _operand(self, node: Aggregation | Arithmetic, sight: Sight, *, of_target: bool) -> Operand:
        def of(aggregation: Aggregation) -> Operand:
            fact = self.fact(aggregation, sight, of_target)
            return fact.operand(value_name(fact))

        return of(node) if isinstance(node, Aggregation) else arithmetic(node, of)

    def fact(self, aggregation: Aggregation, sight: Sight, of_target: bool) -> Fact:
        """Return what an aggregation in a clause reads."""
        return self._fact_set.of(aggregation, sight, of_target=of_target)


def value_name(fact: Fact) -> str:
    """Return the name under which a fact's values are joined."""
    return f"value_{fact.number}"
