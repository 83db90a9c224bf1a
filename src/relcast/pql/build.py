"""From lark's tree to the syntax tree: values, positions, and the faults of single literals.

Grammar alone cannot say that 2024-02-30 is no date or that LIKE needs a ``%``. Such faults are
collected here and do not stop the building, so that the checker can add its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lark import Token
from lark.visitors import Transformer_NonRecursive

from relcast.core.errors import Fault, Position
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
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
    Unit,
    Window,
    aggregations,
)
from relcast.pql.built import Built, Part, as_built, as_token, over, token_position, token_types
from relcast.pql.catalogue import fault
from relcast.pql.literals import (
    BadLiteral,
    read_date,
    read_decimal,
    read_integer,
    read_names,
    read_text,
    shown,
)

__all__ = ["MAX_DEPTH", "Builder"]

MAX_DEPTH = 100
"""Levels of AND, OR and NOT in one condition; whoever walks a tree may recurse."""

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


class Builder(Transformer_NonRecursive[Token, Built]):
    """Build one query; ``faults`` holds what is wrong with its literals, in order of finding."""

    def __init__(self) -> None:
        super().__init__(visit_tokens=False)
        self.faults: list[Fault] = []

    # -- columns, constants -----------------------------------------------------------------

    def _column(self, token: Token) -> ColumnRef:
        table, column = read_names(str(token))
        return ColumnRef(table, column, token_position(token))

    def column(self, parts: list[Part]) -> Built:
        token = parts[0]
        token = as_token(token)
        return over(parts, self._column(token))

    def scalar(self, parts: list[Part]) -> Built:
        token = parts[0]
        token = as_token(token)
        return over(parts, self._constant(token))

    def _constant(self, token: Token) -> Constant:
        text = str(token)
        try:
            match token.type:
                case "TRUE" | "FALSE":
                    return token.type == "TRUE"
                case "INT":
                    return read_integer(text)
                case "DECIMAL":
                    return read_decimal(text)
                case "STRING":
                    return read_text(text)
                case "DATE":
                    return read_date(text)
        except BadLiteral as error:
            self._fault("pql.syntax", error.message, error.hint, token_position(token))
        return None

    def choices(self, parts: list[Part]) -> Built:
        values = tuple(p.value for p in parts if isinstance(p, Built))
        return over(parts, values)

    def number(self, parts: list[Part]) -> Built:
        return self.scalar(parts)

    def _fault(self, code: str, message: str, hint: str, position: Position) -> None:
        self.faults.append(fault(code, message, hint, position))

    # -- aggregations -----------------------------------------------------------------------

    def kind(self, parts: list[Part]) -> Built:
        return over(parts, AggregationKind(token_types(parts)[0]))

    def unit(self, parts: list[Part]) -> Built:
        return over(parts, Unit(token_types(parts)[0].lower()))

    def window(self, parts: list[Part]) -> Built:
        tokens = [p for p in parts if isinstance(p, Token) and p.type != "COMMA"]
        start, end = (self._constant(t) if t.type == "INT" else None for t in tokens)
        unit = next((p.value for p in parts if isinstance(p, Built)), Unit.days)
        whole = over(parts[1:], None)
        # A bound that is no number has left its fault; zero stands in for it.
        if tokens[0].type == "INT" and not isinstance(start, int):
            start = 0
        window = Window(
            start if isinstance(start, int) else None,
            end if isinstance(end, int) else 0,
            unit,
            whole.position,
        )
        return over(parts[1:], window)

    def aggregation(self, parts: list[Part]) -> Built:
        kind, token, where, window = parts[0], parts[2], parts[3], parts[4]
        token = as_token(token)
        condition = where.value if isinstance(where, Built) else None
        for inner in aggregations(condition):
            self._fault(
                "pql.syntax",
                f"An aggregation ({inner.kind.value}) stands in the filter inside another one",
                "A filter inside an aggregation compares columns; an aggregation over the past "
                "belongs into the WHERE after FOR EACH.",
                inner.position or token_position(token),
            )
            condition = None
        built = over(parts, None, where.depth if isinstance(where, Built) else 0)
        node = Aggregation(
            kind.value if isinstance(kind, Built) else AggregationKind.COUNT,
            self._column(token),
            condition,
            window.value if isinstance(window, Built) else None,
            built.position,
        )
        return over(parts, node, built.depth)

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
        node = Comparison(operand.value, operator, value, place, constant.position)
        return over(parts, node, operand.depth)

    def _like(self, operation: _Operation, constant: Built) -> tuple[Operator, Any]:
        """Return the operator and the text that a LIKE pattern stands for."""
        pattern = constant.value
        operator, body = Operator.CONTAINS, ""
        if not isinstance(pattern, str):
            if all(f.position != constant.position for f in self.faults):
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

    def null_test(self, parts: list[Part]) -> Built:
        operand = parts[0]
        operand = as_built(operand)
        place = over(parts, None).position
        return over(parts, IsNull(operand.value, "NOT" in token_types(parts), place), operand.depth)

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

    def _too_deep(self, depth: int, token: Token) -> bool:
        if depth <= MAX_DEPTH:
            return False
        sentence = f"A condition may join or nest at most {MAX_DEPTH} conditions; this is one more"
        if all(f.message != sentence for f in self.faults):
            self._fault(
                "pql.syntax",
                sentence,
                "Drop what cancels out, or write IN (a, b, …) in place of many comparisons.",
                token_position(token),
            )
        return True

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
        query = Query(
            target=target.value,
            entity=whom.entity,
            problem=problem.value if isinstance(problem, Built) else None,
            keys=whom.keys,
            where=where.value if isinstance(where, Built) else None,
            assuming=assuming.value if isinstance(assuming, Built) else None,
            position=whole.position,
            keys_position=whom.keys_position,
        )
        return over(parts, query)
