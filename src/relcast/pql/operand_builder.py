"""From the parser's tree to what conditions are made of: columns, constants, aggregations, sums.

``relcast.pql.build`` builds conditions and clauses on top of these.
"""

from __future__ import annotations

from decimal import Decimal

from lark import Token
from lark.visitors import Transformer_NonRecursive

from relcast.core.errors import Fault, Position
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Constant,
    Unit,
    Window,
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
)
from relcast.pql.tree import operands

__all__ = ["MAX_DEPTH", "OperandBuilder"]

MAX_DEPTH = 100
"""Levels of AND, OR, NOT and arithmetic in one condition; whoever walks a tree may recurse."""

_ARITHMETIC = {
    "PLUS": ArithmeticOperator.ADD,
    "MINUS": ArithmeticOperator.SUBTRACT,
    "STAR": ArithmeticOperator.MULTIPLY,
    "SLASH": ArithmeticOperator.DIVIDE,
}


class OperandBuilder(Transformer_NonRecursive[Token, Built]):
    """Build operands and constants.

    Attributes:
        faults: What is wrong with literals and their places, in order of finding.
        liberties: Spellings that only we allow and that the tree does not show: the place of each
            and the spelling that everybody allows.
    """

    def __init__(self) -> None:
        super().__init__(visit_tokens=False)
        self.faults: list[Fault] = []
        self._spoiled: set[Position] = set()
        self._deep = False
        self.liberties: list[tuple[Position, str]] = []

    def _fault(self, code: str, message: str, hint: str, position: Position) -> None:
        self.faults.append(fault(code, message, hint, position))
        self._spoiled.add(position)

    # -- columns, constants -----------------------------------------------------------------

    def _column(self, token: Token) -> ColumnRef:
        table, column = read_names(str(token))
        return ColumnRef(table, column, token_position(token))

    def column(self, parts: list[Part]) -> Built:
        return over(parts, self._column(as_token(parts[0])))

    def literal(self, parts: list[Part]) -> Built:
        token = as_token(parts[0])
        text = str(token)
        value: Constant = None
        try:
            match token.type:
                case "TRUE" | "FALSE":
                    value = token.type == "TRUE"
                case "STRING":
                    value = read_text(text)
                case "DATE":
                    value = read_date(text)
        except BadLiteral as error:
            self._fault("pql.syntax", error.message, error.hint, token_position(token))
        return over(parts, value)

    def number(self, parts: list[Part]) -> Built:
        """Build a whole number or a decimal with its sign; None where it has too many digits."""
        token = as_token(parts[-1])
        signs = [p for p in parts[:-1] if isinstance(p, Token)]
        text = "".join(str(t) for t in [*signs, token])
        built = over(parts, None)
        if built.end - built.start > len(text):
            self.liberties.append((built.position, f"Write {text} without a blank."))
        try:
            value = read_integer(text) if token.type == "INT" else read_decimal(text)
        except BadLiteral as error:
            self._fault("pql.syntax", error.message, error.hint, built.position)
            return built
        return over(parts, value)

    def choices(self, parts: list[Part]) -> Built:
        values = tuple(p.value for p in parts if isinstance(p, Built))
        return over(parts, values)

    # -- aggregations -----------------------------------------------------------------------

    def kind(self, parts: list[Part]) -> Built:
        return over(parts, AggregationKind(token_types(parts)[0]))

    def unit(self, parts: list[Part]) -> Built:
        return over(parts, Unit(token_types(parts)[0].lower()))

    def window(self, parts: list[Part]) -> Built:
        _, first, _, last, _, unit = parts
        end = as_built(last).value
        start = first.value if isinstance(first, Built) else None
        # A bound that is no number has left its fault; one beside the other stands in for it.
        if isinstance(first, Built) and start is None:
            start = 0 if end is None else end - 1
        if end is None:
            end = 0 if start is None else start + 1
        place = over(parts[1:], None).position
        kind = unit.value if isinstance(unit, Built) else Unit.days
        return over(parts[1:], Window(start, end, kind, place))

    def aggregation(self, parts: list[Part]) -> Built:
        kind, token, where, window = parts[0], as_token(parts[2]), parts[3], parts[4]
        condition = where.value if isinstance(where, Built) else None
        for inner in operands(condition):
            if isinstance(inner, ColumnRef):
                continue
            what = (
                f"An aggregation ({inner.kind.value})"
                if isinstance(inner, Aggregation)
                else "Arithmetic"
            )
            self._fault(
                "pql.syntax",
                f"{what} stands in the filter inside an aggregation",
                "A filter inside an aggregation compares columns; an aggregation over the past "
                "belongs into the WHERE after FOR EACH.",
                inner.position or token_position(token),
            )
            condition = None
        built = over(parts, None, where.depth if isinstance(where, Built) else 0)
        node = Aggregation(
            as_built(kind).value,
            self._column(token),
            condition,
            window.value if isinstance(window, Built) else None,
            built.position,
        )
        return over(parts, node, built.depth)

    # -- arithmetic -------------------------------------------------------------------------

    def arithmetic(self, parts: list[Part]) -> Built:
        left, token, right = as_built(parts[0]), as_token(parts[1]), as_built(parts[2])
        depth = max(left.depth, right.depth) + 1
        if self._too_deep(depth, token):
            return left if left.depth >= right.depth else right
        node = Arithmetic(
            _ARITHMETIC[token.type],
            _side(left),
            _side(right),
            over(parts, None).position,
        )
        return over(parts, node, depth)

    def sum_in_parentheses(self, parts: list[Part]) -> Built:
        inner = as_built(parts[1])
        if not isinstance(inner.value, Arithmetic):
            place = over(parts, None).position
            self.liberties.append((place, "Remove the parentheses around the single value."))
        return over(parts, inner.value, inner.depth)

    def _operand(self, built: Built) -> Aggregation | Arithmetic | ColumnRef:
        """Return what a comparison begins with; a bare number becomes a sum that stays a number.

        ``constant_faults`` refuses it later, where it is known in which clause it stands.
        """
        value = built.value
        if isinstance(value, Aggregation | Arithmetic | ColumnRef):
            return value
        return Arithmetic(ArithmeticOperator.ADD, _side(built), 0, built.position)

    def _too_deep(self, depth: int, token: Token) -> bool:
        if depth <= MAX_DEPTH:
            return False
        if not self._deep:
            self._deep = True
            self._fault(
                "pql.syntax",
                f"A condition may join or nest at most {MAX_DEPTH} conditions and sums; this is "
                "one more",
                "Drop what cancels out, or write IN (a, b, …) in place of many comparisons.",
                token_position(token),
            )
        return True


def _side(built: Built) -> Aggregation | Arithmetic | int | Decimal:
    """Return one side of a sum; zero stands in for a number that left its fault."""
    value = built.value
    return value if isinstance(value, Aggregation | Arithmetic | int | Decimal) else 0
