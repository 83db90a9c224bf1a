"""PQL conditions as sqlglot expressions: two-valued logic, exact comparisons.

Every compiled condition is TRUE or FALSE, never NULL: a comparison with NULL is false for every
operator, ``!=`` included. What an operand is (a column, a joined column, an aggregate) is the
caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

import numpy as np
from sqlglot import exp

from relcast.core.clock import parse_time
from relcast.core.errors import InternalError
from relcast.pql.ast import (
    And,
    Comparison,
    Condition,
    Constant,
    IsNull,
    Not,
    Operator,
    Or,
)
from relcast.tasks.offsets import from_datetime
from relcast.tasks.sql import present

__all__ = [
    "FALSE",
    "TRUE",
    "Kind",
    "Leaf",
    "Operand",
    "both",
    "compile_condition",
    "compile_leaf",
    "floating",
    "leaves",
    "number",
    "value_when_absent",
]

Kind = Literal["integer", "single", "double", "text", "bool", "time", "list"]
"""How SQL holds a value; a time is int64 ns, a single a 32-bit float.

Of a list, only whether it is there is held; what it contains is for the caller to say.
"""

TRUE = exp.true()
FALSE = exp.false()

_COMPARE: dict[Operator, type[exp.Binary]] = {
    Operator.EQ: exp.EQ,
    Operator.NE: exp.NEQ,
    Operator.LT: exp.LT,
    Operator.LE: exp.LTE,
    Operator.GT: exp.GT,
    Operator.GE: exp.GTE,
}
_TEXT: dict[Operator, tuple[type[exp.Binary | exp.Func], bool]] = {
    Operator.CONTAINS: (exp.Contains, False),
    Operator.NOT_CONTAINS: (exp.Contains, True),
    Operator.STARTS_WITH: (exp.StartsWith, False),
    Operator.NOT_STARTS_WITH: (exp.StartsWith, True),
    Operator.ENDS_WITH: (exp.EndsWith, False),
    Operator.NOT_ENDS_WITH: (exp.EndsWith, True),
}


@dataclass(frozen=True)
class Operand:
    """One side of a comparison: its SQL, NULL when absent, and how SQL holds it."""

    value: exp.Expr
    kind: Kind


Leaf = Comparison | IsNull


def leaves(condition: Condition | None) -> Iterator[Leaf]:
    """Yield the comparisons and null tests of a condition, left to right."""
    match condition:
        case Comparison() | IsNull():
            yield condition
        case Not(condition=inner):
            yield from leaves(inner)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case None:
            return


def compile_condition(condition: Condition, leaf: Callable[[Leaf], exp.Expr]) -> exp.Expr:
    """Return the SQL of a condition from that of its leaves; TRUE or FALSE on every row."""
    match condition:
        case Comparison() | IsNull():
            return leaf(condition)
        case Not(condition=inner):
            return exp.paren(exp.not_(exp.paren(compile_condition(inner, leaf))))
        case And(left=left, right=right):
            return both(compile_condition(left, leaf), compile_condition(right, leaf))
        case Or(left=left, right=right):
            return exp.paren(exp.or_(compile_condition(left, leaf), compile_condition(right, leaf)))


def compile_leaf(leaf: Leaf, found: Operand) -> exp.Expr:
    """Return the SQL of a comparison or null test; TRUE or FALSE on every row."""
    match leaf:
        case Comparison(operator=operator, constant=constant):
            return exp.Coalesce(
                this=_comparison(found, operator, constant), expressions=[FALSE.copy()]
            )
        case IsNull(negated=negated):
            absent = exp.Is(this=found.value.copy(), expression=exp.null())
            return exp.paren(exp.not_(exp.paren(absent)) if negated else absent)


def value_when_absent(leaf: Leaf) -> bool:
    """Return what a leaf says of a NULL: only ``IS NULL`` holds."""
    return isinstance(leaf, IsNull) and not leaf.negated


def both(*conditions: exp.Expr) -> exp.Expr:
    """Return the conjunction of conditions; TRUE of none."""
    return exp.paren(exp.and_(*(c.copy() for c in conditions))) if conditions else TRUE.copy()


def _comparison(
    found: Operand, operator: Operator, constant: Constant | tuple[Constant, ...]
) -> exp.Expr:
    if operator in (Operator.IN, Operator.NOT_IN):
        members = constant if isinstance(constant, tuple) else (constant,)
        any_of = [_compare(found, Operator.EQ, m) for m in members if m is not None]
        inside = exp.paren(exp.or_(*any_of)) if any_of else FALSE.copy()
        if operator is Operator.IN:
            return inside
        # NULL is in no list and outside none: the outer COALESCE cannot tell, so say it here.
        return both(present(found.value), exp.not_(inside))
    if operator in (Operator.BETWEEN, Operator.NOT_BETWEEN):
        return _between(found, operator, constant)
    if isinstance(constant, tuple):
        raise InternalError(f"{operator.value} takes one constant, not a list")
    if operator in _TEXT:
        function, negated = _TEXT[operator]
        test = function(this=found.value.copy(), expression=_text(str(constant)))
        return exp.not_(test) if negated else test
    return _compare(found, operator, constant)


def _between(
    found: Operand, operator: Operator, constant: Constant | tuple[Constant, ...]
) -> exp.Expr:
    """Compare with both ends, which are inside; nothing lies between a greater and a lesser one."""
    if not isinstance(constant, tuple) or len(constant) != 2:
        raise InternalError(f"{operator.value} takes two ends")
    low, high = constant
    inside = both(_compare(found, Operator.GE, low), _compare(found, Operator.LE, high))
    if operator is Operator.BETWEEN:
        return inside
    return both(present(found.value), exp.not_(inside))


def _compare(found: Operand, operator: Operator, constant: Constant) -> exp.Expr:
    value = found.value.copy()
    if constant is None:
        return FALSE.copy()
    if found.kind == "integer" and isinstance(constant, Decimal):
        return _compare_whole(value, operator, constant)
    return _COMPARE[operator](this=value, expression=_constant(constant, found.kind))


def _compare_whole(value: exp.Expr, operator: Operator, constant: Decimal) -> exp.Expr:
    """Compare an integer with a decimal exactly, by rounding the decimal to the right side."""
    whole = constant == constant.to_integral_value()
    if operator in (Operator.EQ, Operator.NE) and not whole:
        return FALSE.copy() if operator is Operator.EQ else present(value)
    up = operator in (Operator.LT, Operator.GE)
    rounded = math.ceil(constant) if up else math.floor(constant)
    return _COMPARE[operator](this=value, expression=number(rounded))


def number(value: int) -> exp.Expr:
    """Return an integer literal, in parentheses when it is negative."""
    literal = exp.Literal.number(abs(value))
    return exp.paren(exp.Neg(this=literal)) if value < 0 else literal


def _constant(constant: bool | int | Decimal | str | datetime, kind: Kind) -> exp.Expr:
    if kind == "time":
        moment = parse_time(constant) if isinstance(constant, str) else constant
        if not isinstance(moment, datetime):
            raise InternalError(f"{constant!r} is compared with a time, and is none")
        return number(from_datetime(moment))
    if isinstance(constant, bool):
        return exp.true() if constant else exp.false()
    if kind in ("single", "double") and isinstance(constant, int | Decimal):
        return floating(constant, kind)
    if isinstance(constant, int):
        return number(constant)
    return _text(str(constant))


def floating(constant: int | Decimal, kind: Kind = "double") -> exp.Expr:
    """Return a number as the nearest float of a kind, infinite where it is beyond all."""
    # A decimal is compared in the column's own precision, so that `x = 0.1` holds for the 32-bit
    # float that 0.1 became.
    try:
        wide = float(constant)
    except OverflowError:
        wide = math.inf if constant > 0 else -math.inf
    single = kind == "single" and abs(wide) <= float(np.finfo(np.float32).max)
    return exp.cast(exp.Literal.string(repr(wide)), "FLOAT" if single else "DOUBLE")


def _text(value: str) -> exp.Expr:
    # A NUL would end the statement for the parser, so it is written as a function.
    parts = [exp.Literal.string(part) for part in value.split("\0")]
    if len(parts) == 1:
        return parts[0]
    joined: list[exp.Expr] = []
    for part in parts:
        joined += [part, exp.func("chr", exp.Literal.number(0))]
    return exp.func("concat", *joined[:-1])
