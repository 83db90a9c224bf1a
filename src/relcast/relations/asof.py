"""What was known at an anchor: slices of children, latest children, rows that are alive.

The rules of time, in one place: a row is known at ``a`` when its time is ``<= a`` (always, in a
table without a time column) and it is not over: its end time is missing or ``> a``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.relations import kernels
from relcast.relations.arrays import NEVER, NOT_A_TIME, LinkArrays, TableArrays

__all__ = ["known_slices", "latest_known", "rows_known"]

Rows = npt.NDArray[np.int64]
_ALWAYS = np.empty(0, dtype=np.int64)
_ALWAYS.setflags(write=False)  # as mapped arrays are, so that kernels compile once


def known_slices(
    link: LinkArrays, parents: Rows, until: Rows | None, after: Rows | None = None
) -> tuple[Rows, Rows]:
    """Return ``begin, end`` (int64[n]) of each parent's children with time in ``(after, until]``.

    The children are ``link.child[begin[i]:end[i]]``, oldest first. ``until`` None knows all;
    ``after`` None reaches back to the beginning. Rows that are over are not taken out; see
    ``rows_known``. A parent of -1 has no children.
    """
    n = len(parents)
    low = np.full(n, NOT_A_TIME, dtype=np.int64) if after is None else after
    high = np.full(n, NEVER, dtype=np.int64) if until is None else until
    begin, end = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    time = _ALWAYS if link.child_time is None else link.child_time
    kernels.bounds(link.indptr, time, np.asarray(parents, dtype=np.int64), low, high, begin, end)
    return begin, end


def rows_known(table: TableArrays, rows: Rows, anchors: Rows | None) -> npt.NDArray[np.bool_]:
    """Return which rows are known and not over at their anchors; a row of -1 is not."""
    known: npt.NDArray[np.bool_] = np.asarray(rows) >= 0
    if anchors is None or table.rows == 0:
        return known
    if table.time is not None:
        time = table.time[rows]
        known &= (time <= anchors) & (time != NOT_A_TIME)
    if table.end_time is not None:
        end = table.end_time[rows]
        known &= (end > anchors) | (end == NOT_A_TIME)
    return known


def latest_known(link: LinkArrays, table: TableArrays, parents: Rows, anchors: Rows | None) -> Rows:
    """Return the latest known child of each parent (dense row, -1 without one).

    Ties at one time go to the greatest primary key. A child that is over at the anchor is passed
    over for the one before it.
    """
    begin, end = known_slices(link, parents, anchors)
    place = end - 1
    found: npt.NDArray[Any] = np.full(len(parents), -1, dtype=np.int64)
    open_ = np.flatnonzero(place >= begin)
    while len(open_):
        rows = link.child[place[open_]].astype(np.int64)
        usable = rows_known(table, rows, None if anchors is None else anchors[open_])
        found[open_[usable]] = rows[usable]
        open_ = open_[~usable]
        place[open_] -= 1
        open_ = open_[place[open_] >= begin[open_]]
    return found
