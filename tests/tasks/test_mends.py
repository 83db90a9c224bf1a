"""Errors about too few anchors: what there is, what is needed, and mends that were tried."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from relcast.core.errors import TaskError
from relcast.pql import check
from relcast.tasks import TablePlan, TimeRange, TrainingTable, make_anchors, make_training_table
from relcast.tasks.anchors import Frame
from relcast.tasks.report import UnusableTable
from tests.tasks.worlds import shop

DAY0 = pd.Timestamp("2023-01-01")
FOR_EACH = "FOR EACH customers.id"


def daily(root: Path, days: int) -> tuple[object, object]:
    world = shop(
        {
            "customer": [1 + i % 2 for i in range(2 * days)],
            "time": [DAY0 + pd.Timedelta(days=i // 2) for i in range(2 * days)],
            "amount": [float(i % 7) for i in range(2 * days)],
        }
    )
    return world.open(root)


def make(root: Path, days: int, text: str, **plan: object) -> TrainingTable:
    snapshot, relations = daily(root, days)
    query = check(f"PREDICT {text} {FOR_EACH}", snapshot.graph)  # type: ignore[attr-defined]
    return make_training_table(snapshot, relations, query, TablePlan(**plan))  # type: ignore[arg-type]


def refused(root: Path, days: int, text: str, **plan: object) -> UnusableTable:
    with pytest.raises(UnusableTable) as caught:
        make(root, days, text, **plan)
    assert caught.value.code == "task.too_few_anchors"
    assert "at least 3 whose windows do not overlap are needed" in caught.value.message
    return caught.value


def test_a_smaller_step_is_tried_and_its_anchors_are_counted(tmp_path: Path) -> None:
    text = "SUM(orders.amount, 0, 10)"
    error = refused(tmp_path, 101, text, timeframe_step=40)
    assert "2 anchors with examples" in error.message
    promised = re.search(r"timeframe_step=10 would give (\d+) anchors \(7 train, 1 val, 1 test\)",
                         error.hint)  # fmt: skip
    assert promised is not None
    report = make(tmp_path, 101, text, timeframe_step=10).report
    assert len(report.anchors) == int(promised[1]) == 9
    assert error.report is not None
    assert [len(error.report.anchors), error.report.rows] == [2, 4]


def test_bounds_that_are_to_blame_are_named(tmp_path: Path) -> None:
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 10)", train_start_offset=25,
                    start_time="2020-01-01")  # fmt: skip
    assert "No train_start_offset would give 9 anchors (7 train, 1 val, 1 test)." in error.hint
    assert "start_time" not in error.hint  # which changes nothing


def test_bounds_that_are_to_blame_together_are_named(tmp_path: Path) -> None:
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 10)", train_start_offset=25,
                    start_time="2023-03-20")  # fmt: skip
    assert "Neither start_time nor train_start_offset would give 9 anchors" in error.hint


def test_another_split_is_tried(tmp_path: Path) -> None:
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 10)", split="DateOffsetSplit([-5, 0])")
    assert "split='inferred' would give 9 anchors (7 train, 1 val, 1 test)." in error.hint


def test_a_shorter_window_is_found_by_trying(tmp_path: Path) -> None:
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 30)")
    found = re.search(r"Shorten the window to at most (\d+) days", error.hint)
    assert found is not None
    assert int(found[1]) == 25  # four steps of 25 days in 100
    assert make(tmp_path, 101, "SUM(orders.amount, 0, 25)").report.rows > 0
    # A smaller step asks for less history before the first anchor.
    hint = refused(tmp_path, 101, "SUM(orders.amount, 0, 28)").hint
    assert "timeframe_step=14 would give 5 anchors (1 train, 1 val, 1 test)." in hint
    table = make(tmp_path, 101, "SUM(orders.amount, 0, 28)", timeframe_step=14)
    assert len(table.report.anchors) == 5
    refused(tmp_path, 101, "SUM(orders.amount, 0, 26)")


def test_fewer_timeframes_are_found_by_trying(tmp_path: Path) -> None:
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 10) FORECAST 4 TIMEFRAMES")
    assert "Forecast at most 3 timeframes" in error.hint
    text = "SUM(orders.amount, 0, 10) FORECAST 3 TIMEFRAMES"
    assert make(tmp_path, 101, text).report.rows > 0


def test_anchors_without_examples_are_told(tmp_path: Path) -> None:
    text = f"PREDICT SUM(orders.amount, 0, 10) {FOR_EACH} WHERE COUNT(orders.*, -INF, 0) > 80"
    snapshot, relations = daily(tmp_path, 101)
    query = check(text, snapshot.graph)  # type: ignore[attr-defined]
    with pytest.raises(UnusableTable) as caught:
        make_training_table(snapshot, relations, query, TablePlan())  # type: ignore[arg-type]
    assert caught.value.code == "task.too_few_anchors"
    assert caught.value.hint.startswith("7 of 9 anchors have no example: a wider WHERE")


def test_a_history_that_is_too_short_says_how_long_it_must_be(tmp_path: Path) -> None:
    error = refused(tmp_path, 3, "SUM(orders.amount, 0, 1)")
    assert "bring a longer history" in error.hint


HUNDRED = TimeRange(DAY0.value, (DAY0 + pd.Timedelta(days=100)).value)
GRAPH = shop({"customer": [1], "time": [DAY0]}).graph()


def no_anchor(text: str, **plan: object) -> TaskError:
    frame = Frame.of(check(f"PREDICT {text} {FOR_EACH}", GRAPH))
    with pytest.raises(TaskError) as caught:
        make_anchors(frame, HUNDRED, TablePlan(**plan))  # type: ignore[arg-type]
    assert caught.value.code == "task.no_complete_window"
    return caught.value


def test_no_anchor_at_all_says_which_window_would_do() -> None:
    error = no_anchor("COUNT(orders.*, 0, 60)")
    assert "shorten the window: 25 days would do" in error.hint
    error = no_anchor("SUM(orders.amount, 0, 10) FORECAST 10 TIMEFRAMES")
    assert "10 windows reach 100 days past an anchor" in error.message
    assert "forecast at most 7 timeframes" in error.hint


def test_no_anchor_at_all_says_which_options_are_to_blame() -> None:
    error = no_anchor("COUNT(orders.*, 0, 10)", start_time="2024-01-01")
    assert "leave nothing between 2024-01-01 and 2023-04-01" in error.hint
    assert "Without them there would be 9 anchors." in error.hint
    error = no_anchor("COUNT(orders.*, 0, 10)", timeframe_step=95)
    assert "timeframe_step=10 would give 9." in error.hint


def test_a_step_of_a_second_over_centuries_is_refused_at_once() -> None:
    frame = Frame.of(check(f"PREDICT COUNT(orders.*, 0, 1, seconds) {FOR_EACH}", GRAPH))
    data = TimeRange(0, pd.Timestamp("2200-01-01").value)
    with pytest.raises(TaskError, match="more than 10,000,000 anchors") as caught:
        make_anchors(frame, data, TablePlan())
    assert caught.value.code == "task.table_too_large"
    assert "timeframe_step" in caught.value.hint


def test_ranges_without_anchors_name_a_step_that_has_some(tmp_path: Path) -> None:
    ranges = "TimeRangeSplit([('2023-01-01', '2023-02-10'), ('2023-02-15', '2023-02-20'), ('2023-03-05', '2023-04-01')])"  # fmt: skip
    error = refused(tmp_path, 101, "SUM(orders.amount, 0, 10)", split=ranges)
    found = re.search(r"timeframe_step=(\d+) would give (\d+) anchors", error.hint)
    assert found is not None
    table = make(tmp_path, 101, "SUM(orders.amount, 0, 10)", split=ranges,
                 timeframe_step=int(found[1]))  # fmt: skip
    assert len(table.report.anchors) == int(found[2])
    assert "split='inferred' would give 9 anchors" in error.hint
