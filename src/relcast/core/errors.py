"""The one tree of errors.

    RelcastError                    everything that we raise on purpose
    ├── UserError                   the caller's data or words; an HTTP 4xx
    │   ├── SchemaError             a table, column, key or link does not fit          422
    │   ├── PqlError                a query is wrong; carries every fault, with places 422
    │   ├── SourceError             a file or table cannot be read as data             422
    │   ├── TaskError               no usable training or prediction rows              422
    │   ├── ModelError              a model cannot be fitted or a bundle not be loaded 422
    │   ├── NotFound                no such thing                                      404
    │   ├── Conflict                the thing is not in a state that allows this       409
    │   ├── Unauthorized            no key, or not a good one                          401
    │   ├── Forbidden               a good key without the scope                       403
    │   ├── TooMany                 queue or rate is full                              429
    │   └── InvalidRequest          an argument out of range                           422
    ├── Cancelled                   the work was asked to stop
    └── InternalError               our fault                                          500

Every error has a stable dotted ``code``; ``message`` is one human sentence that says what happened
and where; ``hint`` says what to do. ``faults`` lists all faults where there can be several.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "Cancelled",
    "Conflict",
    "Fault",
    "Forbidden",
    "InternalError",
    "InvalidRequest",
    "ModelError",
    "NotFound",
    "Position",
    "PqlError",
    "RelcastError",
    "SchemaError",
    "SourceError",
    "TaskError",
    "TooMany",
    "Unauthorized",
    "UserError",
    "nearest",
]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text: 1-based line and column, and a length in characters."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: code, sentence, advice, and the place where there is one."""

    code: str
    message: str
    hint: str = ""
    position: Position | None = None

    def to_json(self) -> dict[str, Any]:
        position = self.position
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "position": None
            if position is None
            else {"line": position.line, "column": position.column, "length": position.length},
        }


class RelcastError(Exception):
    """Everything that relcast raises on purpose."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() if self.hint else self.message

    def to_json(self) -> dict[str, Any]:
        """Return ``{code, status, message, hint, faults}``; crosses processes and the store."""
        return {
            "code": self.code,
            "status": self.status,
            "message": self.message,
            "hint": self.hint,
            "faults": [f.to_json() for f in self.faults],
        }


class UserError(RelcastError):
    """The caller's data or words are at fault, and the caller can mend them."""

    status = 422
    default_code = "request.invalid"


class SchemaError(UserError):
    """A table, column, key or link does not fit."""

    default_code = "schema.invalid"


class PqlError(UserError):
    """A query is wrong. ``faults`` holds every fault, in the order of the text."""

    default_code = "pql.syntax"

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> PqlError:
        """Build the error of one or more faults; the first gives the code."""
        text = "; ".join(
            f"{f.message} (line {f.position.line}, column {f.position.column})"
            if f.position
            else f.message
            for f in faults
        )
        return cls(text, code=faults[0].code, hint=faults[0].hint, faults=faults)


class SourceError(UserError):
    """A file or table cannot be read as data."""

    default_code = "source.unreadable"


class TaskError(UserError):
    """A query gives no usable training or prediction rows."""

    default_code = "task.invalid"


class ModelError(UserError):
    """A model cannot be fitted, or a bundle cannot be loaded."""

    default_code = "model.invalid"


class InvalidRequest(UserError):
    """An argument is missing, malformed or out of range."""


class NotFound(UserError):
    """There is no such thing."""

    status = 404
    default_code = "not_found"


class Conflict(UserError):
    """The thing is not in a state that allows this."""

    status = 409
    default_code = "conflict"


class Unauthorized(UserError):
    """No key, or not a good one."""

    status = 401
    default_code = "auth.unauthorized"


class Forbidden(UserError):
    """A good key that lacks the scope."""

    status = 403
    default_code = "auth.forbidden"


class TooMany(UserError):
    """A queue or a rate is full; try again later."""

    status = 429
    default_code = "too_many"


class Cancelled(RelcastError):
    """The work was asked to stop."""

    status = 409
    default_code = "cancelled"


class InternalError(RelcastError):
    """Our fault, not the caller's."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the nearest candidate, or the list when none is near."""
    names = [str(c) for c in candidates]
    folded = {n.casefold(): n for n in names}
    if name.casefold() in folded:
        return f"Did you mean {folded[name.casefold()]!r}? Names are case-sensitive."
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "There are none."
    shown = ", ".join(repr(n) for n in names[:12])
    return f"There are: {shown}{', …' if len(names) > 12 else ''}."
