"""Networks learn, give the same bits for the same seed, and survive being packed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra gnn is not installed")

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType
from relcast.learners import FittedModel, ModelPlan, gnn
from relcast.learners.deadline import Deadline
from relcast.learners.gnn.reader import Reader
from relcast.learners.metrics import metrics_of
from relcast.learners.protocol import Asked, Target
from tests.learners.gnn.works import FAST, folds_of, states, work_of
from tests.learners.worlds import BINARY, DAY, MULTICLASS, REGRESSION, STATIC_CLASS

EACH = "FOR EACH customers.customer_id"
FORECAST = f"PREDICT SUM(orders.price, 0, 30, days) FORECAST 3 TIMEFRAMES {EACH}"
LABELS = f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CLASSIFY {EACH}"


def value(folds, metric, said):
    found = metrics_of(folds.target.task_type, folds.validation, said)
    return found.compute((metric,))[metric]


@pytest.fixture(scope="module")
def binary(world):
    folds = folds_of(world, BINARY)
    return folds, gnn.train(work_of(world.relations, BINARY, folds, budget=FAST))


def test_it_learns_from_the_neighbourhood_alone(world):
    folds = folds_of(world, BINARY)
    work = work_of(world.relations, BINARY, folds, budget=FAST, features=0)
    model = gnn.train(work).model
    assert not model.features.features
    said = model.predict(world.relations, folds.validation.asked, threads=1)
    assert said.shape == (len(folds.validation),)
    assert value(folds, "auroc", said) > 0.75


def test_it_learns_numbers_better_than_the_median(world):
    folds = folds_of(world, REGRESSION)
    reports = []
    work = work_of(
        world.relations, REGRESSION, folds, budget=FAST, report=lambda *r: reports.append(r)
    )
    trained = gnn.train(work)
    said = trained.model.predict(world.relations, folds.validation.asked, threads=1)
    median = np.full(len(said), np.median(folds.train.label))
    assert value(folds, "mae", said) < 0.9 * value(folds, "mae", median)
    best = min(r[3] for r in reports)
    assert trained.trials[0].validation == pytest.approx(best)
    assert value(folds, "mae", said) == pytest.approx(best)
    assert [r[:3] for r in reports[:2]] == [(0, 1, "mae"), (0, 2, "mae")]


@pytest.mark.parametrize("query", [MULTICLASS, STATIC_CLASS])
def test_classes_are_probabilities_and_better_than_guessing(world, query):
    folds = folds_of(world, query)
    model = gnn.train(work_of(world.relations, query, folds, budget=FAST)).model
    said = model.predict(world.relations, folds.validation.asked, threads=1)
    assert said.shape == (len(folds.validation), folds.target.width)
    assert np.allclose(said.sum(axis=1), 1)
    most = np.bincount(folds.validation.label.astype(int)).max() / len(said)
    assert value(folds, "acc", said) > most


def test_the_same_seed_gives_the_same_bits_whatever_the_number_of_threads(world):
    folds = folds_of(world, BINARY)
    models = [
        gnn.train(work_of(world.relations, BINARY, folds, threads=threads, seed=seed)).model
        for threads, seed in ((1, 3), (2, 3), (1, 4))
    ]
    one, two, other = (states(model) for model in models)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert any(not np.array_equal(one[k], other[k]) for k in one.keys() & other.keys())
    said = [
        models[0].predict(world.relations, folds.validation.asked, threads=threads)
        for threads in (1, 3)
    ]
    assert np.array_equal(*said)


def test_what_is_asked_beside_does_not_change_a_prediction_much(world, binary):
    folds, trained = binary
    asked = folds.validation.asked.take(np.arange(20))
    whole = trained.model.predict(world.relations, asked, threads=1)
    alone = [
        trained.model.predict(world.relations, asked.take(np.array([k])), threads=1)[0]
        for k in range(20)
    ]
    assert np.allclose(whole, alone, atol=1e-5)


def test_packed_and_rebuilt_it_says_the_same(world, binary):
    folds, trained = binary
    packed = trained.model.pack()
    config = json.loads(json.dumps(packed.config))
    assert config["kind"] == "gnn"
    assert all(str(a.dtype) in ("float32", "int64", "int32") for a in packed.arrays.values())
    again = gnn.unpack(config, packed.arrays, packed.texts, folds.target)
    asked = folds.validation.asked
    assert np.array_equal(
        again.predict(world.relations, asked, threads=1),
        trained.model.predict(world.relations, asked, threads=1),
    )


def test_a_bundle_that_does_not_fit_is_refused(binary):
    folds, trained = binary
    packed = trained.model.pack()
    config = json.loads(json.dumps(packed.config))
    name = next(k for k in packed.arrays if k.endswith("head.weight"))
    narrow = {**packed.arrays, name: packed.arrays[name][:, :1]}
    missing = {k: v for k, v in packed.arrays.items() if k != name}
    for arrays in (narrow, missing):
        with pytest.raises(ValueError, match="weights"):
            gnn.unpack(config, arrays, {}, folds.target)
    config["members"][0]["shape"]["aggregations"] = ["median"]
    with pytest.raises(ValueError, match="aggregates"):
        gnn.unpack(config, packed.arrays, {}, folds.target)


def test_embeddings_tell_entities_apart(world, binary):
    folds, trained = binary
    asked = folds.validation.asked
    found = trained.model.embed(world.relations, asked)
    assert found.dtype == np.float32
    assert found.shape == (len(asked), trained.model.members[0].shape.channels)
    assert len(np.unique(found, axis=0)) > len(asked) // 2


def test_a_warm_start_begins_where_the_earlier_model_ended(world, binary):
    folds, trained = binary
    values = []
    for start in (None, trained.model):
        reports = []
        work = work_of(world.relations, BINARY, folds, report=lambda *r, to=reports: to.append(r))
        found = gnn.train(work, start=start)
        values.append(reports[0][3])
        assert found.report["warm_start"] == (start is not None)
    assert values[1] > values[0]


def test_a_deadline_that_has_passed_still_gives_a_model(world):
    folds = folds_of(world, BINARY)
    over = Deadline(processor=0.0)
    trained = gnn.train(work_of(world.relations, BINARY, folds, budget=FAST, deadline=over))
    assert len(trained.trials) == 1
    assert trained.report["out_of_time"]
    said = trained.model.predict(world.relations, folds.validation.asked, threads=1)
    assert np.isfinite(said).all()


def test_nobody_asked_is_no_trouble(world, binary):
    _, trained = binary
    none = np.zeros(0, dtype=np.int64)
    assert trained.model.predict(world.relations, Asked(none, none, none), threads=1).shape == (0,)


def test_it_says_which_tasks_it_fits(world):
    assert gnn.available()
    folds = folds_of(world, BINARY)
    work = work_of(world.relations, BINARY, folds)
    with pytest.raises(ModelError, match="static_link_prediction") as caught:
        gnn.train(replace(work, target=Target(TaskType.STATIC_LINK_PREDICTION)))
    assert caught.value.code == "model.task_type"


def test_without_torch_it_says_what_to_install(world, monkeypatch):
    folds = folds_of(world, BINARY)
    monkeypatch.setattr(gnn, "find_spec", lambda _: None)
    assert not gnn.available()
    with pytest.raises(ModelError) as caught:
        gnn.train(work_of(world.relations, BINARY, folds))
    assert caught.value.code == "model.needs_torch"
    assert "relcast[gnn]" in str(caught.value.hint)


def test_a_fit_publishes_it_and_a_bundle_brings_it_back(world, tmp_path):
    plan = ModelPlan(
        run_mode="fast", threads=1, bootstrap_resamples=20, learners=("gnn",), num_experiments=1
    )
    model = world.fit(BINARY, plan)
    assert sum(entry.learner == "gnn" for entry in model.leaderboard) == 2  # trial and result
    assert model.predictor.pack().config["kind"] == "gnn"
    assert model.certificate.probe.predictions_moved == 0
    model.save(tmp_path / "model")
    again = FittedModel.load(tmp_path / "model")
    asked = folds_of(world, BINARY).validation.asked
    said = [m.predictor.predict(world.relations, asked, threads=1) for m in (model, again)]
    assert np.array_equal(*said)


@pytest.mark.parametrize("query", [BINARY, REGRESSION, MULTICLASS])
def test_base_reasons_and_rest_add_up_to_the_raw_score(world, query):
    folds = folds_of(world, query)
    model = gnn.train(work_of(world.relations, query, folds)).model
    asked = folds.validation.asked.take(np.arange(40))
    raw = model.head.unscaled(model.raw(world.relations, asked, threads=1))
    found = model.explain(world.relations, asked, top=400, threads=1)
    assert np.allclose(found.raw, raw.max(axis=1), atol=1e-4)
    for k, reasons in enumerate(found.reasons):
        total = found.base[k] + sum(r["contribution"] for r in reasons) + found.rest[k]
        assert total == pytest.approx(found.raw[k], abs=1e-9)
        sizes = [abs(r["contribution"]) for r in reasons]
        assert sizes == sorted(sizes, reverse=True)
    moved = np.abs(found.raw - found.base)
    assert np.median(np.abs(found.rest)) < 0.2 * np.median(moved) + 0.02
    names = {r["feature"] for reasons in found.reasons for r in reasons}
    assert "orders.price of orders rows around it" in names
    assert "customers.segment" in names
    assert names & {f.name for f in model.features.features}
    few = model.explain(world.relations, asked, top=3, threads=1)
    assert all(len(reasons) <= 3 for reasons in few.reasons)
    assert few.reasons[0] == found.reasons[0][:3]


def test_any_class_can_be_explained(world):
    folds = folds_of(world, MULTICLASS)
    model = gnn.train(work_of(world.relations, MULTICLASS, folds)).model
    asked = folds.validation.asked.take(np.arange(4))
    raw = model.raw(world.relations, asked, threads=1)
    for output in range(2):
        found = model.explain(world.relations, asked, top=5, threads=1, output=np.full(4, output))
        assert np.allclose(found.raw, raw[:, output], atol=1e-5)


def test_forecasts_have_a_value_per_step(world):
    folds = folds_of(world, FORECAST)
    model = gnn.train(work_of(world.relations, FORECAST, folds, budget=FAST)).model
    asked = folds.validation.asked
    said = model.predict(world.relations, asked, threads=1)
    assert said.shape == (len(asked), 3)
    median = np.full(said.shape, np.median(folds.train.label))
    assert value(folds, "mae", said) < 0.95 * value(folds, "mae", median)
    few = asked.take(np.arange(3))
    for step in (None, 2):
        output = None if step is None else np.full(3, step)
        found = model.explain(world.relations, few, top=4, threads=1, output=output)
        assert np.allclose(found.raw, said[:3, step or 0], atol=1e-3)


def test_labels_have_probabilities_of_their_own(world):
    folds = folds_of(world, LABELS)
    model = gnn.train(work_of(world.relations, LABELS, folds, budget=FAST)).model
    said = model.predict(world.relations, folds.validation.asked, threads=1)
    assert said.shape == (len(folds.validation), folds.target.width)
    assert ((said > 0) & (said < 1)).all()
    assert not np.allclose(said.sum(axis=1), 1)
    shares = np.tile(said.mean(axis=0), (len(said), 1))
    assert value(folds, "ap_macro", said) > 1.2 * value(folds, "ap_macro", shares)


def test_other_losses_can_be_asked_for(world):
    states_of = {}
    for query, losses in (
        (REGRESSION, None),
        (REGRESSION, ("quantile", "mae")),
        (REGRESSION, ("mse",)),
        (BINARY, None),
        (BINARY, ("focal",)),
        (BINARY, ("mae",)),  # no loss of classes: the network takes its own
    ):
        folds = folds_of(world, query)
        work = work_of(world.relations, query, folds)
        work = replace(work, settings=replace(work.settings, losses=losses))
        model = gnn.train(work).model
        states_of[query, losses] = states(model)["gnn.0.head.weight"]
        assert model.head.asked == {"quantile": "mae"}.get(
            losses[0] if losses else None,
            losses[0] if losses in (("mse",), ("focal",)) else None,
        )
    assert not np.array_equal(states_of[REGRESSION, None], states_of[REGRESSION, ("mse",)])
    assert not np.array_equal(states_of[BINARY, None], states_of[BINARY, ("focal",)])
    assert np.array_equal(states_of[BINARY, None], states_of[BINARY, ("mae",)])


def test_columns_that_are_left_out_are_not_read(world):
    folds = folds_of(world, BINARY)
    work = work_of(world.relations, BINARY, folds)
    closed = frozenset({("orders", "price"), ("orders", "product_id")})
    work = replace(work, settings=replace(work.settings, leave_out=closed))
    model = gnn.train(work).model
    columns = {(code.table, c.column) for code in model.codes for c in code.columns}
    assert ("orders", "kind") in columns
    assert ("orders", "price") not in columns
    assert {edge.link.foreign_key for edge in model.edges} == {"customer_id"}
    assert [code.table for code in model.codes] == ["customers", "orders"]


def test_frozen_examples_are_learned_from_stale_ones(world):
    folds = folds_of(world, REGRESSION)
    asked = folds.validation.asked
    late = replace(asked, known=asked.anchor - 20 * DAY)
    frozen = replace(folds, validation=replace(folds.validation, asked=late))
    work = work_of(world.relations, REGRESSION, frozen)
    seen = []

    def keep(self, asked, own, batch=Reader.batch):
        seen.append(asked)
        return batch(self, asked, own)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "batch", keep)
        model = gnn.train(work).model
    behind = np.concatenate([asked.anchor - asked.known for asked in seen])
    assert set(np.unique(behind)) == {0, 20 * DAY}
    said = model.predict(world.relations, late, threads=1)
    assert np.isfinite(said).all()


def test_a_refit_reads_validation_as_well(world):
    folds = folds_of(world, BINARY)
    budget = replace(FAST, refit=True)
    trained = gnn.train(work_of(world.relations, BINARY, folds, budget=budget))
    assert trained.report["refit"]
    assert trained.model.members[0].epochs == trained.validated.members[0].epochs
    before, after = states(trained.validated), states(trained.model)
    assert any(not np.array_equal(before[k], after[k]) for k in before)
    said = trained.model.predict(world.relations, folds.validation.asked, threads=1)
    assert value(folds, "auroc", said) > 0.75
