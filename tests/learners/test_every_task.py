"""Every task type, end to end: fitted, measured, certified, held out, saved, asked again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners import Evaluation, FittedModel, fit
from relcast.learners.contenders import families
from relcast.learners.folds import label_known_at
from relcast.learners.metrics import Catalogue, default_metrics, metrics_of
from relcast.learners.protocol import Ranked
from relcast.tasks import Lists, TrainingTable
from tests.learners.timeless import STATIC, make_club
from tests.learners.worlds import BINARY, DAY, MULTICLASS, QUICK, REGRESSION, World

EACH = "FOR EACH customers.customer_id"
TEMPORAL = {
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "regression": REGRESSION,
    "forecasting": f"PREDICT SUM(orders.price, 0, 30, days) FORECAST 3 TIMEFRAMES {EACH}",
    "multilabel": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CLASSIFY {EACH}",
    "ranking": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) RANK TOP 2 {EACH}",
    "links": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 3 {EACH}",
}
QUERIES = TEMPORAL | STATIC
RANKED = {"ranking", "links", "static_links", "static_ranking"}


@pytest.fixture(scope="session")
def club(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_club(tmp_path_factory.mktemp("club"))


@pytest.fixture
def asked(name: str, world: World, club: World) -> tuple[World, str]:
    return (club if name in STATIC else world), QUERIES[name]


every_task = pytest.mark.parametrize("name", QUERIES)


@every_task
def test_a_task_goes_all_the_way(name: str, asked: tuple[World, str], tmp_path: Path) -> None:
    where, query = asked
    model = where.fit(query)
    evaluation = model.evaluation
    names = [n for n in default_metrics(model.task_type, model.target.top) if "per_label" not in n]
    for split in ("validation", "test"):
        assert set(evaluation.model[split].metrics) == set(names)
        curves = evaluation.curves[split]
        assert len(json.dumps(curves, allow_nan=False)) < 1_000_000
        assert len(curves["over_time"]) == (
            0 if name in STATIC else len(set(_anchors(where, query, split)))
        )
    assert evaluation.baselines
    assert model.certificate.passed, model.certificate.failures
    assert {e.learner for e in model.leaderboard} == {
        "baseline",
        *(f.name for f in families(model.target, model.plan)),
    }
    assert sum(e.published for e in model.leaderboard) == 1
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation
    json.dumps(model.summary(), allow_nan=False)

    table = where.table(query)
    entity = table.examples.entity[:60]
    anchor = None if table.examples.anchor is None else table.examples.anchor[:60]
    said = model.predict(where.relations, entity, anchor)
    model.save(tmp_path / "model")
    loaded = FittedModel.load(tmp_path / "model")
    again = loaded.predict(where.relations, entity, anchor)
    assert np.array_equal(said.values, again.values, equal_nan=True)
    if said.items is not None:
        assert np.array_equal(said.items, again.items)
    assert loaded.evaluation == evaluation
    assert loaded.certificate == model.certificate
    assert loaded.holdout.equals(model.holdout)
    rows = model.to_output(said, table.take(np.arange(60)))
    assert rows.column_names == _columns(name)
    assert model.score_summary(said)["rows"] == 60
    one = model.contributions(
        where.relations, entity[:3], None if anchor is None else anchor[:3], top=2
    )
    total = (
        one.base + one.rest + [sum(r["contribution"] for r in reasons) for reasons in one.reasons]
    )
    assert total == pytest.approx(one.raw, abs=1e-6)


def _anchors(where: World, query: str, split: str) -> np.ndarray:
    examples = where.table(query).examples
    return examples.anchor[examples.split == ("train", "validation", "test").index(split)]


def _columns(name: str) -> list[str]:
    first = ["ENTITY"] if name in STATIC else ["ENTITY", "TIMESTAMP"]
    if name in RANKED:
        return [*first, "CLASS", "SCORE"]
    if "multi" in name:
        return [*first, "CLASS", "SCORE", "PREDICTED"]
    if name == "binary":
        return [*first, "TARGET_PRED", "False_PROB", "True_PROB"]
    return (
        [*first, "TARGET_PRED", "ANCHOR_TIMESTAMP"]
        if name == "forecasting"
        else [*first, "TARGET_PRED"]
    )


@every_task
def test_every_metric_follows_from_the_holdout(name: str, asked: tuple[World, str]) -> None:
    where, query = asked
    model = where.fit(query)
    split = model.evaluation.model["test"]
    truth, said = _of_holdout(name, model)
    size = (
        len(model.target.classes or ())
        or where.relations.table(model.target.items or next(iter(where.relations.tables))).rows
    )
    found = metrics_of(model.task_type, truth, said, Catalogue(size)).compute(tuple(split.metrics))
    for metric, measured in split.metrics.items():
        assert measured.value == pytest.approx(found[metric], rel=1e-9), metric
        if measured.low is not None:
            assert measured.low <= measured.value + 1e-9, metric
            assert measured.value <= measured.high + 1e-9, metric


def _of_holdout(name: str, model: FittedModel) -> tuple[Any, Any]:
    """Read truth and prediction back from the rows that people get."""
    rows = model.holdout
    classes = list(model.target.classes or ())
    if name in RANKED:
        keys = sorted(
            set(rows["TARGET"].combine_chunks().flatten().to_pylist())
            | set(rows["CLASS"].combine_chunks().flatten().to_pylist())
        )
        place = {key: i for i, key in enumerate(keys)}
        truth = [[place[v] for v in row] for row in rows["TARGET"].to_pylist()]
        shown = [[place[v] for v in row] for row in rows["CLASS"].to_pylist()]
        items = np.full((len(shown), 100), -1)
        for i, row in enumerate(shown):
            items[i, : len(row)] = row
        return _lists(truth), Ranked(items, np.zeros(items.shape))
    if name == "forecasting":
        h = model.target.horizon
        assert (
            np.diff(rows["TIMESTAMP"].to_numpy().reshape(-1, h), axis=1) > np.timedelta64(0)
        ).all()
        return rows["TARGET"].to_numpy().reshape(-1, h), rows["TARGET_PRED"].to_numpy().reshape(
            -1, h
        )
    if not classes:
        column = "True_PROB" if name == "binary" else "TARGET_PRED"
        return rows["TARGET"].cast(pa.float64()).to_numpy(), rows[column].to_numpy()
    k, place = len(classes), {c: i for i, c in enumerate(classes)}
    code = np.array([place[c] for c in rows["CLASS"].to_pylist()]).reshape(-1, k)
    values = np.empty(code.shape)
    np.put_along_axis(values, code, rows["SCORE"].to_numpy().reshape(-1, k), axis=1)
    if name == "multiclass":
        return np.array([float(place[c]) for c in rows["TARGET"].to_pylist()[::k]]), values
    there = np.empty(code.shape, dtype=bool)
    np.put_along_axis(there, code, np.array(rows["TARGET"].to_pylist()).reshape(-1, k), axis=1)
    return _lists([np.flatnonzero(row).tolist() for row in there]), values


def _lists(rows: list[list[int]]) -> Lists:
    offsets = np.append(0, np.cumsum([len(row) for row in rows])).astype(np.int64)
    return Lists(offsets, np.array([v for row in rows for v in row], dtype=np.int64))


@pytest.mark.parametrize("name", [n for n in QUERIES if n != "binary"])
def test_the_same_seed_gives_the_same_figures(name: str, asked: tuple[World, str]) -> None:
    """reliability.md D9 (of a binary task in ``test_fit``)."""
    where, query = asked
    first = where.fit(query)
    table = where.table(query)
    again = fit(where.relations, table.query, table, replace(QUICK, threads=2))
    assert again.evaluation == first.evaluation
    assert again.holdout.equals(first.holdout)


@pytest.mark.parametrize("name", [n for n in QUERIES if n != "binary" and "links" not in n])
def test_shuffled_labels_teach_nothing(name: str, asked: tuple[World, str]) -> None:
    """reliability.md D6 (of a binary task in ``test_fit``)."""
    where, query = asked
    table = where.table(query)
    model = fit(where.relations, table.query, _shuffled(table, 0), QUICK)
    test = model.evaluation.model["test"]
    base = model.evaluation.baselines[model.evaluation.best_baseline]["test"]
    if name in {"regression", "forecasting"}:
        assert test.value("r2") < 0.1
    elif "multilabel" in name:
        assert test.value("auroc_macro") == pytest.approx(0.5, abs=0.1)
    elif name == "multiclass":
        assert test.value("acc") < base.value("acc") + 0.06
    else:
        assert test.value("map@10") < base.value("map@10") + 0.06


@pytest.mark.long
@pytest.mark.parametrize("name", ["binary", "multilabel"])
def test_shuffled_labels_teach_nothing_on_average(name: str, asked: tuple[World, str]) -> None:
    """reliability.md D6: AUROC 0.50 within 0.03."""
    where, query = asked
    table = where.table(query)
    metric = "auroc" if name == "binary" else "auroc_macro"
    values = []
    for seed in range(24):
        model = fit(where.relations, table.query, _shuffled(table, seed), replace(QUICK, seed=seed))
        values.append(model.evaluation.model["test"].value(metric))
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def _shuffled(table: TrainingTable, seed: int) -> TrainingTable:
    order = np.random.default_rng(seed).permutation(len(table))
    examples = table.examples
    target = None if examples.target is None else examples.target[order]
    lists = None if examples.lists is None else examples.lists.take(order)
    return replace(table, examples=replace(examples, target=target, lists=lists))


def test_lists_are_as_long_as_one_wants_and_among_what_one_wants(world: World) -> None:
    model = world.fit(TEMPORAL["links"])
    examples = world.table(TEMPORAL["links"]).examples
    entity, anchor = examples.entity[:40], examples.anchor[:40]
    few = model.predict(world.relations, entity, anchor)
    many = model.predict(world.relations, entity, anchor, k=8)
    assert (few.items.shape, many.items.shape) == ((40, 3), (40, 8))
    assert np.array_equal(many.items[:, :3], few.items)
    among = np.array([2, 5, 11, 17])
    some = model.predict(world.relations, entity, anchor, k=8, among=among)
    assert set(some.items[some.items >= 0].tolist()) <= set(among.tolist())
    assert (some.items >= 0).sum(axis=1).tolist() == [4] * 40
    for wrong in ({"k": 0}, {"k": 1001}):
        with pytest.raises(InvalidRequest) as caught:
            model.predict(world.relations, entity, anchor, **wrong)
        assert caught.value.code == "predict.bad_k"
    with pytest.raises(InvalidRequest) as caught:
        world.fit(REGRESSION).predict(world.relations, entity, anchor, k=3)
    assert caught.value.code == "predict.not_ranked"


def test_a_forecast_has_quantiles_and_the_times_of_its_steps(world: World) -> None:
    model = world.fit(TEMPORAL["forecasting"])
    table = world.table(TEMPORAL["forecasting"])
    entity, anchor = table.examples.entity[:20], table.examples.anchor[:20]
    scores = model.predict(world.relations, entity, anchor, levels=(0.1, 0.5, 0.9))
    assert scores.quantiles.shape == (20, 3, 3)
    assert (np.diff(scores.quantiles, axis=2) >= 0).all()
    assert scores.steps.tolist() == (anchor[:, None] + np.arange(3) * 30 * DAY).tolist()
    rows = model.to_output(scores, table.take(np.arange(20)))
    assert rows.column_names == [
        "ENTITY",
        "TIMESTAMP",
        "TARGET_PRED",
        "q_0.1",
        "q_0.5",
        "q_0.9",
        "ANCHOR_TIMESTAMP",
    ]
    with pytest.raises(InvalidRequest) as caught:
        model.predict(world.relations, entity, anchor, levels=(0.9, 0.1))
    assert caught.value.code == "predict.no_quantiles"
    known = label_known_at(table.query, anchor[:1], world.relations)
    assert known[0] - anchor[0] == 90 * DAY


def test_the_task_types_are_all_here(world: World, club: World) -> None:
    found = {(club if n in STATIC else world).fit(q).task_type for n, q in QUERIES.items()}
    assert found == set(TaskType)
