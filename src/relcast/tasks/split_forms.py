"""The forms of a split and their text, read safely: names, numbers, texts and lists alone."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from relcast.core.errors import InvalidRequest, nearest
from relcast.pql.ast import Unit
from relcast.tasks.offsets import from_iso, iso

__all__ = [
    "USUAL",
    "ApproxDateOffsetSplit",
    "DateOffsetSplit",
    "ManualSplit",
    "RandomSplit",
    "Ratios",
    "Split",
    "TemporalSplit",
    "TimeRangeSplit",
    "parse_split",
    "split_text",
]

Ratios = tuple[Fraction, Fraction, Fraction]
USUAL: Ratios = (Fraction(8, 10), Fraction(1, 10), Fraction(1, 10))


@dataclass(frozen=True, slots=True)
class ApproxDateOffsetSplit:
    """Distinct anchors by ratio, newest to test."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class DateOffsetSplit:
    """Test from the last anchor + ``test`` on, val from the last anchor + ``val`` on.

    The last anchor is the newest that the plan allows, ``D - W``. A forecast's ``W`` is the end of
    its first window, so that ``D - W`` is its last anchor but one window less.
    """

    val: int
    test: int
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class TemporalSplit:
    """Static rows sorted by time, cut by ratio, newest to test."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class RandomSplit:
    """Static rows shuffled with the plan's seed, cut by ratio."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class TimeRangeSplit:
    """Explicit ranges ``[start, end)`` of anchors, ns UTC, in the order train, val, test."""

    ranges: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ManualSplit:
    """A column of the caller's own rows that says train, val or test."""

    column: str


Split = (
    ApproxDateOffsetSplit
    | DateOffsetSplit
    | TemporalSplit
    | RandomSplit
    | TimeRangeSplit
    | ManualSplit
)

_FORMS = {
    "ApproxDateOffsetSplit": "ApproxDateOffsetSplit([0.8, 0.1, 0.1])",
    "DateOffsetSplit": "DateOffsetSplit([-60, -30], 'days')",
    "TemporalSplit": "TemporalSplit([0.8, 0.1, 0.1])",
    "RandomSplit": "RandomSplit([0.8, 0.1, 0.1])",
    "TimeRangeSplit": "TimeRangeSplit([('2022-01-01', '2023-01-01'), "
    "('2023-01-01', '2023-07-01'), ('2023-07-01', '2024-01-01')])",
    "ManualSplit": "ManualSplit('SPLIT')",
}


def parse_split(written: str) -> Split | None:
    """Read a split such as ``RandomSplit([0.8, 0.1, 0.1])``; None for ``inferred``.

    Names, numbers, texts and lists are all that is read; nothing is run. Raises
    ``task.invalid_split`` with the form that would be right.
    """
    if written.strip() in ("", "inferred"):
        return None
    try:
        node = ast.parse(written.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError(written)  # noqa: TRY004 - a text that is no call
        arguments = [ast.literal_eval(a) for a in node.args]
        named = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InvalidRequest(
            f"The split {written[:100]!r} does not read as a split",
            code="task.invalid_split",
            hint=f"Write for example {_FORMS['ApproxDateOffsetSplit']}.",
        ) from None
    name = node.func.id
    if name not in _FORMS:
        raise InvalidRequest(
            f"There is no split named {name!r}",
            code="task.invalid_split",
            hint=nearest(name, list(_FORMS)),
        )
    try:
        return _build(name, arguments, named)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InvalidRequest(
            f"The split {written[:100]!r} has arguments that do not fit: {error}",
            code="task.invalid_split",
            hint=f"Write for example {_FORMS[name]}.",
        ) from None


def _build(name: str, arguments: list[Any], named: dict[str, Any]) -> Split:
    if len(arguments) + len(named) > 2:
        raise ValueError("there are too many")
    if not arguments and not named:
        raise ValueError("there are none")
    first = arguments[0] if arguments else next(iter(named.values()))
    if name == "DateOffsetSplit":
        unit = arguments[1] if len(arguments) > 1 else named.get("unit")
        val, test = first
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in (val, test)):
            raise ValueError("the two offsets are whole numbers")
        if not val < test:
            raise ValueError(f"val ({val}) comes before test ({test})")
        return DateOffsetSplit(val, test, None if unit is None else Unit(unit))
    if len(arguments) + len(named) != 1:
        raise ValueError("there is exactly one")
    if name == "ManualSplit":
        if not isinstance(first, str):
            raise TypeError("the column is a text")
        return ManualSplit(first)
    if name == "TimeRangeSplit":
        a, b, c = (_range(r) for r in first)
        ordered = [a, b, c]
        for left, right in pairwise(ordered):
            if left[1] > right[0]:
                raise ValueError("ranges follow one another and do not overlap")
        return TimeRangeSplit((a, b, c))
    ratios = _ratios(first)
    match name:
        case "TemporalSplit":
            return TemporalSplit(ratios)
        case "RandomSplit":
            return RandomSplit(ratios)
        case _:
            return ApproxDateOffsetSplit(ratios)


def _ratios(values: Sequence[Any]) -> Ratios:
    train, val, test = (Fraction(str(v)) for v in values)
    if min(train, val, test) <= 0:
        raise ValueError("every ratio is above 0")
    if abs(train + val + test - 1) > Fraction(1, 10**6):
        raise ValueError(f"the ratios add up to {float(train + val + test):g}, not to 1")
    return train, val, test


def _range(pair: Sequence[Any]) -> tuple[int, int]:
    start, end = (_moment(v) for v in pair)
    if not start < end:
        raise ValueError("a range starts before it ends")
    return start, end


def _moment(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a time")  # noqa: TRY004 - a text that is no time
    return from_iso(value)


def split_text(split: Split) -> str:
    """Return the text that ``parse_split`` reads as this split."""
    match split:
        case DateOffsetSplit(val=val, test=test, unit=unit):
            return f"DateOffsetSplit([{val}, {test}]{f', {unit.value!r}' if unit else ''})"
        case TimeRangeSplit(ranges=ranges):
            shown = ", ".join(f"({iso(start)!r}, {iso(end)!r})" for start, end in ranges)
            return f"TimeRangeSplit([{shown}])"
        case ManualSplit(column=column):
            return f"ManualSplit({column!r})"
        case _:
            shares = ", ".join(f"{float(r):g}" for r in split.ratios)
            return f"{type(split).__name__}([{shares}])"
