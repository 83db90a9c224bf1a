"""Windows, values and conditions in plain English; ``relcast.pql.restate`` makes sentences of them.

What is said here holds to the letter: comparisons with a missing value are false, so that the
opposite of "is more than 5" is "is at most 5 or is missing".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    Condition,
    Constant,
    IsNull,
    Not,
    Operand,
    Operator,
    Or,
    Window,
    aggregations,
)
from relcast.pql.known import never_null
from relcast.pql.literals import constant_text, name_text
from relcast.pql.values import label

__all__ = [
    "_OPPOSITE",
    "Wording",
    "amount",
    "amount_with_one",
    "compared",
    "constants",
    "rows",
    "when_equal",
]

_OPPOSITE = {
    Operator.EQ: Operator.NE,
    Operator.LT: Operator.GE,
    Operator.LE: Operator.GT,
    Operator.IN: Operator.NOT_IN,
    Operator.CONTAINS: Operator.NOT_CONTAINS,
    Operator.STARTS_WITH: Operator.NOT_STARTS_WITH,
    Operator.ENDS_WITH: Operator.NOT_ENDS_WITH,
    Operator.BETWEEN: Operator.NOT_BETWEEN,
}
_OPPOSITE |= {other: one for one, other in _OPPOSITE.items()}
"""The operator that holds for every value that is there and for which the other one does not."""

_VALUES = {
    AggregationKind.SUM: "the sum of",
    AggregationKind.AVG: "the average of",
    AggregationKind.MIN: "the least",
    AggregationKind.MAX: "the greatest",
    AggregationKind.COUNT_DISTINCT: "the number of distinct values of",
    AggregationKind.FIRST: "the first",
    AggregationKind.LAST: "the last",
    AggregationKind.LIST_DISTINCT: "the distinct values of",
    AggregationKind.MEDIAN: "the median of",
    AggregationKind.STDDEV: "the standard deviation of",
}
_TIMES = {AggregationKind.MIN: "the earliest", AggregationKind.MAX: "the latest"}
_ARITHMETIC = {
    ArithmeticOperator.ADD: "plus",
    ArithmeticOperator.SUBTRACT: "minus",
    ArithmeticOperator.MULTIPLY: "times",
    ArithmeticOperator.DIVIDE: "divided by",
}
_COMPARED = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.LT: "is less than",
    Operator.LE: "is at most",
    Operator.GT: "is more than",
    Operator.GE: "is at least",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is not one of",
    Operator.CONTAINS: "contains",
    Operator.NOT_CONTAINS: "does not contain",
    Operator.STARTS_WITH: "starts with",
    Operator.NOT_STARTS_WITH: "does not start with",
    Operator.ENDS_WITH: "ends with",
    Operator.NOT_ENDS_WITH: "does not end with",
    Operator.BETWEEN: "is between",
    Operator.NOT_BETWEEN: "is not between",
}
_COMPARED_TIMES = {
    Operator.LT: "is before",
    Operator.LE: "is not after",
    Operator.GT: "is after",
    Operator.GE: "is not before",
}
_PLURALS = {"is": "are", "does": "do", "contains": "contain", "starts": "start", "ends": "end"}
_SHOWN = 5
_LONG = 60


def amount(number: int, unit: str) -> str:
    """Return ``30 days``; one of a unit is ``day``, without the number."""
    return unit[:-1] if number == 1 else f"{number} {unit}"


def constants(value: Constant | tuple[Constant, ...]) -> str:
    """Return a constant, or a list of at most five of them and the number of the others."""
    if not isinstance(value, tuple):
        return _constant(value)
    words = [_constant(v) for v in value[:_SHOWN]]
    if len(value) > _SHOWN:
        return f"{', '.join(words)} or {len(value) - _SHOWN} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _constant(value: Constant) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and len(value) > _LONG:
        value = f"{value[: _LONG - 1]}…"
    return constant_text(value)


def rows(node: Aggregation, *, plural: bool = True) -> str:
    """Return what an aggregation goes over, as ``rows of orders``, filter included."""
    table = name_text(node.column.table)
    words = f"{'rows' if plural else 'row'} of {table}"
    if len(node.path) > 1:
        words += f" (by way of {_between(node)})"
    if node.kind is AggregationKind.COUNT and node.column.column is not None:
        words += f" that {'have' if plural else 'has'} a value of {label(node.column)}"
    return words + _inner(node)


def _between(node: Aggregation) -> str:
    names = [name_text(x.to) for x in node.path[:-1]]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _inner(node: Aggregation) -> str:
    # No aggregation stands in an inner filter, so that it speaks of no time.
    return "" if node.where is None else f" (where {Wording(told=True).condition(node.where)})"


def when_equal(node: Operand) -> Window | None:
    """Return the window that all aggregations of an operand have in common, if there is one."""
    if isinstance(node, ColumnRef):
        return None
    windows = {x.window for x in aggregations(node)}
    return windows.pop() if len(windows) == 1 else None


def compared(node: Comparison | IsNull, *, holds: bool = True) -> str:
    """Return the words after an operand: what is said of it, or the opposite of that."""
    operand = node.operand
    plural = isinstance(operand, Aggregation) and operand.kind is AggregationKind.LIST_DISTINCT
    are = "are" if plural else "is"
    if isinstance(node, IsNull):
        return f"{are} {'present' if node.negated == holds else 'missing'}"
    operator = node.operator if holds else _OPPOSITE[node.operator]
    value = node.constant
    verb = _COMPARED[operator]
    if isinstance(value, datetime):
        verb = _COMPARED_TIMES.get(operator, verb)
    if plural:
        first, _, rest = verb.partition(" ")
        verb = f"{_PLURALS[first]} {rest}".rstrip()
    if isinstance(value, tuple) and operator in {Operator.BETWEEN, Operator.NOT_BETWEEN}:
        words = f"{verb} {' and '.join(_constant(v) for v in value)}"
    else:
        words = f"{verb} {constants(value)}"
    if holds or never_null(operand):
        return words
    return f"{words}{',' if isinstance(value, tuple) else ''} or {are} missing"


@dataclass(frozen=True, slots=True)
class Wording:
    """How windows are told: from a moment that the sentence has named, or from the anchor time.

    Attributes:
        told: Whether the sentence began with when predictions are made, such as "Each Monday".
    """

    told: bool

    @property
    def then(self) -> str:
        return "then" if self.told else "at the anchor time"

    def window(self, window: Window) -> str:
        """Return when rows count, such as ``in the following 30 days``."""
        start, end = window.start, window.end
        unit = window.unit.value
        moment = "then" if self.told else "the anchor time"
        if start is None:
            if end == 0:
                return f"at any time up to {moment}"
            return f"at any time until {amount_with_one(-end, unit)} before {moment}"
        if start >= 0:
            if start == 0 and self.told:
                return f"in the following {amount(end, unit)}"
            if start == 0:
                return f"in the {amount(end, unit)} after {moment}"
            return f"between {start} and {end} {unit} after {moment}"
        if end == 0:
            return f"in the {amount(-start, unit)} up to {moment}"
        return f"between {-start} and {-end} {unit} before {moment}"

    def operand(self, node: Operand) -> str:
        """Return what an operand is, with its window."""
        window = when_equal(node)
        if window is None or not isinstance(node, Arithmetic):
            return self._value(node, windows=True)
        each = "" if sum(1 for _ in aggregations(node)) == 1 else "each "
        return f"{self._value(node, windows=False)}, {each}{self.window(window)}"

    def value(self, node: Operand) -> str:
        """Return what an operand is, without its windows."""
        return self._value(node, windows=False)

    def _value(self, node: Operand | int | Decimal, *, windows: bool) -> str:
        match node:
            case ColumnRef():
                return label(node)
            case Aggregation():
                text = self._aggregation(node)
                told = windows and node.window is not None
                return f"{text} {self.window(node.window)}" if told and node.window else text
            case Arithmetic():
                sides = [
                    f"({text})" if isinstance(side, Arithmetic) else text
                    for side in (node.left, node.right)
                    for text in [self._value(side, windows=windows)]
                ]
                return f"{sides[0]} {_ARITHMETIC[node.operator]} {sides[1]}"
            case _:
                return constant_text(node)

    def _aggregation(self, node: Aggregation) -> str:
        if node.kind is AggregationKind.COUNT:
            return f"the number of {rows(node)}"
        dtype = node.column.dtype
        timely = dtype is not None and dtype.is_time
        word = _TIMES.get(node.kind) if timely else None
        text = f"{word or _VALUES[node.kind]} {label(node.column)}"
        if len(node.path) > 1:
            text += f" (by way of {_between(node)})"
        return text + _inner(node)

    def condition(self, node: Condition) -> str:
        """Return a condition as a statement, in parentheses where English would leave a doubt."""
        match node:
            case Comparison() | IsNull():
                return self.comparison(node)
            case Not():
                return f"it is not true that {self._part(node.condition)}"
            case And():
                return f"{self._part(node.left, And)} and {self._part(node.right, And)}"
            case Or():
                return f"{self._part(node.left, Or)} or {self._part(node.right, Or)}"

    def comparison(self, node: Comparison | IsNull, *, holds: bool = True) -> str:
        """Return a comparison as a statement, or its opposite."""
        operand = node.operand
        comma = "," if isinstance(operand, Arithmetic) and when_equal(operand) else ""
        return f"{self.operand(operand)}{comma} {compared(node, holds=holds)}"

    def _part(self, node: Condition, kind: type[And | Or] | None = None) -> str:
        plain = isinstance(node, Comparison | IsNull) or (
            kind is not None and isinstance(node, kind)
        )
        return self.condition(node) if plain else f"({self.condition(node)})"


def amount_with_one(number: int, unit: str) -> str:
    """Return ``30 days`` or ``1 day``."""
    return f"1 {unit[:-1]}" if number == 1 else f"{number} {unit}"
