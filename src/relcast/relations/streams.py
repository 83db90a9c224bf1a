"""Events below a row: its children, or its children's children, in the order they became known.

A chain of links is folded into one grouping, so that whatever reads one link reads a chain as
well. An event of a chain is known from the latest of its links' times, and over from the earliest
of their end times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.relations import kernels
from relcast.relations.arrays import NOT_A_TIME, Relations, TableArrays

__all__ = ["Events", "events_below", "events_of"]

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Rows of one table grouped by the row that they belong to.

    Attributes:
        table: The events' table.
        indptr: int64[owners + 1]; the events of owner ``p`` are ``rows[indptr[p]:indptr[p + 1]]``.
        rows: Dense rows of ``table``, oldest first within an owner.
        time: int64[events] ns UTC from which each event is known; empty when all always are.
        over: int64[events] ns UTC from which each event is no longer usable (``NEVER`` where it
            does not end); empty when none ends.
    """

    table: str
    indptr: npt.NDArray[np.int64]
    rows: npt.NDArray[Any]
    time: Times
    over: Times

    @property
    def timed(self) -> bool:
        """Whether the events have times; without, only "all" is a window."""
        return len(self.time) > 0 or len(self.rows) == 0


_NEVER = np.iinfo(np.int64).max


def events_of(relations: Relations, table: str) -> Events:
    """Return all rows of a table as the events of one owner, row 0."""
    arrays = relations.table(table)
    rows = arrays.order
    time = _none() if arrays.time is None else arrays.time[rows]
    indptr = np.array([0, len(rows)], dtype=np.int64)
    return _frozen(table, indptr, rows, time, _over(arrays, rows))


def events_below(relations: Relations, links: tuple[Link, ...]) -> Events:
    """Return the events of one link, or of a chain of two.

    ``links[0]`` points to the owners; ``links[1]``, where there is one, points to the table of
    ``links[0]``.
    """
    first = relations.link(links[0])
    middle = relations.table(links[0].table)
    if len(links) == 1:
        time = _none() if first.child_time is None else first.child_time
        return _frozen(links[0].table, first.indptr, first.child, time, _over(middle, first.child))
    second = relations.link(links[1])
    last = relations.table(links[1].table)
    fan = np.diff(second.indptr)[first.child]
    owner = np.repeat(first.parent[first.child], fan)
    through = np.repeat(first.child, fan)
    start = np.repeat(second.indptr[first.child], fan)
    offset = np.arange(len(start)) - np.repeat(np.cumsum(fan) - fan, fan)
    rows = second.child[start + offset]
    known = [t[r] for t, r in ((middle.time, through), (last.time, rows)) if t is not None]
    order = np.arange(len(rows))
    if known:
        time = np.maximum.reduce(known)
        order = np.argsort(time, kind="stable")
    indptr, place = kernels.group_by_parent(owner, order, len(first.indptr) - 1)
    ends = [e for e in (_over(middle, through), _over(last, rows)) if len(e)]
    return _frozen(
        links[1].table,
        indptr,
        rows[place],
        time[place] if known else _none(),
        np.minimum.reduce(ends)[place] if ends else _none(),
    )


def _over(table: TableArrays, rows: npt.NDArray[Any]) -> Times:
    if table.end_time is None:
        return _none()
    end = table.end_time[rows]
    return np.where(end == NOT_A_TIME, _NEVER, end)


def _none() -> Times:
    return np.empty(0, dtype=np.int64)


def _frozen(table: str, indptr: Times, rows: npt.NDArray[Any], time: Times, over: Times) -> Events:
    """Make every array read-only, as mapped ones are, so that kernels compile once."""
    views = [array.view() for array in (indptr, rows, time, over)]
    for view in views:
        view.setflags(write=False)
    return Events(table, views[0], views[1], views[2], views[3])
