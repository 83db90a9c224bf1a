"""Fitting on a generated shop: every task type, end to end."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from relcast.core.errors import Cancelled, InvalidRequest, ModelError
from relcast.core.progress import Silent
from relcast.core.schema import TaskType
from relcast.learners import Certificate, Evaluation, ModelPlan, fit
from relcast.learners.evaluation import better
from relcast.learners.metrics import metrics_of
from relcast.pql import check
from tests.learners.worlds import BINARY, MULTICLASS, QUERIES, QUICK, REGRESSION, STATIC, World


@pytest.mark.parametrize("name", QUERIES)
def test_a_model_beats_every_baseline_on_rows_it_never_saw(world: World, name: str) -> None:
    model = world.fit(QUERIES[name])
    evaluation = model.evaluation
    assert evaluation.beats_baseline, evaluation.verdict
    assert evaluation.learner.startswith("trees")
    tune = evaluation.tune_metric
    for baseline, splits in evaluation.baselines.items():
        mine = evaluation.model["test"].value(tune)
        assert better(tune, mine, splits["test"].value(tune)), (name, baseline)


@pytest.mark.parametrize("name", QUERIES)
def test_every_reported_metric_can_be_recomputed_from_the_holdout(world: World, name: str) -> None:
    model = world.fit(QUERIES[name])
    rows = model.holdout
    assert rows is not None
    split = model.evaluation.model["test"]
    if model.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        classes = list(model.target.classes or ())
        k = len(classes)
        place = {c: i for i, c in enumerate(classes)}
        predicted = np.array([place[c] for c in rows["CLASS"].to_pylist()]).reshape(-1, k)
        scores = rows["SCORE"].to_numpy().reshape(-1, k)
        values = np.empty_like(scores)
        np.put_along_axis(values, predicted, scores, axis=1)
        target = np.array([float(place[c]) for c in rows["TARGET"].to_pylist()[::k]])
        assert (np.diff(scores, axis=1) <= 0).all()
        assert rows["PREDICTED"].to_numpy(zero_copy_only=False).reshape(-1, k)[:, 0].all()
    else:
        column = "True_PROB" if model.task_type is TaskType.BINARY_CLASSIFICATION else "TARGET_PRED"
        values = rows[column].to_numpy()
        target = rows["TARGET"].cast(pa.float64()).to_numpy()
    assert len(target) == split.rows
    again = metrics_of(model.task_type, target, values).compute(tuple(split.metrics))
    for metric, measured in split.metrics.items():
        assert measured.value == pytest.approx(again[metric], rel=1e-12), metric
        assert measured.low is not None
        assert measured.high is not None
        assert measured.low <= measured.value <= measured.high, metric
    assert ("TIMESTAMP" in rows.column_names) == model.query.temporal


def test_the_figures_go_to_json_and_back(world: World) -> None:
    for query in QUERIES.values():
        model = world.fit(query)
        text = json.dumps(model.summary(), allow_nan=False)
        assert model.evaluation.verdict in text
        evaluation = Evaluation.from_json(json.loads(json.dumps(model.evaluation.to_json())))
        assert evaluation == model.evaluation
        assert Certificate.from_json(model.certificate.to_json()) == model.certificate


@pytest.mark.parametrize("name", QUERIES)
def test_contributions_and_base_add_up_to_the_raw_score(world: World, name: str) -> None:
    model = world.fit(QUERIES[name])
    examples = world.table(QUERIES[name]).examples
    entity = examples.entity[:40]
    anchor = None if examples.anchor is None else examples.anchor[:40]
    found = model.contributions(world.relations, entity, anchor, top=7)
    for row, reasons in enumerate(found.reasons):
        total = found.base[row] + found.rest[row] + sum(r["contribution"] for r in reasons)
        assert total == pytest.approx(found.raw[row], abs=1e-6)
        sizes = [abs(r["contribution"]) for r in reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert 1 <= len(reasons) <= 7
    scores = model.predict(world.relations, entity, anchor)
    if model.task_type is TaskType.REGRESSION:
        assert found.raw == pytest.approx(scores.values)
    elif model.task_type is TaskType.BINARY_CLASSIFICATION:
        # Calibration keeps the order of raw scores.
        assert (np.argsort(found.raw) == np.argsort(scores.values)).all()
    names = {f.name for f in model.predictor.features.features}
    assert {r["feature"] for reasons in found.reasons for r in reasons} <= names
    assert model.explain(world.relations, entity, anchor, top=0) == ((),) * 40


def test_importance_adds_up_and_finds_what_matters(world: World) -> None:
    importance = world.fit(MULTICLASS).importance
    for listing in (importance.by_table(), importance.by_column(), importance.by_window()):
        assert sum(listing.values()) == pytest.approx(1)
    assert max(importance.by_column(), key=importance.by_column().get) == "orders.kind"
    shares = [f.share for f in importance.features]
    assert shares == sorted(shares, reverse=True)


def test_the_same_seed_gives_the_same_figures_and_scores(world: World) -> None:
    """reliability.md D9."""
    first = world.fit(BINARY)
    query = check(BINARY, world.snapshot.graph)
    again = fit(world.relations, query, world.table(BINARY), replace(QUICK, threads=2))
    assert again.evaluation == first.evaluation
    assert again.holdout.equals(first.holdout)
    other = fit(world.relations, query, world.table(BINARY), replace(QUICK, seed=1))
    assert not other.holdout.equals(first.holdout)


def test_shuffled_labels_teach_nothing(world: World) -> None:
    """reliability.md D6."""
    table = world.table(BINARY)
    rng = np.random.default_rng(0)
    values = []
    for seed in range(4):
        examples = replace(table.examples, target=rng.permutation(table.examples.target))
        plan = replace(QUICK, seed=seed)
        model = fit(world.relations, table.query, replace(table, examples=examples), plan)
        values.append(model.evaluation.model["test"].value("auroc"))
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_a_baseline_is_published_when_trees_do_not_beat_it(world: World) -> None:
    table = world.table(REGRESSION)
    rng = np.random.default_rng(1)
    noise = rng.normal(100, 1e-3, len(table.examples))
    # Validation rows are the exact median of training: no tree can do better.
    train = table.examples.split == 0
    noise[~train] = np.median(noise[train])
    model = fit(
        world.relations,
        table.query,
        replace(table, examples=replace(table.examples, target=noise)),
        QUICK,
    )
    assert model.evaluation.learner == "global median"
    assert not model.evaluation.beats_baseline
    assert model.evaluation.verdict.startswith("No better than the baseline global median")
    assert [e.name for e in model.leaderboard if e.published] == ["global median"]
    assert any(e.learner == "trees" for e in model.leaderboard)


def test_no_trials_publishes_the_best_baseline(world: World) -> None:
    model = world.fit(REGRESSION, replace(QUICK, num_experiments=0))
    evaluation = model.evaluation
    assert evaluation.learner == evaluation.best_baseline
    assert evaluation.model == evaluation.baselines[evaluation.learner]
    found = model.contributions(world.relations, np.arange(5), np.full(5, 1_620_000_000 * 10**9))
    for row, reasons in enumerate(found.reasons):
        total = found.base[row] + found.rest[row] + sum(r["contribution"] for r in reasons)
        assert total == pytest.approx(found.raw[row])


def test_a_target_with_one_class_is_refused(world: World) -> None:
    table = world.table(BINARY)
    ones = replace(table.examples, target=np.ones(len(table.examples)))
    with pytest.raises(ModelError) as caught:
        fit(world.relations, table.query, replace(table, examples=ones), QUICK)
    assert caught.value.code == "model.one_class"
    assert "True" in caught.value.message
    assert caught.value.hint


def test_rows_without_a_finite_target_are_counted(world: World) -> None:
    table = world.table(REGRESSION)
    target = table.examples.target.copy()
    target[:7] = np.nan
    target[7] = np.inf
    model = fit(
        world.relations,
        table.query,
        replace(table, examples=replace(table.examples, target=target)),
        replace(QUICK, num_experiments=0),
    )
    assert model.lineage["rows"]["dropped"] == 8
    assert any("8 rows were left out" in sentence for sentence in model.warnings)


def test_empty_splits_are_refused_with_advice(world: World) -> None:
    table = world.table(REGRESSION)
    for number, code in ((0, "model.no_training_rows"), (1, "model.no_validation_rows")):
        kept = table.examples.take(table.examples.split != number)
        with pytest.raises(ModelError) as caught:
            fit(world.relations, table.query, replace(table, examples=kept), QUICK)
        assert caught.value.code == code
    with pytest.raises(ModelError) as caught:
        fit(
            world.relations,
            table.query,
            replace(table, examples=replace(table.examples, split=None)),
            QUICK,
        )
    assert caught.value.code == "model.no_labels"


def test_a_fit_without_a_test_split_has_no_test_figures(world: World) -> None:
    table = world.table(REGRESSION)
    kept = table.examples.take(table.examples.split != 2)
    model = fit(world.relations, table.query, replace(table, examples=kept), QUICK)
    assert set(model.evaluation.model) == {"validation"}
    assert model.holdout is None


def test_the_frozen_regime_sees_nothing_after_the_start_of_a_split(world: World) -> None:
    rolling = world.fit(REGRESSION)
    table = world.table(REGRESSION)
    # Test rows get several anchors, so that later ones could see more than the first.
    examples = table.examples
    split = examples.split.copy()
    late = np.unique(examples.anchor)[-4:]
    split[np.isin(examples.anchor, late)] = 2
    split[np.isin(examples.anchor, np.unique(examples.anchor)[-6:-4])] = 1
    table = replace(table, examples=replace(examples, split=split))
    plan = replace(QUICK, regime="frozen")
    frozen = fit(world.relations, table.query, table, plan)
    assert frozen.evaluation.regime == "frozen"
    assert rolling.evaluation.regime == "rolling"
    holdout = frozen.holdout.to_pandas()
    assert holdout["TIMESTAMP"].nunique() == 4
    last = [b for b in frozen.evaluation.baselines if b == "entity last"]
    assert last
    first = fit(world.relations, table.query, table, QUICK)
    for name in ("entity last", "entity mean"):
        a = frozen.evaluation.baselines[name]["test"].value("mae")
        b = first.evaluation.baselines[name]["test"].value("mae")
        assert a != b, name
    # Scoring later is never frozen: the plan is about how figures are made.
    rows = np.flatnonzero(split == 2)[:20]
    live = frozen.predict(world.relations, examples.entity[rows], examples.anchor[rows])
    assert len(live) == 20


def test_the_refit_is_said_and_validation_is_of_the_model_before_it(world: World) -> None:
    plain = world.fit(REGRESSION)
    refitted = world.fit(REGRESSION, replace(QUICK, refit_trainval=True))
    assert plain.evaluation.validation_of == "published model"
    assert refitted.evaluation.validation_of == "model before the refit"
    assert refitted.evaluation.model["validation"] == plain.evaluation.model["validation"]
    assert refitted.evaluation.model["test"] != plain.evaluation.model["test"]


def test_progress_carries_live_curves(world: World) -> None:
    events: list[dict] = []
    stages: list[str] = []

    class Listening:
        def stage(self, name, total=None, unit=""):
            stages.append(name)
            return self

        def update(self, done=None, total=None, unit=None, detail=None):
            if done is not None and total is not None:
                assert done <= total

        def report(self, event):
            events.append(json.loads(json.dumps(dict(event), allow_nan=False)))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    table = world.table(REGRESSION)
    fit(world.relations, table.query, table, QUICK, Listening())
    assert stages == ["Training", "Evaluation"]
    fields = {"family", "learner", "trial", "iteration", "metric", "validation"}
    assert all(set(e) == fields for e in events)
    curve = [e for e in events if e["trial"] == 0 and e["metric"] == "l1"]
    assert [e["iteration"] for e in curve] == sorted({e["iteration"] for e in curve})
    assert len(curve) >= 2
    assert events[0]["learner"] == "global mean"


class Impatient(Silent):
    """Stops a fit at the first update whose detail begins so."""

    def __init__(self, detail: str) -> None:
        self.detail = detail

    def update(self, done=None, total=None, unit=None, detail=None):
        if detail and detail.startswith(self.detail):
            raise Cancelled("The work was asked to stop")


def test_a_cancelled_fit_stops(world: World) -> None:
    table = world.table(REGRESSION)
    with pytest.raises(Cancelled):
        fit(world.relations, table.query, table, QUICK, Impatient("trees, trial"))


def test_a_stopped_fit_publishes_the_best_so_far_where_the_plan_says_so(world: World) -> None:
    table = world.table(REGRESSION)
    plan = replace(QUICK, on_stop="publish")
    for detail in ("features", "trees, trial", "baseline: entity"):
        stopped = fit(world.relations, table.query, table, plan, Impatient(detail))
        assert stopped.evaluation.learner == stopped.evaluation.best_baseline
        assert any("was stopped" in w for w in stopped.warnings)
        assert stopped.holdout.num_rows > 0
        assert stopped.certificate.probe.passed
    done = fit(world.relations, table.query, table, plan, Impatient("trees: trained"))
    assert done.evaluation.learner == "trees"


def test_no_time_at_all_still_gives_an_answer(world: World) -> None:
    table = world.table(REGRESSION)
    model = fit(world.relations, table.query, table, replace(QUICK, time_budget_seconds=0.0))
    assert model.evaluation.model["test"].value("mae") is not None


def test_a_table_of_another_query_is_refused(world: World) -> None:
    with pytest.raises(ModelError) as caught:
        fit(world.relations, check(BINARY, world.snapshot.graph), world.table(REGRESSION), QUICK)
    assert caught.value.code == "model.other_query"


def test_an_unknown_metric_is_refused_before_any_work(world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(
            world.relations,
            check(STATIC, world.snapshot.graph),
            world.table(STATIC),
            ModelPlan(metrics=("auroc",)),
        )
    assert caught.value.code == "plan.unknown_metric"


def test_anchors_are_asked_for_exactly_when_the_query_has_a_window(world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        world.fit(REGRESSION).predict(world.relations, np.arange(3), None)
    assert caught.value.code == "predict.anchor"
    with pytest.raises(InvalidRequest):
        world.fit(STATIC).predict(world.relations, np.arange(3), np.zeros(3, np.int64))
