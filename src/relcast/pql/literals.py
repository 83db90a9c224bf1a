"""Literals of PQL: names, texts, dates and numbers, from their spelling and back.

Every reader raises ``BadLiteral`` with a sentence and a mend; the parser gives it its place.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

from relcast.pql.ast import Constant

__all__ = [
    "BadLiteral",
    "constant_text",
    "iso_time",
    "name_text",
    "read_date",
    "read_decimal",
    "read_integer",
    "read_names",
    "read_text",
    "shown",
]

_NAME = re.compile(r"[^\W\d][\w$]*")
_PART = re.compile(r"`((?:[^`]|``)+)`|([^\W\d][\w$]*)|(\*)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)|\"", re.DOTALL)
_DATE = re.compile(
    r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})"
    r"(?:(?:[ \t]+|T)([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?)?"
)
_INT64 = 2**63
_DIGITS = 40


class BadLiteral(ValueError):
    """A literal that is spelled like one but means nothing; ``hint`` names the mend."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(text: str, limit: int = 40) -> str:
    """Return ``text`` for a message: in backticks, cut to ``limit``, nothing unprintable."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "`" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "`"


def read_names(token: str) -> tuple[str, str | None]:
    """Return table and column of a column token; the column of ``t.*`` is None."""
    table = _PART.match(token)
    # The lexer matched the whole token, so that both parts are there.
    column = None if table is None else _PART.search(token, token.index(".", table.end()) + 1)
    if table is None or column is None:
        raise BadLiteral(f"{shown(token)} is no column", "Write table.column.")
    first = _unquoted(table.group(1)) or table.group(2)
    second = None if column.group(3) else _unquoted(column.group(1)) or column.group(2)
    return first, second


def _unquoted(body: str | None) -> str | None:
    return None if body is None else body.replace("``", "`")


def name_text(name: str) -> str:
    """Return a name as it is written in a query, in backticks where it needs them."""
    return name if _NAME.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def read_text(token: str) -> str:
    """Return the value of a quoted text; both kinds of quotes know the escapes of JSON."""

    def as_json(match: re.Match[str]) -> str:
        if match.group() == '"':
            return '\\"'
        return "'" if match.group(1) == "'" else match.group()

    try:
        value = json.loads(f'"{_ESCAPE.sub(as_json, token[1:-1])}"', strict=False)
    except ValueError:
        raise BadLiteral(
            f"The text {shown(token)} has an escape that is none",
            r"Write a backslash as \\; the escapes are those of JSON: \" \' \\ \/ \b \f \n \r \t "
            r"and \u with four hex digits.",
        ) from None
    text = str(value)
    if any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
        raise BadLiteral(
            f"The text {shown(token)} holds a character that no column can hold",
            "Write both halves of a surrogate pair, and no NUL.",
        )
    return text


def read_date(token: str) -> datetime:
    """Return the naive UTC time of an unquoted date with or without a time of day."""
    match = _DATE.fullmatch(token)
    try:
        if match is None:
            raise ValueError(token)
        year, month, day, hour, minute, second = (int(g or 0) for g in match.groups()[:6])
        micro = int((match.group(7) or "0").ljust(6, "0")[:6])
        return datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC).replace(
            tzinfo=None
        )
    except ValueError:
        raise BadLiteral(
            f"{token} is not a date of the calendar",
            "Write year-month-day, such as 2024-02-29 or 2024-02-29 10:00:00.",
        ) from None


def iso_time(text: str) -> datetime | None:
    """Return the naive UTC time of a quoted ISO date, or None when the text is no date."""
    try:
        return read_date(text.strip())
    except BadLiteral:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def read_integer(token: str) -> int:
    """Return a whole number that fits 64 bits."""
    # The length comes first: Python refuses to read thousands of digits.
    value = int(token) if len(token) <= _DIGITS else _INT64
    if not -_INT64 <= value < _INT64:
        raise BadLiteral(
            f"The number {shown(token)} is too large",
            "Whole numbers reach from -9223372036854775808 to 9223372036854775807.",
        )
    return value


def read_decimal(token: str) -> Decimal:
    """Return a decimal of at most forty digits."""
    if len(token) > _DIGITS:
        raise BadLiteral(
            f"The number {shown(token)} has too many digits", f"Write at most {_DIGITS} digits."
        )
    return Decimal(token)


def constant_text(value: Constant | tuple[Constant, ...]) -> str:
    """Return a constant, or a list of them, as it is written in a query."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case Decimal():
            digits = format(value, "f")
            return digits if "." in digits else digits + ".0"
        case datetime():
            midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
            return value.date().isoformat() if midnight else value.isoformat(sep=" ")
        case str():
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            return f"({', '.join(constant_text(v) for v in value)})"
