"""What would fill three splits where a query's anchors do not: each mend is tried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import TaskError
from relcast.pql import CheckedQuery
from relcast.tasks.anchors import (
    Frame,
    TimeRange,
    longest_window,
    make_anchors,
    ranges_to_anchors,
)
from relcast.tasks.plan import TablePlan
from relcast.tasks.splits import (
    ApproxDateOffsetSplit,
    Assigned,
    Split,
    TimeRangeSplit,
    assign_anchors,
    parse_split,
    split_by_default,
    split_text,
)

__all__ = ["Situation", "mends"]

_OPTIONS = ("start_time", "end_time", "train_start_offset", "train_end_offset")


@dataclass(frozen=True)
class Situation:
    """What the anchors of a query follow from."""

    query: CheckedQuery
    frame: Frame
    data: TimeRange
    plan: TablePlan
    clock: Clock = utc_now

    def assign(
        self, changes: Mapping[str, Any] | None = None, frame: Frame | None = None
    ) -> Assigned | None:
        """Return the splits of all anchors there would be; None where there are none."""
        frame = frame or self.frame
        plan = replace(self.plan, **(changes or {}))
        split = parse_split(plan.split)
        try:
            if isinstance(split, TimeRangeSplit):
                anchors = ranges_to_anchors(frame, self.data, plan, split.ranges, self.clock)
            else:
                anchors = make_anchors(frame, self.data, plan, self.clock)
        except TaskError:
            return None
        if split is None:
            return split_by_default(anchors, frame, self.query)
        return assign_anchors(anchors, frame, split)


def mends(case: Situation, used: int) -> str:
    """Say what would fill three splits; ``used`` anchors have examples now."""
    now = case.assign()
    empty = 0 if now is None else len(now.split) - used
    told = (
        f"{empty} of {used + empty} anchors have no example: a wider WHERE, or a target that is "
        "there more often, would give them some."
    )
    if now is not None and now.fills:  # only the examples are wanting
        return told
    found = [*_options(case)] or [_history(case.frame, case.plan)]
    return " ".join([*found, told] if empty else found)


def _options(case: Situation) -> Iterator[str]:
    length = case.frame.length
    step = case.plan.timeframe_step or length
    for smaller in (length, max(1, length // 2), 1):
        if smaller < step:
            said = _gives(case, f"timeframe_step={smaller}", {"timeframe_step": smaller})
            if said:
                yield said
                break
    bounds = {name: None for name in _OPTIONS if getattr(case.plan, name) is not None}
    for name in bounds:
        said = _gives(case, f"No {name}", {name: None})
        if said:
            yield said
            break
    else:
        if len(bounds) > 1:
            said = _gives(case, f"Neither {' nor '.join(bounds)}", bounds)
            if said:
                yield said
    usual: Split = ApproxDateOffsetSplit()
    if parse_split(case.plan.split) not in (None, usual):
        for text in ("inferred", split_text(usual)):
            said = _gives(case, f"split={text!r}", {"split": text})
            if said:
                yield said
                break
    yield from _shorter(case)


def _gives(case: Situation, what: str, changes: Mapping[str, Any]) -> str | None:
    found = case.assign(changes)
    if found is None or not found.fills:
        return None
    train, val, test = found.counts
    return (
        f"{what} would give {len(found.split):,} anchors ({train:,} train, {val:,} val, {test:,} "
        "test)."
    )


def _shorter(case: Situation) -> Iterator[str]:
    def enough(frame: Frame) -> bool:
        found = case.assign({"timeframe_step": None}, frame)
        return found is not None and found.fills

    shorter = longest_window(case.frame, enough)
    if shorter is None:
        return
    if case.frame.horizon > 1:
        yield f"Forecast at most {shorter.horizon} timeframes."
    else:
        yield f"Shorten the window to at most {shorter.length} {case.frame.unit.value}."


def _history(frame: Frame, plan: TablePlan) -> str:
    unit, step = frame.unit.value, plan.timeframe_step or frame.length
    window = "window" if frame.horizon == 1 else f"horizon of {frame.horizon} windows"
    reach = max(w.end for w in frame.windows if w.unit is frame.unit)
    return (
        f"Three times a {window} of {frame.length * frame.horizon} {unit} must fit one after "
        f"another, the last up to {reach} {unit} after its anchor, with a step of {step} {unit} "
        "before the first: bring a longer history."
    )
