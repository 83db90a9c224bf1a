"""Walks over trees, checked or not."""

from __future__ import annotations

from collections.abc import Iterator

from relcast.pql.ast import (
    Aggregation,
    And,
    Arithmetic,
    ColumnRef,
    Comparison,
    Condition,
    Expression,
    IsNull,
    Not,
    Operand,
    Or,
    aggregations,
)

__all__ = ["comparisons", "leaves", "operands"]


def comparisons(node: Condition) -> Iterator[Comparison | IsNull]:
    """Yield the comparisons of a condition, left to right."""
    match node:
        case Not(condition=condition):
            yield from comparisons(condition)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from comparisons(left)
            yield from comparisons(right)
        case _:
            yield node


def operands(node: Expression | None) -> Iterator[Operand]:
    """Yield what a condition compares, or the node itself where it is no condition."""
    match node:
        case None:
            return
        case Aggregation() | Arithmetic() | ColumnRef():
            yield node
        case _:
            for comparison in comparisons(node):
                yield comparison.operand


def leaves(node: Expression | None) -> Iterator[Aggregation | ColumnRef]:
    """Yield the columns and aggregations below a node, left to right; none is entered."""
    for operand in operands(node):
        if isinstance(operand, ColumnRef):
            yield operand
        else:
            yield from aggregations(operand)
