"""How long after its row a value becomes known: so much, or what a column of the row says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from relcast.core.errors import SchemaError, nearest

__all__ = ["UNITS", "Delay"]

UNITS = {
    "seconds": 10**9,
    "minutes": 60 * 10**9,
    "hours": 3_600 * 10**9,
    "days": 86_400 * 10**9,
    "weeks": 7 * 86_400 * 10**9,
}
"""Nanoseconds of each unit."""

_LONGEST = 100 * 366 * UNITS["days"]
_EXAMPLES = "Write '6 hours', or '<column> minutes' for a column of numbers."


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay: ``amount`` units, or as many as ``column`` holds in the same row.

    Attributes:
        amount: 0 or more; None where a column says it.
        column: A column of numbers, or (without a unit) of durations; None for a constant.
        unit: A key of ``UNITS``; None for a column of durations.

    Raises ``schema.bad_delay`` for a delay that is negative, longer than a century, no number, or
    of an unknown unit.
    """

    amount: float | None = None
    column: str | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.column is None):
            raise _bad("A delay is either an amount or a column", _EXAMPLES)
        if self.unit is not None and self.unit not in UNITS:
            raise _bad(f"There is no unit {self.unit!r}", nearest(str(self.unit), UNITS))
        if self.amount is None:
            return
        if isinstance(self.amount, bool) or not isinstance(self.amount, int | float):
            raise _bad(f"The delay {self.amount!r} is no number", _EXAMPLES)
        if self.unit is None:
            raise _bad(f"The delay {self.amount!r} has no unit", _EXAMPLES)
        if not math.isfinite(self.amount) or self.amount < 0:
            raise _bad(
                f"The delay of {self.amount} {self.unit} is negative or no number",
                "A value is known with its row at the earliest: give a delay of 0 or more.",
            )
        if self.nanoseconds > _LONGEST:
            raise _bad(
                f"The delay of {self.amount} {self.unit} is longer than a century",
                "Leave the column out if its values never become known.",
            )

    @property
    def nanoseconds(self) -> int:
        """The constant in ns; of a column, the ns of one of its units (1 s for durations)."""
        per = UNITS[self.unit or "seconds"]
        return per if self.amount is None else math.ceil(Fraction(self.amount) * per)

    def __str__(self) -> str:
        if self.amount is not None:
            return f"{self.amount:g} {self.unit}"
        return f"{self.column} {self.unit}" if self.unit else str(self.column)

    @classmethod
    def of(cls, said: Delay | str | timedelta | Mapping[str, Any]) -> Delay:
        """Read a delay as people write it.

        ``"6 hours"``, ``timedelta(hours=6)``, ``"air_time minutes"`` (a column of numbers),
        ``"flown"`` (a column of durations), or what ``to_json`` gives. Where a column's name reads
        like a number, give the mapping. Raises ``schema.bad_delay``.
        """
        match said:
            case Delay():
                return said
            case timedelta():
                return cls(amount=said / timedelta(seconds=1), unit="seconds")
            case str() if said.strip():
                return cls._parsed(said.strip())
            case Mapping():
                unknown = sorted(set(said) - {"amount", "column", "unit"})
                if not unknown:
                    return cls(said.get("amount"), said.get("column"), said.get("unit"))
                raise _bad(f"A delay has no {unknown[0]!r}", _EXAMPLES)
            case _:
                raise _bad(f"{said!r} is no delay", _EXAMPLES)

    @classmethod
    def _parsed(cls, text: str) -> Delay:
        what, _, last = text.rpartition(" ")
        unit = last if last in UNITS else f"{last}s"
        if not what or unit not in UNITS:
            number = _number(what or text)
            if number is None:
                return cls(column=text)
            raise _bad(f"The delay {text!r} has no unit that is known", nearest(last, UNITS))
        number = _number(what)
        return cls(column=what.strip(), unit=unit) if number is None else cls(number, unit=unit)

    def to_json(self) -> dict[str, Any]:
        said = {"amount": self.amount, "column": self.column, "unit": self.unit}
        return {name: value for name, value in said.items() if value is not None}


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return int(found) if found.is_integer() else found


def _bad(what: str, hint: str) -> SchemaError:
    return SchemaError(what, code="schema.bad_delay", hint=hint)
