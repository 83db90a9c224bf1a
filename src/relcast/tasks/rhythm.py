"""The rhythm of anchors in words: how often, and from when to when. Pure arithmetic."""

from __future__ import annotations

import numpy as np

from relcast.pql.ast import Unit
from relcast.tasks.offsets import Times, shift, text, to_datetime

__all__ = ["rhythm"]

_DAY = 86_400 * 10**9
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def rhythm(anchors: Times, unit: Unit, step: int) -> str:
    """Return when anchors stand, as the beginning of a sentence without a full stop.

    ``Each Monday`` is said only of anchors that are all Mondays, a week apart; of others that are
    not all ``step`` apart only the number is told. Clock times are UTC.

    Args:
        anchors: int64[n] ns UTC, ascending and distinct.
        unit: The unit that the anchors step in.
        step: The distance that was asked for between them, in that unit.
    """
    n = len(anchors)
    if n == 0:
        return "At no moment"
    first, last = text(anchors[0]), text(anchors[-1])
    if n == 1:
        return f"One moment: {first}"
    span = f"from {first} to {last}"
    apart = np.unique(np.diff(anchors))
    if len(apart) == 1:
        at = _clock(int(anchors[0]))
        if apart[0] == 7 * _DAY:
            return f"Each {_WEEKDAYS[to_datetime(int(anchors[0])).weekday()]}{at}"
        if apart[0] == _DAY:
            return f"Each day{at}"
    if unit is Unit.months:
        return _monthly(anchors, step, span) or f"At {n:,} moments {span}"
    if len(apart) > 1 or apart[0] != shift(anchors[:1], step, unit)[0] - anchors[0]:
        return f"At {n:,} moments {span}"
    if step == 1:
        return f"Each {unit.value[:-1]} {span}"
    return f"Every {step:,} {unit.value} {span}"


def _monthly(anchors: Times, step: int, span: str) -> str | None:
    """Say what calendar months have in common; None when they are not ``step`` apart."""
    days = anchors.view("M8[ns]").astype("M8[D]")
    months = days.astype("M8[M]")
    if len(np.unique(anchors - days.astype("M8[ns]").view(np.int64))) > 1:
        return None
    if (np.diff(months.astype(np.int64)) != step).any():
        return None
    if step > 1:
        return f"Every {step:,} months {span}"
    of_month = np.unique((days - months.astype("M8[D]")).astype(np.int64)) + 1
    rest = np.unique(((months + 1).astype("M8[D]") - days).astype(np.int64))
    at = _clock(int(anchors[0]))
    if len(rest) == 1 and rest[0] == 1:
        return f"On the last day of each month{at}"
    if len(of_month) > 1:
        return f"Each month {span}"
    if of_month[0] == 1:
        return f"On the first day of each month{at}"
    return f"On day {of_month[0]} of each month{at}"


def _clock(moment: int) -> str:
    """Return `` at 17:22:05 UTC``; nothing at midnight."""
    shown = text(moment)
    return f" at {shown.partition(' ')[2]} UTC" if " " in shown else ""
