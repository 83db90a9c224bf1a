from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relcast.core.schema import TaskType
from relcast.ui import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (14.3612, "14.36"),
        (13.0, "13.00"),
        (0.8226, "0.8226"),
        (0.00012345, "0.0001234"),
        (1.5e-9, "1.5e-09"),
        (123456.7, "123,457"),
        (-3.5, "-3.500"),
        (0.0, "0.000"),
        (1999, "1,999"),
        (None, "–"),
        (float("nan"), "–"),
        (float("-inf"), "-∞"),
        ("text", "text"),
        (True, "True"),
    ],
)
def test_numbers(value, text) -> None:
    assert words.number(value) == text


def test_amounts_have_no_empty_decimals() -> None:
    assert words.amount(136.0) == "136"
    assert words.amount(1234567) == "1,234,567"
    assert words.amount(0.5) == "0.5000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (42, "42 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds, text) -> None:
    assert words.duration(seconds) == text


def test_times_name_their_zone() -> None:
    at = datetime(2024, 3, 5, 4, 7, 9, tzinfo=UTC)
    assert words.moment(at) == "2024-03-05 04:07:09 UTC"
    assert words.ago(at, at + timedelta(seconds=5)) == "just now"
    assert words.ago(at, at + timedelta(minutes=4)) == "4 min ago"
    assert words.ago(at, at + timedelta(hours=1)) == "1 h ago"
    assert words.ago(at, at + timedelta(days=1)) == "1 day ago"
    assert words.ago(at, at + timedelta(days=3)) == "3 days ago"


def test_every_task_has_a_name() -> None:
    for task in TaskType:
        assert words.task_name(task)[0].isupper()
        assert "_" not in words.task_name(task)


def test_metrics_keep_their_k() -> None:
    assert words.metric_name("auroc") == "AUROC"
    assert words.metric_name("map@10") == "MAP@10"
    assert words.metric_name("precision@5") == "Precision@5"
    assert words.metric_name("r2") == "R²"


def test_progress_in_words() -> None:
    assert words.progress_words({"done": 3, "total": 12.0, "unit": "anchors"}) == "3 of 12 anchors"
    assert words.progress_words({"done": None, "total": 12, "unit": "anchors"}) == ""
    assert words.progress_words({}) == ""
