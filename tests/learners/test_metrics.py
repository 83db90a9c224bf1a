"""Metrics against scikit-learn on random vectors with ties (reliability.md D10)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners.metrics import (
    BinaryMetrics,
    MulticlassMetrics,
    RegressionMetrics,
    check_metrics,
    is_greater_better,
    metrics_of,
)

VECTORS = 1_000
BINARY = ("auroc", "ap", "auprc", "acc", "f1", "precision", "recall", "ndcg@5", "ndcg@100")


def _binary(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 80))
    target = (rng.random(n) < rng.uniform(0.1, 0.9)).astype(float)
    target[:2] = [0.0, 1.0]
    score = np.round(rng.random(n), int(rng.integers(1, 4)))  # many ties
    return target, score


def _oracle(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> dict[str, float]:
    said = s >= 0.5
    precision, recall, _ = sk.precision_recall_curve(y, s, sample_weight=w)
    return {
        "auroc": sk.roc_auc_score(y, s, sample_weight=w),
        "ap": sk.average_precision_score(y, s, sample_weight=w),
        "auprc": sk.auc(recall, precision),
        "acc": sk.accuracy_score(y, said, sample_weight=w),
        "f1": sk.f1_score(y, said, sample_weight=w, zero_division=0),
        "precision": sk.precision_score(y, said, sample_weight=w, zero_division=0),
        "recall": sk.recall_score(y, said, sample_weight=w, zero_division=0),
    }


def test_binary_metrics_equal_scikit_learn() -> None:
    for seed in range(VECTORS):
        y, s = _binary(seed)
        found = BinaryMetrics(y, s).compute(BINARY)
        wanted = _oracle(y, s, None)
        wanted["ndcg@5"] = sk.ndcg_score(y[None], s[None], k=5)
        wanted["ndcg@100"] = sk.ndcg_score(y[None], s[None], k=100)
        for name, value in wanted.items():
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), (seed, name)


def test_weights_equal_scikit_learn_and_copies_of_rows() -> None:
    names = (*BINARY, "precision@7", "recall@7")
    for seed in range(200):
        y, s = _binary(seed)
        w = np.random.default_rng(seed).integers(1, 4, len(y)).astype(float)
        found = BinaryMetrics(y, s).compute(names, w)
        for name, value in _oracle(y, s, w).items():
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), (seed, name)
        copies = np.repeat(np.arange(len(y)), w.astype(int))
        copied = BinaryMetrics(y[copies], s[copies]).compute(names)
        assert found == pytest.approx(copied, rel=1e-12, abs=1e-12)


def test_ranking_at_k_does_not_depend_on_the_order_of_rows() -> None:
    y, s = _binary(3)
    turned = np.random.default_rng(0).permutation(len(y))
    names = ("precision@3", "recall@3", "ndcg@3")
    assert BinaryMetrics(y, s).compute(names) == pytest.approx(
        BinaryMetrics(y[turned], s[turned]).compute(names)
    )
    clear = BinaryMetrics(np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
    assert clear.compute(("precision@2", "recall@2")) == {"precision@2": 0.5, "recall@2": 0.5}
    tied = BinaryMetrics(np.array([1.0, 0, 0, 0]), np.full(4, 0.5))
    assert tied.compute(("precision@1", "recall@2")) == {"precision@1": 0.25, "recall@2": 0.5}


def test_multiclass_metrics_equal_scikit_learn() -> None:
    for seed in range(VECTORS):
        rng = np.random.default_rng(seed)
        n, k = int(rng.integers(2, 60)), int(rng.integers(2, 7))
        target = rng.integers(0, k, n)
        values = np.round(rng.dirichlet(np.ones(k), n), 1)
        weight = None if seed % 2 else rng.integers(1, 4, n).astype(float)
        found = MulticlassMetrics(target.astype(float), values).compute(
            ("acc", "f1", "precision", "recall", "mrr"), weight
        )
        said = values.argmax(axis=1)
        p, r, f, _ = sk.precision_recall_fscore_support(
            target, said, average="macro", zero_division=0, sample_weight=weight
        )
        wanted = {
            "acc": sk.accuracy_score(target, said, sample_weight=weight),
            "f1": f,
            "precision": p,
            "recall": r,
            "mrr": sk.label_ranking_average_precision_score(
                np.eye(k)[target], values, sample_weight=weight
            ),
        }
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), seed


def test_regression_metrics_equal_scikit_learn() -> None:
    for seed in range(VECTORS):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 60))
        y, p = np.round(rng.normal(size=(2, n)), 1)
        weight = None if seed % 2 else rng.integers(1, 4, n).astype(float)
        found = RegressionMetrics(y, p).compute(
            ("mae", "mse", "rmse", "mape", "smape", "wape", "r2"), weight
        )
        w = np.ones(n) if weight is None else weight
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = {
                "mae": sk.mean_absolute_error(y, p, sample_weight=weight),
                "mse": sk.mean_squared_error(y, p, sample_weight=weight),
                "rmse": sk.root_mean_squared_error(y, p, sample_weight=weight),
                "mape": sk.mean_absolute_percentage_error(y, p, sample_weight=weight),
                "r2": sk.r2_score(y, p, sample_weight=weight),
            }
        wanted["wape"] = (w * abs(y - p)).sum() / (w * abs(y)).sum()
        both = abs(y) + abs(p)
        wanted["smape"] = (
            w * np.where(both > 0, 2 * abs(y - p) / np.where(both > 0, both, 1), 0)
        ).sum() / w.sum()
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), seed


def test_undefined_metrics_are_nan() -> None:
    one_class = BinaryMetrics(np.zeros(3), np.array([0.1, 0.2, 0.9])).compute(
        ("auroc", "ap", "recall", "ndcg@2")
    )
    assert np.isnan([one_class["auroc"], one_class["ap"], one_class["ndcg@2"]]).all()
    assert one_class["recall"] == 0.0
    assert np.isnan(RegressionMetrics(np.ones(1), np.ones(1)).compute(("r2",))["r2"])
    empty = metrics_of(TaskType.MULTICLASS_CLASSIFICATION, np.zeros(0), np.zeros((0, 3)))
    assert np.isnan(empty.compute(("acc",))["acc"])


def test_unknown_metrics_are_refused_with_a_near_name() -> None:
    with pytest.raises(InvalidRequest, match="auroc") as caught:
        check_metrics(TaskType.BINARY_CLASSIFICATION, ("auruc",))
    assert caught.value.code == "plan.unknown_metric"
    assert check_metrics(TaskType.BINARY_CLASSIFICATION, ("ndcg@12", "ap")) == ("ndcg@12", "ap")
    with pytest.raises(InvalidRequest):
        check_metrics(TaskType.REGRESSION, ("ndcg@12",))
    for task, known, unknown in (
        (TaskType.FORECASTING, "wape", "map@10"),
        (TaskType.MULTILABEL_CLASSIFICATION, "ap_per_label", "ap"),
        (TaskType.TEMPORAL_LINK_PREDICTION, "coverage@12", "map"),
        (TaskType.MULTILABEL_RANKING, "map@1000", "map@1001"),
    ):
        assert check_metrics(task, (known, known)) == (known,)
        with pytest.raises(InvalidRequest) as caught:
            check_metrics(task, (unknown,))
        assert caught.value.code == "plan.unknown_metric"


def test_direction_of_metrics() -> None:
    assert not is_greater_better("mae")
    assert is_greater_better("r2")
    assert is_greater_better("ndcg@5")
