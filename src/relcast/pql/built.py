"""Values with their places in the text, which the parser's tree is made of on its way up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Token

from relcast.core.errors import Position

__all__ = ["Built", "Part", "as_built", "as_token", "over", "token_position", "token_types"]


@dataclass(frozen=True, slots=True)
class Built:
    """A value with its place in the text; ``start`` and ``end`` are offsets, end excluded."""

    value: Any
    line: int
    column: int
    start: int
    end: int
    depth: int = 0

    @property
    def position(self) -> Position:
        return Position(self.line, self.column, max(1, self.end - self.start))


Part = Token | Built | None


def place_of(part: Token | Built) -> tuple[int, int, int, int]:
    if isinstance(part, Built):
        return part.line, part.column, part.start, part.end
    start = part.start_pos or 0
    return part.line or 1, part.column or 1, start, start + len(part)


def over(parts: list[Part], value: Any, depth: int = 0) -> Built:
    """Return ``value`` with the place from the first part to the last."""
    present = [p for p in parts if p is not None]
    line, column, start, _ = place_of(present[0])
    return Built(value, line, column, start, place_of(present[-1])[3], depth)


def token_position(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1, max(1, len(token)))


def as_token(part: Part) -> Token:
    if not isinstance(part, Token):
        raise TypeError(part)
    return part


def as_built(part: Part) -> Built:
    if not isinstance(part, Built):
        raise TypeError(part)
    return part


def token_types(parts: list[Part]) -> list[str]:
    return [p.type for p in parts if isinstance(p, Token)]
