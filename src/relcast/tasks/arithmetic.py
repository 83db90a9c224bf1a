"""Arithmetic over aggregations as SQL: 64-bit floats, NULL where there is no finite number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sqlglot import exp

from relcast.core.errors import TaskError
from relcast.pql.ast import Aggregation, AggregationKind, Arithmetic, ArithmeticOperator
from relcast.tasks.conditions import Operand, floating
from relcast.tasks.sql import as_float, double, if_finite

__all__ = ["arithmetic"]

# A divisor is written several times, so divisors inside divisors multiply the statement.
_MOST_DIVISORS = 5

_OPERATION: dict[ArithmeticOperator, type[exp.Binary]] = {
    ArithmeticOperator.ADD: exp.Add,
    ArithmeticOperator.SUBTRACT: exp.Sub,
    ArithmeticOperator.MULTIPLY: exp.Mul,
    ArithmeticOperator.DIVIDE: exp.Div,
}


def arithmetic(node: Arithmetic, value: Callable[[Aggregation], Operand]) -> Operand:
    """Return an arithmetic's operand from those of its aggregations.

    NULL where a side is NULL, a divisor is 0, or a result is not finite. Raises
    ``task.too_many_divisors`` for divisions nested too deep below the divisor of others.
    """
    return Operand(if_finite(_joined(node, value, 0)), "double")


def _joined(
    node: Arithmetic | Aggregation | int | Decimal,
    value: Callable[[Aggregation], Operand],
    divisors: int,
) -> exp.Expr:
    """Return a side's value; a result that is not finite is infinite or NaN here, not yet NULL.

    Sums, differences, products and quotients of what is not finite are not finite either, but for
    what is divided by it: so a divisor that is a result is looked at, and the whole at the end. An
    aggregate may be infinite, and what is divided by that is 0.
    """
    match node:
        case Aggregation():
            found = value(node)
            if node.kind is AggregationKind.SUM and found.kind == "integer":
                return as_float(found.value)
            return exp.cast(found.value, "DOUBLE")
        case Arithmetic():
            divides = node.operator is ArithmeticOperator.DIVIDE
            right = _joined(node.right, value, divisors + divides)
            if divides:
                if divisors >= _MOST_DIVISORS:
                    raise TaskError(
                        f"More than {_MOST_DIVISORS} divisions stand inside each other's divisors",
                        code="task.too_many_divisors",
                        hint="Write a / (b / c) as a * c / b.",
                    )
                if isinstance(node.right, Arithmetic):
                    right = if_finite(right)
                right = exp.Nullif(this=right, expression=double("0"))
            left = _joined(node.left, value, divisors)
            return exp.paren(_OPERATION[node.operator](this=left, expression=right))
        case _:
            return floating(node)
