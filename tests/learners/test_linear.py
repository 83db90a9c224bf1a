"""The linear learner: fits what it should, explains exactly, survives the bundle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import expit

from relcast.core.schema import TaskType
from relcast.learners import ModelPlan
from relcast.learners.contenders import candidate_features
from relcast.learners.deadline import Deadline
from relcast.learners.design import Design
from relcast.learners.features import Feature, FeatureSet, Recipe
from relcast.learners.folds import make_folds
from relcast.learners.learner import Settings, Work
from relcast.learners.linear import LinearModel, train, unpack
from relcast.learners.metrics import default_tune_metric
from relcast.learners.protocol import Asked, Fold, Target
from relcast.learners.shrinkage import (
    Squares,
    fit_absolute,
    fit_logistic,
    fit_softmax,
    fit_squares,
)
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
    squares = Squares.of(columns, weight)
    for penalty, (slopes, level) in zip(
        (5.0, 100.0), fit_squares(columns, label, weight, (5.0, 100.0), squares), strict=True
    ):
        shrink = np.diag([penalty] * 4 + [0.0])
        solved = np.linalg.solve(wide.T * weight @ wide + shrink, wide.T @ (weight * label))
        np.testing.assert_allclose(np.append(slopes, level), solved, rtol=1e-9)


def skewed(rows: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns, score, weight = drawn(rows)
    return columns, score + np.random.default_rng(3).exponential(2, rows) ** 2, weight


def test_absolute_errors_are_as_small_as_linear_programming_makes_them() -> None:
    columns, label, weight = skewed()
    rows, width = columns.shape
    # Least sum of w * (up + down) with columns @ slope + level + up - down = label.
    cost = np.concatenate([np.zeros(width + 1), weight, weight])
    each = np.eye(rows)
    equal = np.column_stack([columns, np.ones(rows), each, -each])
    bounds = [(None, None)] * (width + 1) + [(0, None)] * (2 * rows)
    least = linprog(cost, A_eq=equal, b_eq=label, bounds=bounds).fun
    squares = Squares.of(columns, weight)
    ((slopes, level),) = fit_absolute(columns, label, weight, (1e-6,), squares)
    error = np.abs(label - columns @ slopes[:, 0] - level)
    assert least <= weight @ error < 1.002 * least
    (mean,) = fit_squares(columns, label, weight, (1e-6,), squares)
    assert weight @ np.abs(label - columns @ mean[0][:, 0] - mean[1]) > 1.1 * least


def test_medians_follow_a_label_that_is_moved_and_stretched_and_shrink_to_the_median() -> None:
    columns, label, weight = skewed()
    squares = Squares.of(columns, weight)
    penalties = (1e9, 300.0, 3.0)
    plain = list(fit_absolute(columns, label, weight, penalties, squares))
    moved = list(fit_absolute(columns, -40.0 * label + 1e5, weight, penalties, squares))
    for (slopes, level), (other, place) in zip(plain, moved, strict=True):
        np.testing.assert_allclose(other, -40.0 * slopes, rtol=2e-2, atol=1e-3)
        np.testing.assert_allclose(place, -40.0 * level + 1e5, rtol=1e-4)
    lengths = [float(np.linalg.norm(slopes)) for slopes, _ in plain]
    assert lengths[0] < 1e-3 < lengths[1] < lengths[2]
    order = np.argsort(label)
    half = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    np.testing.assert_allclose(plain[0][1], label[order[half]], atol=0.2)


@pytest.mark.parametrize(("metric", "loss"), [("mae", "mae"), ("rmse", "mse")])
def test_a_skewed_number_is_fitted_to_what_the_metric_asks_for(
    metric: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(3000, 3)).astype(np.float32)
    label = columns[:, 0] + np.exp(2.0 * rng.normal(size=3000) + 0.5 * columns[:, 1])
    monkeypatch.setattr(LinearModel, "matrix", lambda _, given, asked, __: given[asked.entity])
    anchor = np.arange(3000) * 86_400 * 10**9
    asked = Asked.rolling(np.arange(3000), anchor)
    parts = [Fold(asked.take(p), label[p], None) for p in (slice(0, 2000), slice(2000, 3000))]
    recipe = Recipe("timing", "since last")
    listed = tuple(Feature(n, "t", None, None, "number", None, recipe) for n in "abc")
    settings = Settings(ModelPlan().budget(), metric, 0, 1, Deadline.after(None, 60))
    target = Target(TaskType.REGRESSION)
    work = Work(
        columns, None, target, *parts, FeatureSet("t", True, listed), settings, lambda *_: None
    )
    found = train(work)
    assert found.report["loss"] == loss
    tried = {trial.config["loss"] for trial in found.trials}
    assert tried == ({"mae", "mse"} if metric == "mae" else {"mse"})
    if metric == "mae":
        best = {w: min(t.validation for t in found.trials if t.config["loss"] == w) for w in tried}
        assert best["mae"] < 0.97 * best["mse"]
        # The refit has learned from validation rows as well.
        assert found.model.intercepts != found.validated.intercepts
    again = train(replace(work, settings=replace(settings, losses=("mse",))))
    assert {trial.config["loss"] for trial in again.trials} == {"mse"}


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
