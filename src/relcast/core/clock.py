"""The one place that reads the wall clock, so that tests can hold it still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "isoformat", "parse_time", "utc_now"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)


def isoformat(moment: datetime | None) -> str | None:
    """Return ``2024-01-02T03:04:05.000006Z``; naive times are taken as UTC."""
    if moment is None:
        return None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def parse_time(text: str | None) -> datetime | None:
    """Return the aware UTC time of an ISO 8601 text; a text without zone is taken as UTC.

    Raises ``ValueError`` when the text is no time.
    """
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
