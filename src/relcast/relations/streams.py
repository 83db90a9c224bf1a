"""Events below a row: its children, or its children's children, in the order they became known.

A chain of links is folded into one grouping, so that whatever reads one link reads a chain as
well. An event of a chain is known from the latest of its links' times, and over from the earliest
of their end times. Where a window is one of the events' own times, they stand in that order and
``known`` says when the rows between were there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.relations import kernels
from relcast.relations.arrays import NOT_A_TIME, Relations, TableArrays

__all__ = ["Events", "events_below", "events_by_category", "events_of"]

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
        known: int64[events] ns UTC from which the rows between are known; empty when that is no
            later than ``time``.
    """

    table: str
    indptr: npt.NDArray[np.int64]
    rows: npt.NDArray[Any]
    time: Times
    over: Times
    known: Times = field(default_factory=lambda: np.empty(0, dtype=np.int64))

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


def events_below(
    relations: Relations, links: tuple[Link, ...], *, by_own_time: bool = False
) -> Events:
    """Return the events of one link, or of a chain of links.

    ``links[0]`` points to the owners, and each further link to the table of the one before.
    ``by_own_time`` orders the events of a chain by their own table's time, ties as in that table,
    and not by when the whole chain was there.
    """
    first = relations.link(links[0])
    table = relations.table(links[0].table)
    if len(links) == 1:
        time = _none() if first.child_time is None else first.child_time
        return _frozen(links[0].table, first.indptr, first.child, time, _over(table, first.child))
    rows: npt.NDArray[Any] = first.child
    owner = first.parent[rows]
    between, over = _time(table, rows), _over(table, rows)
    own = between
    for number, link in enumerate(links[1:], start=2):
        arrays, table = relations.link(link), relations.table(link.table)
        fan = np.diff(arrays.indptr)[rows]
        start = np.repeat(arrays.indptr[rows], fan)
        offset = np.arange(len(start)) - np.repeat(np.cumsum(fan) - fan, fan)
        owner, between, over = (
            np.repeat(part, fan) if len(part) else part for part in (owner, between, over)
        )
        rows = arrays.child[start + offset]
        own, over = _time(table, rows), _merged(np.minimum, over, _over(table, rows))
        if number < len(links):
            between = _merged(np.maximum, between, own)
    if by_own_time:
        time, known = own, between
        place = np.empty(table.rows, dtype=np.int64)
        place[table.order] = np.arange(len(table.order))
        order = np.argsort(place[rows], kind="stable")
    else:
        time, known = _merged(np.maximum, between, own), _none()
        order = np.argsort(time, kind="stable") if len(time) else np.arange(len(rows))
    indptr, chosen = kernels.group_by_parent(owner, order, len(first.indptr) - 1)
    return _frozen(
        links[-1].table,
        indptr,
        rows[chosen],
        *(part[chosen] if len(part) else part for part in (time, over, known)),
    )


def events_by_category(relations: Relations, links: tuple[Link, ...], column: str) -> Events:
    """Return the events below all rows of one category, by the category's code.

    ``column`` is a category of the table that ``links[0]`` points to. An event counts from when its
    owner and the owner's category are known, and no longer when the owner is over. Events of copies
    do not count.
    """
    events = events_below(relations, links)
    owners = relations.table(links[0].to)
    owner = np.repeat(np.arange(len(events.indptr) - 1), np.diff(events.indptr))
    told = owners.value_known(column)
    born = None if owners.time is None else np.where(owners.time == NOT_A_TIME, _NEVER, owners.time)
    time = events.time
    for since in (born, told):
        time = _merged(np.maximum, time, _none() if since is None else since[owner])
    gone = _over(owners, np.arange(owners.rows))
    over = _merged(np.minimum, events.over, gone[owner] if len(gone) else gone)
    table = relations.table(events.table)
    place = np.empty(table.rows, dtype=np.int64)
    place[table.order] = np.arange(len(table.order))
    order = np.lexsort((place[events.rows], time)) if len(time) else np.argsort(place[events.rows])
    category = owners.column(column)
    codes = np.where(owner < owners.counted, category.values.astype(np.int64)[owner], -1)
    indptr, chosen = kernels.group_by_parent(codes, order, len(category.dictionary))
    return _frozen(
        events.table,
        indptr,
        events.rows[chosen],
        *(part[chosen] if len(part) else part for part in (time, over, events.known)),
    )


def _time(table: TableArrays, rows: npt.NDArray[Any]) -> Times:
    return _none() if table.time is None else table.time[rows]


def _merged(how: Any, one: Times, other: Times) -> Times:
    """Return the later or earlier of two times of each event, where an empty one says nothing."""
    if not len(one) or not len(other):
        return other if not len(one) else one
    merged: Times = how(one, other)
    return merged


def _over(table: TableArrays, rows: npt.NDArray[Any]) -> Times:
    if table.end_time is None:
        return _none()
    end = table.end_time[rows]
    return np.where(end == NOT_A_TIME, _NEVER, end)


def _none() -> Times:
    return np.empty(0, dtype=np.int64)


def _frozen(
    table: str,
    indptr: Times,
    rows: npt.NDArray[Any],
    time: Times,
    over: Times,
    known: Times | None = None,
) -> Events:
    """Make every array read-only, as mapped ones are, so that kernels compile once."""
    arrays = (indptr, rows, time, over, _none() if known is None else known)
    views = [array.view() for array in arrays]
    for view in views:
        view.setflags(write=False)
    return Events(table, *views)
