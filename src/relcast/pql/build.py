"""From lark's tree to the syntax tree: values, positions, and the faults of single literals.

Grammar alone cannot say that 2024-02-30 is no date or that LIKE needs a ``%``. Such faults are
collected here and do not stop the building, so that the checker can add its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lark import Token

from relcast.core.errors import Position
from relcast.pql.arithmetic import constant_faults
from relcast.pql.ast import (
    And,
    ColumnRef,
    Comparison,
    Condition,
    Constant,
    IsNull,
    Not,
    Operator,
    Or,
    Problem,
    ProblemKind,
    Query,
)
from relcast.pql.built import Built, Part, as_built, as_token, over, token_types
from relcast.pql.literals import shown
from relcast.pql.operand_builder import OperandBuilder

__all__ = ["Builder"]

_OPERATORS = {
    "EQ": Operator.EQ,
    "NE": Operator.NE,
    "LT": Operator.LT,
    "LE": Operator.LE,
    "GT": Operator.GT,
    "GE": Operator.GE,
    "IN": Operator.IN,
    "CONTAINS": Operator.CONTAINS,
    "STARTS": Operator.STARTS_WITH,
    "ENDS": Operator.ENDS_WITH,
}


@dataclass(frozen=True, slots=True)
class _Population:
    entity: ColumnRef
    keys: tuple[Constant, ...] | None
    keys_position: Position | None


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operator as written: LIKE becomes another one when its pattern is known."""

    words: str
    like: bool
    negated: bool


class Builder(OperandBuilder):
    """Build one query: its conditions and its clauses."""

    # -- conditions -------------------------------------------------------------------------

    def operator(self, parts: list[Part]) -> Built:
        types = token_types(parts)
        words = " ".join(t for t in types if t != "IS")
        negated = "NOT" in types
        return over(parts, _Operation(words, "LIKE" in types, negated))

    def comparison(self, parts: list[Part]) -> Built:
        operand, written, constant = parts
        operand = as_built(operand)
        written = as_built(written)
        constant = as_built(constant)
        operation: _Operation = written.value
        value = constant.value
        if operation.like:
            operator, value = self._like(operation, constant)
        else:
            first = next(w for w in operation.words.split() if w != "NOT")
            operator = _OPERATORS[first]
            if operation.negated:
                operator = Operator(f"NOT {operator.value}")
        place = over(parts, None).position
        node = Comparison(self._operand(operand), operator, value, place, constant.position)
        return over(parts, node, operand.depth)

    def _like(self, operation: _Operation, constant: Built) -> tuple[Operator, Any]:
        """Return the operator and the text that a LIKE pattern stands for."""
        pattern = constant.value
        operator, body = Operator.CONTAINS, ""
        if not isinstance(pattern, str):
            if constant.position not in self._spoiled:
                self._fault(
                    "pql.type_mismatch",
                    "LIKE compares with a text, and this is none",
                    "Write a text with % at its start or end, such as LIKE '%blue%'.",
                    constant.position,
                )
        else:
            front, back = pattern.startswith("%"), pattern.endswith("%")
            body = pattern[front : len(pattern) - back] if len(pattern) > 1 else ""
            if not body or "%" in body or not (front or back):
                self._fault(
                    "pql.syntax",
                    f"The pattern {shown(pattern)} of LIKE needs % at its start or its end, "
                    "and only there",
                    "Write '%x%' for contains, 'x%' for starts with, '%x' for ends with; "
                    "for equality write =.",
                    constant.position,
                )
            elif not back:
                operator = Operator.ENDS_WITH
            elif not front:
                operator = Operator.STARTS_WITH
        return (Operator(f"NOT {operator.value}") if operation.negated else operator), body

    def between(self, parts: list[Part]) -> Built:
        operand, negation, _, low, _, high = parts
        operand, low, high = as_built(operand), as_built(low), as_built(high)
        node = Comparison(
            self._operand(operand),
            Operator.BETWEEN if negation is None else Operator.NOT_BETWEEN,
            (low.value, high.value),
            over(parts, None).position,
            over(parts[3:], None).position,
        )
        return over(parts, node, operand.depth)

    def null_test(self, parts: list[Part]) -> Built:
        operand = as_built(parts[0])
        place = over(parts, None).position
        negated = "NOT" in token_types(parts)
        return over(parts, IsNull(self._operand(operand), negated, place), operand.depth)

    def group(self, parts: list[Part]) -> Built:
        inner = parts[1]
        inner = as_built(inner)
        return over(parts, inner.value, inner.depth)

    def negated(self, parts: list[Part]) -> Built:
        token, inner = parts
        token = as_token(token)
        inner = as_built(inner)
        depth = inner.depth + 1
        if self._too_deep(depth, token):
            return inner
        return over(parts, Not(inner.value, over(parts, None).position), depth)

    def both(self, parts: list[Part]) -> Built:
        return self._joined(And, parts)

    def either(self, parts: list[Part]) -> Built:
        return self._joined(Or, parts)

    def _joined(self, node: type[And | Or], parts: list[Part]) -> Built:
        left, token, right = parts
        left = as_built(left)
        token = as_token(token)
        right = as_built(right)
        depth = max(left.depth, right.depth) + 1
        if self._too_deep(depth, token):
            return left if left.depth >= right.depth else right
        joined: Condition = node(left.value, right.value, over(parts, None).position)
        return over(parts, joined, depth)

    # -- clauses ----------------------------------------------------------------------------

    def rank(self, parts: list[Part]) -> Built:
        number = parts[2]
        number = as_built(number)
        value = number.value
        if isinstance(value, Decimal):
            self._fault(
                "pql.invalid_top_k",
                f"RANK TOP takes a whole number, not {value}",
                "Write how many to rank, such as RANK TOP 10.",
                number.position,
            )
        k = value if isinstance(value, int) else 1
        return over(parts, Problem(ProblemKind.RANK, k, over(parts, None).position))

    def rank_without_top(self, parts: list[Part]) -> Built:
        built = over(parts, Problem(ProblemKind.RANK, 1, over(parts, None).position))
        self._fault(
            "pql.invalid_top_k",
            "RANK does not say how many to rank",
            "Write RANK TOP 10, say.",
            built.position,
        )
        return built

    def top_without_rank(self, parts: list[Part]) -> Built:
        number = parts[-1]
        number = as_built(number)
        built = over(parts, None)
        self._fault(
            "pql.top_k_requires_rank",
            "TOP stands without RANK",
            "Write RANK TOP k to rank the k most likely, or CLASSIFY alone for a yes or no each.",
            built.position,
        )
        k = number.value if isinstance(number.value, int) and number.value > 0 else 1
        return over(parts, Problem(ProblemKind.RANK, k, built.position))

    def classify(self, parts: list[Part]) -> Built:
        return over(parts, Problem(ProblemKind.CLASSIFY, None, over(parts, None).position))

    def forecast(self, parts: list[Part]) -> Built:
        number = parts[1]
        number = as_built(number)
        value = number.value
        if value is not None and not (isinstance(value, int) and value >= 1):
            self._fault(
                "pql.syntax",
                f"FORECAST takes a whole number of at least 1, not {value}",
                "Write how many windows to forecast, such as FORECAST 12 TIMEFRAMES.",
                number.position,
            )
        n = value if isinstance(value, int) else 1
        return over(parts, Problem(ProblemKind.FORECAST, n, over(parts, None).position))

    def filter(self, parts: list[Part]) -> Built:
        return self.group([*parts])

    def hypothesis(self, parts: list[Part]) -> Built:
        return self.group([*parts])

    def population(self, parts: list[Part]) -> Built:
        token = next(p for p in parts if isinstance(p, Token) and p.type == "COLUMN")
        constant = next((p for p in parts if isinstance(p, Built)), None)
        if constant is None:
            return over(parts, _Population(self._column(token), None, None))
        value, keys = constant.value, (constant.value,)
        if "IN" in token_types(parts):
            keys = value if isinstance(value, tuple) else (value,)
            if not isinstance(value, tuple):
                self._list_wanted(constant)
            elif len(value) == 1:
                self._fault(
                    "pql.single_element_list",
                    "The list of keys has one element only",
                    "Write = in place of IN, without the parentheses.",
                    constant.position,
                )
        elif isinstance(value, tuple):
            keys = value
            self._fault(
                "pql.type_mismatch",
                "A key is compared with a list by =",
                "Write IN before a list.",
                constant.position,
            )
        return over(parts, _Population(self._column(token), keys, constant.position))

    def _list_wanted(self, constant: Built) -> None:
        self._fault(
            "pql.type_mismatch",
            "IN is followed by a single constant",
            "Write = in place of IN, or a list such as (1, 2).",
            constant.position,
        )

    def query(self, parts: list[Part]) -> Built:
        _, target, problem, population, where, assuming = parts
        target = as_built(target)
        population = as_built(population)
        whom: _Population = population.value
        whole = over(parts, None)
        target_tree = target.value
        if isinstance(target_tree, int | Decimal | None):
            target_tree = self._operand(target)
        query = Query(
            target=target_tree,
            entity=whom.entity,
            problem=problem.value if isinstance(problem, Built) else None,
            keys=whom.keys,
            where=where.value if isinstance(where, Built) else None,
            assuming=assuming.value if isinstance(assuming, Built) else None,
            position=whole.position,
            keys_position=whom.keys_position,
        )
        self.faults += constant_faults(query)
        return over(parts, query)
