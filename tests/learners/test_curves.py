"""Curves: scikit-learn's where it has them, counts that add up, and bounded in size."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from relcast.core.schema import TaskType
from relcast.learners.curves import LEVELS, Grouped, make_curves
from relcast.learners.curves.binary import binary_curves
from relcast.learners.curves.classes import class_curves, label_curves
from relcast.learners.curves.groups import by_cohort, over_time
from relcast.learners.curves.numbers import fan_curves, number_curves
from relcast.learners.curves.ranking import ranking_curves
from relcast.learners.metrics import RankingMetrics
from relcast.learners.protocol import Asked, Fold, Ranked, Target
from relcast.tasks import Lists
from tests.learners.worlds import DAY, World


def _binary(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < 0.3).astype(float)
    target[:2] = [0, 1]
    return target, np.round(rng.random(n), int(rng.integers(1, 4)))


def _floats(values: list[float | None]) -> np.ndarray:
    return np.array([np.inf if v is None else v for v in values])


def test_roc_and_pr_are_scikit_learns() -> None:
    for seed in range(100):
        y, s = _binary(seed)
        found = binary_curves(y, s)
        false, true, at = sk.roc_curve(y, s, drop_intermediate=False)
        assert _floats(found["roc"]["threshold"]) == pytest.approx(at)
        assert found["roc"]["false_positive_rate"] == pytest.approx(false.tolist(), abs=1e-12)
        assert found["roc"]["true_positive_rate"] == pytest.approx(true.tolist(), abs=1e-12)
        precision, recall, at = sk.precision_recall_curve(y, s)
        assert found["pr"]["precision"] == pytest.approx(precision.tolist(), abs=1e-12)
        assert found["pr"]["recall"] == pytest.approx(recall.tolist(), abs=1e-12)
        assert _floats(found["pr"]["threshold"])[:-1] == pytest.approx(at)
        if len(np.unique(np.percentile(s, np.arange(0, 101, 10)))) == 11:
            true, said = calibration_curve(y, s, n_bins=10, strategy="quantile")
            assert found["calibration"]["actual"] == pytest.approx(true.tolist(), abs=1e-12)
            assert found["calibration"]["predicted"] == pytest.approx(said.tolist(), abs=1e-12)
        assert sum(found["calibration"]["rows"]) == len(y)


def test_a_long_curve_keeps_exact_points_and_its_ends() -> None:
    rng = np.random.default_rng(0)
    y, s = (rng.random(5000) < 0.4).astype(float), rng.random(5000)
    found = binary_curves(y, s)["roc"]
    assert len(found["threshold"]) <= 200
    false, true, at = sk.roc_curve(y, s, drop_intermediate=False)
    place = {t: i for i, t in enumerate(at.tolist())}
    for t, x, z in zip(
        found["threshold"], found["false_positive_rate"], found["true_positive_rate"], strict=True
    ):
        i = place[np.inf if t is None else t]
        assert (x, z) == pytest.approx((false[i], true[i]), abs=1e-12)
    assert (found["false_positive_rate"][-1], found["true_positive_rate"][-1]) == (1.0, 1.0)


def test_gain_and_thresholds_count_every_row() -> None:
    y, s = _binary(3)
    found = binary_curves(y, s)
    gain = found["gain"]
    assert (gain["rows"][0], gain["positives"][0]) == (0, 0)
    assert (gain["rows"][-1], gain["positives"][-1]) == (1, 1)
    best = np.argsort(-s, kind="stable")
    for share, captured in zip(gain["rows"], gain["positives"], strict=True):
        assert captured == pytest.approx(y[best][: round(share * len(y))].sum() / y.sum())
    table = found["thresholds"]
    for i, t in enumerate(table["threshold"]):
        tn, fp, fn, tp = sk.confusion_matrix(y, s >= t, labels=[False, True]).ravel()
        assert [
            table[k][i]
            for k in ("true_negative", "false_positive", "false_negative", "true_positive")
        ] == [tn, fp, fn, tp]
    assert 0.5 in table["threshold"]


def test_one_class_has_no_roc() -> None:
    found = binary_curves(np.zeros(5), np.linspace(0, 1, 5))
    assert found["roc"] is None
    assert found["pr"] is None
    assert found["gain"] is None


def test_the_confusion_matrix_is_scikit_learns_and_bounded() -> None:
    rng = np.random.default_rng(1)
    target, values = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200)
    found = class_curves(target.astype(float), values, list("abcd"))["confusion"]
    assert found["rows"] == sk.confusion_matrix(target, values.argmax(axis=1)).tolist()
    many = rng.integers(0, 200, 3000)
    wide = class_curves(many.astype(float), rng.random((3000, 200)), [f"c{i}" for i in range(200)])
    assert wide["confusion"]["classes"][-1] == "others"
    assert len(wide["confusion"]["classes"]) == 31
    assert np.sum(wide["confusion"]["rows"]) == 3000


def test_labels_have_curves_of_their_own() -> None:
    rng = np.random.default_rng(2)
    truth, values = rng.random((80, 3)) < 0.4, rng.random((80, 3))
    lists = Lists(np.append(0, np.cumsum(truth.sum(axis=1))), np.nonzero(truth)[1])
    found = label_curves(lists, values, ["x", "y", "z"])
    assert set(found["labels"]) == {"x", "y", "z"}
    assert found["labels"]["y"]["rows"] == truth[:, 1].sum()
    assert found["labels"]["y"]["roc"] == binary_curves(truth[:, 1] * 1.0, values[:, 1])["roc"]


def test_residuals_and_fan() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=(500, 2))
    said = np.zeros((500, 2))
    found = number_curves(y, said)
    assert found["residuals"]["quantiles"][4] == pytest.approx(np.median(y))
    assert sum(found["residuals"]["rows"]) == 1000
    assert sum(found["predicted_actual"]["rows"]) == 1000
    rows = np.arange(400)
    normal = np.array([-1.645, -0.674, 0, 0.674, 1.645])
    quantiles = np.tile(normal, (400, 2, 1))
    fan = fan_curves(y, said, (rows, quantiles), LEVELS)["fan"]
    assert fan["mae"] == pytest.approx(np.abs(y).mean(axis=0).tolist())
    for step in range(2):
        assert fan["coverage"][step] == pytest.approx(list(LEVELS), abs=0.07)
        exact = [(y[:400, step] <= q).mean() for q in normal]
        assert fan["coverage"][step] == pytest.approx(exact)
    assert fan["width"] == pytest.approx([3.29, 3.29])
    assert fan_curves(y[:, 0], said[:, 0], None, LEVELS) == {}


def test_a_ranking_is_measured_by_k() -> None:
    rng = np.random.default_rng(5)
    ranked = Ranked(np.stack([rng.permutation(40)[:25] for _ in range(30)]), np.zeros((30, 25)))
    lists = Lists(np.arange(0, 91, 3), rng.integers(0, 40, 90))
    found = ranking_curves(lists, ranked)["by_k"]
    assert found["k"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25]
    for k, value in zip(found["k"], found["map"], strict=True):
        assert value == RankingMetrics(lists, ranked).compute((f"map@{k}",))[f"map@{k}"]


def test_the_metric_over_time_and_by_cohort(world: World) -> None:
    rng = np.random.default_rng(6)
    rows = world.relations.table("customers").rows
    entity = rng.integers(0, rows, 500)
    anchor = 1_600_000_000 * 10**9 + rng.integers(0, 100, 500) * 3 * DAY
    fold = Fold(Asked.rolling(entity, anchor), rng.random(500), None)
    grouped = Grouped("mean", "base", lambda r: float(fold.label[r].mean()), lambda r: None)
    spans = over_time(fold, grouped)
    assert len(spans) <= 60
    assert sum(span["rows"] for span in spans) == 500
    first = fold.label[anchor <= np.unique(anchor)[1]].mean()
    assert spans[0]["model"] == pytest.approx(first)
    assert spans[0]["from"].startswith("2020-")
    cohorts = {c["by"]: c["groups"] for c in by_cohort(world.relations, "customers", fold, grouped)}
    assert set(cohorts) == {"customers.segment", "customers.country", "number of past events"}
    for groups in cohorts.values():
        assert sum(group["rows"] for group in groups) == 500
    segment = world.relations.table("customers").column("segment")
    small = segment.values[entity] == segment.dictionary.index("small")
    (group,) = [g for g in cohorts["customers.segment"] if g["value"] == "small"]
    assert group == {
        "value": "small",
        "rows": int(small.sum()),
        "model": pytest.approx(fold.label[small].mean()),
        "baseline": None,
    }
    orders = world.relations.links[next(iter(world.relations.graph.links_to("customers")))]
    none = sum(
        not (orders.child_time[orders.indptr[e] : orders.indptr[e + 1]] <= a).any()
        for e, a in zip(entity, anchor, strict=True)
    )
    assert {g["value"]: g["rows"] for g in cohorts["number of past events"]}["0"] == none


@pytest.mark.parametrize("task", list(TaskType))
def test_curves_are_json_below_a_megabyte(task: TaskType, world: World) -> None:
    rng = np.random.default_rng(7)
    n = 3000
    anchor = 1_600_000_000 * 10**9 + rng.integers(0, 300, n) * DAY
    asked = Asked.rolling(rng.integers(0, world.relations.table("customers").rows, n), anchor)
    label, lists, classes = rng.integers(0, 2, n).astype(float), None, None
    said: object = rng.random(n)
    horizon = 1
    if task in {
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.MULTILABEL_CLASSIFICATION,
        TaskType.MULTILABEL_RANKING,
    }:
        classes = tuple("a rather long name of a class " * 5 + str(i) for i in range(400))
        label, said = rng.integers(0, 400, n).astype(float), rng.random((n, 400))
    elif task is TaskType.FORECASTING:
        label, said = rng.normal(size=(2, n, 60))
        horizon = 60
    if task not in {
        TaskType.BINARY_CLASSIFICATION,
        TaskType.REGRESSION,
        TaskType.FORECASTING,
        TaskType.MULTICLASS_CLASSIFICATION,
    }:
        lists, label = (
            Lists(np.arange(0, 2 * n + 1, 2), rng.integers(0, 400, 2 * n)),
            np.zeros((n, 0)),
        )
    if task in {
        TaskType.MULTILABEL_RANKING,
        TaskType.STATIC_LINK_PREDICTION,
        TaskType.TEMPORAL_LINK_PREDICTION,
    }:
        said = Ranked(np.tile(rng.permutation(400)[:100], (n, 1)), np.zeros((n, 100)))
    quantiles = (
        (np.arange(50), rng.normal(size=(50, 60, 5)).cumsum(axis=2)) if horizon > 1 else None
    )
    grouped = Grouped("m", "b", lambda r: 0.123456789012345678, lambda r: 0.123456789012345678)
    found = make_curves(
        world.relations,
        "customers",
        Target(task, classes, horizon),
        Fold(asked, label, None, lists),
        said,
        grouped,
        quantiles,
    )
    assert len(json.dumps(found, allow_nan=False)) < 500_000  # two splits stay below a megabyte
    assert {"over_time", "by_cohort", "metric", "baseline"} < set(found)


def test_of_many_labels_some_examples_are_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six thousand labels of many examples are more cells than a curve needs to hold."""
    rng = np.random.default_rng(3)
    width, n = 10, 4_000
    held = rng.random((n, width)) < 0.3
    offsets = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
    lists = Lists(offsets, np.nonzero(held)[1])
    values = rng.random((n, width))
    names = [str(k) for k in range(width)]
    whole = label_curves(lists, values, names)
    monkeypatch.setattr("relcast.learners.curves.classes._MOST_CELLS", 2_000)
    part = label_curves(lists, values, names)
    assert sum(whole["calibration"]["rows"]) == n * width
    assert sum(part["calibration"]["rows"]) == 2_000
    assert part["labels"] == whole["labels"]
