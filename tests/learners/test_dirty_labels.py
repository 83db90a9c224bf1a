"""Labels that real data brings: extreme, constant, rare, unseen, and of very many classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.core.errors import ModelError
from relcast.learners import fit
from relcast.learners.trees import ClassMap
from tests.learners.worlds import BINARY, MULTICLASS, QUICK, REGRESSION, World


def _fit(world: World, query: str, plan=QUICK, **changes):
    table = world.table(query)
    examples = replace(table.examples, **changes)
    return fit(world.relations, table.query, replace(table, examples=examples), plan)


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e30, 1e150])
def test_numbers_of_any_size_are_learned_alike(world: World, size: float) -> None:
    plain = world.fit(REGRESSION).evaluation.model["test"]
    target = world.table(REGRESSION).examples.target * size
    scaled = _fit(world, REGRESSION, target=target).evaluation.model["test"]
    assert scaled.value("mae") == pytest.approx(plain.value("mae") * size, rel=0.05)


def test_a_few_absurd_numbers_do_not_stop_a_fit(world: World) -> None:
    target = world.table(REGRESSION).examples.target.copy()
    target[::97] = 1e308
    target[1::97] = -1e308
    model = _fit(world, REGRESSION, target=target)
    entity = np.arange(20)
    said = model.predict(world.relations, entity, np.full(20, 1_620_000_000 * 10**9)).values
    assert np.isfinite(said).all()


def test_numbers_whose_squares_are_none_are_left_out_and_counted(world: World) -> None:
    """Scores and metrics were infinite, which JSON shows as null."""
    target = world.table(REGRESSION).examples.target.copy()
    target[::2] = 1e308
    model = _fit(world, REGRESSION, target=target)
    assert any("so large (beyond 1e153)" in sentence for sentence in model.warnings)
    measured = model.evaluation.model["test"]
    assert all(np.isfinite(measured.value(name)) for name in ("mae", "mse", "rmse"))
    with pytest.raises(ModelError) as caught:
        _fit(world, REGRESSION, target=np.full(len(target), 1e308))
    assert caught.value.code == "model.no_training_rows"
    assert "Scale the column" in caught.value.hint


def test_one_training_row_is_enough_for_a_fit(world: World) -> None:
    """Bagging took eight tenths of the row, which is none, and LightGBM gave up."""
    examples = world.table(REGRESSION).examples
    split = np.where(examples.split == 0, -1, examples.split)
    split[np.flatnonzero(examples.split == 0)[0]] = 0
    model = _fit(world, REGRESSION, split=split)
    assert np.isfinite(model.evaluation.model["test"].value("mae"))


def test_a_constant_number_is_the_global_answer(world: World) -> None:
    model = _fit(world, REGRESSION, target=np.full(len(world.table(REGRESSION)), 7.25))
    assert model.evaluation.learner == "global mean"
    assert model.evaluation.model["test"].value("mae") == 0
    assert not model.evaluation.beats_baseline


def test_a_class_that_only_the_test_rows_have_is_scored(world: World) -> None:
    table = world.table(MULTICLASS)
    examples = table.examples
    target = examples.target.copy()
    last = np.flatnonzero(examples.split == 2)[:5]
    target[last] = len(examples.classes)
    classes = (*examples.classes, "never seen")
    model = _fit(world, MULTICLASS, target=target, classes=classes)
    assert model.target.width == len(classes)
    assert model.evaluation.model["test"].per_class["never seen"]["rows"] == 5
    assert any("never seen: 0" in sentence for sentence in model.warnings)
    scores = model.predict(world.relations, examples.entity[last], examples.anchor[last]).values
    assert scores.sum(axis=1) == pytest.approx(1)


def test_few_positives_are_counted_in_a_warning(world: World) -> None:
    examples = world.table(BINARY).examples
    target = np.zeros(len(examples))
    for split in range(3):
        target[np.flatnonzero(examples.split == split)[:4]] = 1
    model = _fit(world, BINARY, target=target)
    assert any("True: 4" in sentence for sentence in model.warnings)
    assert any("The test split has 4 true rows" in sentence for sentence in model.warnings)
    assert model.evaluation.warnings


def test_weights_of_examples_reach_the_model(world: World) -> None:
    examples = world.table(REGRESSION).examples
    weight = np.where(examples.target > np.median(examples.target), 20.0, 1.0)
    plan = replace(QUICK, num_experiments=0)
    heavy = _fit(world, REGRESSION, plan, weight=weight)
    plain = world.fit(REGRESSION, plan)
    median = "global median"
    assert heavy.evaluation.baselines[median]["test"].value("mae") != plain.evaluation.baselines[
        median
    ]["test"].value("mae")
    trees = _fit(world, REGRESSION, weight=weight)
    asked = world.table(REGRESSION).examples
    entity, anchor = asked.entity[:200], asked.anchor[:200]
    above = trees.predict(world.relations, entity, anchor).values.mean()
    assert above > world.fit(REGRESSION).predict(world.relations, entity, anchor).values.mean()


def test_very_many_classes_share_an_output() -> None:
    rng = np.random.default_rng(0)
    label = np.minimum(rng.zipf(1.3, 20_000), 500).astype(float) - 1
    made = ClassMap.of(label, None, 500)
    assert made.outputs == 60
    assert set(made.own) >= set(range(30))
    coded = made.encode(label)
    assert set(coded) == set(map(float, range(60)))
    spread = made.spread(np.full((3, 60), 1 / 60))
    assert spread.shape == (3, 500)
    assert spread.sum(axis=1) == pytest.approx(1)
    assert (spread > 0).all()
    few = ClassMap.of(label[label < 5], None, 5)
    assert few.outputs == 5
    assert (few.encode(np.arange(5.0)) == np.arange(5)).all()


def test_bounded_training_rows_are_reported(world: World) -> None:
    model = world.fit(REGRESSION, replace(QUICK, max_training_rows=500))
    report = model.lineage["training"]["training_rows"]
    assert report["rows"] == 500
    assert report["sampled"] is True
    assert (
        model.evaluation.model["test"].rows == world.fit(REGRESSION).evaluation.model["test"].rows
    )
