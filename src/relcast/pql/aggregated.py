"""Which columns an aggregation takes, and what kind of value it gives."""

from __future__ import annotations

from collections.abc import Iterator

from relcast.core.schema import Graph, Link, Stype
from relcast.pql.ast import Aggregation, AggregationKind, Arithmetic, ColumnRef, Operand
from relcast.pql.scope import Scope
from relcast.pql.values import Kind, Valued, aggregated, column_kind, label

__all__ = ["check_aggregated", "check_summand", "keys_of", "operand_of"]

_ADDING = frozenset(
    {
        AggregationKind.SUM,
        AggregationKind.AVG,
        AggregationKind.MEDIAN,
        AggregationKind.STDDEV,
    }
)
_ORDERING = frozenset({AggregationKind.MIN, AggregationKind.MAX})
_QUANTITIES = frozenset({Kind.integer, Kind.number, Kind.duration})


def keys_of(column: ColumnRef, graph: Graph) -> Iterator[Link]:
    """Yield the links whose foreign key a column is."""
    return (x for x in graph.links_from(column.table) if x.foreign_key == column.column)


def operand_of(node: Operand) -> Valued | None:
    """Return the kind of an operand's values, or None when its column is not known."""
    if isinstance(node, Arithmetic):
        return Valued(Kind.number, "Arithmetic")
    column = node.column if isinstance(node, Aggregation) else node
    if isinstance(node, Aggregation) and node.kind is AggregationKind.COUNT:
        return aggregated(node, Kind.integer)
    if column.dtype is None or column.stype is None:
        return None
    kind = column_kind(column.dtype, column.stype)
    return aggregated(node, kind) if isinstance(node, Aggregation) else Valued(kind, label(column))


def check_aggregated(node: Aggregation, column: ColumnRef, scope: Scope) -> None:
    """Note an aggregation that makes no sense over its column."""
    if column.dtype is None or column.stype is None:
        return
    kind, name = column_kind(column.dtype, column.stype), label(column)
    fits = _QUANTITIES | {Kind.boolean if node.kind in _ADDING else Kind.time}
    if node.kind in _ADDING | _ORDERING:
        if kind not in fits:
            scope.add(
                "pql.type_mismatch",
                f"{node.kind.value} needs numbers, and {name} is {kind.value}",
                f"Use COUNT, COUNT_DISTINCT, FIRST or LAST on {name}, or change its type.",
                column.position,
            )
        elif kind in _QUANTITIES and _identifies(column, scope):
            scope.add(
                "pql.stype_mismatch",
                f"{node.kind.value} needs quantities, and {name} names things",
                f"Use COUNT({name}, …) or COUNT_DISTINCT({name}, …), or change its semantic type.",
                column.position,
            )
    elif node.kind is not AggregationKind.COUNT and kind in {Kind.list, Kind.other}:
        scope.add(
            "pql.type_mismatch",
            f"{node.kind.value} needs single values, and {name} is {kind.value}",
            f"Use COUNT({name}, …), or another column.",
            column.position,
        )


def check_summand(node: Aggregation, scope: Scope) -> None:
    """Note an aggregation in arithmetic that gives no quantity."""
    found = operand_of(node)
    if found is None:
        return
    name = label(node.column)
    listed = node.kind is AggregationKind.LIST_DISTINCT
    if found.kind not in _QUANTITIES:
        scope.add(
            "pql.type_mismatch",
            f"Arithmetic takes numbers, and {found.name} is {found.kind.value}",
            f"Use COUNT_DISTINCT({name}, …) for the number of its elements."
            if listed
            else f"Use an aggregation that gives a number, such as COUNT({name}, …).",
            node.position,
        )
    elif (
        node.kind in {AggregationKind.FIRST, AggregationKind.LAST}
        and node.column.dtype is not None
        and _identifies(node.column, scope)
    ):
        scope.add(
            "pql.stype_mismatch",
            f"Arithmetic takes quantities, and {found.name} names things",
            f"Use COUNT({name}, …) or COUNT_DISTINCT({name}, …).",
            node.position,
        )


def _identifies(column: ColumnRef, scope: Scope) -> bool:
    table = scope.graph.tables[column.table]
    key = table.primary_key == column.column or any(keys_of(column, scope.graph))
    return key or column.stype is Stype.ID
