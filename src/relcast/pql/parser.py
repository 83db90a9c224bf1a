"""From text to syntax tree: ``parse``. Knows the grammar, not the schema.

LALR, so the time is linear in the text; nothing recurses over the text's nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lark import Lark, Token
from lark.exceptions import UnexpectedToken

from relcast.core.errors import Fault, Position, PqlError
from relcast.pql.ast import Query
from relcast.pql.build import Builder
from relcast.pql.catalogue import fault
from relcast.pql.syntax import explain, place

__all__ = ["MAX_LENGTH", "Reading", "grammar", "parse", "read", "words"]

MAX_LENGTH = 200_000
"""Characters of one query; enough for a list of some ten thousand keys."""

_UNFIT = re.compile("[\ud800-\udfff\0]")


@cache
def _text() -> str:
    return Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")


@cache
def grammar() -> Lark:
    """Return the compiled grammar; built once per process, safe to share between threads."""
    return Lark(
        _text(),
        start=["query", "stranger"],
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=True,
    )


@cache
def _lexer() -> Lark:
    # A parser builds a lexer of its own each time that it is asked for words only.
    return Lark(_text(), start=["query", "stranger"], parser=None, lexer="basic")


def words(text: str) -> Iterator[Token]:
    """Yield the words of a text, whatever it is; blanks and comments are left out."""
    return _lexer().lex(text)


def parse(text: str) -> Query:
    """Parse one query.

    Raises ``PqlError`` for every text that is not PQL: usually ``pql.syntax``, with the place, what
    was found and what was expected; a few literals have codes of their own (see docs/pql.md).
    """
    reading = read(text)
    if reading.faults:
        raise PqlError.of(reading.faults)
    return reading.query


class Reading(NamedTuple):
    """What a text says, and what is wrong with it although its clauses are right.

    Attributes:
        text: As it was written.
        query: The tree; something harmless stands in it for each literal that means nothing.
        faults: What is wrong with literals and with numbers that stand alone, in order of place.
        liberties: Spellings that only we allow and that the tree does not show: the place of each
            and the spelling that everybody allows.
    """

    text: str
    query: Query
    faults: tuple[Fault, ...]
    liberties: tuple[tuple[Position, str], ...]


def read(text: str) -> Reading:
    """Parse one query and return what is wrong with its literals beside the tree.

    Raises ``PqlError`` when there is no tree at all.
    """
    unfit = _UNFIT.search(text)
    if unfit is not None:
        raise PqlError.of(
            [
                fault(
                    "pql.syntax",
                    f"The character {unfit.group()!a} cannot stand in a query",
                    "Remove it; it is half a character or a NUL.",
                    place(text, unfit.start()),
                )
            ]
        )
    if len(text) > MAX_LENGTH:
        raise PqlError.of(
            [
                fault(
                    "pql.syntax",
                    f"The query has {len(text):,} characters; at most {MAX_LENGTH:,} are read",
                    "Put long lists of keys into a table of your own and predict for its rows.",
                    place(text, MAX_LENGTH),
                )
            ]
        )
    try:
        tree = grammar().parse(text, start="query")
    except UnexpectedToken as error:
        accepted: set[str] = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
        found = error.token
        token = found if isinstance(found, Token) else Token("$END", "")
        raise PqlError.of([explain(text, token, accepted, _before(text, token))]) from None
    builder = Builder()
    query: Query = builder.transform(tree).value
    order = sorted(builder.faults, key=_place_of)
    return Reading(text, query, tuple(order), tuple(builder.liberties))


def _before(text: str, token: Token) -> Token | None:
    """Return the token before ``token``; the last one when ``token`` is the end."""
    previous = None
    for other in words(text):
        if token.type != "$END" and (other.start_pos or 0) >= (token.start_pos or 0):
            break
        previous = other
    return previous


def _place_of(item: Fault) -> tuple[int, int]:
    where = item.position
    return (where.line, where.column) if where else (0, 0)
