"""Intervals, comparisons and sentences of an evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners.evaluation import Measured, Split, better, verdict
from relcast.learners.measuring import evaluate_split


def _regression(rows: int, entities: int, seed: int, *, resamples: int = 200) -> Split:
    rng = np.random.default_rng(seed)
    entity = rng.integers(0, entities, rows)
    error = rng.normal(size=entities)[entity] + 0.1 * rng.normal(size=rows)
    return evaluate_split(
        TaskType.REGRESSION,
        np.zeros(rows),
        error,
        entity,
        ("mae", "r2"),
        resamples=resamples,
        seed=0,
    )


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = np.sqrt(2 / np.pi) * np.sqrt(1.01)
    inside = 0
    for seed in range(100):
        mae = _regression(400, 80, seed).metrics["mae"]
        inside += mae.low <= truth <= mae.high
    assert inside >= 85


def test_entities_are_drawn_whole() -> None:
    few = _regression(400, 20, 1).metrics["mae"]
    many = _regression(400, 400, 1).metrics["mae"]
    assert few.high - few.low > 2 * (many.high - many.low)


def test_the_seed_decides_the_interval() -> None:
    assert _regression(300, 30, 2) == _regression(300, 30, 2)


def test_many_rows_are_resampled_from_a_sample_with_the_spread_of_all() -> None:
    small = _regression(40_000, 8_000, 3, resamples=100).metrics["mae"]
    large = _regression(160_000, 32_000, 3, resamples=100).metrics["mae"]
    ratio = (small.high - small.low) / (large.high - large.low)
    assert 1.4 < ratio < 2.9  # four times the entities, half the width
    assert large.low < large.value < large.high


def test_undefined_metrics_are_none() -> None:
    split = evaluate_split(
        TaskType.BINARY_CLASSIFICATION,
        np.zeros(5),
        np.linspace(0, 1, 5),
        np.arange(5),
        ("auroc", "acc"),
        resamples=20,
        seed=0,
    )
    assert split.metrics["auroc"] == Measured(None, None, None)
    assert split.value("acc") == pytest.approx(0.4)
    alone = _regression(1, 1, 0)
    assert alone.value("r2") is None
    assert alone.metrics["mae"].low is None


def test_multiclass_has_figures_per_class() -> None:
    values = np.eye(3)[[0, 1, 1, 2]]
    split = evaluate_split(
        TaskType.MULTICLASS_CLASSIFICATION,
        np.array([0.0, 1, 2, 2]),
        values,
        np.arange(4),
        ("acc",),
        resamples=10,
        seed=0,
        classes=("a", "b", "c"),
    )
    assert split.per_class["b"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "rows": 1.0}


def test_better_knows_the_direction_and_the_undefined() -> None:
    assert better("mae", 1.0, 2.0)
    assert better("auroc", 0.9, 0.8)
    assert not better("auroc", 0.8, 0.8)
    assert better("r2", -1.0, None)
    assert not better("mae", None, 5.0)
    assert not better("mae", float("nan"), 5.0)


def test_the_verdict_says_where_a_model_wins() -> None:
    def splits(validation: float, test: float) -> dict[str, Split]:
        return {
            "validation": Split(10, 10, {"mae": Measured(validation)}),
            "test": Split(10, 10, {"mae": Measured(test)}),
        }

    sentence, beats = verdict("mae", splits(1, 1), "global mean", splits(2, 2))
    assert beats
    assert sentence == (
        "Better than the best baseline, global mean: validation mae 1 against 2; "
        "test mae 1 against 2."
    )
    sentence, beats = verdict("mae", splits(1, 3), "global mean", splits(2, 2))
    assert beats
    assert "on validation only" in sentence
    sentence, beats = verdict("mae", splits(2, 1), "global mean", splits(2, 2))
    assert not beats
    assert sentence.startswith("No better than the baseline global mean")
