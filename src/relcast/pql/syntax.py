"""What the parser says about a text that is not PQL: found, expected, and the likely mend.

The words are those of the language; lark's names of terminals never reach a message.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from lark import Token

from relcast.core.errors import Fault, Position
from relcast.pql.ast import AggregationKind
from relcast.pql.catalogue import fault
from relcast.pql.literals import shown

__all__ = ["AGGREGATIONS", "explain", "place"]

AGGREGATIONS = frozenset(kind.value for kind in AggregationKind)
"""The terminals of aggregations; each is spelled as it is named."""

# Groups of terminals that stand for one idea, the largest first: a group is named when all of it
# is expected, and its members are then not named again.
_GROUPS: tuple[tuple[frozenset[str], str], ...] = (
    (AGGREGATIONS, "an aggregation such as COUNT(orders.*, 0, 30, days)"),
    (
        frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"}),
        (
            "a comparison (=, !=, <, <=, >, >=, BETWEEN, IN, LIKE, CONTAINS, STARTS WITH, "
            "ENDS WITH, IS NULL)"
        ),
    ),
    (frozenset({"PLUS", "MINUS", "STAR", "SLASH"}), "arithmetic (+, -, *, /)"),
    (
        frozenset({"TRUE", "FALSE", "INT", "DECIMAL", "STRING", "DATE"}),
        "a constant (a number, a 'text', a date, TRUE, FALSE)",
    ),
    (
        frozenset({"SECONDS", "MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS"}),
        "a unit (seconds, minutes, hours, days, weeks, months)",
    ),
    (frozenset({"INT", "MINUS_INFINITY"}), "a whole number or -INF"),
    (frozenset({"INT", "DECIMAL"}), "a number"),
    (frozenset({"COLUMN"}), "a column such as orders.amount"),
    (frozenset({"INT"}), "a whole number"),
)
_COMPARING = frozenset({"IN", "IS", "LIKE", "CONTAINS", "STARTS", "ENDS", "BETWEEN"})
_SYMBOLS = {"EQ": "=", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">=",
            "LPAR": "(", "RPAR": ")", "COMMA": ",",
            "PLUS": "+", "MINUS": "-", "STAR": "*", "SLASH": "/"}  # fmt: skip
_SIGNS = frozenset({"PLUS", "MINUS"})
_GLUED = re.compile(r"\s*--\s*[\d.(]")
_SPELLED = {"RANK": "RANK TOP", "STARTS": "STARTS WITH", "ENDS": "ENDS WITH", "FOR": "FOR EACH"}
_LITERALS = frozenset({"COLUMN", "INT", "DECIMAL", "STRING", "DATE", "MINUS_INFINITY", "WORD"})
_LONG = 40
_MENDS = {
    ";": "Remove it; a query is one sentence.",
    "==": "Write a single =.",
    "<>": "Write !=.",
    "&&": "Write AND.",
    "||": "Write OR.",
}


def place(text: str, offset: int, length: int = 1) -> Position:
    """Return the position of ``length`` characters at ``offset``."""
    before = text[:offset]
    line = before.count("\n") + 1
    return Position(line, offset - (before.rfind("\n") + 1) + 1, length)


def explain(text: str, token: Token, accepted: AbstractSet[str], previous: Token | None) -> Fault:
    """Return the one fault of a text in which ``token`` came where ``accepted`` could."""
    end = token.type == "$END"
    if end:
        # The place after the last word says more than the place after a trailing comment.
        after = previous.end_pos if previous is not None and previous.end_pos else len(text)
        position = place(text, after or 0)
    else:
        position = place(text, token.start_pos or 0, max(1, len(token)))
    found = "The query ends" if end else f"Found {shown(str(token))}"
    expected = _list(_phrases(accepted))
    if not text.strip() or (end and previous is None):
        return fault(
            "pql.nothing_to_predict",
            "The query is empty",
            "Write PREDICT, a target, FOR EACH and the entity's primary key.",
            position,
        )
    if previous is not None and previous.type == "PREDICT" and (end or token.type == "FOR"):
        return fault(
            "pql.nothing_to_predict",
            "Nothing stands between PREDICT and FOR EACH" if not end else "Nothing is predicted",
            "Name a target, such as COUNT(orders.*, 0, 30, days) or customers.age.",
            position,
        )
    return fault(
        "pql.syntax",
        f"{found} where {expected} is expected",
        _mend(text, token, accepted, previous),
        position,
    )


def _mend(text: str, token: Token, accepted: AbstractSet[str], previous: Token | None) -> str:
    word, end = str(token), token.type == "$END"
    start = token.start_pos or 0
    if token.type == "UNKNOWN" and word[0] in "\"'`":
        return "This quote has no closing partner on its line; close it, or escape it by \\."
    for wrong, mend in _MENDS.items():
        if text.startswith(wrong, start) or (
            word == wrong[1:] and text[start - 1 : start] == wrong[0]
        ):
            return mend
    calculated = _mend_arithmetic(text, token, accepted, previous)
    if calculated is not None:
        return calculated
    if token.type == "WORD":
        near = _near(word, accepted)
        if near:
            return f"Did you mean {near}?"
        if (
            previous is not None
            and previous.type in {"INT", "DECIMAL"}
            and previous.end_pos == start
        ):
            return "Write numbers with digits and one decimal point only, such as 1000 or 0.5."
        if word.upper() in {"EVALUATE", "EXPLAIN"} and "PREDICT" in accepted:
            return f"Begin with PREDICT; {word.upper()} is asked for beside the query, not in it."
        word = word if len(word) <= _LONG else f"{word[:_LONG]}…"
        if "EACH" in accepted:
            return "Write FOR EACH table.primary_key."
        if "STRING" in accepted:
            return f"Put a text in quotes: '{word}'."
        if "COLUMN" in accepted:
            return f"Write a column with its table: {word}.column, or table.{word}."
    if token.type == "STRING" and previous is not None and previous.type == "STRING":
        return r"Inside a text write a quote as \' or \"."
    if token.type in {"WHERE", "ASSUMING"} and accepted & {"FOR", "$END"}:
        return "First comes FOR EACH table.primary_key, then WHERE, then ASSUMING, each once."
    if token.type == "DECIMAL" and "INT" in accepted:
        return "Window bounds are whole numbers; use a smaller unit for parts of one."
    if token.type == "COLUMN" and "FOR" in accepted:
        return "Write FOR EACH before the entity, or a comparison before it."
    if "$END" in accepted:
        return "Remove what follows, or join conditions with AND or OR."
    keyword = not end and token.type not in _LITERALS | {"UNKNOWN"} | set(_SYMBOLS)
    if keyword and "COLUMN" in accepted:
        return "A keyword can be a name only with its table, or in backticks: `table`.`column`."
    if "FOR" in accepted:
        return "After the target comes FOR EACH table.primary_key."
    return f"Write {_list(_phrases(accepted))} here."


def _mend_arithmetic(
    text: str, token: Token, accepted: AbstractSet[str], previous: Token | None
) -> str | None:
    """Return the mend of what people try with signs, sums and ranges; None for everything else."""
    before = "" if previous is None else previous.type
    if token.type == "$END":
        after = previous.end_pos if previous is not None else None
        if after and _GLUED.match(text, after):
            return "Two signs -- begin a comment; write - -1, with a blank, to subtract -1."
        return None
    if before == "BETWEEN" and token.type == "LPAR":
        return "Write BETWEEN 1 AND 5, without parentheses."
    if token.type in AGGREGATIONS:
        if "STRING" in accepted:
            return "Only a constant follows an operator; write a difference: SUM(…) - SUM(…) > 0."
        if before in _SIGNS and accepted == {"INT", "DECIMAL"}:
            return f"A sign stands before numbers only; write 0 - {token}(…)."
    if token.type == "COLUMN" and "STRING" in accepted:
        return "Only a constant follows an operator: a number, a 'text', a date, TRUE or FALSE."
    if token.type == "COLUMN" and accepted >= AGGREGATIONS and "COLUMN" not in accepted:
        return f"Arithmetic joins aggregations and numbers: SUM({token}, 0, 30, days)."
    if token.type in {"PLUS", "MINUS", "STAR", "SLASH"} and before == "COLUMN":
        return "Arithmetic joins aggregations and numbers; a plain column stands alone."
    return None


def _near(word: str, accepted: Iterable[str]) -> str | None:
    words = [t for t in accepted if t not in _SYMBOLS and t not in _LITERALS and t[0] != "$"]
    upper = word.upper()
    close = difflib.get_close_matches(upper[:_LONG], words, n=1, cutoff=0.6)
    return _SPELLED.get(close[0], close[0]) if close else None


def _phrases(accepted: AbstractSet[str]) -> list[str]:
    # TOP without RANK is understood only to be refused with a better reason than this one.
    left = set(accepted) - ({"TOP"} if "RANK" in accepted else set())
    found: list[str] = []
    for members, phrase in _GROUPS:
        if members <= left:
            found.append(phrase)
            left -= members
            if "EQ" in members:
                left -= _COMPARING
            if members >= {"TRUE"}:
                left -= {"NULL"} | _SIGNS
            if members & {"INT", "DECIMAL"}:
                left -= _SIGNS
    for terminal in sorted(left):
        if terminal == "$END":
            found.append("the end of the query")
        elif terminal in _SYMBOLS:
            found.append(f"'{_SYMBOLS[terminal]}'")
        else:
            found.append(_SPELLED.get(terminal, terminal))
    return found


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
