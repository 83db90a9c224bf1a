"""Comparisons whose outcome is known before anything happens, so that nothing is predicted."""

from __future__ import annotations

from collections.abc import Iterator

from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    ColumnRef,
    Comparison,
    Condition,
    IsNull,
    Not,
    Operator,
    Or,
)
from relcast.pql.values import label

__all__ = ["comparisons", "known_beforehand"]

_COUNTS = frozenset({AggregationKind.COUNT, AggregationKind.COUNT_DISTINCT})
_NEVER_NULL = _COUNTS | {AggregationKind.SUM}


def comparisons(node: Condition) -> Iterator[Comparison | IsNull]:
    """Yield the comparisons of a condition, left to right."""
    match node:
        case Not(condition=condition):
            yield from comparisons(condition)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from comparisons(left)
            yield from comparisons(right)
        case _:
            yield node


def known_beforehand(node: Comparison | IsNull) -> tuple[str, str] | None:
    """Return why a comparison has the same value for everybody, and the mend; else None."""
    operand = node.operand
    if isinstance(node, IsNull):
        if isinstance(operand, ColumnRef):
            return (
                f"Whether {label(operand)} is NULL is known for every row already",
                f"Predict {label(operand)} itself, or a comparison with it.",
            )
        if operand.kind in _NEVER_NULL:
            return (
                f"{operand.kind.value} is never NULL, it is 0 where there are no rows",
                f"Compare it with 0, or use MIN({label(operand.column)}, …) IS NULL."
                if operand.column.column is not None
                else "Compare it with 0.",
            )
        return None
    if not isinstance(operand, Aggregation) or operand.kind not in _COUNTS:
        return None
    value = node.constant
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    always = {
        Operator.GE: value <= 0,
        Operator.GT: value < 0,
        Operator.NE: value < 0,
    }.get(node.operator, False)
    never = {
        Operator.LT: value <= 0,
        Operator.LE: value < 0,
        Operator.EQ: value < 0,
    }.get(node.operator, False)
    if not (always or never):
        return None
    truth = "always" if always else "never"
    return (
        f"A count is never below 0, so {node.operator.value} {value} {truth} holds",
        "Compare with 1 or more, or write = 0 for none at all.",
    )
