"""Conditions and arithmetic of a target as plain values in JSON's words, and their evaluation.

Logic is the language's: a comparison with NULL is false, arithmetic with NULL is NULL.
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
from relcast.pql.ast import (
    And,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    Condition,
    Constant,
    IsNull,
    Not,
    Operator,
    Or,
)
from relcast.tasks.offsets import EARLIEST, from_datetime

__all__ = ["Operand", "Tree", "calculated", "column_leaf", "constant_of", "holds", "tree_of"]

Bools = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
Tree = Mapping[str, Any]
"""A condition in JSON's words: ``{"op", ...}``; leaves name a column or an aggregation's number."""


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
                "constants": [constant_of(c) for c in values],
            }


def column_leaf(ref: Any) -> dict[str, Any]:
    hop = ref.hop.to_json() if isinstance(ref, ColumnRef) and ref.hop is not None else None
    return {"table": ref.table, "column": ref.column, "hop": hop}


def constant_of(value: Constant) -> dict[str, Any]:
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
        words: The texts of the codes, or the elements of the lists that the codes stand for; None
            for numbers and times.
        is_time: Whether values are int64 ns.
    """

    values: npt.NDArray[Any]
    missing: Bools
    words: Sequence[Any] | None = None
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


def calculated(tree: Tree, value: Callable[[int], Float]) -> Float:
    """Evaluate arithmetic over aggregations' values (by number); NaN is NULL, as in the language.

    A divisor of 0 gives NULL, and so does a result that is not finite.
    """
    if "number" in tree:
        return np.asarray(float(Decimal(tree["number"])))
    if "aggregation" in tree:
        return value(tree["aggregation"])
    left, right = (calculated(tree[side], value) for side in ("left", "right"))
    with np.errstate(all="ignore"):
        match ArithmeticOperator(tree["arithmetic"]):
            case ArithmeticOperator.ADD:
                found = left + right
            case ArithmeticOperator.SUBTRACT:
                found = left - right
            case ArithmeticOperator.MULTIPLY:
                found = left * right
            case ArithmeticOperator.DIVIDE:
                found = left / np.where(right == 0, np.nan, right)
    return np.where(np.isfinite(found), found, np.nan)


def _compare(op: Operator, values: npt.NDArray[Any], constants: list[Any]) -> Bools:
    if op is Operator.IN:
        return np.isin(values, constants)
    if op is Operator.NOT_IN:
        return ~np.isin(values, constants)
    if op in (Operator.BETWEEN, Operator.NOT_BETWEEN):
        if len(constants) < 2:
            return np.zeros(values.shape, dtype=bool)
        inside: Bools = (values >= constants[0]) & (values <= constants[1])
        return inside if op is Operator.BETWEEN else ~inside
    if not constants or op not in _ORDER:
        return np.zeros(values.shape, dtype=bool)
    result: Bools = _ORDER[op](values, constants[0])
    return result


def _test(op: Operator, constants: list[Any]) -> Callable[[Any], bool]:
    """Return the test of one text, or of the elements of one list (which contain whole words)."""
    texts = [str(_plain(c)) for c in constants]
    if op is Operator.IN:
        return lambda word: word in texts
    if op is Operator.NOT_IN:
        return lambda word: word not in texts
    if op in (Operator.BETWEEN, Operator.NOT_BETWEEN) and len(texts) == 2:
        low, high = texts
        return lambda word: (low <= word <= high) == (op is Operator.BETWEEN)
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
