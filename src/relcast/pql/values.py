"""What kind of value an operand has, and which operators and constants fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from relcast.core.errors import Fault, Position
from relcast.core.schema import Dtype, Stype
from relcast.pql.ast import Aggregation, AggregationKind, ColumnRef, Comparison, Constant, Operator
from relcast.pql.catalogue import fault
from relcast.pql.literals import constant_text, iso_time, name_text, shown

__all__ = ["Kind", "Valued", "aggregated", "column_kind", "fit", "fit_key", "label"]


class Kind(StrEnum):
    """The kinds of values that the language tells apart; the text is used in messages."""

    integer = "a whole number"
    number = "a number"
    boolean = "true or false"
    text = "a text"
    time = "a time"
    list = "a list"
    duration = "a duration"
    other = "a value that cannot be compared"


@dataclass(frozen=True, slots=True)
class Valued:
    """What stands left of an operator: its kind (of the elements, for a list), and its name."""

    kind: Kind
    name: str
    elements: Kind | None = None


_FIRST = datetime(1677, 9, 22)  # noqa: DTZ001 - the edges of int64 nanoseconds, in naive UTC
_LAST = datetime(2262, 4, 11)  # noqa: DTZ001
_TEXT_ONLY = {
    Operator.CONTAINS,
    Operator.NOT_CONTAINS,
    Operator.STARTS_WITH,
    Operator.NOT_STARTS_WITH,
    Operator.ENDS_WITH,
    Operator.NOT_ENDS_WITH,
}
_RANGE = {Operator.BETWEEN, Operator.NOT_BETWEEN}
_ORDERED = {Operator.LT, Operator.LE, Operator.GT, Operator.GE} | _RANGE
_MEMBER = {Operator.IN, Operator.NOT_IN}
_FIXED = {
    AggregationKind.COUNT: Kind.integer,
    AggregationKind.COUNT_DISTINCT: Kind.integer,
    AggregationKind.AVG: Kind.number,
    AggregationKind.MEDIAN: Kind.number,
    AggregationKind.STDDEV: Kind.number,
}


def column_kind(dtype: Dtype, stype: Stype) -> Kind:
    """Return the kind of a column's values."""
    if dtype.is_time or stype is Stype.timestamp:
        return Kind.time
    if dtype is Dtype.bool:
        return Kind.boolean
    if dtype is Dtype.timedelta:
        return Kind.duration
    if dtype.is_integer:
        return Kind.integer
    if dtype.is_number:
        return Kind.number
    if dtype is Dtype.string:
        return Kind.text
    return Kind.list if dtype.is_list else Kind.other


def label(column: ColumnRef) -> str:
    """Return ``table.column`` as it is written in a query."""
    return f"{name_text(column.table)}.{'*' if column.column is None else name_text(column.column)}"


def aggregated(node: Aggregation, column: Kind) -> Valued:
    """Return the operand that an aggregation over a column of that kind gives."""
    name = f"{node.kind.value}({label(node.column)})"
    if node.kind is AggregationKind.LIST_DISTINCT:
        return Valued(Kind.list, name, column)
    if node.kind is AggregationKind.SUM and column is Kind.boolean:
        return Valued(Kind.integer, name)
    return Valued(_FIXED.get(node.kind, column), name)


def fit(node: Comparison, operand: Valued) -> tuple[Comparison, list[Fault]]:
    """Return the comparison with its constants as the operand needs them, and what is wrong.

    A quoted ISO date compared with a time becomes that time. Faults are ``pql.type_mismatch`` and
    ``pql.single_element_list``.
    """
    value, place, operator = node.constant, node.constant_position, node.operator
    if operator in _RANGE:
        return _fit_range(node, operand)
    if isinstance(value, tuple):
        if operator not in _MEMBER:
            return node, [_mismatch(
                f"{operator.value} compares with one constant, and this is a list",
                "Write IN or NOT IN before a list.",
                place,
            )]  # fmt: skip
        if len(value) == 1:
            other = "=" if operator is Operator.IN else "!="
            return node, [
                fault(
                    "pql.single_element_list",
                    f"The list after {operator.value} has one element only",
                    f"Write {other} {constant_text(value[0])}.",
                    place,
                )
            ]
    elif operator in _MEMBER:
        other = "=" if operator is Operator.IN else "!="
        return node, [_mismatch(
            f"{operator.value} is followed by a single constant",
            f"Write {other}, or a list such as (1, 2).",
            place,
        )]  # fmt: skip
    wrong = _operator_fault(operator, operand, node.position)
    if wrong is not None:
        return node, [wrong]
    expected = operand.elements if operand.elements is not None else operand.kind
    faults: list[Fault] = []
    fitted = tuple(
        _constant(v, expected, operand, operator, place, faults)
        for v in (value if isinstance(value, tuple) else (value,))
    )
    constant = fitted if isinstance(value, tuple) else fitted[0]
    return replace(node, constant=constant), faults[:1]


def _fit_range(node: Comparison, operand: Valued) -> tuple[Comparison, list[Fault]]:
    """Return a BETWEEN with both ends fitted, the lower one first, or what is wrong with it."""
    place, operator, ends = node.constant_position, node.operator, node.constant
    if not isinstance(ends, tuple) or len(ends) != 2:
        return node, [_mismatch(
            f"{operator.value} needs two ends, and this is {shown(constant_text(ends))}",
            f"Write {operator.value} 1 AND 5.",
            place,
        )]  # fmt: skip
    wrong = _operator_fault(operator, operand, node.position)
    if wrong is not None:
        return node, [wrong]
    faults: list[Fault] = []
    low, high = (_constant(v, operand.kind, operand, operator, place, faults) for v in ends)
    if not faults and _comes_after(low, high):
        first, last = constant_text(high), constant_text(low)
        faults.append(
            _mismatch(
                f"The lower end {last} of {operator.value} lies above the upper end {first}, so "
                "that nothing lies between them",
                f"Write {operator.value} {first} AND {last}.",
                place,
            )
        )
    return replace(node, constant=(low, high)), faults[:1]


def _comes_after(left: Constant, right: Constant) -> bool:
    """Whether two constants of one kind are in the wrong order; texts compare by code point."""
    if isinstance(left, str) and isinstance(right, str):
        return left > right
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left > right
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return left > right
    return False


def fit_key(value: Constant, kind: Kind, name: str, place: Position | None) -> list[Fault]:
    """Return what is wrong with a key of the form ``FOR table.primary_key = value``."""
    faults: list[Fault] = []
    _constant(value, kind, Valued(kind, name), Operator.EQ, place, faults)
    return faults


def _operator_fault(operator: Operator, operand: Valued, place: Position | None) -> Fault | None:
    name, kind = operand.name, operand.kind
    if kind is Kind.list:
        if operand.elements is not None and operator in {Operator.CONTAINS, Operator.NOT_CONTAINS}:
            return None
        return _mismatch(
            f"{name} is a list, which {operator.value} cannot compare",
            "Write CONTAINS and one of its elements."
            if operand.elements is not None
            else f"Only {name} IS NULL and {name} IS NOT NULL can be asked.",
            place,
        )
    if kind in {Kind.duration, Kind.other}:
        return _mismatch(
            f"{name} has a type that no constant of the language has",
            f"Only {name} IS NULL and {name} IS NOT NULL can be asked.",
            place,
        )
    if operator in _TEXT_ONLY and kind is not Kind.text:
        return _mismatch(
            f"{operator.value} looks into a text, and {name} is {kind.value}",
            "Write =, !=, <, <=, >, >= or IN, or change the column's type to string.",
            place,
        )
    if operator in _ORDERED and kind is Kind.boolean:
        return _mismatch(
            f"{name} is {kind.value}, which has no order for {operator.value}",
            f"Write {name} = TRUE or {name} = FALSE.",
            place,
        )
    return None


def _constant(
    value: Constant,
    kind: Kind,
    operand: Valued,
    operator: Operator,
    place: Position | None,
    faults: list[Fault],
) -> Constant:
    if value is None:
        negative = operator in {Operator.NE, Operator.NOT_IN}
        ends = "Name both ends, or write" if operator in _RANGE else "Write"
        faults.append(
            _mismatch(
                f"A comparison with NULL never holds, so {operator.value} NULL says nothing",
                f"{ends} {operand.name} IS {'NOT ' if negative else ''}NULL.",
                place,
            )
        )
        return value
    fits, mend = _FITS[kind]
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if kind is Kind.time and isinstance(value, str):
        value = iso_time(value) or value
    if not fits(value):
        what = operand.name if operand.elements is None else f"Each element of {operand.name}"
        faults.append(
            _mismatch(
                f"{what} is {kind.value}, and {shown(constant_text(value))} is {_word(value)}",
                mend(value),
                place,
            )
        )
    elif isinstance(value, datetime) and not _FIRST <= value < _LAST:
        faults.append(
            _mismatch(
                f"The time {constant_text(value)} lies outside of what a column can hold",
                "Times reach from 1677-09-22 to 2262-04-10.",
                place,
            )
        )
    return value


def _mend_number(value: Constant) -> str:
    if isinstance(value, str):
        digits = value.strip()
        return (
            f"Write it without quotes: {digits}."
            if digits.replace(".", "", 1).lstrip("+-").isdigit()
            else "Write a number, or change the column's type to string."
        )
    return "Write 1 or 0." if isinstance(value, bool) else "Write a number."


_FITS: dict[Kind, tuple[Callable[[Constant], bool], Callable[[Constant], str]]] = {
    Kind.integer: (
        lambda v: isinstance(v, (int, Decimal)) and not isinstance(v, bool),
        _mend_number,
    ),
    Kind.number: (
        lambda v: isinstance(v, (int, Decimal)) and not isinstance(v, bool),
        _mend_number,
    ),
    Kind.boolean: (lambda v: isinstance(v, bool), lambda _: "Write TRUE or FALSE."),
    Kind.text: (
        lambda v: isinstance(v, str),
        lambda v: f"Put it in quotes: '{constant_text(v)}'.",
    ),
    Kind.time: (
        lambda v: isinstance(v, datetime),
        lambda _: "Write a date such as 2024-02-27 or 2024-02-27 10:00:00.",
    ),
    Kind.list: (lambda _: False, lambda _: "Only IS NULL and IS NOT NULL can be asked."),
    Kind.duration: (lambda _: False, lambda _: "Only IS NULL and IS NOT NULL can be asked."),
    Kind.other: (lambda _: False, lambda _: "Only IS NULL and IS NOT NULL can be asked."),
}


def _word(value: Constant) -> str:
    match value:
        case bool():
            return Kind.boolean.value
        case int():
            return Kind.integer.value
        case Decimal():
            return Kind.number.value
        case datetime():
            return "a date"
        case _:
            return Kind.text.value


def _mismatch(message: str, hint: str, place: Position | None) -> Fault:
    return fault("pql.type_mismatch", message, hint, place)
