"""Strict mode: what only relcast has is refused, with the form that Kumo's language has for it.

The list of extensions is this module; docs/pql.md shows it in words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from relcast.core.errors import Fault, Position
from relcast.core.schema import Dtype
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    ColumnRef,
    Comparison,
    Operator,
    Query,
    aggregations,
)
from relcast.pql.built import token_position
from relcast.pql.catalogue import fault
from relcast.pql.literals import constant_text, name_text
from relcast.pql.parser import Reading, words
from relcast.pql.printer import to_text
from relcast.pql.tree import comparisons, operands
from relcast.pql.values import label

__all__ = ["extensions"]

# The SDK itself prints True and False, as Python does.
_ANY_CASE = frozenset({"COLUMN", "STRING", "WORD", "TRUE", "FALSE"})
_NEGATIONS = {
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.NOT_ENDS_WITH: Operator.ENDS_WITH,
}
_RANGES = frozenset({Operator.BETWEEN, Operator.NOT_BETWEEN})
_LONG = 100
_MAYBE = re.compile(r"--|[a-z]_?[A-Z]|[A-Z]_?[a-z]")
"""Without this a text has no comment of ours and no word in mixed case."""

_COMMENT = re.compile(r"(#|--)[^\n]*")
_WHITHER = "Kumo's language has no such form; leave strict mode to use it."


def extensions(query: Query, reading: Reading | None) -> Iterator[Fault]:
    """Yield ``pql.extension`` for every form of a resolved query that is ours alone.

    ``reading`` is what the query was read from, for spellings that no tree shows; None for a tree
    made by hand.
    """
    if reading is not None:
        yield from _spelling(reading)
    if isinstance(query.target, ColumnRef) and query.target.dtype is Dtype.bool:
        yield _extension(
            "A boolean column as the whole target is an extension",
            f"Write {label(query.target)} = TRUE.",
            query.target.position,
        )
    for clause in (query.target, query.where, query.assuming):
        for operand in operands(clause):
            if isinstance(operand, Arithmetic):
                yield _extension(
                    "Arithmetic between aggregations is an extension",
                    f"Predict one aggregation at a time. {_WHITHER}",
                    operand.position,
                )
        for node in aggregations(clause):
            yield from _aggregation(node)
        if clause is not None and not isinstance(clause, Aggregation | Arithmetic | ColumnRef):
            yield from _comparisons(comparisons(clause))


def _aggregation(node: Aggregation) -> Iterator[Fault]:
    if node.kind in {AggregationKind.MEDIAN, AggregationKind.STDDEV}:
        yield _extension(
            f"{node.kind.value} is an extension",
            "Use AVG, MIN or MAX."
            if node.kind is AggregationKind.MEDIAN
            else f"{_WHITHER} AVG, MIN and MAX are known to both.",
            node.position,
        )
    if len(node.path) > 1:
        here, there = node.path[0].table, node.path[-1].to
        nearest = node.path[-1].table
        yield _extension(
            f"{name_text(here)} is {len(node.path)} foreign keys away from {name_text(there)}, and "
            "an aggregation over several is an extension",
            f"Add a foreign key to {name_text(there)} to {name_text(here)}, or aggregate "
            f"{name_text(nearest)}.",
            node.column.position,
        )
    if node.where is not None:
        yield from _comparisons(comparisons(node.where))


def _comparisons(nodes: Iterator[object]) -> Iterator[Fault]:
    for node in nodes:
        if not isinstance(node, Comparison):
            continue
        operator, values = node.operator, node.constant
        if operator not in _NEGATIONS and operator not in _RANGES:
            continue
        operand = _short(to_text(node.operand))
        if operator in _NEGATIONS:
            plain = f"{operand} {_NEGATIONS[operator].value} {_short(constant_text(values))}"
            mend = f"Write ({operand} IS NOT NULL AND NOT {plain})."
        else:
            ends = values if isinstance(values, tuple) and values else (None,)
            low, high = (_short(constant_text(ends[i])) for i in (0, -1))
            mend = f"Write ({operand} >= {low} AND {operand} <= {high})."
            if operator is Operator.NOT_BETWEEN:
                mend = f"Write ({operand} < {low} OR {operand} > {high})."
        yield _extension(f"{operator.value} is an extension", mend, node.position)


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _spelling(reading: Reading) -> Iterator[Fault]:
    """Yield a fault for each spelling that only we allow."""
    text = reading.text
    lines = [m.end() for m in re.finditer("\n", text)]
    for position, mend in reading.liberties:
        yield _extension("This spelling is an extension", mend, position)
    if _MAYBE.search(text) is None:
        return
    end = 0
    for token in words(text):
        start = token.start_pos or 0
        yield from _comments(text, end, start, lines)
        word = str(token)
        end = start + len(word)
        mixed = word not in {word.upper(), word.lower()}
        if mixed and token.type not in _ANY_CASE:
            yield _extension(
                f"The keyword {word} in mixed case is an extension",
                f"Write {word.upper()}, or {word.lower()}.",
                token_position(token),
            )
    yield from _comments(text, end, len(text), lines)


def _comments(text: str, start: int, end: int, lines: list[int]) -> Iterator[Fault]:
    """Yield a fault for each comment of ours; ``lines`` are the offsets of all lines but the first.

    Between two words stand nothing but blanks and comments.
    """
    for match in _COMMENT.finditer(text, start, end):
        if match.group(1) == "--":
            line = bisect_right(lines, match.start())
            begin = lines[line - 1] if line else 0
            yield _extension(
                "A comment that begins with -- is an extension",
                "Begin it with #.",
                Position(line + 1, match.start() - begin + 1, len(match.group())),
            )


def _extension(message: str, hint: str, position: Position | None) -> Fault:
    return fault("pql.extension", message, hint, position)
