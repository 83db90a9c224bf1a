"""What an editor asks for while somebody types: the kinds of words, and what could come next.

Both work on unfinished text and never fail on it.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from lark import Token
from lark.exceptions import UnexpectedToken

from relcast.core.schema import Graph, Table
from relcast.pql.literals import name_text
from relcast.pql.parser import MAX_LENGTH, grammar
from relcast.pql.parser import words as words_of
from relcast.pql.syntax import AGGREGATIONS

__all__ = ["EditorToken", "complete", "tokens"]

TokenKind = Literal[
    "keyword", "function", "unit", "name", "number", "text", "date", "operator", "comment", "error"
]


class EditorToken(NamedTuple):
    """A word of the text; ``start`` and ``end`` are offsets, end excluded."""

    kind: TokenKind
    start: int
    end: int


_SYMBOLS = (
    "EQ", "NE", "LT", "LE", "GT", "GE", "LPAR", "RPAR", "COMMA", "PLUS", "MINUS", "STAR", "SLASH",
)  # fmt: skip
_UNITS = frozenset({"SECONDS", "MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS"})
_KINDS: dict[str, TokenKind] = {
    "COLUMN": "name",
    "INT": "number",
    "DECIMAL": "number",
    "MINUS_INFINITY": "number",
    "STRING": "text",
    "DATE": "date",
    "WORD": "error",
    "UNKNOWN": "error",
    **dict.fromkeys(_SYMBOLS, "operator"),
    **dict.fromkeys(AGGREGATIONS, "function"),
    **dict.fromkeys(_UNITS, "unit"),
}
_ENDS_OPERAND = frozenset({"RPAR", "INT", "DECIMAL", "COLUMN"})
_COMMENT = re.compile(r"(?:#|--)[^\n]*")
_BEGUN = re.compile(
    r"(?P<table>[^\W\d][\w$]*|`(?:[^`]|``)+`)\.(?P<column>[\w$]*|`[^`]*)$|(?P<word>[\w$]+|`[^`]*)$"
)
_LONGEST = 600
"""Characters before the cursor in which a begun word is looked for."""

_SPELLED = {"FOR": "FOR EACH", "RANK": "RANK TOP", "STARTS": "STARTS WITH", "ENDS": "ENDS WITH"}


def tokens(text: str) -> list[EditorToken]:
    """Return the words of a text in order, comments included, blanks left out."""
    found: list[EditorToken] = []
    seen, before, signed = 0, "", False
    for token in words_of(text[:MAX_LENGTH]):
        start = token.start_pos or 0
        found += _comments(text, seen, start)
        kind = _KINDS.get(token.type, "keyword")
        if signed and kind == "number" and start == seen:
            # A sign that touches its number is part of it, as the grammar has it.
            start = found.pop().start
        signed = token.type in {"PLUS", "MINUS"} and before not in _ENDS_OPERAND
        before = token.type
        seen = (token.start_pos or 0) + len(token)
        found.append(EditorToken(kind, start, seen))
    return found + _comments(text, seen, min(len(text), MAX_LENGTH))


def _comments(text: str, start: int, end: int) -> list[EditorToken]:
    """Return the comments between two words, where nothing but comments and blanks can stand."""
    return [EditorToken("comment", m.start(), m.end()) for m in _COMMENT.finditer(text, start, end)]


def complete(text: str, cursor: int, graph: Graph) -> list[str]:
    """Return what can stand at ``cursor``, to take the place of the word begun there.

    After ``table.`` the columns of that table, else tables (with their dot) and keywords that the
    grammar allows there; a begun word narrows both.
    """
    before = text[: max(0, cursor)][:MAX_LENGTH]
    words = tokens(before)
    if words and words[-1].kind in {"comment", "text"} and words[-1].end == len(before):
        return []
    begun = _BEGUN.search(before, max(0, len(before) - _LONGEST))
    if begun is not None and begun.group("table") is not None:
        name = begun.group("table").strip("`").replace("``", "`")
        table = graph.tables.get(name)
        return [] if table is None else _columns(table, begun.group("column"))
    start = "" if begun is None else begun.group("word")
    accepted = _accepted(before[: len(before) - len(start)])
    offered: list[str] = []
    if "COLUMN" in accepted:
        offered += [f"{name_text(t)}." for t in graph.tables]
    for terminal in sorted(accepted):
        if terminal in _UNITS:
            offered.append(terminal.lower())
        elif terminal in AGGREGATIONS:
            offered.append(f"{terminal}(")
        elif terminal not in _KINDS and not (terminal == "TOP" and "RANK" in accepted):
            offered.append(_SPELLED.get(terminal, terminal))
    low = start.strip("`").casefold()
    return [word for word in offered if word.strip("`").casefold().startswith(low)]


def _columns(table: Table, start: str) -> list[str]:
    low = start.strip("`").casefold()
    names = [name_text(c.name) for c in table.columns]
    return [n for n in names if n.strip("`").casefold().startswith(low)]


def _accepted(text: str) -> set[str]:
    """Return the terminals that may follow a text; none when the text is wrong before its end."""
    parser = grammar().parse_interactive("", start="query")
    try:
        for token in words_of(text):
            parser.feed_token(Token(token.type, str(token)))
    except UnexpectedToken:
        return set()
    found: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return found - {"$END"}
