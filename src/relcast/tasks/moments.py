"""The table ``bounds``: the moments of a batch's anchors, and where each window begins and ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from relcast.core.errors import InternalError
from relcast.pql.ast import Unit, Window
from relcast.tasks.facts import Fact
from relcast.tasks.offsets import EARLIEST, LATEST, Times, bounds, shift

__all__ = ["Moments", "Moved", "window_ends"]


@dataclass(frozen=True)
class Moved:
    """How far the target's windows are moved into the past: ``count`` units, not negative."""

    count: int
    unit: Unit


@dataclass(frozen=True)
class Moments:
    """The moments of n anchors, with h windows for each where the target is a forecast.

    Attributes:
        table: ``anchor, step, moment, low_i, high_i``: n times h rows, anchor by anchor.
        steps: h.
        windowed: The numbers of the facts that have a window.
    """

    table: pa.Table
    steps: int
    windowed: tuple[int, ...]

    @classmethod
    def of(
        cls, facts: Iterable[Fact], anchors: Times, steps: int, moved: Moved | None = None
    ) -> Moments:
        """Work out the windows of each fact; those of the target are moved."""
        columns = {
            "anchor": np.repeat(np.arange(len(anchors), dtype=np.int64), steps),
            "step": np.tile(np.arange(steps, dtype=np.int64), len(anchors)),
            "moment": np.repeat(anchors, steps),
        }
        windowed = []
        for fact in facts:
            if fact.aggregation.window is None:
                continue
            windowed.append(fact.number)
            by = moved if fact.of_target else None
            ends = [
                window_ends(fact.aggregation.window, anchors, step if fact.stepped else 0, by)
                for step in range(steps)
            ]
            columns[f"low_{fact.number}"] = np.stack([e[0] for e in ends], axis=1).ravel()
            columns[f"high_{fact.number}"] = np.stack([e[1] for e in ends], axis=1).ravel()
        return cls(pa.table(columns), steps, tuple(windowed))

    def ends(self, number: int, anchors: range) -> tuple[Times, Times]:
        """Return where the windows of a fact begin and end, for a range of anchors."""
        part = self.table.slice(anchors.start * self.steps, len(anchors) * self.steps)
        return part.column(f"low_{number}").to_numpy(), part.column(f"high_{number}").to_numpy()

    def spans(self, anchors: range) -> dict[int, tuple[int, int]]:
        """Return ``(low, high]`` that holds all windows of a fact, for each fact with a window."""
        found = {}
        for number in self.windowed:
            low, high = self.ends(number, anchors)
            found[number] = (int(low.min(initial=LATEST)), int(high.max(initial=EARLIEST)))
        return found


def window_ends(
    window: Window, anchors: Times, step: int = 0, moved: Moved | None = None
) -> tuple[Times, Times]:
    """Return the ends ``(low, high]`` of a window ``step`` lengths on, counted from the anchors.

    Offsets are added up before the calendar is asked, so that months clip once. Only a window of
    another unit than it is moved by is counted from the moved anchors.
    """
    count = 0
    if step:
        if window.start is None:
            raise InternalError("a window without a start has no next one")
        count = step * (window.end - window.start)
    if moved is not None and moved.count:
        if moved.unit is window.unit:
            count -= moved.count
        else:
            anchors = shift(anchors, -moved.count, moved.unit)
    if not count:
        return bounds(window, anchors)
    start = None if window.start is None else window.start + count
    return bounds(replace(window, start=start, end=window.end + count), anchors)
