"""Walks over checked trees."""

from __future__ import annotations

from collections.abc import Iterator

from relcast.pql.ast import Aggregation, And, ColumnRef, Comparison, Expression, IsNull, Not, Or

__all__ = ["leaves"]


def leaves(node: Expression | None) -> Iterator[Aggregation | ColumnRef]:
    """Yield the operands below a node, left to right; aggregations are not entered."""
    match node:
        case Aggregation() | ColumnRef():
            yield node
        case Comparison(operand=operand) | IsNull(operand=operand):
            yield operand
        case Not(condition=condition):
            yield from leaves(condition)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case _:
            return
