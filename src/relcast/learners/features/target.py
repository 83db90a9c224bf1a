"""The query's target as plain values: what happened in past windows is the strongest feature.

Only the shape of the target is kept here (aggregations, filters, conditions) in JSON's words; what
rows it reads is ``resolver``'s matter.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.clock import parse_time
from relcast.core.schema import Link
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    ColumnRef,
    Comparison,
    Condition,
    Constant,
    Expression,
    IsNull,
    Not,
    Operator,
    Or,
    Unit,
    Window,
    aggregations,
)
from relcast.tasks.offsets import EARLIEST, from_datetime, shift

__all__ = ["Operand", "Target", "TargetAggregation", "holds", "tree_of"]

Bools = npt.NDArray[np.bool_]
Tree = Mapping[str, Any]
"""A condition in JSON's words: ``{"op", ...}``; leaves name a column or an aggregation's number."""


@dataclass(frozen=True)
class TargetAggregation:
    """One aggregation of the target.

    Attributes:
        kind: What is computed.
        table: The aggregated table.
        column: The aggregated column; None for ``*``.
        link: The foreign key from ``table`` to the entity table.
        where: The inner filter.
        length: Length of the window, in ``unit``.
        unit: Months are calendar months.
    """

    kind: AggregationKind
    table: str
    column: str | None
    link: Link
    where: Tree | None
    length: int
    unit: Unit

    def edges(self, anchors: npt.NDArray[np.int64], windows: int) -> npt.NDArray[np.int64]:
        """Return the ends of past windows, int64[n, windows + 1] from each anchor backwards."""
        steps = [shift(anchors, -k * self.length, self.unit) for k in range(windows + 1)]
        return np.stack(steps, axis=1)

    @property
    def nanoseconds(self) -> int:
        """The window's length in ns; a month counts as a twelfth of a year."""
        if self.unit is Unit.months:
            return self.length * (31_556_952 * 10**9 // 12)
        return int(shift(np.zeros(1, dtype=np.int64), self.length, self.unit)[0])

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "table": self.table,
            "column": self.column,
            "link": self.link.to_json(),
            "where": self.where,
            "length": self.length,
            "unit": self.unit.value,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TargetAggregation:
        return cls(
            AggregationKind(obj["kind"]),
            obj["table"],
            obj["column"],
            Link.from_json(obj["link"]),
            obj["where"],
            int(obj["length"]),
            Unit(obj["unit"]),
        )


@dataclass(frozen=True)
class Target:
    """A temporal target: its aggregations, and the condition over them when it is one."""

    aggregations: tuple[TargetAggregation, ...]
    condition: Tree | None

    @classmethod
    def of(cls, target: Expression) -> Target | None:
        """Return the target's shape; None when it has no window that can be looked back to."""
        found = list(aggregations(target))
        parts = []
        for part in found:
            if part.link is None or part.window is None or part.window.start is None:
                return None
            where = None if part.where is None else tree_of(part.where, _column)
            length = _length(part.window)
            parts.append(
                TargetAggregation(
                    part.kind,
                    part.column.table,
                    part.column.column,
                    part.link,
                    where,
                    length,
                    part.window.unit,
                )
            )
        if not parts:
            return None
        if isinstance(target, Aggregation | ColumnRef):
            return cls(tuple(parts), None)
        numbers = iter(range(len(parts)))
        return cls(tuple(parts), tree_of(target, lambda _: {"aggregation": next(numbers)}))

    def to_json(self) -> dict[str, Any]:
        return {
            "aggregations": [a.to_json() for a in self.aggregations],
            "condition": self.condition,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Target:
        parts = tuple(TargetAggregation.from_json(a) for a in obj["aggregations"])
        return cls(parts, obj["condition"])


def _length(window: Window) -> int:
    return window.end - (window.start or 0)


def tree_of(node: Condition, leaf: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return a condition in JSON's words; ``leaf`` names its operands, left to right."""
    match node:
        case Not(condition=inner):
            return {"op": "not", "parts": [tree_of(inner, leaf)]}
        case And(left=left, right=right):
            return {"op": "and", "parts": [tree_of(left, leaf), tree_of(right, leaf)]}
        case Or(left=left, right=right):
            return {"op": "or", "parts": [tree_of(left, leaf), tree_of(right, leaf)]}
        case IsNull(operand=operand, negated=negated):
            return {"op": "present" if negated else "missing", "operand": leaf(operand)}
        case Comparison(operand=operand, operator=op, constant=constant):
            many = isinstance(constant, tuple)
            values = constant if isinstance(constant, tuple) else (constant,)
            return {
                "op": op.value,
                "operand": leaf(operand),
                "many": many,
                "constants": [_constant(c) for c in values],
            }


def _column(ref: Any) -> dict[str, Any]:
    hop = ref.hop.to_json() if isinstance(ref, ColumnRef) and ref.hop is not None else None
    return {"table": ref.table, "column": ref.column, "hop": hop}


def _constant(value: Constant) -> dict[str, Any]:
    match value:
        case datetime():
            aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
            return {"time": aware.isoformat()}
        case bool() | None:
            return {"value": value}
        case Decimal() | int():
            return {"number": str(value)}
        case _:
            return {"value": value}


@dataclass(frozen=True)
class Operand:
    """Values that a condition compares: numbers (NaN is NULL), times in ns, or coded texts.

    Attributes:
        values: float64, int64 ns or integer codes, any shape.
        missing: Where there is no value.
        words: The texts of the codes; None for numbers and times.
        is_time: Whether values are int64 ns.
    """

    values: npt.NDArray[Any]
    missing: Bools
    words: Sequence[str] | None = None
    is_time: bool = False


def holds(tree: Tree, operand: Callable[[Mapping[str, Any]], Operand]) -> Bools:
    """Evaluate a condition in two-valued logic: a comparison with NULL is false."""
    op = tree["op"]
    if op == "not":
        return ~holds(tree["parts"][0], operand)
    if op in ("and", "or"):
        left, right = (holds(part, operand) for part in tree["parts"])
        return left & right if op == "and" else left | right
    found = operand(tree["operand"])
    if op == "missing":
        return found.missing
    if op == "present":
        return ~found.missing
    constants = [c for c in map(_value, tree["constants"]) if c is not None]
    test = _test(Operator(op), constants)
    if found.words is not None:
        table = np.array([test(word) for word in found.words] + [False], dtype=bool)
        return table[np.where(found.missing, len(found.words), found.values).astype(np.int64)]
    if not found.is_time:
        constants = [n for n in map(_as_number, constants) if n is not None]
    else:
        constants = [n for n in map(_as_time, constants) if n is not None]
    return _compare(Operator(op), found.values, constants) & ~found.missing


_ORDER: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


def _compare(op: Operator, values: npt.NDArray[Any], constants: list[Any]) -> Bools:
    if op is Operator.IN:
        return np.isin(values, constants)
    if op is Operator.NOT_IN:
        return ~np.isin(values, constants)
    if not constants or op not in _ORDER:
        return np.zeros(values.shape, dtype=bool)
    result: Bools = _ORDER[op](values, constants[0])
    return result


def _test(op: Operator, constants: list[Any]) -> Callable[[str], bool]:
    """Return the test of one text."""
    texts = [str(_plain(c)) for c in constants]
    if op is Operator.IN:
        return lambda word: word in texts
    if op is Operator.NOT_IN:
        return lambda word: word not in texts
    if not texts:
        return lambda _: False
    text = texts[0]
    tests: dict[Operator, Callable[[str], bool]] = {
        Operator.CONTAINS: lambda word: text in word,
        Operator.NOT_CONTAINS: lambda word: text not in word,
        Operator.STARTS_WITH: lambda word: word.startswith(text),
        Operator.NOT_STARTS_WITH: lambda word: not word.startswith(text),
        Operator.ENDS_WITH: lambda word: word.endswith(text),
        Operator.NOT_ENDS_WITH: lambda word: not word.endswith(text),
    }
    if op in tests:
        return tests[op]
    return lambda word: bool(_ORDER[op](word, text))


def _plain(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _value(obj: Mapping[str, Any]) -> Any:
    if "time" in obj:
        return parse_time(obj["time"])
    if "number" in obj:
        number = Decimal(obj["number"])
        return int(number) if number == number.to_integral_value() else number
    return obj["value"]


def _as_number(value: Any) -> float | None:
    if isinstance(value, datetime):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _as_time(value: Any) -> int | None:
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, str):
        try:
            moment = parse_time(value)
        except ValueError:
            return None
        return EARLIEST if moment is None else from_datetime(moment)
    return None
