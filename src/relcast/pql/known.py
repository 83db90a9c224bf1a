"""Comparisons whose outcome is known before anything happens, so that nothing is predicted."""

from __future__ import annotations

import math
from decimal import Decimal

from relcast.pql.arithmetic import constant_value
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    Constant,
    IsNull,
    Operand,
    Operator,
    aggregations,
)
from relcast.pql.literals import constant_text
from relcast.pql.values import label

__all__ = ["known_beforehand", "never_null"]

_COUNTS = frozenset({AggregationKind.COUNT, AggregationKind.COUNT_DISTINCT})
_NEVER_NULL = _COUNTS | {AggregationKind.SUM}
_NEVER_NEGATIVE = _COUNTS | {AggregationKind.STDDEV}
_OPPOSITE = {
    Operator.NE: Operator.EQ,
    Operator.GE: Operator.LT,
    Operator.GT: Operator.LE,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}


def known_beforehand(node: Comparison | IsNull) -> tuple[str, str] | None:
    """Return why a comparison has the same value for everybody, and the mend; else None."""
    operand = node.operand
    if isinstance(node, IsNull):
        return _null_test(operand)
    if not isinstance(operand, Aggregation) or operand.kind not in _NEVER_NEGATIVE:
        return None
    whole = operand.kind in _COUNTS
    never = _never(node.operator, node.constant, whole=whole)
    always = node.operator in _OPPOSITE and _never(
        _OPPOSITE[node.operator], node.constant, whole=whole
    )
    if not (always or never):
        return None
    values = node.constant if isinstance(node.constant, tuple) else (node.constant,)
    negative = all(_below(v, 1) for v in values)
    nature = "never below 0" if negative or not whole else "a whole number of at least 0"
    ends = node.operator in {Operator.BETWEEN, Operator.NOT_BETWEEN}
    written = " AND ".join(map(constant_text, values)) if ends else constant_text(node.constant)
    what, truth = "A count" if whole else "A standard deviation", "always" if always else "never"
    why = f"{what} is {nature}, so {node.operator.value} {written} {truth} holds"
    if whole:
        return why, "Compare with 1 or more, or write = 0 for none at all."
    return why, "Compare with a number above 0."


def _null_test(operand: Operand) -> tuple[str, str] | None:
    if isinstance(operand, ColumnRef):
        return (
            f"Whether {label(operand)} is NULL is known for every row already",
            f"Predict {label(operand)} itself, or a comparison with it.",
        )
    if not never_null(operand):
        return None
    if isinstance(operand, Arithmetic):
        return (
            "This arithmetic is never NULL, because each of its parts is 0 where there are no rows",
            "Compare it with a number.",
        )
    return (
        f"{operand.kind.value} is never NULL, it is 0 where there are no rows",
        f"Compare it with 0, or use MIN({label(operand.column)}, …) IS NULL."
        if operand.column.column is not None
        else "Compare it with 0.",
    )


def never_null(node: Operand) -> bool:
    """Whether an operand has a value for everybody: counts and sums of nothing are 0."""
    if isinstance(node, ColumnRef):
        return False
    return all(x.kind in _NEVER_NULL for x in aggregations(node)) and not _divides(node)


def _divides(node: Aggregation | Arithmetic | int | Decimal) -> bool:
    """Whether a divisor is left to the rows, so that it may be 0."""
    if not isinstance(node, Arithmetic):
        return False
    by_rows = node.operator is ArithmeticOperator.DIVIDE and constant_value(node.right) is None
    return by_rows or _divides(node.left) or _divides(node.right)


def _never(operator: Operator, constant: Constant | tuple[Constant, ...], *, whole: bool) -> bool:
    """Whether no number of at least 0, a whole one for counts, satisfies a comparison."""
    values = constant if isinstance(constant, tuple) else (constant,)
    if not values or not all(_is_number(v) for v in values):
        return False
    match operator:
        case Operator.LT:
            return _below(values[0], 1)
        case Operator.LE:
            return _below(values[0], 0)
        case Operator.EQ | Operator.IN:
            return all(_below(v, 0) or (whole and not _is_whole(v)) for v in values)
        case Operator.BETWEEN:
            low, high = values[0], values[-1]
            if _number(low) > _number(high):
                return False  # a fault of its own, which says more
            return _below(high, 0) or (whole and _first_whole(low) > _number(high))
        case _:
            return False


def _is_number(value: Constant) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _number(value: Constant) -> int | Decimal:
    return value if isinstance(value, int | Decimal) else 0


def _below(value: Constant, bound: int) -> bool:
    """Whether a number is negative (bound 0), or negative or 0 (bound 1)."""
    number = _number(value)
    return number < 0 if bound == 0 else number <= 0


def _is_whole(value: Constant) -> bool:
    number = _number(value)
    return number == math.floor(number)


def _first_whole(value: Constant) -> int:
    return max(0, math.ceil(_number(value)))
