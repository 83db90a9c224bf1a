"""Arithmetic over aggregations: what it may join, and what of it is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from relcast.core.errors import Fault
from relcast.pql.ast import (
    Aggregation,
    Arithmetic,
    ArithmeticOperator,
    Expression,
    Query,
    aggregations,
)
from relcast.pql.catalogue import fault
from relcast.pql.tree import operands

__all__ = ["constant_faults", "constant_value", "impossible_parts"]


def constant_faults(query: Query) -> Iterator[Fault]:
    """Yield a fault for everything that stands before an operator and is a number alone."""
    for clause in (query.target, query.where, query.assuming):
        for node in operands(clause):
            if not isinstance(node, Arithmetic) or any(True for _ in aggregations(node)):
                continue
            if clause is query.target:
                yield fault(
                    "pql.nothing_to_predict",
                    "The target is made of numbers alone, so that its value is known",
                    "Name an aggregation such as COUNT(orders.*, 0, 30, days), or a column.",
                    node.position,
                )
            else:
                yield fault(
                    "pql.syntax",
                    "A condition begins with numbers alone, and no row decides whether it holds",
                    "Begin it with a column or an aggregation; numbers follow the operator.",
                    node.position,
                )


def constant_value(node: Aggregation | Arithmetic | int | Decimal) -> float | None:
    """Return the value of a number, or of a sum of numbers alone; None where rows decide.

    NaN stands for a sum that has no value, because it divides by 0 or is too large.
    """
    match node:
        case Aggregation():
            return None
        case Arithmetic():
            left, right = constant_value(node.left), constant_value(node.right)
            return None if left is None or right is None else _joined(node.operator, left, right)
        case _:
            return float(node)


def _joined(operator: ArithmeticOperator, left: float, right: float) -> float:
    match operator:
        case ArithmeticOperator.ADD:
            value = left + right
        case ArithmeticOperator.SUBTRACT:
            value = left - right
        case ArithmeticOperator.MULTIPLY:
            value = left * right
        case ArithmeticOperator.DIVIDE:
            value = left / right if right != 0 else math.nan
    return value if math.isfinite(value) else math.nan


def impossible_parts(node: Expression) -> Iterator[Arithmetic]:
    """Yield the parts of an arithmetic that are NULL for everybody.

    That is a divisor that is always 0, or numbers that are together too large for 64 bits.
    """
    if not isinstance(node, Arithmetic):
        return
    divisor = constant_value(node.right)
    whole = constant_value(node)
    if (whole is not None and math.isnan(whole)) or (
        node.operator is ArithmeticOperator.DIVIDE and divisor == 0
    ):
        yield node
        return
    for side in (node.left, node.right):
        if isinstance(side, Arithmetic):
            yield from impossible_parts(side)
