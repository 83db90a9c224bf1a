"""Quantiles of numbers: they cover what they say, ascend, and survive the bundle."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.mixture import FanMixture
from relcast.learners.protocol import Asked, Quantiles
from relcast.learners.spread import Spread
from relcast.learners.trees import TreeFan
from tests.learners.worlds import BINARY, REGRESSION, World


def test_bands_cover_what_they_say_and_widen_with_the_prediction() -> None:
    rng = np.random.default_rng(0)
    said = rng.uniform(1, 10, 4000)
    label = said + rng.normal(size=4000) * said
    spread = Spread.of(said[:2000], label[:2000])
    low, middle, high = spread.around(said[2000:], [0.1, 0.5, 0.9]).T
    later = label[2000:]
    assert np.mean(later < low) == pytest.approx(0.1, abs=0.03)
    assert np.mean(later < high) == pytest.approx(0.9, abs=0.03)
    assert np.abs(middle - said[2000:]).mean() < 0.5
    small = said[2000:] < 3
    assert (high - low)[~small].mean() > 2 * (high - low)[small].mean()


def test_few_rows_have_one_band_and_outer_levels_are_those_of_the_ends() -> None:
    spread = Spread.of(np.arange(5.0), 2 * np.arange(5.0))
    assert len(spread.table) == 1
    found = spread.around(np.array([10.0]), [0.0001, 0.01, 0.5, 0.99, 0.9999])[0]
    assert found[0] == found[1]
    assert found[3] == found[4]
    assert found[2] == 12.0


@pytest.mark.parametrize("broken", ["spread.edges", "spread.table"])
def test_broken_tables_are_refused(broken: str) -> None:
    rng = np.random.default_rng(0)
    arrays = Spread.of(rng.normal(size=500), rng.normal(size=500)).arrays()
    again = Spread.of_arrays(arrays)
    assert (
        again.around(np.zeros(2), [0.2]) == Spread.of_arrays(arrays).around(np.zeros(2), [0.2])
    ).all()
    arrays[broken] = -arrays[broken]
    with pytest.raises(ValueError, match="spread"):
        Spread.of_arrays(arrays)


def test_trees_of_a_number_have_quantiles_and_others_have_none(world: World) -> None:
    model = world.fit(REGRESSION)
    found = model.predictor
    assert isinstance(found, TreeFan | FanMixture)
    assert isinstance(found, Quantiles)
    rows = np.arange(50)
    asked = Asked.rolling(rows, np.full(50, (1_600_000_000 + 300 * 86_400) * 10**9))
    fan = found.quantiles(world.relations, asked, levels=[0.1, 0.5, 0.9], threads=1)
    assert fan.shape == (50, 3)
    assert (np.diff(fan, axis=1) >= 0).all()
    other = world.fit(BINARY).predictor
    assert not isinstance(other, Quantiles)
