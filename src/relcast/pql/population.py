"""For whom a query predicts, and who is left out, in plain English."""

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
from relcast.pql.literals import name_text
from relcast.pql.values import label
from relcast.pql.wording import Wording, compared, rows

__all__ = ["Part", "Population", "chain"]

Part = Comparison | IsNull | And | Or
"""What is left of a condition when no NOT stands before it."""

_LEAST = {Operator.GT: 1, Operator.GE: 0}
_MOST = {Operator.LT: 1, Operator.LE: 0}


class Population:
    """Say who satisfies a condition on the entity, and who does not.

    Both say exactly what the condition says, whatever its shape; only simple shapes get words of
    their own.
    """

    def __init__(self, entity: str, wording: Wording) -> None:
        self.entity = entity
        self.wording = wording

    def who(self, node: Condition) -> str:
        """Return who satisfies a condition, to stand after "each row of customers"."""
        return self._together(node, holds=True)

    def others(self, node: Condition) -> str:
        """Return who does not satisfy it, to stand after "Left out: customers"."""
        return self._together(node, holds=False)

    def _together(self, node: Condition, *, holds: bool) -> str:
        """Join the parts of a chain of AND or OR; NOT of one is the other one of opposites."""
        parts, all_of_them = chain(node, holds=holds)
        words = [self._part(part, holds=true) for part, true in parts]
        if len(words) == 1:
            return words[0]
        if all_of_them:
            return " and ".join(words)
        # Several groups: everybody who belongs to at least one of them.
        return ", and those ".join(words) if not holds else ", or ".join(words)

    def _part(self, node: Part, *, holds: bool) -> str:
        match node:
            case And() | Or():
                # In parentheses, because it is a part of a longer chain of the other kind.
                said = f"({self.wording.condition(node)})"
                return f"for which {said}" if holds else f"for which it is not true that {said}"
            case Comparison(operand=ColumnRef() as column) | IsNull(operand=ColumnRef() as column):
                return self._column(node, column, holds=holds)
            case _:
                return self._count(node, holds=holds) or self._any(node, holds=holds)

    def _column(self, node: Comparison | IsNull, column: ColumnRef, *, holds: bool) -> str:
        own = column.table == self.entity and column.hop is None and column.column is not None
        name = name_text(column.column or "") if own else label(column)
        return f"whose {name} {compared(node, holds=holds)}"

    def _count(self, node: Comparison | IsNull, *, holds: bool) -> str | None:
        """Return ``with no row of orders …`` for counts, as far as there are such words."""
        operand = node.operand
        if not isinstance(node, Comparison) or not isinstance(operand, Aggregation):
            return None
        value = node.constant
        counts = operand.kind is AggregationKind.COUNT and operand.window is not None
        if not counts or isinstance(value, bool) or not isinstance(value, int):
            return None
        operator = node.operator
        if operator in {Operator.GT, Operator.GE}:
            least, at_least = value + _LEAST[operator], holds
        elif operator in {Operator.LT, Operator.LE}:
            least, at_least = value + 1 - _MOST[operator], not holds
        elif operator in {Operator.EQ, Operator.NE}:
            return self._exactly(operand, value, holds=holds == (operator is Operator.EQ))
        else:
            return None
        if least < 1:
            return None
        if least == 1:
            return self._some(operand, any_of_them=at_least)
        when = self.wording.window(operand.window) if operand.window else ""
        return f"with {'at least' if at_least else 'fewer than'} {least} {rows(operand)} {when}"

    def _exactly(self, operand: Aggregation, value: int, *, holds: bool) -> str | None:
        if value < 0:
            return None
        if value == 0:
            return self._some(operand, any_of_them=not holds)
        when = self.wording.window(operand.window) if operand.window else ""
        number = f"{value} {rows(operand, plural=value > 1)} {when}"
        return f"with exactly {number}" if holds else f"with more or fewer than {number}"

    def _some(self, operand: Aggregation, *, any_of_them: bool) -> str:
        when = self.wording.window(operand.window) if operand.window else ""
        return f"with {'a' if any_of_them else 'no'} {rows(operand, plural=False)} {when}"

    def _any(self, node: Comparison | IsNull, *, holds: bool) -> str:
        return f"for which {self.wording.comparison(node, holds=holds)}"


def chain(node: Condition, *, holds: bool) -> tuple[list[tuple[Part, bool]], bool]:
    """Return the parts of a chain of AND or OR, each with whether it holds, and whether all do.

    NOT is pushed inward: not (A and B) is a chain in which one of not A and not B holds.
    """
    first, true = _without_not(node, holds=holds)
    if not isinstance(first, And | Or):
        return [(first, true)], True
    return list(_parts(first, type(first), holds=true)), isinstance(first, And) == true


def _parts(node: Condition, kind: type[And | Or], *, holds: bool) -> Iterator[tuple[Part, bool]]:
    if isinstance(node, And | Or) and isinstance(node, kind):
        yield from _parts(node.left, kind, holds=holds)
        yield from _parts(node.right, kind, holds=holds)
    else:
        yield _without_not(node, holds=holds)


def _without_not(node: Condition, *, holds: bool) -> tuple[Part, bool]:
    """Return what stands behind each NOT, and whether that holds."""
    while isinstance(node, Not):
        node, holds = node.condition, not holds
    return node, holds
