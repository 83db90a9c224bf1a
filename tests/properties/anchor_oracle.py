"""Anchors and splits as docs/pql.md tells them, one pandas timestamp at a time.

Written apart from ``relcast.tasks``; ``pd.DateOffset`` moves the times.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery, Unit, Window, aggregations
from relcast.tasks import TablePlan
from tests.properties.label_oracle import Oracle, later

__all__ = ["Calendar", "calendar_of"]

LINKS = {TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION}


@dataclass(frozen=True)
class Calendar:
    """What the anchors of a query follow from.

    Attributes:
        newest, oldest: The latest and earliest time in the aggregated tables; None without any.
        ends: The ends of the label windows as (count, unit), with a forecast's whole horizon.
        begins: Their starts.
        lookback: Starts of the windows of WHERE that have one.
        unit: Of the window that ends last.
        length: Of the target window: from the earliest start to the latest end of one window.
        horizon: How many windows follow each other.
        first_end: The end of the first of them.
        links: Whether links are predicted.
    """

    newest: pd.Timestamp | None
    oldest: pd.Timestamp | None
    ends: tuple[tuple[int, Unit], ...]
    begins: tuple[tuple[int, Unit], ...]
    lookback: tuple[tuple[int, Unit], ...]
    unit: Unit
    length: int
    horizon: int
    first_end: int
    links: bool

    def last(self, end: pd.Timestamp) -> pd.Timestamp:
        """The latest anchor at the time of day of ``end`` whose windows are complete by then.

        A month after 29, 30 and 31 January is the end of February alike; the latest counts.
        """
        return min(
            max(
                moment
                for days in range(4)
                if later(moment := later(end, -count, unit) + pd.Timedelta(days=days), count, unit)
                <= end
            )
            for count, unit in self.ends
        )

    def span(self, anchor: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        """What the label windows of an anchor cover."""
        return (
            min(later(anchor, count, unit) for count, unit in self.begins),
            max(later(anchor, count, unit) for count, unit in self.ends),
        )

    def begin(self) -> pd.Timestamp:
        """The beginning of the data, moved forward by what WHERE looks back."""
        assert self.oldest is not None
        moved = [later(self.oldest, -count, unit) for count, unit in self.lookback]
        return max([self.oldest, *moved])

    def anchors(self, plan: TablePlan) -> list[pd.Timestamp]:
        """The anchors of a plan, ascending."""
        assert self.newest is not None
        step = plan.timeframe_step or self.length
        last = self.last(later(self.newest, -(plan.train_end_offset or 0), self.unit))
        if isinstance(plan.end_time, str):
            last = min(last, pd.Timestamp(plan.end_time))
        lowest = self.begin()
        if plan.train_start_offset:
            lowest = max(lowest, later(self.newest, -plan.train_start_offset, self.unit))
        if isinstance(plan.start_time, str):
            lowest = max(lowest, pd.Timestamp(plan.start_time))
        found = []
        while True:
            anchor = later(last, -step * len(found), self.unit)
            before = later(anchor, -step, self.unit)
            if anchor < lowest or before < self.begin():
                return found[::-1]
            found.append(anchor)

    def overlapping(self, anchors: list[pd.Timestamp]) -> bool:
        """Whether the label windows of two anchors that follow each other overlap."""
        spans = [self.span(a) for a in anchors]
        return any(a[1] > b[0] for a, b in pairwise(spans))

    def by_ratio(self, anchors: list[pd.Timestamp]) -> list[str] | None:
        """The default split of anchors whose windows do not overlap; None for fewer than three."""
        n = len(anchors)
        test = max(1, n // 10)
        val = max(2, n // 5) - test
        train = n - val - test
        return None if train < 1 else ["train"] * train + ["val"] * val + ["test"] * test

    def by_offset(self, anchors: list[pd.Timestamp], val: int, test: int) -> list[str]:
        """``DateOffsetSplit([val, test])`` in the window's unit; None is left out."""
        assert self.newest is not None
        base = later(self.newest, -self.first_end, self.unit)
        starts = [later(base, offset, self.unit) for offset in (val, test)]
        first = [min((a for a in anchors if a >= s), default=None) for s in starts]
        found = []
        for anchor in anchors:
            end = self.span(anchor)[1]
            if anchor >= starts[1]:
                found.append("test")
            elif anchor >= starts[0]:
                clear = first[1] is None or end <= self.span(first[1])[0]
                found.append("val" if clear else "left out")
            else:
                clear = first[0] is None or end <= self.span(first[0])[0]
                found.append("train" if clear else "left out")
        return found

    def default_split(self, anchors: list[pd.Timestamp]) -> list[str] | None:
        """The split by name of the anchors that have examples."""
        if self.horizon > 1 or self.links:
            window, h = self.length, self.horizon
            if self.links:
                return self.by_offset(anchors, -self.first_end, 0)
            return self.by_offset(anchors, -2 * h * window + window, -h * window + window)
        return self.by_ratio(anchors)


def calendar_of(oracle: Oracle, query: CheckedQuery) -> Calendar:
    """What anchors follow from, read off a temporal query and the rows."""
    nodes = list(aggregations(query.query.target))
    windows = [node.window for node in nodes if node.window is not None]
    times = [
        row[str(oracle.schema[node.column.table].time_column)]
        for node in nodes
        for row in oracle.rows[node.column.table]
    ]
    times = [t for t in times if t is not None]
    unit, length = oracle.frame
    widest = max((w for w in windows if w.unit is unit), key=lambda w: w.end)
    h = query.forecast_length or 1
    return Calendar(
        newest=max(times, default=None),
        oldest=min(times, default=None),
        ends=tuple((_reach(w, h), w.unit) for w in windows),
        begins=tuple((w.start or 0, w.unit) for w in windows),
        lookback=tuple(
            (node.window.start, node.window.unit)
            for node in aggregations(query.query.where)
            if node.window is not None and node.window.start is not None
        ),
        unit=unit,
        length=length,
        horizon=h,
        first_end=widest.end,
        links=query.task_type in LINKS,
    )


def _reach(window: Window, h: int) -> int:
    return window.end + (h - 1) * (window.end - (window.start or 0))
