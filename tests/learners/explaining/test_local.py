"""Explanations of one entity: they add up, effects are measured, sentences say what is there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import Link
from relcast.learners.explaining import Explanation, explain_entity
from relcast.learners.explaining.copies import with_copies
from relcast.learners.model import FittedModel
from tests.learners.worlds import QUERIES, World

OWNED = Link("orders", "customer_id", "customers")


def last_anchor(world: World, query: str) -> int | None:
    anchor = world.table(query).examples.anchor
    return None if anchor is None else int(anchor.max())


def explained(world: World, query: str, **options: int) -> tuple[FittedModel, Explanation, int]:
    model = world.fit(query)
    entity = int(np.diff(world.relations.link(OWNED).indptr).argmax())
    found = explain_entity(model, world.relations, entity, last_anchor(world, query), **options)
    return model, found, entity


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_base_contributions_and_rest_add_up(world: World, query: str) -> None:
    model, found, entity = explained(world, query)
    total = found.base + found.rest + sum(reason["contribution"] for reason in found.reasons)
    assert total == pytest.approx(found.raw, rel=1e-6, abs=1e-6)
    anchor = last_anchor(world, query)
    anchors = None if anchor is None else np.array([anchor])
    said = model.predict(world.relations, np.array([entity]), anchors).values.reshape(-1)
    assert found.prediction in said
    assert json.loads(json.dumps(found.to_json()))["prediction"] == found.prediction
    assert f"{found.prediction:.4g}" in found.summary


def test_an_effect_is_the_prediction_less_the_one_without_the_row(world: World) -> None:
    query = QUERIES["binary"]
    model, found, entity = explained(world, query)
    assert len(found.rows) > 3
    assert [abs(row.effect) for row in found.rows] == sorted(
        (abs(row.effect) for row in found.rows), reverse=True
    )
    assert found.rows[0].effect != 0.0
    anchor = np.array([last_anchor(world, query)])
    keys = world.relations.table("orders").keys().to_pylist()
    for row in found.rows[:3]:
        left_out = np.array([keys.index(row.cells["order_id"])])
        relations, copies = with_copies(world.relations, "customers", entity, [{OWNED: left_out}])
        without = float(model.predict(relations, copies, anchor).values[0])
        assert row.effect == pytest.approx(found.prediction - without, abs=1e-12)


def test_without_the_strongest_rows_and_without_all_rows(world: World) -> None:
    query = QUERIES["binary"]
    model, found, entity = explained(world, query)
    some, everything = found.counterfactuals[0], found.counterfactuals[-1]
    assert 1 <= len(some.rows) <= 3
    assert {np.sign(found.rows[place].effect) for place in some.rows} == {
        np.sign(found.rows[0].effect)
    }
    link = world.relations.link(OWNED)
    own = link.child[int(link.indptr[entity]) : int(link.indptr[entity + 1])].astype(np.int64)
    relations, copies = with_copies(world.relations, "customers", entity, [{OWNED: own}])
    anchor = np.array([last_anchor(world, query)])
    without = float(model.predict(relations, copies, anchor).values[0])
    assert everything.prediction == pytest.approx(without, abs=1e-12)
    assert "orders" in everything.without


def test_any_class_can_be_explained_and_no_other(world: World) -> None:
    query = QUERIES["multiclass"]
    model, found, _ = explained(world, query, output=1)
    assert found.output == (model.target.classes or ())[1]
    with pytest.raises(InvalidRequest) as refused:
        explained(world, query, output=99)
    assert refused.value.code == "explain.output"


def test_an_explanation_reads_nothing_later_than_its_anchor(world: World) -> None:
    query = QUERIES["regression"]
    model = world.fit(query)
    time = world.relations.table("orders").time
    assert time is not None
    anchor = int(np.quantile(time, 0.5))
    entity = int(np.diff(world.relations.link(OWNED).indptr).argmax())
    found = explain_entity(model, world.relations, entity, anchor)
    keys = world.relations.table("orders").keys().to_pylist()
    assert found.rows
    for row in found.rows:
        assert time[keys.index(row.cells["order_id"])] <= anchor


def test_cohorts_are_kept_with_the_model_and_count_every_row(world: World) -> None:
    model = world.fit(QUERIES["binary"])
    assert model.cohorts
    holdout = model.holdout
    assert holdout is not None
    truth = np.array(holdout["TARGET"].to_pylist(), dtype=float)
    said = np.array(holdout["True_PROB"].to_pylist())
    for cohort in model.cohorts:
        rows = np.array([group.rows for group in cohort.groups])
        assert rows.sum() == len(truth)
        target = np.array([group.target for group in cohort.groups])
        prediction = np.array([group.prediction for group in cohort.groups])
        assert rows @ target / rows.sum() == pytest.approx(truth.mean())
        assert rows @ prediction / rows.sum() == pytest.approx(said.mean())
        assert cohort.of == "probability of true"
