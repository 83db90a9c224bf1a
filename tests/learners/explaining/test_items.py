"""Explanations of a ranking: of items that are there, and of no others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import InvalidRequest
from relcast.learners import FittedModel, fit
from relcast.learners.explaining import explain_entity
from relcast.tasks import TablePlan, make_training_table
from tests.learners.ranking.worlds import NEXT, World, make, shop
from tests.learners.worlds import QUICK


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, FittedModel, int]:
    """A shop with one product that nobody has seen yet, and a ranking of its products."""
    frames = shop(customers=60, days=300)
    new = frames["products"].iloc[:1].assign(product_id=999, added=pd.Timestamp("2023-06-01"))
    frames["products"] = pd.concat([frames["products"], new], ignore_index=True)
    world = make(tmp_path_factory.mktemp("items"), frames)
    query = world.query(NEXT)
    table = make_training_table(world.snapshot, world.relations, query, TablePlan())
    anchor = table.examples.anchor
    assert anchor is not None
    return world, fit(world.relations, query, table, QUICK), int(anchor.max())


def test_the_best_item_is_explained_and_its_rows_are_left_out(
    shown: tuple[World, FittedModel, int],
) -> None:
    world, model, anchor = shown
    found = explain_entity(model, world.relations, 0, anchor)
    best = model.predict(world.relations, np.array([0]), np.array([anchor]), k=1)
    assert best.items is not None
    assert found.prediction == best.values[0, 0]
    assert found.output == world.relations.table("products").keys()[int(best.items[0, 0])].as_py()
    assert all(np.isfinite(row.effect) for row in found.rows)
    json.dumps(found.to_json(), allow_nan=False)


def test_an_item_that_is_not_there_yet_is_refused(shown: tuple[World, FittedModel, int]) -> None:
    world, model, anchor = shown
    keys = world.relations.table("products").keys().to_pylist()
    with pytest.raises(InvalidRequest, match="999 is not there") as refused:
        explain_entity(model, world.relations, 0, anchor, output=keys.index(999))
    assert refused.value.code == "explain.output"
    assert refused.value.hint


def test_where_no_item_is_there_nothing_is_explained(
    shown: tuple[World, FittedModel, int],
) -> None:
    world, model, _ = shown
    long_ago = int(pd.Timestamp("1990-01-01").value)
    with pytest.raises(InvalidRequest, match="nothing to rank") as refused:
        explain_entity(model, world.relations, 0, long_ago)
    assert refused.value.code == "explain.output"


def test_a_saved_ranking_explains_the_same_score(tmp_path: Path) -> None:
    world = make(tmp_path / "world", shop(customers=40, days=200))
    query = world.query(NEXT)
    table = make_training_table(world.snapshot, world.relations, query, TablePlan())
    model = fit(world.relations, query, table, QUICK)
    model.save(tmp_path / "model")
    assert table.examples.anchor is not None
    anchor = int(table.examples.anchor.max())
    again = FittedModel.load(tmp_path / "model")
    before, after = (explain_entity(m, world.relations, 1, anchor) for m in (model, again))
    assert before.to_json() == after.to_json()


def test_cohorts_of_a_ranking_are_along_the_entitys_own_features(
    shown: tuple[World, FittedModel, int],
) -> None:
    """Prediction is hits among the first ten, target how many there could be."""
    _, model, _ = shown
    holdout = model.holdout
    assert holdout is not None
    wanted = [set(items) for items in holdout["TARGET"].to_pylist()]
    said = [items[:10] for items in holdout["CLASS"].to_pylist()]
    hits = np.array([len(set(s) & w) for s, w in zip(said, wanted, strict=True)])
    most = np.array([min(10, len(w)) for w in wanted])
    assert len(model.cohorts) >= 3
    for cohort in model.cohorts:
        assert cohort.of == "hits among the first 10"
        rows = np.array([group.rows for group in cohort.groups])
        assert rows.sum() == len(wanted)
        prediction = np.array([group.prediction for group in cohort.groups])
        target = np.array([group.target for group in cohort.groups])
        assert (prediction <= target + 1e-12).all()
        assert rows @ prediction / rows.sum() == pytest.approx(hits.mean())
        assert rows @ target / rows.sum() == pytest.approx(most.mean())
