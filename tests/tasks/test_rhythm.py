"""When anchors stand, in words: said exactly, or not at all."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcast.pql.ast import Unit
from relcast.tasks.offsets import shift
from relcast.tasks.rhythm import rhythm

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def back(last: str, unit: Unit, step: int, n: int) -> np.ndarray:
    end = pd.Timestamp(last).value
    return np.concatenate([shift([end], -step * k, unit) for k in range(n)])[::-1]


@pytest.mark.parametrize(
    ("last", "unit", "step", "n", "said"),
    [
        ("2024-01-29", Unit.days, 7, 5, "Each Monday"),
        ("2024-01-29", Unit.weeks, 1, 5, "Each Monday"),
        ("2024-01-28", Unit.hours, 168, 2, "Each Sunday"),
        ("2024-01-29 17:22:05", Unit.days, 7, 3, "Each Monday at 17:22:05 UTC"),
        ("2024-01-29", Unit.hours, 24, 9, "Each day"),
        ("2024-01-29 06:00", Unit.days, 1, 9, "Each day at 06:00:00 UTC"),
        ("2024-03-01", Unit.months, 1, 3, "On the first day of each month"),
        ("2024-03-15 12:00", Unit.months, 1, 3, "On day 15 of each month at 12:00:00 UTC"),
        ("2024-03-31", Unit.months, 1, 3, "On the last day of each month"),
        ("2024-03-30", Unit.months, 1, 3, "Each month from 2024-01-30 to 2024-03-30"),
        ("2023-02-28", Unit.months, 1, 3, "On day 28 of each month"),
        ("2024-03-31", Unit.months, 3, 3, "Every 3 months from 2023-09-30 to 2024-03-31"),
        ("2024-01-31", Unit.days, 30, 3, "Every 30 days from 2023-12-02 to 2024-01-31"),
        ("2024-01-31", Unit.weeks, 2, 2, "Every 2 weeks from 2024-01-17 to 2024-01-31"),
        ("2024-01-31", Unit.hours, 1, 3, "Each hour from 2024-01-30 22:00:00 to 2024-01-31"),
        ("2024-01-31", Unit.days, 30, 1, "One moment: 2024-01-31"),
        ("2024-01-31", Unit.days, 30, 0, "At no moment"),
    ],
)
def test_what_is_said(last: str, unit: Unit, step: int, n: int, said: str) -> None:
    found = back(last, unit, step, n) if n else np.zeros(0, dtype=np.int64)
    assert rhythm(found, unit, step) == said


def test_gaps_are_not_a_rhythm() -> None:
    weekly = back("2024-03-25", Unit.days, 7, 10)
    gap = np.delete(weekly, 4)
    assert rhythm(gap, Unit.days, 7) == "At 9 moments from 2024-01-22 to 2024-03-25"
    months = np.delete(back("2024-06-01", Unit.months, 1, 6), 2)
    assert rhythm(months, Unit.months, 1) == "At 5 moments from 2024-01-01 to 2024-06-01"


@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=12, unique=True),
    st.sampled_from([0, 3_600]),
    st.sampled_from([(Unit.days, 7), (Unit.weeks, 1), (Unit.days, 1), (Unit.months, 1)]),
)
def test_a_rhythm_is_said_only_where_it_holds(days, seconds, shape) -> None:
    start = pd.Timestamp("2023-05-03") + pd.Timedelta(seconds=seconds)
    times = [start + pd.Timedelta(days=d) for d in sorted(days)]
    said = rhythm(np.array([t.value for t in times], dtype=np.int64), *shape)
    weekly = all((b - a).days == 7 for a, b in itertools.pairwise(times))
    named = re.match(r"Each (\w+day)\b", said)
    assert bool(named) == weekly
    if named:
        assert {WEEKDAYS[t.weekday()] for t in times} == {named[1]}
    daily = all((b - a).days == 1 for a, b in itertools.pairwise(times))
    assert said.startswith("Each day") == daily
    first = all(t.day == 1 for t in times)
    assert not said.startswith("On the first day") or first
