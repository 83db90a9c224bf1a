"""Baselines know an entity's labels only once their windows are complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from relcast.core.schema import Link, TaskType
from relcast.learners.baselines import (
    HistoryBaseline,
    WindowBaseline,
    global_baselines,
    history_baselines,
    unpack,
)
from relcast.learners.contenders import candidate_features, make_baselines
from relcast.learners.features import FeatureSet
from relcast.learners.folds import label_known_at, make_folds
from relcast.learners.history import History
from relcast.learners.protocol import Asked, Target
from relcast.pql import check
from relcast.relations import build
from relcast.tasks import evaluate_target
from tests.learners.worlds import BINARY, DAY, MULTICLASS, QUICK, REGRESSION, World
from tests.relations.databases import Database


@pytest.mark.parametrize("statistic", ["mean", "median", "last", "mode"])
def test_history_equals_a_slow_recomputation(world: World, statistic: str) -> None:
    rng = np.random.default_rng(5)
    n, entities = 600, 40
    frame = pd.DataFrame(
        {
            "entity": rng.integers(0, entities, n),
            "known": rng.integers(0, 50, n),
            "label": rng.integers(0, 4, n).astype(float),
        }
    )
    history = History.build(
        world.relations,
        "customers",
        frame["entity"].to_numpy(),
        frame["known"].to_numpy(),
        frame["label"].to_numpy(),
    )
    asked = rng.integers(0, entities + 5, 400)
    until = rng.integers(-2, 55, 400)
    place = history.places(world.relations, asked, until)
    found = np.append(history.running(statistic, 4), np.nan)[place]
    for i in range(400):
        mine = frame[(frame["entity"] == asked[i]) & (frame["known"] <= until[i])]
        mine = mine.sort_values(["known", "label"])["label"]
        if mine.empty:
            assert np.isnan(found[i])
        elif statistic == "mean":
            assert found[i] == pytest.approx(mine.mean())
        elif statistic == "median":
            assert found[i] == mine.median()
        elif statistic == "last":
            assert found[i] == mine.iloc[-1]
        else:
            assert (mine == found[i]).sum() == mine.value_counts().max()


def test_a_label_counts_only_when_its_window_is_complete(world: World) -> None:
    table = world.table(REGRESSION)
    known = label_known_at(table.query, np.array([0, 5 * DAY]), world.relations)
    assert known.tolist() == [30 * DAY, 35 * DAY]
    history = History.build(
        world.relations, "customers", np.zeros(2, np.int64), known, np.array([1.0, 9.0])
    )
    baseline = HistoryBaseline(
        "entity mean", Target(TaskType.REGRESSION), "mean", history, np.array([-1.0])
    )
    anchor = np.array([30 * DAY - 1, 30 * DAY, 35 * DAY - 1, 35 * DAY])
    said = baseline.predict(world.relations, Asked.rolling(np.zeros(4, np.int64), anchor))
    assert said.tolist() == [-1.0, 1.0, 1.0, 5.0]
    frozen = Asked(np.zeros(1, np.int64), anchor[3:], anchor[:1])
    assert baseline.predict(world.relations, frozen).tolist() == [-1.0]


def test_the_last_known_value_is_that_of_the_newest_row(world: World) -> None:
    table = world.table(MULTICLASS)
    folds = make_folds(table.examples, table.query, "rolling")
    features = candidate_features(world.relations, table.query, folds, 400)
    found = {b.name: b for b in make_baselines(world.relations, table.query, folds, features)}
    asked = folds.test.asked
    values = found["last known value"].values(world.relations, asked, 1)
    orders = pq.read_table(world.snapshot.tables["orders"].path).to_pandas()
    keys = world.relations.tables["customers"].keys().to_pylist()
    classes = list(folds.target.classes)
    for i in range(0, len(asked), 5):
        mine = orders[orders["customer_id"] == keys[asked.entity[i]]]
        mine = mine[mine["at"].astype("datetime64[ns]").astype("int64") <= asked.anchor[i]]
        if mine.empty:
            assert np.isnan(values[i])
        else:
            assert classes[int(values[i])] == mine.sort_values(["at", "order_id"])["kind"].iloc[-1]


@pytest.mark.parametrize("query", [REGRESSION, BINARY])
def test_the_own_past_window_is_the_target_of_the_window_before(world: World, query: str) -> None:
    table = world.table(query)
    folds = make_folds(table.examples, table.query, "rolling")
    features = candidate_features(world.relations, table.query, folds, 400)
    found = {b.name: b for b in make_baselines(world.relations, table.query, folds, features)}
    window = found["own past window"]
    asked = folds.test.asked
    values = window.values(world.relations, asked, 1)
    truth = evaluate_target(
        world.snapshot,
        table.query,
        asked.entity,
        asked.anchor,
        windows_back=1,
        classes=folds.target.classes,
    )
    some = ~np.isnan(values)
    assert some.mean() > 0.3
    assert values[some] == pytest.approx(truth[some], rel=1e-6)


def test_classes_that_are_numbers_are_not_taken_for_their_places(tmp_path: Path) -> None:
    """Codes 7, 12 and 40 are places 0, 1 and 2; a code of the past that is no class is unknown."""
    day = np.datetime64("2020-01-01", "ns") + np.arange(90) * np.timedelta64(1, "D")
    codes = np.tile([7, 12, 40], 30)
    codes[60:] = np.tile([7, 12, 7], 10)
    db = Database(
        {
            "users": pd.DataFrame({"id": [1, 2]}),
            "events": pd.DataFrame(
                {"user": np.repeat([1, 2], 90), "at": np.tile(day, 2), "code": np.tile(codes, 2)}
            ),
        },
        {"users": {"id": "id"}, "events": {"user": "id", "at": "time", "code": "code"}},
        {"users": "id", "events": None},
        {"events": "at"},
        links=(Link("events", "user", "users"),),
    )
    snapshot = db.snapshot(tmp_path)
    relations = build(snapshot)
    query = check("PREDICT LAST(events.code, 0, 1, days) FOR EACH users.id", snapshot.graph)
    features = FeatureSet.generate(relations, query)
    (place,) = (k for k, f in enumerate(features.features) if f.recipe.measure == "value"
                and f.recipe.family == "past" and f.recipe.other == 0)  # fmt: skip
    target = Target(TaskType.MULTICLASS_CLASSIFICATION, (7, 12))
    baseline = WindowBaseline("own past window", target, features.select([place]), np.full(2, 0.5))
    anchors = day[[0, 1, 2, 3, 61]].astype(np.int64)
    values = baseline.values(relations, Asked.rolling(np.zeros(5, np.int64), anchors), 1)
    assert values.tolist()[:2] == [0.0, 1.0]
    assert np.isnan(values[2])
    assert values.tolist()[3:] == [0.0, 1.0]


def test_global_baselines_are_of_training_labels() -> None:
    label = np.array([1.0, 2.0, 2.0, 10.0])
    mean, median = global_baselines(Target(TaskType.REGRESSION), label)
    assert (mean.answer[0], median.answer[0]) == (3.75, 2.0)
    heavy = np.array([1.0, 1.0, 1.0, 9.0])
    _, median = global_baselines(Target(TaskType.REGRESSION), label, heavy)
    assert median.answer[0] == 10.0
    prior, frequent = global_baselines(
        Target(TaskType.BINARY_CLASSIFICATION), np.array([0.0, 0, 0, 1])
    )
    assert (prior.answer[0], frequent.answer[0]) == (0.25, 0.0)
    target = Target(TaskType.MULTICLASS_CLASSIFICATION, ("a", "b", "c"))
    prior, frequent = global_baselines(target, np.array([2.0, 2, 1, 2]))
    assert prior.answer.tolist() == [0.0, 0.25, 0.75]
    assert frequent.answer.tolist() == [0.0, 0.0, 1.0]


def test_every_baseline_survives_packing(world: World) -> None:
    for query in (REGRESSION, BINARY, MULTICLASS):
        table = world.table(query)
        folds = make_folds(table.examples, table.query, "rolling")
        features = candidate_features(world.relations, table.query, folds, 400)
        for baseline in make_baselines(world.relations, table.query, folds, features):
            packed = baseline.pack()
            again = unpack(packed.config, packed.arrays, packed.texts, folds.target)
            asked = folds.test.asked
            before = baseline.predict(world.relations, asked, threads=1)
            after = again.predict(world.relations, asked, threads=1)
            assert before.tobytes() == after.tobytes(), baseline.name
            if folds.target.classes is not None:
                assert before.sum(axis=1) == pytest.approx(1)


def test_static_queries_have_global_baselines_only(world: World) -> None:
    from tests.learners.worlds import STATIC

    assert set(world.fit(STATIC, QUICK).evaluation.baselines) == {"global mean", "global median"}


def test_history_baselines_fall_back_to_the_global_answer(world: World) -> None:
    target = Target(TaskType.BINARY_CLASSIFICATION)
    empty = np.zeros(0, np.int64)
    history = History.build(world.relations, "customers", empty, empty, np.zeros(0))
    for baseline in history_baselines(target, history, {"prior": np.array([0.3])}):
        asked = Asked.rolling(np.arange(3), np.zeros(3, np.int64))
        assert baseline.predict(world.relations, asked).tolist() == [0.3, 0.3, 0.3]
