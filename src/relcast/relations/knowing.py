"""From when a row's value is known, where that is not from when its row is.

A column may name another time of its row (``known_at``), a delay (``known_after``: a constant or
what a column of the row holds), or both. A value is never known before its row, and never at all
where the time or the duration that says so is missing. That time and that duration are themselves
known only then. What people said is taken at its word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.delays import Delay

if TYPE_CHECKING:
    from relcast.relations.arrays import TableArrays

__all__ = ["LAST", "NEVER", "longest_wait", "value_known"]

Times = npt.NDArray[np.int64]

NEVER = int(np.iinfo(np.int64).max)
_MISSING = int(np.iinfo(np.int64).min)
LAST = 9_000_000_000 * 10**9
"""The latest moment (ns, in 2255) at which anything becomes known; what is later never does."""


def value_known(table: TableArrays, name: str) -> Times | None:
    """Return from when each row's value of a column is known, int64[rows] ns UTC.

    At the row's own time at the earliest, ``NEVER`` where it never is; None for a column that is
    known with its row. Raises ``schema.unknown_column``.
    """
    said = table.table.known_by(name)
    if said is None:
        return None
    known_at, known_after = said
    known = _base(table, known_at)
    if known_after is not None:
        known = _delayed(known, table, known_after)
    if table.time is not None:
        gone = known == NEVER
        known = np.where(gone | (table.time == _MISSING), NEVER, np.maximum(known, table.time))
    known.setflags(write=False)
    return known


def longest_wait(table: TableArrays, name: str) -> int:
    """Return how long after its row a value of a column becomes known at the most, ns.

    Of the values that are there and were known by the table's latest time: what was to be known
    later tells nothing yet. 0 for a column that is known with its row, for a table without times
    and where no value is known.
    """
    known = table.value_known(name)
    if known is None or table.time is None:
        return 0
    timed = table.time != _MISSING
    if not timed.any():
        return 0
    seen = timed & (known <= table.time[timed].max()) & table.present(name)
    return int((known[seen] - table.time[seen]).max(initial=0))


def _base(table: TableArrays, known_at: str | None) -> Times:
    """Return the times that a delay counts from; ``NEVER`` where they are missing."""
    if known_at is not None:
        time = table.column(known_at).values
    elif table.time is not None:
        time = table.time
    else:
        raise AssertionError("the schema lets no delay follow nothing")
    return np.where((time == _MISSING) | (time > LAST), NEVER, time)


def _delayed(base: Times, table: TableArrays, delay: Delay) -> Times:
    """Add a delay; a negative one counts as none, one that is missing or endless never ends."""
    if delay.column is None:
        length = np.full(len(base), float(delay.nanoseconds))
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.ceil(table.column(delay.column).numbers() * float(delay.nanoseconds))
    length = np.maximum(length, 0.0)  # NaN stays NaN
    with np.errstate(invalid="ignore"):
        there = (base != NEVER) & (base.astype(np.float64) + length < float(LAST))
    whole = np.where(there, length, 0.0).astype(np.int64)
    return np.where(there, base + whole, NEVER)
