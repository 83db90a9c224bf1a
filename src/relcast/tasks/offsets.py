"""Calendar offsets on arrays of times: exact, vectorised, and clipped at the ends of the calendar.

Times are int64 nanoseconds since 1970 in UTC. Months move by calendar month and clip to the month's
last day (31 January + 1 month = 28 or 29 February); every other unit is a fixed length.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.clock import parse_time
from relcast.pql.ast import Unit, Window

__all__ = [
    "EARLIEST",
    "LATEST",
    "Times",
    "bounds",
    "from_datetime",
    "from_iso",
    "iso",
    "latest_before",
    "shift",
    "steps_back",
    "text",
    "to_datetime",
]

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


def latest_before(end: int, count: int, unit: Unit) -> int:
    """Return the latest moment, at the time of day of ``end``, that ``count`` units end by then.

    ``end - count``, but where ``end`` is the last day of its month: then the last day of the
    earlier month, as all its last days lead there (31 January + 1 month = 29 February).
    """
    found = int(shift([end], -count, unit)[0])
    if unit is not Unit.months or not _FIRST_MOMENT <= found <= _LAST_MOMENT:
        return found
    days = np.array([end, found], dtype=np.int64).view("M8[ns]").astype("M8[D]")
    last_days = (days.astype("M8[M]") + 1).astype("M8[D]") - 1
    if days[0] != last_days[0]:
        return found
    return found + int((last_days[1] - days[1]).astype(np.int64)) * _NANOSECONDS[Unit.days]


def steps_back(last: int, step: int, unit: Unit, lowest: int, most: int) -> Times:
    """Return ``last``, ``last - step``, ``last - 2 * step``, … down to ``lowest``, newest first.

    Each is counted from ``last``, so that the clipping of months does not add up. Where there are
    more than ``most``, the newest ``most + 1``: enough to see that there are too many.
    """
    if last < lowest:
        return np.zeros(0, dtype=np.int64)
    if unit is Unit.months:
        count = min(most, (_LAST_MONTH - _FIRST_MONTH) // step + 1)
        found = _shift_months(np.int64(last), -step * np.arange(count + 1, dtype=np.int64))
        return found[found >= lowest]
    delta = step * _NANOSECONDS[unit]
    count = min(most, (last - lowest) // delta)
    if count < 2:  # a step of centuries may be more than int64 holds
        return np.array([last - delta * k for k in range(count + 1)], dtype=np.int64)
    return np.int64(last) - np.int64(delta) * np.arange(count + 1, dtype=np.int64)


def _shift_months(moments: Times | np.int64, count: int | Times) -> Times:
    # Times in the broken months at the calendar's ends stay at its ends.
    within = np.clip(moments, _FIRST_MOMENT, _LAST_MOMENT)
    day = within.view("M8[ns]").astype("M8[D]")
    month = day.astype("M8[M]")
    number = month.astype(np.int64) + np.clip(count, -100_000, 100_000)
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
    return _within(microseconds * 1000)


def to_datetime(moment: int) -> datetime:
    """Return ns since 1970 as an aware UTC time; digits below a microsecond are dropped."""
    return _EPOCH + timedelta(microseconds=moment // 1000)


def iso(moment: Any) -> str:
    """Return ns since 1970 as ISO 8601 in UTC, exact: as many digits as the time needs.

    ``2024-01-31T00:00:00Z``, with 6 digits behind the point where it has microseconds and 9 where
    it has nanoseconds.
    """
    whole, rest = divmod(int(moment), 10**9)
    digits = "" if not rest else f".{rest:09d}" if rest % 1000 else f".{rest // 1000:06d}"
    return f"{_EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}{digits}Z"


def from_iso(written: str) -> int:
    """Return a time in ISO 8601 as ns since 1970 UTC; digits down to the nanosecond count.

    Raises ``ValueError`` for a text that is no time.
    """
    head, _, tail = written.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    moment = parse_time(head + tail[len(digits) :])
    if moment is None or len(digits) > 9:
        raise ValueError(f"{written!r} is no time to the nanosecond")
    seconds = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return _within(seconds + int(digits.ljust(9, "0") if digits else 0))


def _within(moment: int) -> int:
    return max(EARLIEST, min(LATEST, moment))


def text(moment: Any) -> str:
    """Return a time for people: ``2024-01-31``, with the clock time where it is not midnight."""
    found = to_datetime(int(moment))
    shown = found.strftime("%Y-%m-%d %H:%M:%S") + (f".{found:%f}" if found.microsecond else "")
    return shown.removesuffix(" 00:00:00")
