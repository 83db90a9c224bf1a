"""Splits: their text, their counts, and what they leave out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest, TaskError
from relcast.pql.ast import Unit, Window
from relcast.tasks.anchors import Frame
from relcast.tasks.splits import (
    LEFT_OUT,
    ApproxDateOffsetSplit,
    DateOffsetSplit,
    ManualSplit,
    RandomSplit,
    TemporalSplit,
    TimeRangeSplit,
    check_no_overlap,
    parse_split,
    split_anchors,
    split_counts,
    split_rows,
)

DAY = 86_400 * 10**9


def frame(length: int = 10) -> Frame:
    return Frame((Window(0, length, Unit.days),), (), Unit.days, length)


def days(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64) * DAY


@pytest.mark.parametrize(
    ("n", "counts"), [(31, (25, 3, 3)), (18, (15, 2, 1)), (9, (7, 1, 1)), (3, (1, 1, 1)),
                      (10, (8, 1, 1)), (20, (16, 2, 2)), (100, (80, 10, 10)), (4, (2, 1, 1))],
)  # fmt: skip
def test_counts_of_the_specification(n: int, counts: tuple[int, int, int]) -> None:
    assert split_counts(n, ApproxDateOffsetSplit().ratios) == counts
    found = split_anchors(days(*range(0, 10 * n, 10)), frame(), ApproxDateOffsetSplit())
    assert tuple(int((found == s).sum()) for s in range(3)) == counts
    assert (np.diff(found) >= 0).all()


def test_every_form_parses() -> None:
    assert parse_split("inferred") is None
    found = parse_split("ApproxDateOffsetSplit([0.7, 0.2, 0.1])")
    assert found == ApproxDateOffsetSplit((Fraction(7, 10), Fraction(1, 5), Fraction(1, 10)))
    assert parse_split("DateOffsetSplit([-60, -30])") == DateOffsetSplit(-60, -30, None)
    assert parse_split("DateOffsetSplit([-2, 0], 'months')") == DateOffsetSplit(-2, 0, Unit.months)
    assert parse_split("DateOffsetSplit([-2, 0], unit='weeks')") == DateOffsetSplit(
        -2, 0, Unit.weeks
    )
    assert isinstance(parse_split("TemporalSplit([0.8, 0.1, 0.1])"), TemporalSplit)
    assert isinstance(parse_split("RandomSplit([0.8, 0.1, 0.1])"), RandomSplit)
    assert parse_split("ManualSplit('part')") == ManualSplit("part")
    ranges = parse_split(
        "TimeRangeSplit([('2022-01-01', '2023-01-01'), ('2023-01-01', '2023-07-01'),"
        " ('2023-07-01T12:00:00', '2024-01-01')])"
    )
    assert isinstance(ranges, TimeRangeSplit)
    assert ranges.ranges[2][0] == pd.Timestamp("2023-07-01 12:00").value


@pytest.mark.parametrize(
    "text",
    [
        "RandomSplit",
        "RandomSplit()",
        "RandomSplit([0.8, 0.1])",
        "RandomSplit([0.8, 0.1, 0.2])",
        "RandomSplit([1.0, 0.0, 0.0])",
        "RandomSplit([0.8, 0.1, 0.1], 3)",
        "RandomSplit(['a', 'b', 'c'])",
        "DateOffsetSplit([-30, -60])",
        "DateOffsetSplit([-60.5, -30])",
        "DateOffsetSplit([-60, -30], 'fortnights')",
        "TimeRangeSplit([('2022-01-01', '2021-01-01')] * 3)",
        "TimeRangeSplit([('2022-01-01','2023-01-01'),('2022-06-01','2023-07-01'),('2024-01-01','2025-01-01')])",
        "TimeRangeSplit([('x','y'),('2022-06-01','2023-07-01'),('2024-01-01','2025-01-01')])",
        "ManualSplit(3)",
        "Shuffle([0.8, 0.1, 0.1])",
        "__import__('os').system('true')",
        "RandomSplit([__import__('os').getpid(), 0, 0])",
        "(lambda: 0)()",
        "RandomSplit(" + "[" * 5000,
    ],
)
def test_what_is_no_split_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_split(text)
    assert caught.value.code == "task.invalid_split"
    assert caught.value.hint


def test_overlapping_windows_are_left_out_between_splits() -> None:
    anchors = days(*range(0, 100, 5))  # windows of 10 days, every 5: neighbours overlap
    found = split_anchors(anchors, frame(), ApproxDateOffsetSplit())
    assert found.tolist() == [0] * 14 + [LEFT_OUT] + [1] * 2 + [LEFT_OUT] + [2] * 2
    assert check_no_overlap(anchors[found >= 0], found[found >= 0], frame()) is None


def test_overlap_is_noticed() -> None:
    split = np.array([0, 0, 1, 2], dtype=np.int8)
    assert check_no_overlap(days(0, 5, 10, 20), split, frame()) == ("train", "val")
    assert check_no_overlap(days(0, 0, 10, 20), split, frame()) is None


def test_date_offsets_count_from_the_last_anchor() -> None:
    anchors = days(10, 20, 30, 40, 50, 60, 70, 80, 90)
    found = split_anchors(anchors, frame(), DateOffsetSplit(-30, -10))
    assert found.tolist() == [0] * 5 + [1, 1] + [2, 2]
    found = split_anchors(anchors, frame(), DateOffsetSplit(-10, 0))
    assert found.tolist() == [0] * 7 + [1, 2]
    # A val window that reaches into test is left out, and a train window into val.
    found = split_anchors(days(*range(60, 91, 5)), frame(), DateOffsetSplit(-15, 0))
    assert found.tolist() == [0, 0, LEFT_OUT, 1, 1, LEFT_OUT, 2]


def test_time_ranges_take_their_start_and_not_their_end() -> None:
    ranges = ((0, 30 * DAY), (30 * DAY, 50 * DAY), (60 * DAY, 90 * DAY))
    found = split_anchors(days(*range(0, 100, 10)), frame(), TimeRangeSplit(ranges))
    assert found.tolist() == [0, 0, 0, 1, 1, LEFT_OUT, 2, 2, 2, LEFT_OUT]


def test_too_few_anchors_say_how_many_there_are_and_what_helps() -> None:
    with pytest.raises(
        TaskError, match="2 anchors with examples do not fill three splits"
    ) as caught:
        split_anchors(days(0, 10), frame(), ApproxDateOffsetSplit())
    assert caught.value.code == "task.too_few_anchors"
    assert "at least 3" in caught.value.message
    assert "history" in caught.value.hint
    with pytest.raises(TaskError, match="left out because their windows overlap"):
        split_anchors(days(0, 1, 2, 3), frame(), ApproxDateOffsetSplit())


@pytest.mark.parametrize("split", [RandomSplit(), TemporalSplit(), ManualSplit("x")])
def test_splits_of_rows_are_refused_for_anchors(split: RandomSplit) -> None:
    with pytest.raises(InvalidRequest, match="whole anchors"):
        split_anchors(days(0, 10, 20), frame(), split)


def test_random_rows_follow_keys_and_seed() -> None:
    ranks = np.random.default_rng(0).permutation(200)
    found = split_rows(RandomSplit(), ranks, None, seed=1)
    assert [int((found == s).sum()) for s in range(3)] == [160, 20, 20]
    again = split_rows(RandomSplit(), ranks[::-1].copy(), None, seed=1)
    assert (again[::-1] == found).all()  # the rows' order does not matter
    assert (split_rows(RandomSplit(), ranks, None, seed=2) != found).any()


def test_temporal_rows_put_the_newest_in_test() -> None:
    time = days(5, 1, 9, 3, 7, 2, 8, 4, 6, 0)
    found = split_rows(None, np.arange(10), time, seed=0)
    assert found.tolist() == [0, 0, 2, 0, 0, 0, 1, 0, 0, 0]
    with pytest.raises(InvalidRequest, match="time column"):
        split_rows(TemporalSplit(), np.arange(10), None, seed=0)


def test_too_few_rows() -> None:
    with pytest.raises(TaskError, match="2 rows") as caught:
        split_rows(RandomSplit(), np.arange(2), None, seed=0)
    assert caught.value.code == "task.too_few_rows"
