"""Calendar offsets on arrays of times: exact, vectorised, and clipped at the ends of the calendar.

Times are int64 nanoseconds since 1970 in UTC. Months move by calendar month and clip to the month's
last day (31 January + 1 month = 28 or 29 February); every other unit is a fixed length.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.pql.ast import Unit, Window

__all__ = ["EARLIEST", "LATEST", "Times", "bounds", "from_datetime", "shift", "text", "to_datetime"]

Times = npt.NDArray[np.int64]

EARLIEST = int(np.iinfo(np.int64).min) + 1
"""Minus infinity: int64's least value is NaT, so it stays free."""
LATEST = int(np.iinfo(np.int64).max)

_NANOSECONDS = {
    Unit.seconds: 10**9,
    Unit.minutes: 60 * 10**9,
    Unit.hours: 3_600 * 10**9,
    Unit.days: 86_400 * 10**9,
    Unit.weeks: 7 * 86_400 * 10**9,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The months that lie wholly within what int64 nanoseconds can say (1677-09-21 to 2262-04-11).
_FIRST_MONTH = int(np.datetime64("1677-10", "M").astype(np.int64))
_LAST_MONTH = int(np.datetime64("2262-03", "M").astype(np.int64))
_FIRST_MOMENT = int(np.datetime64("1677-10-01", "ns").astype(np.int64))
_LAST_MOMENT = int(np.datetime64("2262-04-01", "ns").astype(np.int64)) - 1


def shift(times: npt.ArrayLike, count: int, unit: Unit) -> Times:
    """Move times by ``count`` units; int64 ns in, int64 ns out, same shape.

    Results beyond the calendar of int64 nanoseconds stop at ``EARLIEST`` or ``LATEST``, so that
    order is kept.
    """
    moments = np.asarray(times, dtype=np.int64)
    if unit is Unit.months:
        return _shift_months(moments, count)
    delta = max(EARLIEST, min(LATEST, count * _NANOSECONDS[unit]))
    if delta >= 0:
        return np.where(
            moments > LATEST - delta, LATEST, np.minimum(moments, LATEST - delta) + delta
        )
    return np.where(
        moments < EARLIEST - delta, EARLIEST, np.maximum(moments, EARLIEST - delta) + delta
    )


def _shift_months(moments: Times, count: int) -> Times:
    # Times in the broken months at the calendar's ends stay at its ends.
    within = np.clip(moments, _FIRST_MOMENT, _LAST_MOMENT)
    day = within.view("M8[ns]").astype("M8[D]")
    month = day.astype("M8[M]")
    number = month.astype(np.int64) + max(-100_000, min(100_000, count))
    target = np.clip(number, _FIRST_MONTH, _LAST_MONTH).astype("M8[M]")
    first = target.astype("M8[D]")
    length = (target + 1).astype("M8[D]") - first
    day_of_month = np.minimum(day - month.astype("M8[D]"), length - 1)
    time_of_day = np.mod(within, _NANOSECONDS[Unit.days]).view("m8[ns]")
    moved = ((first + day_of_month).astype("M8[ns]") + time_of_day).view(np.int64)
    early = (moments < _FIRST_MOMENT) | (number < _FIRST_MONTH)
    late = (moments > _LAST_MOMENT) | (number > _LAST_MONTH)
    return np.where(early, EARLIEST, np.where(late, LATEST, moved))


def bounds(window: Window, anchors: npt.ArrayLike) -> tuple[Times, Times]:
    """Return the ends of ``(a + start, a + end]`` for every anchor, as int64 ns.

    An open start (``-INF``) is ``EARLIEST``, below every time.
    """
    moments = np.asarray(anchors, dtype=np.int64)
    low = (
        np.full(moments.shape, EARLIEST, dtype=np.int64)
        if window.start is None
        else shift(moments, window.start, window.unit)
    )
    return low, shift(moments, window.end, window.unit)


def from_datetime(moment: datetime) -> int:
    """Return a time as ns since 1970 UTC; a time without zone is UTC.

    Times beyond the calendar of int64 nanoseconds stop at its ends.
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    microseconds = (aware - _EPOCH) // timedelta(microseconds=1)
    return max(EARLIEST, min(LATEST, microseconds * 1000))


def to_datetime(moment: int) -> datetime:
    """Return ns since 1970 as an aware UTC time; digits below a microsecond are dropped."""
    return _EPOCH + timedelta(microseconds=moment // 1000)


def text(moment: Any) -> str:
    """Return a time for people: ``2024-01-31``, with the clock time where it is not midnight."""
    found = to_datetime(int(moment))
    shown = found.strftime("%Y-%m-%d %H:%M:%S") + (f".{found:%f}" if found.microsecond else "")
    return shown.removesuffix(" 00:00:00")
