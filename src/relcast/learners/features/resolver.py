"""From recipes to arrays: streams, seeds, values and codes of one snapshot, as of each anchor.

Every value carries the time from which it is known (``values``), so that no recipe can read what
an anchor did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Link
from relcast.learners.features import groups, kernels
from relcast.learners.features.spec import Step, Stream, Value
from relcast.learners.features.values import (
    Codes,
    Numbers,
    codes_of,
    earlier,
    gather,
    later,
    numbers_of,
)
from relcast.relations import (
    NEVER,
    NOT_A_TIME,
    Events,
    Relations,
    events_below,
    events_by_category,
    events_of,
    latest_known,
    rows_known,
)

if TYPE_CHECKING:
    from relcast.learners.features.target import Target, TargetAggregation

__all__ = ["Resolver", "exact_sums", "running_sums", "unique_pairs"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
_NONE = np.empty(0, dtype=np.int64)


class Resolver:
    """Resolves recipes against one snapshot, for one set of examples.

    Attributes:
        anchors: int64[n] ns UTC: the moments that are predicted from, for calendar and ages.
        asof: int64[n] ns UTC: up to when rows are read, at most the anchor.
        given: int64[n] by stream: owners that are not found from the entity's row.
    """

    def __init__(
        self,
        relations: Relations,
        entity_table: str,
        rows: Rows,
        anchors: Rows | None,
        target: Target | None,
        known: Rows | None = None,
        events: dict[tuple[str, tuple[Link, ...], str | None], Events] | None = None,
    ) -> None:
        self.relations = relations
        self.entity_table = entity_table
        self.rows = rows
        self.timeless = anchors is None
        self.anchors = np.full(len(rows), NEVER, dtype=np.int64) if anchors is None else anchors
        self.asof = self.anchors if known is None else np.minimum(known, self.anchors)
        self.target = target
        self._seeds: dict[tuple[Step, ...], Rows] = {(): rows}
        self.given: dict[Stream, Rows] = {}
        self._events = {} if events is None else events
        self._latest: tuple[Value, Numbers] | None = None
        self._group: tuple[tuple[Link, Value], tuple[Float, Rows]] | None = None

    def seed(self, steps: tuple[Step, ...]) -> Rows:
        """Return the row that a walk from each entity ends on (int64[n]), -1 where it ends early.

        Every row on the way is known by then.
        """
        if steps in self._seeds:
            return self._seeds[steps]
        before, step = self.seed(steps[:-1]), steps[-1]
        link = self.relations.link(step.link)
        moments = None if self.timeless else self.asof
        if step.kind == "latest":
            found = latest_known(link, self.relations.table(step.table), before, moments)
        else:
            found = gather(link.parent, before)
            known = rows_known(self.relations.table(step.table), found, moments)
            found = np.where(known, found, -1)
        self._seeds[steps] = found
        return found

    def events(self, stream: Stream) -> Events:
        """Return a stream's events grouped by the rows of its seed's table, or their categories."""
        key = (stream.table, stream.down, stream.by)
        if key not in self._events:
            if not stream.down:
                found = events_of(self.relations, stream.table)
            elif stream.by is not None:
                found = events_by_category(self.relations, stream.down, stream.by)
            else:
                found = events_below(self.relations, stream.down)
            self._events[key] = found
        return self._events[key]

    def target_events(self, part: TargetAggregation) -> Events:
        """Return the rows of a target's aggregation, each at its own time.

        That the rows between were there is no matter of the label's window, only of what may be
        used by now.
        """
        if len(part.path) == 1:
            return self.events(Stream(part.table, (), part.down))
        return events_below(self.relations, part.down, by_own_time=True)

    def owners(self, stream: Stream) -> Rows:
        """Return whose events each example reads: a row, a category, or row 0 of a whole table."""
        if stream in self.given:
            return self.given[stream]
        if not stream.down:
            return np.zeros(len(self.rows), dtype=np.int64)
        rows = self.seed(stream.seed)
        if stream.by is None:
            return rows
        table = self.relations.table(stream.down[0].to)
        known = rows_known(table, rows, None if self.timeless else self.asof)
        rows = self.value_rows(table.table.name, stream.by, np.where(known, rows, -1))
        return gather(table.column(stream.by).values.astype(np.int64), rows)

    def among(self, stream: Stream, owners: Rows, asof: Rows) -> Resolver:
        """Return a resolver that answers for these owners of one stream at these moments."""
        other = Resolver(
            self.relations,
            self.entity_table,
            owners,
            None if self.timeless else asof,
            self.target,
            events=self._events,
        )
        other.given[stream] = owners
        return other

    def value_rows(self, table: str, column: str, rows: Rows) -> Rows:
        """Return the rows (int64[n], one an example) with -1 where a value is not known by then."""
        known = self.relations.value_known(table, column)
        if known is None or self.timeless:
            return rows
        return np.where(np.append(known, NEVER)[rows] <= self.asof, rows, -1)

    def numbers(self, value: Value) -> Numbers:
        """Return a value as a number for every row of the table it belongs to.

        The latest is kept: families that read one value come one after the other.
        """
        if self._latest is None or self._latest[0] != value:
            self._latest = (value, numbers_of(self, value))
        return self._latest[1]

    def groups(self, link: Link, value: Value, numbers: Numbers) -> tuple[Float, Rows]:
        """Return the measures of a value among the rows of one parent and moment.

        The latest is kept: one pass gives them all (see ``groups.among``).
        """
        if self._group is None or self._group[0] != (link, value):
            parents = self.relations.table(link.to).counted
            arrays = self.relations.link(link)
            found = groups.among(arrays, numbers.values, numbers.known, parents)
            self._group = ((link, value), found)
        return self._group[1]

    def codes(self, value: Value) -> Codes:
        """Return a value as a category for every row of the table it belongs to."""
        return codes_of(self, value)

    def at_parent(self, path: tuple[Link, ...]) -> tuple[Rows, Rows, Rows | None]:
        """Return when what stands at the end of a path is known and over, and its row."""
        parent: Rows | None = None
        known, over = _NONE, _NONE
        for link in path:
            up = self.relations.link(link).parent
            parent = np.asarray(up) if parent is None else gather(up, parent)
            table = self.relations.table(link.to)
            if table.time is not None:
                time = np.append(table.time, NOT_A_TIME)[parent]
                # That a parent is missing is not known either: its row may be yet to come.
                known = later(known, np.where(time == NOT_A_TIME, NEVER, time))
            if table.end_time is not None:
                end = np.append(table.end_time, NOT_A_TIME)[parent]
                over = earlier(over, np.where(end == NOT_A_TIME, NEVER, end))
        return known, over, parent

    def window(
        self,
        below: Link,
        numbers: Numbers,
        owners: Rows,
        moments: Rows,
        width: int,
        statistic: int,
    ) -> Float:
        """Return a statistic of the numbers below each owner in the ``width`` up to its moment.

        ``statistic`` is one of ``kernels.window_numbers``. NaN where there is no owner.
        """
        events = self.events(Stream(below.table, (), (below,)))
        edge, known, over = self.edge_numbers(events, numbers)
        result = np.full(len(owners), np.nan)
        place = np.flatnonzero(owners >= 0)
        # Rows that share parent and moment share the statistic.
        pairs, inverse = unique_pairs(owners[place], moments[place])
        out = np.empty((len(pairs[0]), 1, 6))
        widths = np.array([width], dtype=np.int64)
        if statistic in (0, 2) and not len(over) and not len(known):
            sums = running_sums(events.indptr, edge)
            kernels.window_sums(events.indptr, events.time, *sums, *pairs, widths, out)
        else:
            kernels.window_numbers(
                events.indptr, events.time, over, known, edge, *pairs, widths, out
            )
        result[place] = out[inverse, 0, statistic]
        return result

    def edge_numbers(self, events: Events, numbers: Numbers) -> tuple[Float, Rows, Rows]:
        """Return values, known and over in the order of the events."""
        return (
            numbers.values[events.rows],
            _later(events, numbers.known),
            _earlier(events, numbers.over),
        )

    def edge_codes(self, events: Events, codes: Codes) -> tuple[npt.NDArray[np.int32], Rows, Rows]:
        """Return codes, known and over in the order of the events."""
        known, over = _later(events, codes.known), _earlier(events, codes.over)
        return codes.codes[events.rows], known, over


def running_sums(indptr: Rows, values: Float) -> tuple[Rows, Float]:
    """Return how many values precede each event of its owner, and their sum (``kernels``)."""
    counts = np.empty(len(values) + len(indptr) - 1, dtype=np.int64)
    sums = np.empty(len(counts))
    kernels.running(indptr, values, counts, sums)
    return counts, sums


def exact_sums(indptr: Rows, values: Float, known: Rows) -> tuple[Rows, Float, Rows] | None:
    """Return running counts and sums, and until when all before are known, where none rounds.

    None where sums would depend on their order (``kernels.running_exact``).
    """
    counts = np.empty(len(values) + len(indptr) - 1, dtype=np.int64)
    sums = np.empty(len(counts))
    latest = np.empty(len(known), dtype=np.int64)
    exact = kernels.running_exact(indptr, values, known, counts, sums, latest)
    return (counts, sums, latest) if exact else None


def unique_pairs(owners: Rows, anchors: Rows) -> tuple[tuple[Rows, Rows], Rows]:
    """Return the distinct (owner, anchor) pairs, and which of them each row has."""
    if len(owners) == 0:
        return (owners, anchors), owners
    moments, moment = np.unique(anchors, return_inverse=True)
    key = (owners + 1) * len(moments) + moment
    keys, inverse = np.unique(key, return_inverse=True)
    return (keys // len(moments) - 1, moments[keys % len(moments)]), inverse


def _later(events: Events, known: Rows) -> Rows:
    """Return from when each event's value is known, where that is not with the event."""
    if len(known) == 0:
        return np.array(events.known)
    return later(known[events.rows], events.known)


def _earlier(events: Events, over: Rows) -> Rows:
    """Return from when each event is unusable: its own end, or its value's."""
    if len(over) == 0:
        return np.array(events.over)
    return earlier(over[events.rows], events.over)
