"""Training rows become as stale as validation rows are, and nothing else of them changes."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.protocol import Asked, Fold
from relcast.learners.staleness import aged, lags_of

DAY = 86_400 * 10**9
YEAR = 31_557_600 * 10**9


def fold(anchor: np.ndarray, known: np.ndarray, weight: np.ndarray | None = None) -> Fold:
    rows = len(anchor)
    asked = Asked(np.arange(rows), anchor.astype(np.int64), known.astype(np.int64))
    return Fold(asked, np.arange(rows, dtype=np.float64), weight)


def rolling(rows: int = 400) -> Fold:
    anchor = np.linspace(0, 9 * YEAR, rows).astype(np.int64)
    return fold(anchor, anchor, np.linspace(1, 2, rows))


def test_rolling_rows_come_back_as_they_are() -> None:
    train = rolling()
    assert aged(train, rolling(20), limit=10**6, seed=0) is train


@pytest.mark.parametrize("years", [0.3, 4.0])
def test_copies_have_the_lags_of_validation_and_count_once(years: float) -> None:
    train = rolling()
    anchor = np.linspace(10 * YEAR, (10 + years) * YEAR, 50).astype(np.int64)
    valid = fold(anchor, np.full(50, anchor[0]))
    old = aged(train, valid, limit=10**6, seed=0)
    lags = lags_of(old.asked)
    assert (lags == 0).sum() >= len(train)
    assert lags.max() <= lags_of(valid.asked).max()
    assert lags[lags > 0].mean() == pytest.approx(years * YEAR / 2, rel=0.25)
    assert (old.asked.known <= old.asked.anchor).all()
    np.testing.assert_array_equal(old.asked.anchor, train.asked.anchor[old.asked.entity])
    np.testing.assert_array_equal(old.label, old.asked.entity)
    sums = np.bincount(old.asked.entity, weights=old.weight)
    np.testing.assert_allclose(sums, train.weight)


def test_long_lags_freeze_on_the_day_of_the_year_on_which_validation_is_frozen() -> None:
    start = 10 * YEAR + 60 * DAY
    anchor = np.linspace(start, start + 3 * YEAR, 50).astype(np.int64)
    old = aged(rolling(), fold(anchor, np.full(50, start)), limit=10**6, seed=1)
    stale = old.asked.known[lags_of(old.asked) > 0]
    np.testing.assert_array_equal((start - stale) % YEAR, 0)


def test_fewer_copies_where_rows_are_limited_and_the_same_for_the_same_seed() -> None:
    anchor = np.linspace(10 * YEAR, 14 * YEAR, 50).astype(np.int64)
    valid = fold(anchor, np.full(50, anchor[0]))
    few = aged(rolling(), valid, limit=500, seed=3)
    assert len(few) <= 2 * 400
    again = aged(rolling(), valid, limit=500, seed=3)
    np.testing.assert_array_equal(few.asked.known, again.asked.known)
