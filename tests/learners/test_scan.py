"""The leak scan finds what is planted, and blames nobody else (reliability.md D5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from relcast.core.schema import TaskType
from relcast.learners.features import Feature, FeatureSet, Recipe
from relcast.learners.protocol import Asked, Fold, Target
from relcast.learners.scan import scan
from relcast.tasks import Lists

FEATURES = 12
TASKS = [t for t in TaskType if t is not TaskType.STATIC_LINK_PREDICTION]


@dataclass(frozen=True)
class Case:
    """A task with honest features, of which one may be replaced by a leak."""

    fold: Fold
    target: Target
    values: np.ndarray
    features: FeatureSet


def _case(seed: int, task: TaskType) -> Case:
    """Draw entities with a habit; features are the habit with noise, noise, and a name."""
    rng = np.random.default_rng([seed, TASKS.index(task)])
    entities = int(rng.integers(80, 400))
    entity = np.repeat(np.arange(entities), int(rng.integers(4, 9)))
    n = len(entity)
    habit = rng.normal(size=entities)[entity]
    values = rng.normal(size=(n, FEATURES)).astype(np.float32)
    for k in range(4):  # honest: they say much, not all
        values[:, k] = habit + rng.normal(0, rng.uniform(0.5, 2), n)
    values[:, 4] = entity
    values[rng.random((n, FEATURES)) < 0.1] = np.nan
    label, lists, target = _label(rng, task, habit)
    kinds = ["number"] * FEATURES
    kinds[4] = "category"
    features = FeatureSet("people", True, tuple(_feature(k, kind) for k, kind in enumerate(kinds)))  # type: ignore[arg-type]
    asked = Asked.rolling(entity, np.zeros(n, dtype=np.int64))
    return Case(Fold(asked, label, None, lists), target, values, features)


def _feature(number: int, kind: str) -> Feature:
    return Feature(
        name=f"feature {number}",
        kind=kind,
        table="people",
        column=None,
        window=None,
        categories=None,
        recipe=Recipe("own", "value"),
    )


def _label(rng, task: TaskType, habit: np.ndarray):
    n = len(habit)
    noisy = habit + rng.normal(0, 0.7, n)
    if task is TaskType.REGRESSION:
        return noisy, None, Target(task)
    if task is TaskType.FORECASTING:
        return noisy[:, None] + rng.normal(0, 0.5, (n, 3)), None, Target(task, horizon=3)
    if task is TaskType.BINARY_CLASSIFICATION:
        return (noisy > rng.uniform(-0.5, 1.5)).astype(float), None, Target(task)
    if task is TaskType.MULTICLASS_CLASSIFICATION:
        return np.digitize(noisy, [-0.7, 0.2, 1.0]).astype(float), None, Target(task, tuple("abcd"))
    classes = tuple("abcdef") if task is not TaskType.TEMPORAL_LINK_PREDICTION else None
    rows = []
    for value in noisy:
        first = int(np.clip(value + 2.5, 0, 5))
        other = int(rng.integers(0, 6))
        rows.append([first] if other == first or rng.random() < 0.5 else [first, other])
    offsets = np.append(0, np.cumsum([len(r) for r in rows])).astype(np.int64)
    lists = Lists(offsets, np.array([v for r in rows for v in r], dtype=np.int64))
    return np.zeros((n, 0)), lists, Target(task, classes, items=None if classes else "things")


def _planted(case: Case, seed: int) -> tuple[Case, int]:
    """Replace a feature by a copy of the target, or by a column that is filled in later."""
    rng = np.random.default_rng([seed, 99])
    place = int(rng.integers(5, FEATURES))
    truth = case.fold.label
    if case.target.task_type is TaskType.MULTILABEL_CLASSIFICATION:
        lists = case.fold.lists
        owner = np.repeat(np.arange(len(lists)), lists.lengths)
        truth = np.isin(np.arange(len(lists)), owner[lists.values == 2]).astype(float)
    elif case.fold.lists is not None:
        truth = case.fold.lists.values[case.fold.lists.offsets[:-1]].astype(float)
    elif truth.ndim == 2:
        truth = truth.sum(axis=1)
    leak = 3 * truth + 7
    binary = case.target.task_type is TaskType.BINARY_CLASSIFICATION
    if binary and seed % 2:  # filled in when it has happened, missing otherwise
        leak = np.where(truth > 0, rng.normal(size=len(truth)), np.nan)
    elif case.fold.lists is None and not binary and case.target.classes is None and seed % 2:
        leak = np.exp(np.clip(truth, -20, 20))  # any monotone form of it
    values = case.values.copy()
    values[:, place] = leak.astype(np.float32)
    return Case(case.fold, case.target, values, case.features), place


def _run(case: Case) -> tuple:
    return scan(case.features, case.values, case.fold, case.target, np.random.default_rng(0))


def _rates(task: TaskType, seeds: range) -> tuple[float, float]:
    """Return how often a leak was found, and how often an honest table was blamed."""
    found = blamed = 0
    for seed in seeds:
        case = _case(seed, task)
        blamed += bool(_run(case))
        leaky, place = _planted(case, seed)
        names = [s.feature for s in _run(leaky)]
        found += f"feature {place}" in names
        blamed += any(name != f"feature {place}" for name in names)
    return found / len(seeds), blamed / (2 * len(seeds))


@pytest.mark.parametrize("task", TASKS)
def test_planted_leaks_are_found(task: TaskType) -> None:
    found, blamed = _rates(task, range(12))
    assert found == 1.0
    assert blamed == 0.0


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_two_hundred_planted_leaks(task: TaskType) -> None:
    found, blamed = _rates(task, range(200))
    assert found >= 0.99
    assert blamed <= 0.02


def test_that_the_past_repeats_itself_is_no_leak() -> None:
    case = _case(1, TaskType.REGRESSION)
    habit = case.fold.label
    rng = np.random.default_rng(0)
    values = case.values.copy()
    values[:, 5] = habit + rng.normal(0, 0.05, len(habit))  # the target's own past
    values[:, 6] = habit + rng.normal(0, 0.05, len(habit))  # another sum that moves with it
    past = list(case.features.features)
    past[5] = Feature(
        name="past",
        kind="number",
        table="people",
        column=None,
        window=None,
        categories=None,
        recipe=Recipe("past", "value"),
    )
    honest = Case(case.fold, case.target, values, FeatureSet("people", True, tuple(past)))
    assert _run(honest) == ()
    values[:, 7] = habit  # and what holds the answer is still named
    (leak,) = _run(Case(case.fold, case.target, values, honest.features))
    assert leak.feature == "feature 7"
    assert leak.past is not None
    assert leak.past > 0.98
    assert "feature 7 alone reaches r2" in leak.sentence


def test_a_name_tells_nothing_and_few_rows_tell_nothing() -> None:
    case = _case(2, TaskType.REGRESSION)
    label = np.random.default_rng(0).normal(size=1000)[
        case.fold.asked.entity
    ]  # one value for each entity
    same = Case(Fold(case.fold.asked, label, None), case.target, case.values, case.features)
    assert _run(same) == ()
    leaky, _ = _planted(case, 2)
    few = Case(
        leaky.fold.take(np.arange(90), None), leaky.target, leaky.values[:90], leaky.features
    )
    assert _run(few) == ()
