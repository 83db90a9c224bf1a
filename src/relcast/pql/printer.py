"""From syntax tree to text: ``to_text``, the one canonical spelling of a query."""

from __future__ import annotations

from decimal import Decimal

from relcast.pql.ast import (
    Aggregation,
    And,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    Expression,
    IsNull,
    Not,
    Operator,
    Or,
    Problem,
    ProblemKind,
    Query,
    Window,
)
from relcast.pql.depth import guard
from relcast.pql.literals import constant_text, name_text

__all__ = ["to_text", "window_text"]

_OR, _AND, _NOT = 1, 2, 3
_SUM, _PRODUCT = 1, 2
_PRODUCTS = {ArithmeticOperator.MULTIPLY, ArithmeticOperator.DIVIDE}


def to_text(node: Query | Expression) -> str:
    """Return the canonical spelling; ``parse(to_text(query)) == query``.

    Parentheses stand where the tree needs them and nowhere else; names get backticks where they
    need them; ``LIKE`` has become CONTAINS, STARTS WITH or ENDS WITH.
    Raises ``pql.syntax`` for a tree, built by hand, that nests deeper than a text may.
    """
    guard(node)
    if not isinstance(node, Query):
        return _expression(node, 0)
    words = ["PREDICT", _expression(node.target, 0)]
    if node.problem is not None:
        words.append(_problem(node.problem))
    words.append("FOR EACH" if node.keys is None else "FOR")
    words.append(_column(node.entity))
    if node.keys is not None:
        one = len(node.keys) == 1
        words += ["=", constant_text(node.keys[0])] if one else ["IN", constant_text(node.keys)]
    if node.where is not None:
        words += ["WHERE", _expression(node.where, 0)]
    if node.assuming is not None:
        words += ["ASSUMING", _expression(node.assuming, 0)]
    return " ".join(words)


def _expression(node: Expression, binding: int) -> str:
    match node:
        case ColumnRef():
            return _column(node)
        case Aggregation():
            return _aggregation(node)
        case Arithmetic():
            return _number(node, 0)
        case Comparison():
            operand = _expression(node.operand, 0)
            return f"{operand} {node.operator.value} {_compared(node)}"
        case IsNull():
            return f"{_expression(node.operand, 0)} IS {'NOT ' if node.negated else ''}NULL"
        case Not():
            # NOT binds more than AND, so that it never needs parentheses around itself.
            return f"NOT {_expression(node.condition, _NOT)}"
        case And():
            # Both chains lean to the left; a right branch of the same kind keeps its parentheses.
            text = f"{_expression(node.left, _AND)} AND {_expression(node.right, _AND + 1)}"
            return f"({text})" if binding > _AND else text
        case Or():
            text = f"{_expression(node.left, _OR)} OR {_expression(node.right, _OR + 1)}"
            return f"({text})" if binding > _OR else text


def _compared(node: Comparison) -> str:
    value = node.constant
    if isinstance(value, tuple) and node.operator in {Operator.BETWEEN, Operator.NOT_BETWEEN}:
        return " AND ".join(constant_text(v) for v in value)
    return constant_text(value)


def _number(node: Aggregation | Arithmetic | int | Decimal, binding: int) -> str:
    match node:
        case Arithmetic(operator=operator):
            own = _PRODUCT if operator in _PRODUCTS else _SUM
            # Chains lean to the left, as those of AND and OR do.
            text = f"{_number(node.left, own)} {operator.value} {_number(node.right, own + 1)}"
            return f"({text})" if binding > own else text
        case Aggregation():
            return _aggregation(node)
        case _:
            return constant_text(node)


def _column(node: ColumnRef) -> str:
    return f"{name_text(node.table)}.{'*' if node.column is None else name_text(node.column)}"


def _aggregation(node: Aggregation) -> str:
    where = "" if node.where is None else f" WHERE {_expression(node.where, 0)}"
    window = "" if node.window is None else f", {window_text(node.window)}"
    return f"{node.kind.value}({_column(node.column)}{where}{window})"


def window_text(window: Window) -> str:
    """Return ``start, end, unit`` as it is written in a query."""
    start = "-INF" if window.start is None else str(window.start)
    return f"{start}, {window.end}, {window.unit.value}"


def _problem(problem: Problem) -> str:
    match problem.kind:
        case ProblemKind.CLASSIFY:
            return "CLASSIFY"
        case ProblemKind.RANK:
            return f"RANK TOP {problem.number}"
        case ProblemKind.FORECAST:
            return f"FORECAST {problem.number} TIMEFRAMES"
