"""Bounded training rows: newest anchors, several of them, and honest weights."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners.sampling import sample_rows

BINARY = TaskType.BINARY_CLASSIFICATION


def test_few_rows_are_all_kept() -> None:
    target = np.arange(10.0)
    sample = sample_rows(target, None, None, task_type=TaskType.REGRESSION, limit=10, seed=0)
    assert sample.rows.tolist() == list(range(10))
    assert sample.weight is None
    assert sample.report["sampled"] is False


def test_the_newest_anchors_come_first_and_none_takes_all() -> None:
    anchor = np.repeat(np.arange(20), 1_000)
    target = np.random.default_rng(0).normal(size=20_000)
    sample = sample_rows(target, anchor, None, task_type=TaskType.REGRESSION, limit=4_000, seed=0)
    assert len(sample.rows) == 4_000
    used, count = np.unique(anchor[sample.rows], return_counts=True)
    assert used.tolist() == list(range(12, 20))
    assert count.tolist() == [500] * 8
    assert sample.weight is None
    assert (sample.report["anchors"], sample.report["anchors_of"]) == (8, 20)


def test_what_older_anchors_lack_is_filled_from_the_newest() -> None:
    anchor = np.concatenate([np.repeat(np.arange(7), 10), np.full(5_000, 7)])
    sample = sample_rows(
        np.zeros(len(anchor)), anchor, None, task_type=TaskType.REGRESSION, limit=1_000, seed=0
    )
    _, count = np.unique(anchor[sample.rows], return_counts=True)
    assert count.tolist() == [10] * 7 + [930]


@pytest.mark.parametrize("seed", range(5))
def test_common_classes_are_thinned_with_weights_that_keep_the_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchor = np.repeat(np.arange(10), 20_000)
    target = (rng.random(200_000) < 0.01).astype(float)
    sample = sample_rows(target, anchor, None, task_type=BINARY, limit=20_000, seed=seed)
    kept = target[sample.rows]
    assert len(sample.rows) <= 20_000
    assert kept.mean() > 0.05
    assert sample.weight is not None
    assert np.average(kept, weights=sample.weight) == pytest.approx(0.01, rel=0.2)
    # Thinned alike at every anchor: time says nothing of the class.
    rates = [kept[anchor[sample.rows] == a].mean() for a in np.unique(anchor[sample.rows])]
    assert np.std(rates) < 0.02
    assert sample.report["thinned"] is True


def test_own_weights_are_kept_and_multiplied() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(10_000) < 0.02).astype(float)
    weight = np.where(target > 0, 5.0, 2.0)
    sample = sample_rows(target, None, weight, task_type=BINARY, limit=1_000, seed=0)
    kept = target[sample.rows] > 0
    assert set(sample.weight[kept]) == {5.0}
    assert (sample.weight[~kept] > 2.0).all()


def test_the_seed_decides() -> None:
    target = np.arange(1_000.0)
    first, again, other = (
        sample_rows(target, None, None, task_type=TaskType.REGRESSION, limit=100, seed=s).rows
        for s in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()
