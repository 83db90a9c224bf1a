"""The count behind a label of yes or no: measured to be it, learned beside it, given back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners import ModelPlan, fit
from relcast.learners.contenders import unpack
from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.finer import Finer, finer_of
from relcast.learners.folds import Folds, make_folds
from relcast.learners.learner import Settings, Trained, Trial, Work
from relcast.learners.protocol import Contributions, Packed, Target
from relcast.pql import check
from relcast.tasks import evaluate_target
from tests.learners.worlds import BINARY, REGRESSION, World

COUNTED = "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id"
FEW = "PREDICT COUNT(orders.*, 0, 30, days) < 2 FOR EACH customers.customer_id"
CUT = (
    "PREDICT COUNT(orders.* WHERE orders.kind = 'tea', 0, 30, days) >= 1 "
    "FOR EACH customers.customer_id"
)
SUMMED = "PREDICT SUM(orders.price, 0, 30, days) > 20 FOR EACH customers.customer_id"


def folds_of(world: World, query: str) -> Folds:
    table = world.table(query)
    return make_folds(table.examples, table.query, "rolling")


def found(world: World, query: str, folds: Folds | None = None) -> Finer | None:
    folds = folds or folds_of(world, query)
    checked = world.table(query).query
    return finer_of(world.relations, checked, folds.target, folds.train, folds.validation)


@pytest.mark.parametrize(("query", "sign"), [(COUNTED, 1), (FEW, -1), (CUT, 1), (BINARY, 1)])
def test_the_count_behind_a_label(world: World, query: str, sign: int) -> None:
    finer, folds = found(world, query), folds_of(world, query)
    assert finer is not None
    assert finer.sign == sign
    bare = query.replace(" WHERE COUNT(orders.*, -90, 0, days) > 0", "")
    for condition in (" > 1", " < 2", " >= 1"):
        bare = bare.replace(condition, "")
    asked = folds.train.asked
    truth = evaluate_target(
        world.snapshot, check(bare, world.snapshot.graph), asked.entity, asked.anchor
    )
    mine = np.nan_to_num(finer.count.of(world.relations, asked))
    np.testing.assert_array_equal(mine, truth)
    assert finer.most <= truth.max()


def test_only_counts_that_are_measured_to_be_behind_the_label(world: World) -> None:
    assert found(world, SUMMED) is None
    assert found(world, REGRESSION) is None
    folds = folds_of(world, COUNTED)
    label = folds.train.label.copy()
    label[np.argmax(label)] = 0.0
    assert found(world, COUNTED, replace(folds, train=replace(folds.train, label=label))) is None


@pytest.mark.parametrize("query", [COUNTED, FEW])
def test_what_is_said_of_counts_becomes_a_probability(world: World, query: str) -> None:
    finer, folds = found(world, query), folds_of(world, query)
    assert finer is not None
    counts = np.nan_to_num(finer.count.of(world.relations, folds.validation.asked))

    class Knowing:
        name = "knowing"

        def predict(self, relations, asked, *, threads):
            rng = np.random.default_rng(0)
            return counts[: len(asked)] + rng.normal(0, 1, len(asked))

        def explain(self, relations, asked, *, top, threads, output=None):
            rows = len(asked)
            raw = self.predict(relations, asked, threads=1)
            return Contributions(raw, np.full(rows, 0.2), ((),) * rows, raw - 0.2)

        def pack(self):
            return Packed({"kind": "knowing"}, {}, {})

    inner = Knowing()
    trial = Trial(0, {}, 1, 2.5, 0.1, False)
    settings = Settings(ModelPlan().budget(), "auroc", 0, 1, Deadline.after(None, 60))
    checked = world.table(query).query
    nothing = FeatureSet("customers", True, ())
    parts = (folds.train, folds.validation, nothing, settings, lambda *_: None)
    work = Work(world.relations, checked, folds.target, *parts)
    asked = finer.ask(work)
    assert asked.target.task_type is TaskType.REGRESSION
    assert asked.settings.metric == "mse"
    np.testing.assert_array_equal(asked.valid.label, np.minimum(counts, finer.most))
    answer = finer.answer(Trained(inner, inner, (trial,)), work)
    assert answer.model is answer.validated
    assert np.isnan(answer.trials[0].validation)
    said = answer.model.predict(world.relations, folds.validation.asked, threads=1)
    assert abs(said.mean() - folds.validation.label.mean()) < 0.02
    assert np.corrcoef(said, counts)[0, 1] * finer.sign > 0.5
    reasons = answer.model.explain(world.relations, folds.validation.asked, top=3, threads=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-reasons.raw)), said)
    np.testing.assert_allclose(reasons.base + reasons.rest, reasons.raw)


def test_trees_learn_both_ways_and_come_back_from_a_bundle(world: World) -> None:
    table = world.table(COUNTED)
    plan = ModelPlan(
        threads=1, num_experiments=1, bootstrap_resamples=20, learners=("linear", "trees")
    )
    model = fit(world.relations, table.query, table, plan)
    learners = {entry.learner for entry in model.leaderboard}
    assert {"linear", "trees", "trees on the count"} <= learners
    assert "linear on the count" not in learners
    for entry in model.leaderboard:
        if entry.learner == "trees on the count" and entry.trial is not None:
            assert entry.validation is None
    assert model.certificate.passed, model.certificate.failures
    asked = make_folds(table.examples, table.query, "rolling").test.asked
    packed = model.predictor.pack()
    again = unpack(packed.config, packed.arrays, packed.texts, model.target)
    np.testing.assert_array_equal(
        again.predict(world.relations, asked, threads=1),
        model.predictor.predict(world.relations, asked, threads=1),
    )
    parts = again.explain(world.relations, asked.take(slice(0, 20)), top=5, threads=1)
    moved = [sum(r["contribution"] for r in reasons) for reasons in parts.reasons]
    np.testing.assert_allclose(parts.base + parts.rest + moved, parts.raw, atol=1e-9)


def test_a_damaged_bundle_is_refused() -> None:
    config = {"kind": "of_counts", "inner": {"kind": "constant"}, "slope": 1.0, "offset": 0.0}
    target = Target(TaskType.BINARY_CLASSIFICATION)
    for damage in ({"slope": 0.0}, {"slope": float("nan")}, {"inner": {"kind": "of_counts"}}):
        with pytest.raises(ValueError, match="count"):
            unpack({**config, **damage}, {}, {}, target)
