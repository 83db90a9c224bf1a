"""Anchors: the moments that a temporal query's examples look forward from.

Pure date arithmetic over the range of the data; nothing here reads a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import TaskError
from relcast.pql.ast import CheckedQuery, Unit, Window, aggregations
from relcast.tasks.offsets import EARLIEST, Times, bounds, latest_before, shift, steps_back, text
from relcast.tasks.plan import TablePlan

__all__ = [
    "MOST_ANCHORS",
    "Frame",
    "TimeRange",
    "longest_window",
    "make_anchors",
    "ranges_to_anchors",
]

MOST_ANCHORS = 10_000_000
"""Anchors of one table; a step of a second over many years would be more."""


_DAY = 86_400 * 10**9
_WHOLE = {Unit.seconds: 10**9, Unit.minutes: 60 * 10**9, Unit.hours: 3_600 * 10**9}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The earliest and the latest time in the aggregated tables, both inclusive, ns UTC."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The shape of a temporal query in time.

    Attributes:
        windows: The target's windows; for a forecast one, which spans its whole horizon.
        lookback: The filter's windows with a bounded start.
        unit: The unit of the plan's offsets: that of the window that ends last.
        length: The default step, in that unit: from the earliest start to the latest end; for a
            forecast the length of one of its windows.
        horizon: The number of windows of a forecast, one after another; 1 for other tasks.
        wait: How long after its windows a label is settled, ns: until the values that it reads are
            known (``relcast.tasks.waiting``).
    """

    windows: tuple[Window, ...]
    lookback: tuple[Window, ...]
    unit: Unit
    length: int
    horizon: int = 1
    wait: int = 0

    @classmethod
    def of(cls, query: CheckedQuery, wait: int = 0) -> Frame:
        """Take the frame of a temporal query; raises ``task.not_temporal`` for a static one."""
        windows = tuple(a.window for a in aggregations(query.query.target) if a.window)
        if not windows:
            raise TaskError(
                "A query without a window has no anchors",
                code="task.not_temporal",
                hint="Anchors exist for targets such as COUNT(t.*, 0, 30, days).",
            )
        # Which window ends last can depend on the calendar (30 days or 1 month); any one month
        # decides it in the same way for every anchor.
        reference = np.zeros(1, dtype=np.int64)
        widest = max(
            windows, key=lambda w: (int(bounds(w, reference)[1][0]), w.unit is Unit.months)
        )
        starts = [w.start or 0 for w in windows if w.unit is widest.unit]
        same_unit = len(starts) == len(windows)
        length = widest.end - (min(starts) if same_unit else 0)
        lookback = tuple(
            a.window
            for a in aggregations(query.query.where)
            if a.window is not None and a.window.start is not None
        )
        horizon = query.forecast_length or 1
        if horizon > 1:
            # The windows of a forecast are alike (the checker sees to it), and follow one another.
            start = widest.start or 0
            windows = (Window(start, start + horizon * length, widest.unit),)
        return cls(windows, lookback, widest.unit, length, horizon, wait)

    def spans(self, anchors: Times) -> tuple[Times, Times]:
        """Return the union of the label windows of each anchor as ``(low, high]``, ns."""
        ends = [bounds(w, anchors) for w in self.windows]
        low = np.minimum.reduce([e[0] for e in ends])
        high = np.maximum.reduce([e[1] for e in ends])
        return low, high

    def settled_spans(self, anchors: Times) -> tuple[Times, Times]:
        """Return where the label windows of each anchor begin, and when its labels are settled."""
        low, high = self.spans(anchors)
        return low, high + self.wait

    def latest_complete(self, end: int) -> int:
        """Return the latest anchor at that time of day whose labels are settled by ``end``.

        The wait counts as whole days (of windows in hours, minutes or seconds as whole ones of
        them), so that it moves no anchor to another time of day.

        A month after 29, 30 and 31 January is the end of February alike: at the end of a month the
        latest of them counts.
        """
        whole = _WHOLE.get(self.unit, _DAY)
        end -= -(-self.wait // whole) * whole
        return min(latest_before(end, w.end, w.unit) for w in self.windows)

    def begin(self, data: TimeRange) -> int:
        """Return the earliest moment that has the filter's whole look-back before it."""
        moment = np.array([data.begin], dtype=np.int64)
        return max(
            [data.begin] + [int(shift(moment, -(w.start or 0), w.unit)[0]) for w in self.lookback]
        )


def make_anchors(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock = utc_now) -> Times:
    """Return the anchors of a query, ascending, int64 ns UTC.

    The last one is the latest whose windows are complete (``a + end <= D``); earlier ones step back
    from it by ``timeframe_step`` while one whole step of data precedes them, after the data that
    the filter looks back on. ``start_time``, ``end_time`` and ``train_start_offset`` bound anchors
    (inclusive); ``train_end_offset`` moves ``D``. Months are counted from the last anchor, so that
    clipping does not add up.

    Raises ``task.no_complete_window`` when no anchor is left, with the reason and what would give
    some; ``task.table_too_large`` beyond ``MOST_ANCHORS``.
    """
    last, lowest = _limits(frame, data, plan, clock)
    anchors = _walk_back(last, plan.timeframe_step or frame.length, frame, data, lowest)
    if len(anchors) == 0:
        raise _no_anchor(frame, data, plan, clock)
    return anchors


def ranges_to_anchors(
    frame: Frame,
    data: TimeRange,
    plan: TablePlan,
    ranges: Iterable[tuple[int, int]],
    clock: Clock = utc_now,
) -> Times:
    """Return the anchors of explicit ranges ``[start, end)``, each walked back from its own end.

    The newest anchor of a range stands one step before the range's end, or is the latest with
    complete windows where that is earlier. The plan's other bounds hold too. Raises what
    ``make_anchors`` raises, when no range has an anchor.
    """
    step = plan.timeframe_step or frame.length
    last, lowest = _limits(frame, data, plan, clock)
    found = []
    for start, end in ranges:
        newest = min(int(shift([end], -step, frame.unit)[0]), last)
        found.append(_walk_back(newest, step, frame, data, max(start, lowest)))
    anchors = np.unique(np.concatenate(found))
    if len(anchors) == 0:
        raise _no_anchor(frame, data, plan, clock)
    return anchors


def _limits(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock) -> tuple[int, int]:
    """Return the latest anchor with complete windows, and the earliest that the plan allows."""
    end = int(shift([data.end], -(plan.train_end_offset or 0), frame.unit)[0])
    last = frame.latest_complete(end)
    bound = plan.last_anchor(clock)
    if bound is not None:
        last = min(last, bound)
    lowest = EARLIEST
    if plan.train_start_offset:
        lowest = int(shift([data.end], -plan.train_start_offset, frame.unit)[0])
    first = plan.first_anchor(clock)
    return last, lowest if first is None else max(lowest, first)


def _walk_back(last: int, step: int, frame: Frame, data: TimeRange, lowest: int) -> Times:
    begin = frame.begin(data)
    found = steps_back(last, step, frame.unit, max(lowest, begin, EARLIEST + 1), MOST_ANCHORS)
    if len(found) > MOST_ANCHORS:
        raise TaskError(
            f"A step of {step} {frame.unit.value} from {text(begin)} to {text(last)} gives more "
            f"than {MOST_ANCHORS:,} anchors",
            code="task.table_too_large",
            hint="Set a larger timeframe_step, or a start_time.",
        )
    return found[shift(found, -step, frame.unit) >= begin][::-1]


def _no_anchor(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock) -> TaskError:
    reach = max(w.end for w in frame.windows if w.unit is frame.unit)
    begin = frame.begin(data)
    what = "window reaches" if frame.horizon == 1 else f"{frame.horizon} windows reach"
    needs = f"the {what} {reach} {frame.unit.value} past an anchor"
    if frame.wait:
        days = frame.wait / _DAY
        needs += f" and its values become known up to {days:,.2f} days later"
    if frame.lookback and begin > data.begin:
        needs += f", and the WHERE clause looks back to {text(data.begin)} from {text(begin)} on"
    step = plan.timeframe_step or frame.length
    return TaskError(
        f"No anchor has a complete window: the data runs from {text(data.begin)} to "
        f"{text(data.end)}, {needs}, and one step of {step} {frame.unit.value} of data comes "
        "before the first anchor",
        code="task.no_complete_window",
        hint=" ".join(_advice(frame, data, plan, clock)),
    )


def _advice(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock) -> Iterator[str]:
    """Say what would give anchors, each tried out."""

    def count(frame: Frame, plan: TablePlan) -> int:
        last, lowest = _limits(frame, data, plan, clock)
        return len(_walk_back(last, plan.timeframe_step or frame.length, frame, data, lowest))

    unit = frame.unit.value
    last, lowest = _limits(frame, data, plan, clock)
    if lowest > last and lowest > EARLIEST:
        yield (
            f"start_time, end_time and the train offsets leave nothing between {text(lowest)} and "
            f"{text(last)}; widen them."
        )
    if plan.bounded:
        free = count(frame, plan.unbounded())
        if free:
            yield f"Without them there would be {free:,} anchor{'s' if free != 1 else ''}."
    if plan.timeframe_step is not None and plan.timeframe_step > frame.length:
        more = count(frame, replace(plan, timeframe_step=frame.length))
        if more:
            yield f"timeframe_step={frame.length} would give {more:,}."
    shorter = longest_window(frame, lambda f: count(f, replace(plan, timeframe_step=None)) >= 3)
    if shorter is None:
        yield "Bring more history."
    elif frame.horizon > 1:
        yield f"Bring more history, or forecast at most {shorter.horizon} timeframes."
    else:
        yield f"Bring more history, or shorten the window: {shorter.length} {unit} would do."


def longest_window(frame: Frame, enough: Callable[[Frame], bool]) -> Frame | None:
    """Return the frame with the longest shorter window, or fewer of them, that is enough.

    A longer window never is enough where a shorter one is not. None where there is none, and for
    several windows, which cannot be shortened in one way.
    """
    if len(frame.windows) != 1:
        return None
    (window,) = frame.windows
    start = window.start or 0
    forecast = frame.horizon > 1

    def shortened(size: int) -> Frame:
        end = start + size * (frame.length if forecast else 1)
        windows = (replace(window, end=end),)
        if forecast:
            return replace(frame, windows=windows, horizon=size)
        return replace(frame, windows=windows, length=size)

    low, high = 0, frame.horizon if forecast else frame.length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if enough(shortened(middle)) else (low, middle)
    return shortened(low) if low else None
