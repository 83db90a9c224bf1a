"""Values as docs/pql.md defines them: aggregations, arithmetic and comparisons, in exact numbers.

Written apart from ``relcast``: it shares the syntax tree's names of operators and nothing else.
Sums, means and spreads are fractions until their one rounding; NULL is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from relcast.pql.ast import AggregationKind, And, ArithmeticOperator, IsNull, Not, Operator, Or

__all__ = [
    "Single",
    "aggregate",
    "combine",
    "compare",
    "decide",
    "distinct",
    "same_key",
    "text_of_key",
]


class Single(float):
    """A value of a column of 32-bit floats; what it is compared with is rounded as it was."""


# -- aggregations ---------------------------------------------------------------------------------


def aggregate(kind: AggregationKind, values: list[Any]) -> Any:
    """The value of an aggregation over values without NULL, in order of time, key, row."""
    return _AGGREGATES[kind](values)


def distinct(values: Iterable[Any]) -> list[Any]:
    """Every value once, in the order in which they first come."""
    return list(dict.fromkeys(values))


def _total(values: list[Any]) -> Any:
    """The exact sum: a fraction, or an infinity; None when both infinities are in it."""
    endless = {v for v in values if isinstance(v, float) and math.isinf(v)}
    if endless:
        return endless.pop() if len(endless) == 1 else None
    return sum((Fraction(v) for v in values), Fraction(0))


def _rounded(value: Any) -> float | None:
    """A 64-bit float of an exact number; infinite beyond what floats hold."""
    if value is None or isinstance(value, float):
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _sum(values: list[Any]) -> Any:
    if all(not isinstance(v, float) for v in values):
        return sum(int(v) for v in values)
    return _rounded(_total(values))


def _mean(values: list[Any]) -> float | None:
    if not values:
        return None
    total = _total(values)
    return _rounded(total / len(values) if isinstance(total, Fraction) else total)


def _median(values: list[Any]) -> float | None:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return _mean(ordered[middle:][:1] if len(ordered) % 2 else ordered[middle - 1 :][:2])


def _stddev(values: list[Any]) -> float | None:
    total = _total(values)
    if len(values) < 2 or not isinstance(total, Fraction):
        return None
    mean = total / len(values)
    variance = sum(((Fraction(v) - mean) ** 2 for v in values), Fraction(0)) / (len(values) - 1)
    with localcontext() as context:
        context.prec = 80
        root = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
    return float(root)


_AGGREGATES: dict[AggregationKind, Callable[[list[Any]], Any]] = {
    AggregationKind.COUNT: len,
    AggregationKind.COUNT_DISTINCT: lambda v: len(set(v)),
    AggregationKind.SUM: _sum,
    AggregationKind.AVG: _mean,
    AggregationKind.MEDIAN: _median,
    AggregationKind.STDDEV: _stddev,
    AggregationKind.MIN: lambda v: min(v, default=None),
    AggregationKind.MAX: lambda v: max(v, default=None),
    AggregationKind.FIRST: lambda v: v[0] if v else None,
    AggregationKind.LAST: lambda v: v[-1] if v else None,
    AggregationKind.LIST_DISTINCT: lambda v: distinct(v) or None,
}


# -- arithmetic -----------------------------------------------------------------------------------


def combine(operator: ArithmeticOperator, left: Any, right: Any) -> float | None:
    """One operation in 64-bit floats; NULL of NULL, of a divisor 0, and where it is not finite."""
    if left is None or right is None:
        return None
    a, b = _rounded(_exact(left)), _rounded(_exact(right))
    assert a is not None
    assert b is not None
    match operator:
        case ArithmeticOperator.ADD:
            found = a + b
        case ArithmeticOperator.SUBTRACT:
            found = a - b
        case ArithmeticOperator.MULTIPLY:
            found = a * b
        case ArithmeticOperator.DIVIDE:
            if b == 0:
                return None
            found = a / b
    return found if math.isfinite(found) else None


def _exact(value: Any) -> Any:
    return Fraction(value) if isinstance(value, int | Decimal) else value


# -- conditions -----------------------------------------------------------------------------------


def decide(node: Any, value: Callable[[Any], Any]) -> bool:
    """Two-valued logic over comparisons and tests of absence; ``value`` gives a leaf's operand."""
    if isinstance(node, And):
        return decide(node.left, value) and decide(node.right, value)
    if isinstance(node, Or):
        return decide(node.left, value) or decide(node.right, value)
    if isinstance(node, Not):
        return not decide(node.condition, value)
    found = value(node)
    if isinstance(node, IsNull):
        return (found is None) != node.negated
    return found is not None and compare(found, node.operator, node.constant)


def compare(found: Any, operator: Operator, constant: Any) -> bool:
    """A comparison of a value that is not NULL with a constant, or with several."""
    match operator:
        case Operator.IN:
            return any(found == _like(found, c) for c in constant)
        case Operator.NOT_IN:
            return not any(found == _like(found, c) for c in constant)
        case Operator.BETWEEN | Operator.NOT_BETWEEN:
            low, high = (_like(found, c) for c in constant)
            return bool(low <= found <= high) == (operator is Operator.BETWEEN)
        case Operator.CONTAINS | Operator.NOT_CONTAINS if isinstance(found, list):
            held = any(element == _like(element, constant) for element in found)
            return held == (operator is Operator.CONTAINS)
    return bool(_SIMPLE[operator](found, _like(found, constant)))


_SIMPLE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda x, c: x == c,
    Operator.NE: lambda x, c: x != c,
    Operator.LT: lambda x, c: x < c,
    Operator.LE: lambda x, c: x <= c,
    Operator.GT: lambda x, c: x > c,
    Operator.GE: lambda x, c: x >= c,
    Operator.CONTAINS: lambda x, c: c in x,
    Operator.NOT_CONTAINS: lambda x, c: c not in x,
    Operator.STARTS_WITH: lambda x, c: x[: len(c)] == c,
    Operator.NOT_STARTS_WITH: lambda x, c: x[: len(c)] != c,
    Operator.ENDS_WITH: lambda x, c: x[len(x) - len(c) :] == c if len(c) <= len(x) else False,
    Operator.NOT_ENDS_WITH: lambda x, c: not (len(c) <= len(x) and x[len(x) - len(c) :] == c),
}


def _like(found: Any, constant: Any) -> Any:
    """The constant as a value to compare: floats compare as floats, times as times."""
    if isinstance(found, pd.Timestamp):
        moment = pd.Timestamp(constant) if isinstance(constant, datetime | str) else constant
        return moment.tz_convert(None) if moment.tzinfo else moment
    if isinstance(found, Single):
        return float(np.float32(constant))
    if isinstance(found, float) and isinstance(constant, Decimal | int):
        return float(constant)
    return constant


# -- keys -----------------------------------------------------------------------------------------


def text_of_key(value: Any) -> str | None:
    """A key as text, so that keys of different types meet: a whole float reads like an integer."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def same_key(left: Any, right: Any) -> bool:
    """Whether a foreign key names a key; NULL names nothing."""
    return left is not None and text_of_key(left) == text_of_key(right)
