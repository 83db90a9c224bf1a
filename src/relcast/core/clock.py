"""The one place that reads the wall clock, so that tests can hold it still; and times as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from relcast.core.errors import InvalidRequest

__all__ = ["FIRST_TIME", "LAST_TIME", "Clock", "anchor_time", "isoformat", "parse_time", "utc_now"]

Clock = Callable[[], datetime]

FIRST_TIME = datetime(1677, 9, 22, tzinfo=UTC)
LAST_TIME = datetime(2262, 4, 11, tzinfo=UTC)
"""The first and the last day that a time of the data can be on: int64 nanoseconds reach so far."""


def utc_now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)


def isoformat(moment: datetime | None) -> str | None:
    """Return ``2024-01-02T03:04:05.000006Z``; naive times are taken as UTC."""
    if moment is None:
        return None
    return _utc(moment).isoformat().replace("+00:00", "Z")


def parse_time(text: str | None) -> datetime | None:
    """Return the aware UTC time of an ISO 8601 text; a text without zone is taken as UTC.

    Raises ``ValueError`` when the text is no time, or one that UTC has no year for.
    """
    return None if text is None else _utc(datetime.fromisoformat(text))


def anchor_time(value: str | datetime | None) -> datetime | None:
    """Return an anchor, given as a time or as ISO 8601 text, as an aware UTC time.

    Raises ``request.bad_time`` when it is no time or none that data can have.
    """
    if value is None:
        return None
    try:
        moment = _utc(datetime.fromisoformat(value) if isinstance(value, str) else value)
    except ValueError:
        moment = None
    if moment is None or not FIRST_TIME <= moment < LAST_TIME:
        shown = repr(value) if isinstance(value, str) else value.isoformat()
        what = "is not a time" if moment is None else "is outside of the times that data can have"
        raise InvalidRequest(
            f"The anchor time {shown} {what}",
            code="request.bad_time",
            hint="Write it as 2024-02-27 or 2024-02-27T10:00:00Z; times reach from "
            f"{FIRST_TIME:%Y-%m-%d} to {LAST_TIME:%Y-%m-%d}.",
        )
    return moment


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # year 0 or 10000
        raise ValueError(f"{moment.isoformat()} has no year in UTC") from None
