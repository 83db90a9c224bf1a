"""Metrics of labels, rankings and forecasts against scikit-learn and a slow reference (D10)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from relcast.core.schema import TaskType
from relcast.learners.metrics import (
    Catalogue,
    ForecastMetrics,
    MultilabelMetrics,
    RankingMetrics,
    default_metrics,
    metrics_of,
)
from relcast.learners.protocol import Asked, Fold, Ranked
from relcast.tasks import Lists

VECTORS = 1_000
MULTILABEL = tuple(
    n for n in default_metrics(TaskType.MULTILABEL_CLASSIFICATION) if "per_label" not in n
)
WORDS = ("map", "ndcg", "mrr", "precision", "recall", "f1", "hit_ratio")


def lists_of(rows: list[list[int]]) -> Lists:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Lists(offsets, np.array([v for row in rows for v in row], dtype=np.int64))


def test_multilabel_metrics_equal_scikit_learn() -> None:
    for seed in range(VECTORS // 4):  # each has three to five labels: a thousand vectors
        rng = np.random.default_rng(seed)
        n, labels = int(rng.integers(4, 40)), int(rng.integers(3, 6))
        truth = rng.random((n, labels)) < rng.uniform(0.2, 0.8)
        truth[0], truth[1] = True, False  # both classes of every label
        values = np.round(rng.random((n, labels)), 1)
        weight = None if seed % 2 else rng.integers(1, 4, n).astype(float)
        metrics = MultilabelMetrics(lists_of([np.flatnonzero(r).tolist() for r in truth]), values)
        found = metrics.compute(MULTILABEL, weight)
        said, wanted = values >= 0.5, {}
        for kind in ("macro", "micro"):
            wanted[f"ap_{kind}"] = sk.average_precision_score(
                truth, values, average=kind, sample_weight=weight
            )
            wanted[f"auroc_{kind}"] = sk.roc_auc_score(
                truth, values, average=kind, sample_weight=weight
            )
        areas = [_pr_area(truth[:, k], values[:, k], weight) for k in range(labels)]
        wide = None if weight is None else np.repeat(weight, labels)
        wanted["auprc_macro"] = np.mean(areas)
        wanted["auprc_micro"] = _pr_area(truth.ravel(), values.ravel(), wide)
        wanted["acc"] = sk.accuracy_score(truth, said, sample_weight=weight)
        p, r, f, _ = sk.precision_recall_fscore_support(
            truth, said, average="macro", zero_division=0, sample_weight=weight
        )
        wanted |= {"precision": p, "recall": r, "f1": f}
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), seed
        if weight is None:
            for k, label in enumerate(metrics.by_label()):
                assert label["ap"] == pytest.approx(
                    sk.average_precision_score(truth[:, k], values[:, k]), rel=1e-12
                )
                assert label["auprc"] == pytest.approx(areas[k], rel=1e-12)
                assert label["rows"] == truth[:, k].sum()


def _pr_area(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> float:
    precision, recall, _ = sk.precision_recall_curve(y, s, sample_weight=w)
    return float(sk.auc(recall, precision))


def test_a_label_without_a_positive_row_does_not_count_in_the_macro_average() -> None:
    values = np.array([[0.9, 0.2], [0.1, 0.3]])
    found = MultilabelMetrics(lists_of([[0], []]), values).compute(("ap_macro", "auroc_macro"))
    assert found == {"ap_macro": 1.0, "auroc_macro": 1.0}
    none = MultilabelMetrics(lists_of([[], []]), values)
    assert np.isnan(list(none.compute(("ap_macro", "ap_micro")).values())).all()


def _reference(
    truth: list[set[int]], shown: list[list[int]], weight: np.ndarray, word: str, k: int
) -> float:
    """A ranking metric by its definition, one row after another."""
    total, mass = 0.0, 0.0
    for row, items in enumerate(shown):
        if not truth[row]:
            continue
        first = items[:k]
        hits = [item in truth[row] for item in first]
        there = len(truth[row])
        value = 0.0
        if word == "map":
            for place, hit in enumerate(hits, 1):
                value += hit * sum(hits[:place]) / place
            value /= min(k, there)
        elif word == "ndcg":
            gain = sum(hit / np.log2(place + 1) for place, hit in enumerate(hits, 1))
            value = gain / sum(1 / np.log2(place + 1) for place in range(1, min(k, there) + 1))
        elif word == "mrr":
            value = next((1 / place for place, hit in enumerate(hits, 1) if hit), 0.0)
        elif word == "precision":
            value = sum(hits) / k
        elif word == "recall":
            value = sum(hits) / there
        elif word == "f1":
            p, r = sum(hits) / k, sum(hits) / there
            value = 2 * p * r / (p + r) if p + r else 0.0
        else:
            value = float(any(hits))
        total, mass = total + weight[row] * value, mass + weight[row]
    return total / mass if mass else float("nan")


def _ranking(seed: int) -> tuple[list[list[int]], list[list[int]], np.ndarray]:
    rng = np.random.default_rng(seed)
    n, items, k = int(rng.integers(2, 20)), int(rng.integers(3, 30)), int(rng.integers(1, 12))
    truth = [rng.permutation(items)[: rng.integers(0, 6)].tolist() for _ in range(n)]
    shown = np.full((n, k), -1, dtype=np.int64)
    for row in range(n):
        some = rng.permutation(items)[: rng.integers(0, k + 1)]
        shown[row, : len(some)] = some
    return truth, shown, rng.integers(1, 4, n).astype(float)


def test_ranking_metrics_equal_a_slow_reference() -> None:
    names = [f"{word}@{k}" for word in WORDS for k in (1, 3, 10)]
    for seed in range(VECTORS):
        truth, shown, weight = _ranking(seed)
        ranked = Ranked(shown, np.zeros(shown.shape))
        metrics = RankingMetrics(lists_of(truth), ranked)
        plain = [[i for i in row if i >= 0] for row in shown.tolist()]
        for w in (np.ones(len(truth)), weight):
            found = metrics.compute(names, w)
            for name in names:
                word, k = name.split("@")
                wanted = _reference([set(t) for t in truth], plain, w, word, int(k))
                assert found[name] == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True), (
                    seed,
                    name,
                )


def test_ndcg_of_full_lists_is_scikit_learns() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = (rng.random((5, 9)) < 0.4).astype(float)
        truth[:, 0] = 1
        scores = rng.permutation(45).reshape(5, 9).astype(float)
        ranked = Ranked(np.argsort(-scores, axis=1), -np.sort(-scores, axis=1))
        lists = lists_of([np.flatnonzero(row).tolist() for row in truth])
        found = RankingMetrics(lists, ranked).compute(("ndcg@4",))["ndcg@4"]
        assert found == pytest.approx(sk.ndcg_score(truth, scores, k=4), rel=1e-12)


def test_what_lists_show_beyond_hits() -> None:
    shown = np.array([[0, 1, 2], [0, 1, -1], [0, 3, 4]])
    ranked = Ranked(shown, np.zeros((3, 3)))
    catalogue = Catalogue(10, np.arange(10.0), np.array([0, 0, 1, 1, -1, 0, 0, 0, 0, 0]))
    metrics = RankingMetrics(lists_of([[0], [], [5]]), ranked, catalogue)
    found = metrics.compute(
        ("coverage@1", "coverage@3", "avg_popularity@3", "personalization@2", "diversity@3")
    )
    assert found["coverage@1"] == 0.1
    assert found["coverage@3"] == 0.5
    assert found["avg_popularity@3"] == (0 + 1 + 2 + 0 + 1 + 0 + 3 + 4) / 8
    # Of the first two items rows 0 and 1 share both, the other pairs of rows one.
    assert found["personalization@2"] == pytest.approx(1 - (2 + 1 + 1) / 3 / 2)
    # Pairs of different groups: 2 of 3, 0 of 1, 3 of 3 (an item without a group is like no other).
    assert found["diversity@3"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    bare = RankingMetrics(lists_of([[0], [], [5]]), ranked)
    assert np.isnan(
        list(bare.compute(("coverage@1", "avg_popularity@1", "diversity@2")).values())
    ).all()
    # A whole number as weight is that many copies of the row.
    copies = np.array([0, 0, 2])
    names = ("avg_popularity@3", "diversity@3", "personalization@2", "map@3")
    weighed = metrics.compute(names, np.array([2.0, 0, 1]))
    copied = RankingMetrics(lists_of([[0], [0], [5]]), ranked.take(copies), catalogue)
    assert weighed == pytest.approx(copied.compute(names))


def test_a_forecast_is_measured_over_all_cells_and_by_step() -> None:
    names = ("mae", "mse", "rmse", "mape", "smape", "wape", "r2")
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y, p = np.round(rng.normal(size=(2, 12, 3)), 1)
        weight = rng.integers(1, 4, 12).astype(float)
        metrics = ForecastMetrics(y, p)
        found = metrics.compute(names, weight)
        wide = np.repeat(weight, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert found["mae"] == pytest.approx(
                sk.mean_absolute_error(y.ravel(), p.ravel(), sample_weight=wide), rel=1e-12
            )
            assert found["r2"] == pytest.approx(
                sk.r2_score(y.ravel(), p.ravel(), sample_weight=wide), rel=1e-12
            )
            for step, figures in enumerate(metrics.by_step(names)):
                assert figures["rmse"] == pytest.approx(
                    sk.root_mean_squared_error(y[:, step], p[:, step]), rel=1e-12
                )


@pytest.mark.parametrize("task", list(TaskType))
def test_many_weighings_are_as_many_single_ones(task: TaskType) -> None:
    rng = np.random.default_rng(5)
    n = 30
    truth: object = rng.integers(0, 2, n).astype(float)
    said: object = np.round(rng.random(n), 1)
    if task is TaskType.MULTICLASS_CLASSIFICATION:
        truth, said = rng.integers(0, 3, n).astype(float), rng.dirichlet(np.ones(3), n)
    elif task is TaskType.FORECASTING:
        truth, said = rng.normal(size=(2, n, 4))
    elif task is TaskType.MULTILABEL_CLASSIFICATION:
        truth, said = lists_of([[int(v)] for v in rng.integers(0, 3, n)]), rng.random((n, 3))
    elif task not in (TaskType.BINARY_CLASSIFICATION, TaskType.REGRESSION):
        rows = [rng.permutation(9)[:2].tolist() for _ in range(n)]
        truth = lists_of(rows)
        said = Ranked(np.stack([rng.permutation(9)[:5] for _ in range(n)]), np.zeros((n, 5)))
    names = default_metrics(task, top=3)
    metrics = metrics_of(task, truth, said, Catalogue(9, np.ones(9)))
    weights = rng.integers(0, 3, (8, n)).astype(float)
    together = metrics.many(names, weights)
    for row, weight in enumerate(weights):
        alone = metrics.compute(names, weight)
        assert {k: v[row] for k, v in together.items()} == pytest.approx(
            alone, rel=1e-12, nan_ok=True
        )
    lists = truth if isinstance(truth, Lists) else None
    label = np.zeros((n, 0)) if lists is not None else truth
    fold = Fold(Asked(np.arange(n), None, None), label, None, lists)
    assert metrics_of(task, fold, said).compute(names[:1]) == metrics.compute(names[:1])
    assert np.isnan(list(metrics.compute(names, np.zeros(n)).values())).all()
