"""Splits: the text of a split, read safely, and whole anchors given to train, val and test.

Label windows of two splits never overlap: anchors between two splits are left out, and counted.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.clock import parse_time
from relcast.core.errors import InvalidRequest, TaskError, nearest
from relcast.pql.ast import Unit
from relcast.tasks.anchors import Frame
from relcast.tasks.offsets import Times, from_datetime, shift

__all__ = [
    "LEFT_OUT",
    "SPLITS",
    "ApproxDateOffsetSplit",
    "DateOffsetSplit",
    "ManualSplit",
    "RandomSplit",
    "Split",
    "TemporalSplit",
    "TimeRangeSplit",
    "check_no_overlap",
    "parse_split",
    "split_anchors",
    "split_counts",
    "split_rows",
]

SPLITS = ("train", "val", "test")
LEFT_OUT = -1
"""The split of an anchor whose windows would overlap those of another split."""


Ratios = tuple[Fraction, Fraction, Fraction]
USUAL: Ratios = (Fraction(8, 10), Fraction(1, 10), Fraction(1, 10))


@dataclass(frozen=True, slots=True)
class ApproxDateOffsetSplit:
    """Distinct anchors by ratio, newest to test."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class DateOffsetSplit:
    """Test from the last anchor + ``test`` on, val from the last anchor + ``val`` on."""

    val: int
    test: int
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class TemporalSplit:
    """Static rows sorted by time, cut by ratio, newest to test."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class RandomSplit:
    """Static rows shuffled with the plan's seed, cut by ratio."""

    ratios: Ratios = USUAL


@dataclass(frozen=True, slots=True)
class TimeRangeSplit:
    """Explicit ranges ``[start, end)`` of anchors, ns UTC, in the order train, val, test."""

    ranges: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ManualSplit:
    """A column of the caller's own rows that says train, val or test."""

    column: str


Split = (
    ApproxDateOffsetSplit
    | DateOffsetSplit
    | TemporalSplit
    | RandomSplit
    | TimeRangeSplit
    | ManualSplit
)

_FORMS = {
    "ApproxDateOffsetSplit": "ApproxDateOffsetSplit([0.8, 0.1, 0.1])",
    "DateOffsetSplit": "DateOffsetSplit([-60, -30], 'days')",
    "TemporalSplit": "TemporalSplit([0.8, 0.1, 0.1])",
    "RandomSplit": "RandomSplit([0.8, 0.1, 0.1])",
    "TimeRangeSplit": "TimeRangeSplit([('2022-01-01', '2023-01-01'), "
    "('2023-01-01', '2023-07-01'), ('2023-07-01', '2024-01-01')])",
    "ManualSplit": "ManualSplit('SPLIT')",
}


def parse_split(text: str) -> Split | None:
    """Read a split such as ``RandomSplit([0.8, 0.1, 0.1])``; None for ``inferred``.

    Names, numbers, texts and lists are all that is read; nothing is run. Raises
    ``task.invalid_split`` with the form that would be right.
    """
    if text.strip() in ("", "inferred"):
        return None
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError(text)  # noqa: TRY004 - a text that is no call
        arguments = [ast.literal_eval(a) for a in node.args]
        named = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InvalidRequest(
            f"The split {text[:100]!r} does not read as a split",
            code="task.invalid_split",
            hint=f"Write for example {_FORMS['ApproxDateOffsetSplit']}.",
        ) from None
    name = node.func.id
    if name not in _FORMS:
        raise InvalidRequest(
            f"There is no split named {name!r}",
            code="task.invalid_split",
            hint=nearest(name, list(_FORMS)),
        )
    try:
        return _build(name, arguments, named)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InvalidRequest(
            f"The split {text[:100]!r} has arguments that do not fit: {error}",
            code="task.invalid_split",
            hint=f"Write for example {_FORMS[name]}.",
        ) from None


def _build(name: str, arguments: list[Any], named: dict[str, Any]) -> Split:
    if len(arguments) + len(named) > 2:
        raise ValueError("there are too many")
    if not arguments and not named:
        raise ValueError("there are none")
    first = arguments[0] if arguments else next(iter(named.values()))
    if name == "DateOffsetSplit":
        unit = arguments[1] if len(arguments) > 1 else named.get("unit")
        val, test = first
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in (val, test)):
            raise ValueError("the two offsets are whole numbers")
        if not val < test:
            raise ValueError(f"val ({val}) comes before test ({test})")
        return DateOffsetSplit(val, test, None if unit is None else Unit(unit))
    if len(arguments) + len(named) != 1:
        raise ValueError("there is exactly one")
    if name == "ManualSplit":
        if not isinstance(first, str):
            raise TypeError("the column is a text")
        return ManualSplit(first)
    if name == "TimeRangeSplit":
        a, b, c = (_range(r) for r in first)
        ordered = [a, b, c]
        for left, right in pairwise(ordered):
            if left[1] > right[0]:
                raise ValueError("ranges follow one another and do not overlap")
        return TimeRangeSplit((a, b, c))
    ratios = _ratios(first)
    match name:
        case "TemporalSplit":
            return TemporalSplit(ratios)
        case "RandomSplit":
            return RandomSplit(ratios)
        case _:
            return ApproxDateOffsetSplit(ratios)


def _ratios(values: Sequence[Any]) -> Ratios:
    train, val, test = (Fraction(str(v)) for v in values)
    if min(train, val, test) <= 0:
        raise ValueError("every ratio is above 0")
    if abs(train + val + test - 1) > Fraction(1, 10**6):
        raise ValueError(f"the ratios add up to {float(train + val + test):g}, not to 1")
    return train, val, test


def _range(pair: Sequence[Any]) -> tuple[int, int]:
    start, end = (_moment(v) for v in pair)
    if not start < end:
        raise ValueError("a range starts before it ends")
    return start, end


def _moment(value: Any) -> int:
    moment = parse_time(value) if isinstance(value, str) else None
    if not isinstance(moment, datetime):
        raise ValueError(f"{value!r} is not a time")  # noqa: TRY004 - a text that is no time
    return from_datetime(moment)


def split_counts(n: int, ratios: Ratios) -> tuple[int, int, int]:
    """Return how many of ``n`` go to train, val and test.

    Test takes max(1, ⌊test·n⌋), val and test together max(2, ⌊(val+test)·n⌋), train the rest: 31
    give 25, 3, 3; 9 give 7, 1, 1 at [0.8, 0.1, 0.1].
    """
    test = max(1, int(ratios[2] * n))
    held = max(test + 1, int((ratios[1] + ratios[2]) * n))
    return n - held, held - test, test


def split_anchors(anchors: Times, frame: Frame, split: Split) -> npt.NDArray[np.int8]:
    """Return the split of each anchor: 0 train, 1 val, 2 test, ``LEFT_OUT``.

    ``anchors`` ascend and are distinct. Raises ``task.too_few_anchors`` when a split would be
    empty, and ``task.invalid_split`` when the split is none for temporal queries.
    """
    low, high = frame.spans(anchors)
    match split:
        case ApproxDateOffsetSplit(ratios=ratios):
            return _by_count(anchors, low, high, ratios, frame)
        case DateOffsetSplit(val=val, test=test, unit=unit):
            last = anchors[-1:] if len(anchors) else np.zeros(1, dtype=np.int64)
            test_from = int(shift(last, test, unit or frame.unit)[0])
            val_from = int(shift(last, val, unit or frame.unit)[0])
            wanted = np.where(anchors >= test_from, 2, np.where(anchors >= val_from, 1, 0))
        case TimeRangeSplit(ranges=ranges):
            wanted = np.full(len(anchors), LEFT_OUT)
            for number, (start, end) in enumerate(ranges):
                wanted[(anchors >= start) & (anchors < end)] = number
        case _:
            raise InvalidRequest(
                f"{type(split).__name__} is no split for a query with a window",
                code="task.invalid_split",
                hint="Use ApproxDateOffsetSplit, DateOffsetSplit or TimeRangeSplit: whole anchors "
                "in time order.",
            )
    return _without_overlap(wanted, low, high, len(anchors), frame)


def _by_count(
    anchors: Times,
    low: Times,
    high: Times,
    ratios: Ratios,
    frame: Frame,
) -> npt.NDArray[np.int8]:
    """Cut by counts from the newest on, stepping over anchors that overlap the newer split."""
    n = len(anchors)
    _, val, test = split_counts(n, ratios)
    result = np.full(n, LEFT_OUT, dtype=np.int8)
    result[max(0, n - test) :] = 2
    stop = _ends_before(high, low, max(0, n - test))
    result[max(0, stop - val) : stop] = 1
    stop = _ends_before(high, low, max(0, stop - val))
    result[:stop] = 0
    return _require_all(result, n, frame)


def _ends_before(high: Times, low: Times, first: int) -> int:
    """Return how many anchors have windows that end where those of ``first`` start, or before."""
    if first >= len(low):
        return first
    return min(first, int(np.searchsorted(high, low[first], side="right")))


def _without_overlap(
    wanted: npt.NDArray[np.int64], low: Times, high: Times, n: int, frame: Frame
) -> npt.NDArray[np.int8]:
    """Leave out the anchors of an older split that overlap the windows of a newer one."""
    result = wanted.astype(np.int8)
    for older in (1, 0):
        newer = result > older
        if newer.any():
            result[(result == older) & (high > low[newer].min())] = LEFT_OUT
    return _require_all(result, n, frame)


def _require_all(result: npt.NDArray[np.int8], n: int, frame: Frame) -> npt.NDArray[np.int8]:
    have = [int((result == s).sum()) for s in range(3)]
    if min(have) > 0:
        return result
    counts = ", ".join(f"{name} {count}" for name, count in zip(SPLITS, have, strict=True))
    left_out = int((result == LEFT_OUT).sum())
    between = f", with {left_out} left out because their windows overlap" if left_out else ""
    raise TaskError(
        f"{n} anchor{'s' if n != 1 else ''} with examples do not fill three splits "
        f"({counts}{between}); at least 3 whose windows do not overlap are needed",
        code="task.too_few_anchors",
        hint=f"Three windows of {frame.length} {frame.unit.value} must fit one after another, with "
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


def check_no_overlap(
    anchors: Times, split: npt.NDArray[np.int8], frame: Frame
) -> tuple[str, str] | None:
    """Return the names of two splits whose label windows overlap, or None when none do."""
    low, high = frame.spans(anchors)
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
