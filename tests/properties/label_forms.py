"""Which forms of the language a checked query and its world are: what has been tried is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from relcast.core.schema import Dtype, Stype
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    IsNull,
    Not,
    Operator,
    Or,
    ProblemKind,
)
from tests.properties.label_worlds import Case

__all__ = ["forms"]

_WHOLE = ("target", "WHERE", "ASSUMING")
_ORDER = {Operator.LT, Operator.LE, Operator.GT, Operator.GE, Operator.BETWEEN}


def forms(case: Case, query: CheckedQuery) -> set[str]:
    """Return the names of all forms that a case has."""
    found = {f"task {query.task_type.value}"}
    parts = zip(_WHOLE, (query.query.target, query.query.where, query.query.assuming), strict=True)
    units = set()
    for part, tree in parts:
        if tree is None:
            continue
        if part != "target":
            found.add(part)
        for node, depth in _walk(tree, 0):
            found |= set(_of_node(node, part, depth))
            if isinstance(node, Aggregation) and node.window is not None:
                units.add(node.window.unit)
                found.add(f"unit {node.window.unit.value}")
    if len(units) > 1:
        found.add("mixed units")
    if case.forecast_length is not None:
        found.add("forecast length of the plan")
    problem = query.query.problem
    if problem is not None and problem.kind is not ProblemKind.FORECAST:
        listed = "LIST_DISTINCT" if query.temporal else "static"
        found.add(f"{listed} {problem.kind.value}")
        if isinstance(query.query.target, Aggregation) and query.query.target.items is not None:
            found.add(f"keys {problem.kind.value}")
    if query.query.keys is not None:
        found.add("FOR key")
    return found | set(_of_world(case, query))


def _walk(node: Any, depth: int) -> Iterator[tuple[Any, int]]:
    match node:
        case And(left=left, right=right) | Or(left=left, right=right):
            yield node, depth
            yield from _walk(left, depth)
            yield from _walk(right, depth)
        case Not(condition=condition):
            yield node, depth
            yield from _walk(condition, depth)
        case Comparison(operand=operand) | IsNull(operand=operand):
            yield node, depth
            yield from _walk(operand, depth)
        case Arithmetic(left=left, right=right):
            yield node, depth
            yield from _walk(left, depth + 1)
            yield from _walk(right, depth + 1)
        case Aggregation() | ColumnRef():
            yield node, depth


def _of_node(node: Any, part: str, depth: int) -> Iterator[str]:
    match node:
        case Aggregation():
            yield node.kind.value
            yield f"{len(node.path)} hops in {part}"
            if node.window is not None and node.window.start is None:
                yield "-INF"
            if node.where is not None:
                yield "filter inside"
                for inner, _ in _walk(node.where, 0):
                    if isinstance(inner, ColumnRef):
                        if inner.hop is not None:
                            yield f"filter inside, a hop away, in {part}"
                    else:
                        yield from _of_node(inner, part, 0)
            if node.path and node.path[0].table == node.path[0].to:
                yield "rows that point to rows of their own table"
        case Arithmetic():
            yield f"arithmetic {node.operator.value}"
            yield f"arithmetic in {part}"
            if depth:
                yield "nested arithmetic"
        case Comparison():
            yield node.operator.value
            if isinstance(node.operand, Aggregation):
                column = node.operand.column
                if node.operand.kind is AggregationKind.LIST_DISTINCT:
                    yield f"list {node.operator.value}"
                    if node.operand.items is not None:
                        yield f"list of keys {node.operator.value}"
                        yield f"list of keys compared in {part}"
                elif column.dtype is not None and column.dtype.is_time:
                    yield "time of an aggregation compared"
            elif isinstance(node.operand, ColumnRef) and node.operand.hop is not None:
                yield f"column a hop away in {part}"
            if node.operator in _ORDER and isinstance(node.constant, str | tuple):
                ends = node.constant if isinstance(node.constant, tuple) else (node.constant,)
                if all(isinstance(x, str) for x in ends):
                    yield "order of texts"
        case IsNull():
            what = "IS NOT NULL" if node.negated else "IS NULL"
            yield what
            if isinstance(node.operand, Aggregation):
                if node.operand.kind is AggregationKind.LIST_DISTINCT:
                    yield f"list {what}"
                else:
                    yield f"aggregation {what}"
            if isinstance(node.operand, Arithmetic):
                yield "arithmetic IS NULL"
        case ColumnRef() if part == "target" and node.stype is Stype.multicategorical:
            yield (
                "static list of texts" if node.dtype is Dtype.stringlist else "static list of ints"
            )
        case And() | Or() | Not():
            yield type(node).__name__.upper()


def _of_world(case: Case, query: CheckedQuery) -> Iterator[str]:
    tables = case.world.tables
    if tables[query.entity_table].columns[str(tables[query.entity_table].key)] == "text_key":
        yield "text keys"
    if tables[query.entity_table].time is not None:
        yield "entities with a time"
    if tables[query.entity_table].end is not None:
        yield "entities with an end"
    for node, _ in _walk(query.query.target, 0):
        if not isinstance(node, Aggregation):
            continue
        if tables[node.column.table].end is not None:
            yield "facts with an end"
        if tables[node.column.table].key is None:
            yield "facts without a key"
        for link in node.path:
            kinds = (
                tables[link.table].columns[link.foreign_key],
                tables[link.to].columns[str(tables[link.to].key)],
            )
            if kinds[0] != kinds[1]:
                yield "keys of two types"
        for link in node.path[1:]:
            if tables[link.table].time is not None:
                yield "times on the rows between"
            if tables[link.table].end is not None:
                yield "ends on the rows between"
    if any(not name.isidentifier() for name in tables):
        yield "odd names"
