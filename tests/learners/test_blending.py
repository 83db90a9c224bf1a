"""A blend is better than its best member, or it is that member."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.learners.blending import greedy_weights


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
