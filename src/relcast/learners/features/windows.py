"""Window lengths: multiples of the horizon, the year, and the data's own rhythm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relcast.learners.features.target import Target
from relcast.pql.ast import Unit

__all__ = ["ALL", "YEAR", "Window", "choose"]

_DAY = 86_400 * 10**9
YEAR = 365 * _DAY
_MULTIPLES = (1, 2, 4, 13, 52)
_UNITS = (("day", _DAY), ("hour", 3_600 * 10**9), ("minute", 60 * 10**9), ("second", 10**9))


@dataclass(frozen=True)
class Window:
    """A window that ends at the anchor: its length in ns (-1 is everything) and what to call it."""

    width: int
    label: str


ALL = Window(-1, "all time")


def choose(target: Target | None, gap: float, span: int) -> tuple[Window, ...]:
    """Return windows from short to long, ``ALL`` last.

    Args:
        target: Gives the horizon, the length of the query's window.
        gap: Typical ns between two events of one entity; NaN when unknown.
        span: ns from the first event to the training side's last anchor; longer windows hold
            nothing more than ``ALL``.

    Without a target (a static query) nothing has a direction in time, and ``ALL`` is the window.
    """
    if target is None:
        return (ALL,)
    part = target.aggregations[0]
    horizon = part.nanoseconds
    chosen: list[Window] = []
    for multiple in _MULTIPLES:
        if part.unit is Unit.months:
            label = _count(part.length * multiple, "month")
        else:
            label = length(horizon * multiple)
        chosen.append(Window(horizon * multiple, f"the last {label}"))
    _insert(chosen, YEAR)
    if not np.isnan(gap) and gap > 0:
        # A window must hold a handful of events to say anything, and a few of them to say more.
        for events in (4, 16):
            days = max(1, round(events * gap / _DAY))
            if events * gap > horizon:
                _insert(chosen, days * _DAY)
    kept = sorted((w for w in chosen if w.width < span), key=lambda w: w.width)
    return (*(kept or chosen[:1]), ALL)


def _insert(chosen: list[Window], width: int) -> None:
    """Add a window unless one of nearly its length is there."""
    if all(abs(np.log(w.width / width)) > np.log(1.3) for w in chosen):
        chosen.append(Window(width, f"the last {length(width)}"))


def length(width: int) -> str:
    """Return ``365 days``, ``6 hours``, ...: the largest unit that divides a length."""
    for name, size in _UNITS:
        if width % size == 0 and width >= size:
            return _count(width // size, name)
    return _count(width, "nanosecond")


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def typical_gap(
    indptr: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    owners: npt.NDArray[np.bool_],
    until: int | None,
) -> float:
    """Return the median ns between consecutive events of one owner known at ``until``.

    ``owners`` says which owners were known themselves. Events at one moment count once. NaN
    without two of them.
    """
    if len(time) < 2:
        return float("nan")
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    counted = (owner[1:] == owner[:-1]) & owners[owner[1:]]
    if until is not None:
        counted &= time[1:] <= until
    gaps = np.diff(time)[counted]
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else float("nan")
