"""Cursors of lists: the number of the last record of a page, as text that callers hand back."""

from __future__ import annotations

from relcast.core.errors import InvalidRequest

__all__ = ["number_of"]

_LONGEST = 18


def number_of(cursor: str) -> int:
    """Return the number behind a cursor; raises ``request.bad_cursor``."""
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > _LONGEST:
        raise InvalidRequest(
            f"{cursor!r} is not a cursor of this list",
            code="request.bad_cursor",
            hint="Pass the cursor of the page before, unchanged, or none.",
        )
    return int(cursor)
