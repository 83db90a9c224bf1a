"""The linear learner: fits what it should, explains exactly, survives the bundle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from relcast.learners import ModelPlan
from relcast.learners.contenders import candidate_features
from relcast.learners.deadline import Deadline
from relcast.learners.design import Design
from relcast.learners.folds import make_folds
from relcast.learners.learner import Settings, Work
from relcast.learners.linear import LinearModel, train, unpack
from relcast.learners.metrics import default_tune_metric
from relcast.learners.protocol import Asked
from relcast.learners.shrinkage import fit_logistic, fit_softmax, fit_squares
from relcast.pql import check
from tests.learners.worlds import BINARY, MULTICLASS, REGRESSION, World


def never() -> bool:
    return False


def drawn(rows: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(rows, 4))
    return columns, columns @ [1.0, -2.0, 0.5, 0.0] + 3, rng.uniform(0.5, 2, rows)


def test_squares_are_the_normal_equations() -> None:
    columns, label, weight = drawn()
    wide = np.column_stack([columns, np.ones(len(columns))])
    for penalty, (slopes, level) in zip(
        (5.0, 100.0), fit_squares(columns, label, weight, (5.0, 100.0)), strict=True
    ):
        shrink = np.diag([penalty] * 4 + [0.0])
        solved = np.linalg.solve(wide.T * weight @ wide + shrink, wide.T @ (weight * label))
        np.testing.assert_allclose(np.append(slopes, level), solved, rtol=1e-9)


def test_logistic_and_softmax_of_two_classes_stand_at_their_minimum_and_agree() -> None:
    columns, score, weight = drawn()
    label = (np.random.default_rng(1).random(len(score)) < expit(score - 3)).astype(float)
    ((slopes, level),) = fit_logistic(columns, label, weight, (4.0,), never)
    said = expit(columns @ slopes[:, 0] + level)
    gradient = columns.T @ (weight * (said - label)) + 4.0 * slopes[:, 0]
    assert np.abs(gradient).max() < 0.05
    # Two outputs share the penalty: each is half of the difference, with twice the penalty.
    ((both, levels),) = fit_softmax(columns, label, weight, 2, (8.0,), never)
    raw = columns @ both + levels
    np.testing.assert_allclose(expit(raw[:, 1] - raw[:, 0]), said, atol=2e-3)


def test_a_design_fills_clips_flags_and_names_codes() -> None:
    rng = np.random.default_rng(2)
    number = rng.normal(size=1000)
    number[:100] = np.nan
    number[-1] = 1e9
    code = rng.integers(0, 3, 1000).astype(float)
    constant = np.ones(1000)
    values = np.column_stack([number, code, constant, number * 2]).astype(np.float32)
    design = Design.of(values, [1], None)
    assert sorted(design.kind[design.source == 0]) == [0, 1]
    assert (design.source != 2).all()
    assert list(design.kind[design.source == 3]) == [0]  # the flag is that of the first number
    columns = design.apply(values)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-9)
    assert columns.max() < 20
    np.testing.assert_allclose(
        design.gathered(columns, 4).sum(axis=1), columns.sum(axis=1), atol=1e-9
    )


def trained(world: World, query: str) -> LinearModel:
    asked = check(query, world.snapshot.graph)
    folds = make_folds(world.table(query).examples, asked, "rolling")
    settings = Settings(
        ModelPlan(run_mode="debug").budget(),
        default_tune_metric(asked.task_type),
        0,
        1,
        Deadline.after(None, 60),
    )
    work = Work(
        world.relations,
        asked,
        folds.target,
        folds.train,
        folds.validation,
        candidate_features(world.relations, asked, folds, 60),
        settings,
        lambda *_: None,
    )
    found = train(work)
    assert [trial.number for trial in found.trials] == list(range(len(found.trials)))
    assert found.report["columns"] == len(found.model.design)
    return found.model


@pytest.mark.parametrize("query", [REGRESSION, BINARY, MULTICLASS])
def test_it_trains_explains_and_is_read_again(world: World, query: str) -> None:
    linear = trained(world, query)
    rows = np.arange(40)
    anchor = np.full(40, (1_600_000_000 + 300 * 86_400) * 10**9)
    asked = Asked.rolling(rows, anchor)
    said = linear.predict(world.relations, asked, threads=1)
    assert len(np.unique(said)) > 20
    found = linear.explain(world.relations, asked, top=3, threads=1)
    moved = [sum(r["contribution"] for r in reasons) for reasons in found.reasons]
    np.testing.assert_allclose(found.base + found.rest + moved, found.raw, atol=1e-9)
    packed = linear.pack()
    read = unpack(packed.config, packed.arrays, packed.texts, linear.target)
    np.testing.assert_array_equal(read.predict(world.relations, asked, threads=1), said)
    if linear.classes is not None:
        np.testing.assert_allclose(said.sum(axis=1), 1)
        first = np.zeros(40, dtype=np.int64)
        other = linear.explain(world.relations, asked, top=3, threads=1, output=first)
        assert (other.raw != found.raw).any()


@pytest.mark.parametrize("broken", ["slopes", "design.scale", "design.source"])
def test_a_broken_bundle_is_refused(world: World, broken: str) -> None:
    linear = trained(world, REGRESSION)
    packed = linear.pack()
    arrays = dict(packed.arrays)
    arrays[broken] = arrays[broken] * 0 - 1 if broken != "slopes" else arrays[broken][:-1]
    with pytest.raises(ValueError, match=r"linear"):
        unpack(packed.config, arrays, packed.texts, linear.target)
