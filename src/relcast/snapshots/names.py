"""What names say: words, singular forms, and whether one name can mean another.

Column and table names are the cheapest evidence of keys and links. The word lists here are plain
English and the habits of databases; none is taken from a data set.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = [
    "KEY_WORDS",
    "has_key_word",
    "is_generic_key",
    "is_reference_phrase",
    "singular",
    "stem",
    "words",
]

KEY_WORDS = frozenset(
    {"id", "ids", "key", "code", "no", "nr", "num", "number", "fk", "pk", "sk", "ref", "uid",
     "uuid", "guid", "identifier", "oid", "rid", "hash", "sku"}
)  # fmt: skip
"""Last words of names that identify something."""

_GENERIC = frozenset(
    {"id", "key", "pk", "uid", "uuid", "guid", "oid", "identifier", "index", "idx"}
)
_SURE = frozenset(
    {"id", "ids", "key", "fk", "pk", "sk", "uid", "uuid", "guid", "identifier", "oid"}
)
_END_IN_ID = frozenset(
    {"valid", "invalid", "humid", "fluid", "rapid", "solid", "covid", "liquid", "hybrid", "avoid",
     "unpaid", "prepaid", "turkey", "monkey", "hockey", "whiskey", "android", "steroid", "acid"}
)  # fmt: skip
_PREPOSITIONS = frozenset({"by", "to", "via", "from", "for", "of", "at"})
_PIECES = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_A-Za-z]+")


@cache
def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``OwnerUserId`` and ``owner_user_id`` alike."""
    pieces = [piece.casefold() for piece in _PIECES.findall(name)]
    merged: list[str] = []
    for piece in pieces:
        # A number belongs to the word before it (address2), an English plural S to nothing.
        if piece.isdigit() and merged:
            merged[-1] += piece
        else:
            merged.append(piece)
    if len(merged) == 1 and len(merged[0]) > 4 and merged[0] not in _END_IN_ID:
        for end in ("id", "key"):
            if merged[0].endswith(end):
                return (merged[0].removesuffix(end), end)
    return tuple(merged)


@cache
def singular(word: str) -> str:
    """Return the singular of an English word, near enough to compare names."""
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def stem(name: str) -> tuple[str, ...]:
    """Return the words that say what is identified: ``(customer,)`` for ``customer_id``."""
    parts = [singular(word) for word in words(name)]
    while parts and parts[-1] in KEY_WORDS:
        parts.pop()
    return tuple(parts)


def has_key_word(name: str, *, sure: bool = False) -> bool:
    """Say whether a name ends as identifiers do; ``sure`` leaves out code, number and the like."""
    parts = words(name)
    return bool(parts) and parts[-1] in (_SURE if sure else KEY_WORDS)


def is_generic_key(name: str) -> bool:
    """Say whether a name is ``id``, ``key``, ``row_id`` or the like, which names no entity."""
    parts = words(name)
    return bool(parts) and (
        (len(parts) == 1 and parts[0] in _GENERIC)
        or (len(parts) == 2 and parts[0] in {"row", "record"} and parts[1] in _GENERIC)
        or parts in {("rowid",), ("rownum",)}
    )


def is_reference_phrase(name: str) -> bool:
    """Say whether a name ends as references do in speech: ``reports_to``, ``shipped_via``."""
    parts = words(name)
    return len(parts) > 1 and parts[-1] in _PREPOSITIONS
