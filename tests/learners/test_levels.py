"""Levels of anchors, and what is learned within anchors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners import boosting
from relcast.learners.deadline import Deadline
from relcast.learners.features import Feature, FeatureSet, Recipe
from relcast.learners.learner import Settings, Work
from relcast.learners.levels import common_levels, has_levels
from relcast.learners.linear import LinearModel, train
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Asked, Fold, Target
from relcast.learners.training import train_trees
from relcast.learners.trees import TreeModel

DAY = 86_400 * 10**9


def test_levels_are_those_of_each_anchor_less_that_of_all() -> None:
    rng = np.random.default_rng(0)
    anchor = rng.permutation(np.repeat(np.arange(7), 31)) * DAY
    label = rng.exponential(size=len(anchor)) + anchor / DAY
    for middle, of in (("mean", np.mean), ("median", np.median)):
        levels = common_levels(label, anchor, None, middle)
        for moment in np.unique(anchor):
            here = anchor == moment
            expected = of(label[here]) - of(label)
            np.testing.assert_allclose(levels[here], expected, atol=1e-12)
    # A weight of two is a row that stands there twice.
    weight = rng.integers(1, 3, len(label)).astype(float)
    twice = np.repeat(np.arange(len(label)), weight.astype(int))
    for middle in ("mean", "median"):
        np.testing.assert_allclose(
            common_levels(label, anchor, weight, middle)[twice],
            common_levels(label[twice], anchor[twice], None, middle),
            atol=0.2 if middle == "median" else 1e-12,
        )


def test_levels_need_several_anchors_of_many_rows() -> None:
    assert has_levels(np.repeat(np.arange(5), 10))
    assert not has_levels(np.repeat(np.arange(3), 100))
    assert not has_levels(np.arange(1000))
    assert not has_levels(None)


def stormy(shocked: bool) -> Work:
    """Every anchor has a level, which a shared column tells until it does not, or always.

    Features are given instead of computed: ``entity`` is a row of them.
    """
    rng = np.random.default_rng(3)
    anchors, rows = 24, 80
    moment = np.repeat(np.arange(anchors), rows)
    storm = rng.normal(0, 4, anchors)
    told = storm
    if shocked:  # what it says of the level is chance, and turns out to be
        told = np.where(np.arange(anchors) < 12, storm, rng.normal(0, 4, anchors))
    own = rng.normal(0, 3, anchors * rows)
    label = own + storm[moment] + rng.exponential(1, anchors * rows)
    columns = np.column_stack([told[moment], own]).astype(np.float32)
    asked = Asked.rolling(np.arange(len(label)), moment * DAY)
    cut = 18 * rows
    parts = [Fold(asked.take(p), label[p], None) for p in (slice(0, cut), slice(cut, len(label)))]
    listed = tuple(
        Feature(n, "t", None, None, "number", None, Recipe("timing", "since last")) for n in "ab"
    )
    settings = Settings(
        replace(ModelPlan().budget(), iterations=100, experiments=5),
        "mae",
        0,
        1,
        Deadline.after(None, 60),
    )
    features = FeatureSet("t", True, listed)
    target = Target(TaskType.REGRESSION)
    return Work(columns, None, target, *parts, features, settings, lambda *_: None)


@pytest.mark.parametrize("shocked", [True, False])
def test_lines_do_not_learn_storms_by_heart(shocked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinearModel, "matrix", lambda _, given, asked, __: given[asked.entity])
    work = stormy(shocked)
    found = train(work)
    assert found.report["within_anchors"] is shocked
    best = {
        within: min(t.validation for t in found.trials if t.config["within_anchors"] is within)
        for within in (True, False)
    }
    assert (best[True] < 0.95 * best[False]) is shocked
    if shocked:
        slopes = found.model.slopes[:, 0] / found.model.design.scale
        by = dict(zip(found.model.design.source.tolist(), slopes.tolist(), strict=True))
        assert abs(by.get(0, 0.0)) < 0.05
        assert by[1] == pytest.approx(1.0, abs=0.15)
    # Rows of one anchor tell nothing of levels.
    still = replace(work.train, asked=Asked.rolling(work.train.asked.entity, None))
    assert not any(t.config["within_anchors"] for t in train(replace(work, train=still)).trials)


def test_trees_try_labels_less_their_level_once_objectives_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TreeModel, "matrix", lambda _, given, asked, __: given[asked.entity])
    learned: list[np.ndarray] = []
    relabel = boosting.relabel

    def heard(data: boosting.Data, label: np.ndarray) -> None:
        learned.append(label)
        relabel(data, label)

    monkeypatch.setattr(boosting, "relabel", heard)
    work = stormy(shocked=True)
    found = train_trees(work)
    tried = [trial.config for trial in found.trials]
    assert [config["centred"] for config in tried[:4]] == [False, False, False, True]
    best = min(found.trials[:3], key=lambda trial: trial.validation).config["objective"]
    assert tried[3]["objective"] == best
    # The very same labels but for one number for each anchor, after which anchors are alike.
    anchor = work.train.asked.anchor
    gone = learned[0] - learned[3]
    for moment in np.unique(anchor):
        assert np.ptp(gone[anchor == moment]) < 1e-12
    middle = np.mean if best == "regression" else np.median
    levels = [middle(learned[3][anchor == moment]) for moment in np.unique(anchor)]
    assert np.ptp(levels) < 1e-9 < np.ptp(gone)
    np.testing.assert_allclose(levels[0], middle(learned[0]), atol=1e-9)
    # The level of all is in what is said of anybody, also after the refit.
    said = found.model.raw(work.relations, 1)
    label = np.concatenate([work.train.label, work.valid.label])
    assert abs(np.median(said) - np.median(label)) < 1.5
    still = replace(work.train, asked=Asked.rolling(work.train.asked.entity, None))
    assert not any(t.config["centred"] for t in train_trees(replace(work, train=still)).trials)
