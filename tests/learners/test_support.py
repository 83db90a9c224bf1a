"""Clocks are found by where their values lie, and nothing else is taken for one."""

import numpy as np

from relcast.learners.support import MOST_OUTSIDE, outside_share


def columns(*parts):
    return np.column_stack(parts).astype(np.float32)


def test_a_clock_lies_outside_and_a_season_seen_before_does_not():
    rng = np.random.default_rng(0)
    train_day, valid_day = rng.uniform(0, 3 * 365, 5000), rng.uniform(3 * 365, 3 * 365 + 60, 500)
    train = columns(train_day, train_day % 365, rng.normal(size=5000))
    valid = columns(valid_day, valid_day % 365, rng.normal(0.8, 1, size=500))
    shares = outside_share(train, valid)
    assert shares[0] > 0.99
    assert shares[1] < 0.05
    assert shares[2] < 0.2
    assert list(shares > MOST_OUTSIDE) == [True, False, False]


def test_missing_values_count_neither_way():
    half = np.r_[np.full(500, np.nan), np.arange(500)]
    nothing = np.full(1000, np.nan)
    shares = outside_share(columns(nothing, half), columns(nothing, half))
    assert shares[0] == 0
    assert shares[1] < 0.02
    assert outside_share(columns(half), columns(nothing))[0] == 0
    assert outside_share(columns(half), columns(half + 500))[0] == 1


def test_constants_are_inside():
    ones = np.ones(20)
    assert list(outside_share(columns(ones, ones), columns(ones, ones + 1))) == [0, 1]
