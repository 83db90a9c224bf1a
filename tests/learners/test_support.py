"""Clocks are found by how they follow the anchor and where they lie; nothing else is one."""

import numpy as np

from relcast.learners.support import clocks

DAY = 86_400 * 10**9


def columns(*parts):
    return np.column_stack(parts).astype(np.float32)


def test_a_clock_is_found_and_a_season_seen_before_is_none():
    rng = np.random.default_rng(0)
    day, ahead = rng.uniform(0, 3 * 365, 5000), rng.uniform(3 * 365, 3 * 365 + 60, 500)
    train = columns(day, day % 365, rng.normal(size=5000), -day)
    valid = columns(ahead, ahead % 365, rng.normal(0.8, 1, size=500), -ahead)
    assert clocks(train, (day * DAY).astype(np.int64), valid).tolist() == [True, False, False, True]


def test_the_day_of_the_year_is_a_clock_in_the_first_year():
    day, ahead = np.arange(300.0), np.arange(300.0, 365.0)
    found = clocks(columns(day % 365), (day * DAY).astype(np.int64), columns(ahead % 365))
    assert found.tolist() == [True]


def test_a_rate_that_has_drifted_is_none():
    rng = np.random.default_rng(1)
    day = rng.uniform(0, 1000, 5000)
    drifting = rng.normal(size=5000) - day / 1000
    found = clocks(
        columns(drifting), (day * DAY).astype(np.int64), np.full((100, 1), -9, np.float32)
    )
    assert found.tolist() == [False]


def test_missing_values_and_constants_are_none():
    rows = 1000
    anchor = np.arange(rows, dtype=np.int64)
    nothing = np.full(rows, np.nan)
    half = np.r_[np.full(rows // 2, np.nan), np.arange(rows // 2)]
    ones = np.ones(rows)
    train = columns(nothing, half, ones, ones, half)
    valid = columns(nothing, nothing, ones, ones + 1, half + rows)
    assert clocks(train, anchor, valid).tolist() == [False, False, False, False, True]
