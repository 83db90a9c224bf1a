"""PQL, the predictive query language: from text to a checked query. Pure: no I/O, no engines.

    parse(text)                    -> Query         the syntax tree, with positions
    check(text, graph)             -> CheckedQuery  names, links, types resolved; the task type
    to_text(query)                 -> str           the canonical spelling
    describe(checked)              -> str           plain English
    tokens(text), complete(text, cursor, graph)     what an editor asks for

``docs/pql.md`` is the language in words, with the catalogue of its errors.
"""

from relcast.pql.ast import CheckedQuery, Query
from relcast.pql.checker import check
from relcast.pql.editor import EditorToken, complete, tokens
from relcast.pql.parser import parse
from relcast.pql.printer import to_text
from relcast.pql.restate import describe

__all__ = [
    "CheckedQuery",
    "EditorToken",
    "Query",
    "check",
    "complete",
    "describe",
    "parse",
    "to_text",
    "tokens",
]
