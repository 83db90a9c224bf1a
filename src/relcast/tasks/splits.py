"""Splits: whole anchors, or static rows, given to train, val and test.

Label windows of two splits never overlap: anchors between two splits are left out, and counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery
from relcast.tasks.anchors import Frame
from relcast.tasks.offsets import Times, shift
from relcast.tasks.split_forms import (
    ApproxDateOffsetSplit,
    DateOffsetSplit,
    ManualSplit,
    RandomSplit,
    Ratios,
    Split,
    TemporalSplit,
    TimeRangeSplit,
    parse_split,
    split_text,
)

__all__ = [
    "LEFT_OUT",
    "SPLITS",
    "ApproxDateOffsetSplit",
    "Assigned",
    "DateOffsetSplit",
    "ManualSplit",
    "RandomSplit",
    "Split",
    "TemporalSplit",
    "TimeRangeSplit",
    "assign_anchors",
    "check_no_overlap",
    "default_split",
    "key_ranks",
    "parse_split",
    "rows_of_split",
    "split_anchors",
    "split_by_default",
    "split_counts",
    "split_rows",
    "split_text",
]

SPLITS = ("train", "val", "test")
LEFT_OUT = -1
"""The split of an anchor whose windows would overlap those of another split."""

_LINKS = (TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION)


def split_counts(n: int, ratios: Ratios) -> tuple[int, int, int]:
    """Return how many of ``n`` go to train, val and test.

    Test takes max(1, ⌊test·n⌋), val and test together max(2, ⌊(val+test)·n⌋), train the rest: 31
    give 25, 3, 3; 9 give 7, 1, 1 at [0.8, 0.1, 0.1].
    """
    test = max(1, int(ratios[2] * n))
    held = max(test + 1, int((ratios[1] + ratios[2]) * n))
    return n - held, held - test, test


class Assigned(NamedTuple):
    """The split of each anchor, and the rule that gave it.

    Attributes:
        split: int8[n]: 0 train, 1 val, 2 test, ``LEFT_OUT``.
        rule: The rule.
        note: A sentence where it is not the rule that one would expect; empty otherwise.
    """

    split: npt.NDArray[np.int8]
    rule: Split
    note: str = ""

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many anchors are train, val and test."""
        train, val, test = (int((self.split == s).sum()) for s in range(3))
        return train, val, test

    @property
    def fills(self) -> bool:
        """Whether no split is empty."""
        return min(self.counts) > 0


def default_split(query: CheckedQuery, frame: Frame) -> Split:
    """Return the split of a temporal query whose plan says nothing.

    Links: the newest window is test, the one before it val. Forecasts: the same with whole
    horizons. All others: 80, 10 and 10 % of the anchors.
    """
    if query.task_type in _LINKS:
        reach = max(w.end for w in frame.windows if w.unit is frame.unit)
        return DateOffsetSplit(-reach, 0, frame.unit)
    if query.task_type is TaskType.FORECASTING:
        whole = frame.horizon * frame.length
        return DateOffsetSplit(-2 * whole + frame.length, -whole + frame.length, frame.unit)
    return ApproxDateOffsetSplit()


def split_by_default(
    anchors: Times, frame: Frame, query: CheckedQuery, last: int | None = None
) -> Assigned:
    """Give anchors to splits by the query's default.

    The default of links and forecasts counts back from the newest anchor that there can be. Where
    that leaves a split empty (nothing happens there, or a step of one's own does not meet it), the
    newest anchor is test and the newest one before whose windows do not overlap is val; the note
    says so.
    """
    rule = default_split(query, frame)
    found = assign_anchors(anchors, frame, rule, last)
    if found.fills or isinstance(rule, ApproxDateOffsetSplit):
        return found
    low, high = frame.settled_spans(anchors)
    other = Assigned(
        _from_the_newest(anchors, low, high, 1, 1),
        rule,
        f"The default {split_text(rule)} does not fill three splits here: the newest anchor is "
        "test instead, and the newest before it whose windows do not overlap is val.",
    )
    return other if other.fills else found


def split_anchors(
    anchors: Times, frame: Frame, split: Split, last: int | None = None
) -> npt.NDArray[np.int8]:
    """Return the split of each anchor: 0 train, 1 val, 2 test, ``LEFT_OUT``.

    ``anchors`` ascend and are distinct; ``last`` is the newest anchor that there can be, the newest
    of them unless given: what ``DateOffsetSplit`` counts from. Raises ``task.too_few_anchors`` when
    a split would be empty, and ``task.invalid_split`` when the split is none for temporal queries.
    """
    found = assign_anchors(anchors, frame, split, last)
    if not found.fills:
        raise too_few_anchors(found, frame)
    return found.split


def assign_anchors(anchors: Times, frame: Frame, split: Split, last: int | None = None) -> Assigned:
    """Give anchors to splits as ``split_anchors`` does; a split may stay empty."""
    low, high = frame.settled_spans(anchors)
    match split:
        case ApproxDateOffsetSplit(ratios=ratios):
            _, val, test = split_counts(len(anchors), ratios)
            return Assigned(_from_the_newest(anchors, low, high, val, test), split)
        case DateOffsetSplit():
            newest = last if last is not None else int(anchors[-1]) if len(anchors) else 0
            wanted = _by_date(anchors, frame, split, newest)
            return Assigned(_without_overlap(wanted, low, high), split)
        case TimeRangeSplit(ranges=ranges):
            wanted = np.full(len(anchors), LEFT_OUT, dtype=np.int8)
            for number, (start, end) in enumerate(ranges):
                wanted[(anchors >= start) & (anchors < end)] = number
            return Assigned(_without_overlap(wanted, low, high), split)
        case _:
            raise InvalidRequest(
                f"{type(split).__name__} is no split for a query with a window",
                code="task.invalid_split",
                hint="Use ApproxDateOffsetSplit, DateOffsetSplit or TimeRangeSplit: whole anchors "
                "in time order.",
            )


def _by_date(
    anchors: Times, frame: Frame, split: DateOffsetSplit, last: int
) -> npt.NDArray[np.int8]:
    """Cut at two moments; windows that overlap are not looked at here."""
    unit = split.unit or frame.unit
    # D - W with W the end of the first window: for a forecast later than the last anchor.
    ahead = (frame.horizon - 1) * frame.length

    def moment(offset: int) -> int:
        if unit is frame.unit:  # one step of the calendar, so that months are clipped once
            return int(shift([last], ahead + offset, unit)[0])
        return int(shift(shift([last], ahead, frame.unit), offset, unit)[0])

    cuts = np.array([moment(split.val), moment(split.test)], dtype=np.int64)
    return np.searchsorted(cuts, anchors, side="right").astype(np.int8)


def _from_the_newest(
    anchors: Times, low: Times, high: Times, val: int, test: int
) -> npt.NDArray[np.int8]:
    """Take ``test`` anchors from the newest on and ``val`` before them, train the rest.

    Anchors whose windows overlap the newer split are stepped over.
    """
    n = len(anchors)
    result = np.full(n, LEFT_OUT, dtype=np.int8)
    first = max(0, n - test)
    result[first:] = 2
    stop = _ends_before(high, low, first)
    first = max(0, stop - val)
    result[first:stop] = 1
    result[: _ends_before(high, low, first)] = 0
    return result


def _ends_before(high: Times, low: Times, first: int) -> int:
    """Return how many anchors have windows that end where those of ``first`` start, or before."""
    if first >= len(low):
        return first
    return min(first, int(np.searchsorted(high, low[first], side="right")))


def _without_overlap(wanted: npt.NDArray[np.int8], low: Times, high: Times) -> npt.NDArray[np.int8]:
    """Leave out the anchors of an older split that overlap the windows of a newer one."""
    result = wanted.copy()
    for older in (1, 0):
        newer = result > older
        if newer.any():
            result[(result == older) & (high > low[newer].min())] = LEFT_OUT
    return result


def rows_of_split(split: npt.NDArray[np.int8], number: int) -> slice | npt.NDArray[np.bool_]:
    """Return the rows of one split: a slice where they stand together, else a mask."""
    mask: npt.NDArray[np.bool_] = split == number
    rows = int(np.count_nonzero(mask))
    first = int(mask.argmax()) if rows else 0
    together = slice(first, first + rows)
    return together if np.count_nonzero(mask[together]) == rows else mask


def too_few_anchors(found: Assigned, frame: Frame, mends: str = "") -> TaskError:
    """Return the error of splits that are not filled; ``mends`` says what would fill them."""
    n = len(found.split)
    counts = ", ".join(f"{name} {c}" for name, c in zip(SPLITS, found.counts, strict=True))
    left_out = int((found.split == LEFT_OUT).sum())
    between = f", with {left_out} left out because their windows overlap" if left_out else ""
    horizons = "windows" if frame.horizon == 1 else f"horizons of {frame.horizon} windows"
    length = frame.length * frame.horizon
    return TaskError(
        f"{n} anchor{'s' if n != 1 else ''} with examples do not fill three splits "
        f"({counts}{between}); at least 3 whose windows do not overlap are needed",
        code="task.too_few_anchors",
        hint=mends
        or f"Three {horizons} of {length} {frame.unit.value} must fit one after another, with "
        "some history before the first: bring a longer history, shorten the window, widen "
        "start_time, end_time and the train offsets, or set a smaller timeframe_step where it is "
        "longer than the window.",
    )


def split_rows(
    split: Split | None, ranks: npt.NDArray[np.int64], time: Times | None, seed: int
) -> npt.NDArray[np.int8]:
    """Return the split of each static row.

    Args:
        split: ``TemporalSplit`` or ``RandomSplit``; None is the first where rows have a time, the
            second otherwise, at 80, 10 and 10 %.
        ranks: int64[n], the place of each row's key among all keys: what is shuffled, and what
            breaks ties in time, so that a permuted source splits alike.
        time: int64[n] ns, or None without a time column.
        seed: Of the shuffle.

    Raises ``task.too_few_rows`` below 3 rows and ``task.invalid_split`` for splits by anchors, or
    by time where there is none.
    """
    if split is None:
        split = RandomSplit() if time is None else TemporalSplit()
    match split:
        case RandomSplit(ratios=ratios):
            order = np.argsort(ranks, kind="stable")
            order = order[np.random.default_rng(seed).permutation(len(ranks))]
        case TemporalSplit(ratios=ratios) if time is not None:
            order = np.lexsort((ranks, time))
        case TemporalSplit():
            raise InvalidRequest(
                "TemporalSplit sorts rows by time, and the entity table has no time column",
                code="task.invalid_split",
                hint="Use RandomSplit, or name the table's time column.",
            )
        case _:
            raise InvalidRequest(
                f"{type(split).__name__} is no split for a static query, which has no anchors",
                code="task.invalid_split",
                hint="Use RandomSplit or TemporalSplit.",
            )
    train, val, test = split_counts(len(ranks), ratios)
    if train < 1:
        raise TaskError(
            f"{len(ranks)} rows with a target do not fill three splits; at least 3 are needed",
            code="task.too_few_rows",
            hint="Widen the WHERE clause, or bring more rows with a known target.",
        )
    result = np.empty(len(ranks), dtype=np.int8)
    result[order] = np.repeat(np.array([0, 1, 2], dtype=np.int8), [train, val, test])
    return result


def key_ranks(keys: pa.Array) -> npt.NDArray[np.int64]:
    """Return the place of each key in ascending order, which no order of rows changes."""
    order = pc.sort_indices(keys).to_numpy()
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def check_no_overlap(
    anchors: Times, split: npt.NDArray[np.int8], frame: Frame
) -> tuple[str, str] | None:
    """Return the names of two splits whose label windows overlap, or None when none do."""
    low, high = frame.settled_spans(anchors)
    spans = {
        s: (int(low[split == s].min()), int(high[split == s].max()))
        for s in range(3)
        if (split == s).any()
    }
    for a, (low_a, high_a) in spans.items():
        for b, (low_b, high_b) in spans.items():
            if a < b and low_a < high_b and low_b < high_a:
                return SPLITS[a], SPLITS[b]
    return None
