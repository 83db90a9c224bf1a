"""A blend is better than its best member, or it is that member."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.blending import greedy_weights, shrunk_weights, tolerance


@pytest.mark.parametrize("seed", range(20))
def test_a_blend_is_never_worse_than_its_best_member(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=300)
    raws = [truth + rng.normal(0, rng.uniform(0.5, 2), 300) for _ in range(6)]

    def loss(raw: np.ndarray) -> float:
        return float(np.abs(raw - truth).mean())

    weights = greedy_weights(raws, loss)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert loss(np.tensordot(weights, np.stack(raws), axes=1)) <= min(map(loss, raws))
    assert (weights > 0).sum() > 1


def test_a_perfect_trial_stands_alone() -> None:
    truth = np.arange(50.0)
    raws = [truth + 5, truth, truth - 9, truth * 2]
    weights = greedy_weights(raws, lambda raw: float(np.abs(raw - truth).mean()))
    assert weights.tolist() == [0, 1, 0, 0]


def test_one_trial_and_undefined_losses_do_no_harm() -> None:
    assert greedy_weights([np.zeros(3)], lambda _: float("nan")).tolist() == [1.0]


def test_kinds_weigh_alike_where_validation_cannot_tell() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    raws = np.stack([truth + rng.normal(0, spread, 200) for spread in (1.0, 1.02)])
    weights = shrunk_weights(
        2, lambda w: float(np.abs(w @ raws - truth).mean()), slack=tolerance(200)
    )
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0.3


def test_a_kind_that_is_clearly_worse_is_left_out() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=5000)
    raws = np.stack([truth + rng.normal(0, 0.1, 5000), truth + 9.0, truth * np.nan])
    weights = shrunk_weights(
        3, lambda w: float(np.abs(w[w > 0] @ raws[w > 0] - truth).mean()), slack=tolerance(5000)
    )
    assert weights.tolist() == [1.0, 0.0, 0.0]


def test_a_blend_is_taken_where_it_is_worse_by_less_than_chance() -> None:
    losses = {0.0: 1.0, 1.0: 1.05, 0.5: 1.01}

    def loss(raw: np.ndarray) -> float:
        return losses.get(float(raw[0]), 1.2)

    raws = [np.zeros(1), np.ones(1), np.full(1, 0.5), np.full(1, 7.0)]
    assert greedy_weights(raws, loss).max() == 1.0
    assert greedy_weights(raws, loss, slack=0.5).max() < 1.0


def test_rows_of_one_entity_count_for_less_than_rows_of_many() -> None:
    assert tolerance(500, 500) == tolerance(500)
    assert tolerance(500) < tolerance(500, 50) < tolerance(50)
    assert tolerance(500, 1) > tolerance(500, 50)
    assert np.isfinite(tolerance(0, 0))
