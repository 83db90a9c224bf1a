"""From syntax tree to checked query: ``check``. Every fault is found, not only the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from relcast.core.errors import Fault, InternalError, Position, PqlError
from relcast.core.schema import Graph, Link, Table
from relcast.pql.aggregated import check_aggregated, check_summand, keys_of, operand_of
from relcast.pql.arithmetic import constant_faults, impossible_parts
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
    IsNull,
    Not,
    Operand,
    Or,
    ProblemKind,
    Query,
    aggregations,
)
from relcast.pql.depth import guard
from relcast.pql.forecast import with_forecast
from relcast.pql.literals import name_text
from relcast.pql.parser import read
from relcast.pql.printer import to_text
from relcast.pql.scope import Scope
from relcast.pql.strict import extensions
from relcast.pql.target import check_target
from relcast.pql.tree import leaves
from relcast.pql.values import column_kind, fit, fit_key, label
from relcast.pql.warn import warnings
from relcast.pql.windows import Clause, check_window

__all__ = ["check"]


def check(
    query: str | Query,
    graph: Graph,
    *,
    category_counts: Mapping[tuple[str, str], int] | None = None,
    forecast_length: int | None = None,
    compatibility: Literal["kumo"] | None = None,
) -> CheckedQuery:
    """Check a query against a graph: names, links, types, windows, task type.

    Args:
        query: A text, or a tree of ``parse``.
        graph: The tables, columns and links that the query is about.
        category_counts: Numbers of distinct values by (table, column); a categorical column with
            exactly two is a binary target. Columns that are absent count as having more.

        forecast_length: The number of windows to forecast, where a plan says it; it takes the
            place of the query's own FORECAST, and the resolved tree says FORECAST with it.
        compatibility: ``"kumo"`` refuses what only we have, by ``pql.extension``.

    Returns:
        The resolved tree with its task type; warnings that do not stop anybody.

    Raises ``PqlError`` with all faults in the order of the text; its code is the first one's.
    """
    if isinstance(query, str):
        reading = read(query)
        text, tree, early = query, reading.query, list(reading.faults)
    else:
        guard(query)
        reading = None
        text, tree, early = to_text(query), query, list(constant_faults(query))
    if forecast_length is not None:
        tree, fault_of_plan = with_forecast(tree, forecast_length)
        early += fault_of_plan
    checker = _Checker(tree, graph)
    resolved = checker.resolve()
    task = check_target(resolved, checker.scope, category_counts or {})
    ours = tuple(_in_order(list(extensions(resolved, reading)), []))
    if compatibility is not None:
        early += ours
    faults = _in_order(early, checker.scope.faults)
    if faults:
        raise PqlError.of(faults)
    if task is None:
        raise InternalError(f"The query {text!r} has no task type and no fault")
    return CheckedQuery(
        text=text,
        query=resolved,
        task_type=task,
        temporal=checker.temporal,
        warnings=tuple(warnings(resolved, graph, temporal=checker.temporal)),
        extensions=ours,
    )


def _in_order(early: list[Fault], late: list[Fault]) -> list[Fault]:
    """Return all faults by place, each once, and none that another at its place caused."""
    broken = {f.position for f in early if f.code != "pql.extension"}
    faults = early + [f for f in late if f.position not in broken]
    unique = list(dict.fromkeys(faults))
    return sorted(unique, key=lambda f: _key(f.position))


def _key(position: Position | None) -> tuple[int, int]:
    return (0, 0) if position is None else (position.line, position.column)


class _Checker:
    """Resolve one query, clause by clause."""

    def __init__(self, query: Query, graph: Graph) -> None:
        self.query = query
        self.graph = graph
        self.scope = Scope(graph)
        self.entity = graph.tables.get(query.entity.table)
        self.temporal = self._is_temporal()

    def _is_temporal(self) -> bool:
        """Whether examples have an anchor: some aggregation, unless links without a window."""
        target, problem = self.query.target, self.query.problem
        if isinstance(target, Aggregation):
            ranks = problem is not None and problem.kind is ProblemKind.RANK
            is_list = target.kind is AggregationKind.LIST_DISTINCT
            return not (
                is_list
                and ranks
                and target.window is None
                and any(keys_of(target.column, self.graph))
            )
        return any(True for _ in aggregations(target))

    def resolve(self) -> Query:
        entity = self._entity()
        target = self._expression(self.query.target, Clause.target)
        where = self.query.where
        assuming = self.query.assuming
        return replace(
            self.query,
            entity=entity,
            target=target,
            where=None if where is None else self._condition(where, Clause.where),
            assuming=None if assuming is None else self._assuming(assuming),
        )

    def _entity(self) -> ColumnRef:
        ref = self.query.entity
        table = self.entity
        primary = None if table is None else table.primary_key
        advice = "" if primary is None else f"Its primary key is {name_text(primary)}."
        typed = self.scope.typed(ref, advice=advice)
        if table is None or ref.column is None:
            return typed
        key = table.primary_key
        if ref.column != key and table.has_column(ref.column):
            self.scope.add(
                "pql.entity_not_primary_key",
                f"{label(ref)} is not the primary key of {name_text(table.name)}",
                f"Set a primary key for {name_text(table.name)} first."
                if key is None
                else f"Write {name_text(table.name)}.{name_text(key)}.",
                ref.position,
            )
        if self.query.keys is not None and typed.dtype is not None and typed.stype is not None:
            kind = column_kind(typed.dtype, typed.stype)
            for value in self.query.keys:
                faults = fit_key(value, kind, label(ref), self.query.keys_position)
                self.scope.faults += faults
                if faults:
                    break
        return typed

    def _assuming(self, condition: Condition) -> Condition:
        if not self.temporal:
            self.scope.add(
                "pql.assuming_static",
                "ASSUMING speaks about the future, and this query has no time",
                "Remove it, or predict an aggregation over a window.",
                condition.position,
            )
        for leaf in leaves(condition):
            if self.temporal and isinstance(leaf, ColumnRef):
                self.scope.add(
                    "pql.assuming_static",
                    f"ASSUMING speaks about the future, and {label(leaf)} is a plain column",
                    "Write an aggregation over a future window, or move this to WHERE.",
                    leaf.position,
                )
        return self._condition(condition, Clause.assuming)

    # -- expressions ------------------------------------------------------------------------

    def _expression(self, node: Expression, clause: Clause) -> Expression:
        if isinstance(node, Operand):
            return self._operand(node, clause)
        return self._condition(node, clause)

    def _condition(self, node: Condition, clause: Clause) -> Condition:
        match node:
            case Comparison():
                operand = self._operand(node.operand, clause)
                return self._comparison(replace(node, operand=operand))
            case IsNull():
                return replace(node, operand=self._operand(node.operand, clause))
            case Not():
                return replace(node, condition=self._condition(node.condition, clause))
            case And() | Or():
                return replace(
                    node,
                    left=self._condition(node.left, clause),
                    right=self._condition(node.right, clause),
                )

    def _operand(self, node: Operand, clause: Clause) -> Operand:
        match node:
            case ColumnRef():
                return self.scope.reachable(node, self.entity)
            case Aggregation():
                return self._aggregation(node, clause)
            case Arithmetic():
                return self._arithmetic(node, clause)

    def _comparison(self, node: Comparison) -> Comparison:
        operand = operand_of(node.operand)
        if operand is None:
            return node
        fitted, faults = fit(node, operand)
        self.scope.faults += faults
        return fitted

    def _aggregation(self, node: Aggregation, clause: Clause) -> Aggregation:
        scope = self.scope
        column = scope.typed(node.column, star=node.kind is AggregationKind.COUNT)
        table = self.graph.tables.get(column.table)
        path = scope.path(node, self.entity)
        check_aggregated(node, column, scope)
        check_window(node, clause, table, scope, temporal=self.temporal)
        where = node.where
        if where is not None:
            where = self._inner(where, table)
        items = self._items(column) if node.kind is AggregationKind.LIST_DISTINCT else None
        return replace(node, column=column, path=path, items=items, where=where)

    def _arithmetic(self, node: Arithmetic, clause: Clause) -> Arithmetic:
        """Resolve both sides; note what is no number, and what is NULL for everybody."""
        for part in impossible_parts(node):
            self.scope.add(
                "pql.nothing_to_predict" if clause is Clause.target else "pql.type_mismatch",
                "A part of the arithmetic divides by 0 or is too large, so that it is NULL for "
                "everybody",
                "Divide by an aggregation, or by a number other than 0.",
                part.position,
            )
        return self._sides(node, clause)

    def _sides(self, node: Arithmetic, clause: Clause) -> Arithmetic:
        sides: list[Aggregation | Arithmetic | int | Decimal] = []
        for side in (node.left, node.right):
            match side:
                case Aggregation():
                    resolved = self._aggregation(side, clause)
                    check_summand(resolved, self.scope)
                    sides.append(resolved)
                case Arithmetic():
                    sides.append(self._sides(side, clause))
                case _:
                    sides.append(side)
        return replace(node, left=sides[0], right=sides[1])

    def _items(self, column: ColumnRef) -> Link | None:
        """Return the link to what a column's values name, when it is a foreign key."""
        return next(keys_of(column, self.graph), None)

    def _inner(self, node: Condition, table: Table | None) -> Condition:
        """Resolve a filter inside an aggregation: ``table``'s columns, or one foreign key away."""
        match node:
            case Comparison(operand=ColumnRef() as ref):
                return self._comparison(replace(node, operand=self.scope.reachable(ref, table)))
            case IsNull(operand=ColumnRef() as ref):
                return replace(node, operand=self.scope.reachable(ref, table))
            case Not():
                return replace(node, condition=self._inner(node.condition, table))
            case And() | Or():
                return replace(
                    node, left=self._inner(node.left, table), right=self._inner(node.right, table)
                )
            case _:
                self.scope.add(
                    "pql.syntax",
                    "An aggregation stands in the filter inside another one",
                    "A filter inside an aggregation compares columns.",
                    node.position,
                )
                return node
