"""The windows of a forecast on one time axis: those ahead of an example, and those behind it.

Step i of an example at anchor ``a`` is the window ``(a + start + i L, a + start + (i + 1) L]``, L
the length of the query's window. The axis of an example is the row of windows of length L on which
its steps lie; its *origin* is the newest edge between two of them that the example may see. So lags
keep the phase of the steps (a Monday stays a Monday) whatever the start of the window and however
old what is known: a frozen example only has its steps further ahead of its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked
from relcast.pql.ast import CheckedQuery, Unit
from relcast.tasks.anchors import Frame
from relcast.tasks.offsets import shift

__all__ = ["DAY", "Grid", "Season"]

Index = npt.NDArray[np.int64]

DAY = 86_400 * 10**9
_YEAR = 365.2425 * DAY
_LONGEST_MONTH = 31 * DAY
_MOST_WINDOWS = 800
"""Windows that are looked back on at most: two years of days, and a little more."""


@dataclass(frozen=True, slots=True)
class Season:
    """A rhythm that the windows may have: ``length`` windows make one ``name``."""

    name: str
    length: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The windows of a forecasting query.

    Attributes:
        start: Distance from the anchor to the first window's open left end, in ``unit``.
        length: Length of each window, in ``unit``.
        unit: Months are calendar months.
        horizon: How many windows are forecast.
    """

    start: int
    length: int
    unit: Unit
    horizon: int

    @classmethod
    def of(cls, query: CheckedQuery) -> Grid:
        """Take the windows of a temporal query; raises ``task.not_temporal`` for a static one."""
        frame = Frame.of(query)
        return cls(
            min(window.start or 0 for window in frame.windows),
            frame.length,
            frame.unit,
            frame.horizon,
        )

    @property
    def nanoseconds(self) -> int:
        """The length of one window in ns; a month counts as a twelfth of a year."""
        if self.unit is Unit.months:
            return int(self.length * _YEAR / 12)
        return int(shift(np.zeros(1, dtype=np.int64), self.length, self.unit)[0])

    def origin(self, asked: Asked) -> tuple[Index, Index]:
        """Return each example's origin (int64[n] ns UTC), and how far ahead its first step is.

        The distance is in windows, int64[n]: 0 where the first step begins at the origin.
        """
        if asked.anchor is None or asked.known is None:
            raise AssertionError("a forecast has anchors")
        first = shift(asked.anchor, self.start, self.unit)
        span = self.nanoseconds
        if self.unit is Unit.months:
            span = self.length * _LONGEST_MONTH
        ahead = np.maximum(0, -((asked.known - first) // span))
        origin = self._back(first, ahead)
        while (origin > asked.known).any():
            ahead = ahead + (origin > asked.known)
            origin = self._back(first, ahead)
        return origin, ahead

    def middles(self, anchor: Index) -> Index:
        """Return the middle of every step's window, int64[n, horizon] ns UTC."""
        edges = self.edges(anchor)
        middle: Index = edges[:, :-1] + (edges[:, 1:] - edges[:, :-1]) // 2
        return middle

    def edges(self, anchor: Index) -> Index:
        """Return the edges of the windows that are forecast, int64[n, horizon + 1] ns UTC."""
        steps = range(self.horizon + 1)
        found = [shift(anchor, self.start + i * self.length, self.unit) for i in steps]
        return np.stack(found, axis=1)

    def reach(self, span: int) -> int:
        """Return how many windows back to look where the data spans ``span`` ns, at least one."""
        return int(np.clip(span // max(1, self.nanoseconds), 1, _MOST_WINDOWS))

    def seasons(self, reach: int) -> tuple[Season, ...]:
        """Return the rhythms of day, week and year that ``reach`` windows back can show.

        A year of days is taken as 364 of them, so that weekdays meet; windows that do not divide
        a week take the nearest whole number of them.
        """
        found: list[Season] = []
        if self.unit is Unit.months:
            if 12 % self.length == 0:
                found.append(Season("year", 12 // self.length))
        else:
            length = self.nanoseconds
            for name, period in (("day", DAY), ("week", 7 * DAY)):
                if period % length == 0:
                    found.append(Season(name, period // length))
            weeks = (7 * DAY) % length == 0
            found.append(Season("year", round((364 * DAY if weeks else _YEAR) / length)))
        return tuple(s for s in found if 2 <= s.length <= reach)

    def _back(self, first: Index, windows: Index) -> Index:
        if self.unit is not Unit.months:
            return np.asarray(first - windows * self.nanoseconds, dtype=np.int64)
        found = first.copy()
        for count in np.unique(windows[windows > 0]).tolist():
            rows = windows == count
            found[rows] = shift(first[rows], -count * self.length, self.unit)
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "length": self.length,
            "unit": self.unit.value,
            "horizon": self.horizon,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Grid:
        return cls(int(obj["start"]), int(obj["length"]), Unit(obj["unit"]), int(obj["horizon"]))
