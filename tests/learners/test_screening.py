"""Groups of features on trial: what moves on with time goes where it hurts, and stays where not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.features.spec import Feature, Recipe
from relcast.learners.learner import Settings, Work
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Asked, Fold, Target
from relcast.learners.screening import screen
from relcast.learners.trees import TreeModel

DAY = 86_400 * 10**9


def feature(name: str, *, shared: bool = False) -> Feature:
    recipe = Recipe("calendar", "year") if shared else Recipe("timing", "since last")
    return Feature(name, "customers", None, None, "number", None, recipe)


class Known(TreeModel):
    """A model whose features are given instead of computed: ``entity`` is a row of them."""

    def matrix(self, relations: object, asked: Asked, threads: int) -> np.ndarray:
        return relations[asked.entity]


def screened(columns: np.ndarray, label: np.ndarray, names: list[Feature]) -> object:
    rows = len(label)
    anchor = np.arange(rows) * DAY
    cut = rows * 4 // 5
    asked = Asked.rolling(np.arange(rows), anchor)
    train = Fold(asked.take(slice(0, cut)), label[:cut], None)
    valid = Fold(asked.take(slice(cut, rows)), label[cut:], None)
    target = Target(TaskType.REGRESSION)
    features = FeatureSet("customers", True, tuple(names))
    settings = Settings(
        replace(ModelPlan().budget(), features=50), "mae", 0, 1, Deadline.after(None, 60)
    )
    work = Work(columns, None, target, train, valid, features, settings, lambda *_: None)
    trees = Known("trees", target, features, ())
    return screen(work, trees, lambda fold: fold.label, train, valid)


@pytest.mark.parametrize("trend", [True, False])
def test_a_clock_stays_only_where_later_rows_follow_it(trend: bool) -> None:
    rng = np.random.default_rng(0)
    rows = 3000
    day = np.arange(rows, dtype=float)
    other = rng.normal(size=rows)
    # Either the level moves once and stays, or a wave turns right after what was learned.
    level = 4.0 * (day > 1000) if trend else 3.0 * np.sign(np.sin(day / 190))
    label = other + level + rng.normal(0, 0.3, rows)
    columns = np.column_stack([day, other]).astype(np.float32)
    found = screened(columns, label, [feature("clock"), feature("other")])
    kept = [f.name for f in found.features.features]
    assert kept == (["clock", "other"] if trend else ["other"])
    assert found.report["clocks"] == ([] if trend else ["clock"])


def test_what_all_share_goes_where_it_misleads_and_stays_where_it_does_not() -> None:
    rng = np.random.default_rng(1)
    rows, anchors = 4000, 20
    moment = np.arange(rows) * anchors // rows
    mood = rng.choice([-3.0, 3.0], anchors)[moment]
    turned = np.where(moment < anchors * 6 // 10, mood, -mood)  # what was true is not any more
    other = rng.normal(size=rows)
    label = 3 * other + mood
    columns = np.column_stack([turned, other]).astype(np.float32)
    found = screened(columns, label, [feature("weather", shared=True), feature("other")])
    assert found.report["shared"] == ["weather"]
    assert [f.name for f in found.features.features] == ["other"]
    useful = np.column_stack([mood, other]).astype(np.float32)
    found = screened(useful, label, [feature("weather", shared=True), feature("other")])
    assert found.report["shared"] == []
