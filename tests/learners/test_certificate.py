"""The leakage certificate finds what is planted and is quiet where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from relcast.core.delays import Delay
from relcast.learners import Certificate, fit
from relcast.learners.certificate import make_certificate
from relcast.learners.folds import make_folds
from relcast.learners.probe import perturbed, probe_future
from relcast.learners.protocol import Asked, Contributions
from tests.learners.worlds import BINARY, DAY, MULTICLASS, QUICK, REGRESSION, STATIC, World


@pytest.mark.parametrize("query", [REGRESSION, BINARY, MULTICLASS])
def test_nothing_moves_when_only_the_future_changes(world: World, query: str) -> None:
    """reliability.md D1, on the certificate's own sample."""
    certificate = world.fit(query).certificate
    probe = certificate.probe
    assert probe.passed
    assert probe.examples > 100
    assert probe.rows > 100
    assert certificate.gaps
    assert all(gap.disjoint for gap in certificate.gaps)
    assert not certificate.suspicions
    assert certificate.warnings == ()
    assert certificate.passed
    found = {check.name: check.passed for check in certificate.checks}
    assert found.pop("examples are of entities that were there at their anchor") is None
    assert len(found) == 5
    assert all(found.values())


def test_a_static_query_has_no_future_to_change(world: World) -> None:
    probe = world.fit(STATIC).certificate.probe
    assert not probe.ran
    assert "static" in probe.reason


def test_a_predictor_that_looks_ahead_is_caught(world: World) -> None:
    link = next(iter(world.relations.links))

    class Peeking:
        name = "peeking"

        def predict(self, relations, asked, *, threads):
            arrays = relations.links[link]
            return np.diff(arrays.indptr)[asked.entity].astype(float)

        def explain(self, relations, asked, *, top, threads):
            return Contributions(np.zeros(0), np.zeros(0), (), np.zeros(0))

    examples = world.table(REGRESSION).examples
    asked = Asked.rolling(examples.entity, examples.anchor)
    probe = probe_future(world.relations, Peeking(), asked, seed=0, threads=1)
    assert probe.ran
    assert not probe.passed
    assert probe.predictions_moved > 50


def test_perturbation_leaves_what_is_known_alone(world: World) -> None:
    orders = world.relations.tables["orders"]
    moment = int(np.median(orders.time))
    other, changed = perturbed(world.relations, moment, np.random.default_rng(0))
    known = orders.time <= moment
    assert changed == int((~known).sum())
    for name, column in orders.columns.items():
        if column.kind in ("number", "category"):
            after = other.tables["orders"].columns[name].values
            assert (column.values[known] == after[known]).all()
            assert name == "order_id" or (column.values[~known] != after[~known]).mean() > 0.5
    for link, arrays in world.relations.links.items():
        after = other.links[link]
        early = arrays.child_time <= moment
        late = after.child_time <= moment
        assert (arrays.child[early] == after.child[late]).all()
        assert (after.parent[known] == arrays.parent[known]).all()
        assert len(after.child) != len(arrays.child)


def test_overlapping_windows_are_said(world: World) -> None:
    table = world.table(REGRESSION)
    examples = table.examples
    anchor = examples.anchor.copy()
    anchor[examples.split == 2] -= 20 * 86_400 * 10**9
    moved = replace(table, examples=replace(examples, anchor=anchor))
    model = fit(world.relations, table.query, moved, replace(QUICK, num_experiments=0))
    assert [gap.disjoint for gap in model.certificate.gaps] == [True, False]
    assert any("overlap" in sentence for sentence in model.warnings)
    assert not model.certificate.passed


def test_a_feature_chosen_by_the_future_is_caught(world: World, monkeypatch) -> None:
    from relcast.learners import board
    from relcast.learners.features import FeatureSet

    def leaking(relations, query, folds, budget, **_):
        return FeatureSet.generate(relations, query, budget=budget, until=None)

    monkeypatch.setattr(board, "candidate_features", leaking)
    monkeypatch.setattr(FeatureSet, "generate", _by_the_last_price(FeatureSet.generate))
    table = world.table(REGRESSION)
    model = fit(world.relations, table.query, table, replace(QUICK, num_experiments=0))
    failed = {check.name for check in model.certificate.checks if check.passed is False}
    assert failed == {"features and their categories are of the training side"}


def _by_the_last_price(honest):
    """Drop features or not, by a value that was known long after the training side."""

    def generate(relations, query, **how):
        made = honest(relations, query, **how)
        orders = relations.tables["orders"]
        last = float(orders.columns["price"].values[int(orders.time.argmax())])
        return made.select(range(int(abs(last) * 7) % 11, len(made.features)))

    return generate


def test_examples_of_entities_that_were_not_there_are_counted(world: World) -> None:
    table = world.table(REGRESSION)
    customers = world.relations.tables["customers"]
    late = np.full(customers.rows, int(table.examples.anchor.max()) + 1)
    late[: customers.rows // 2] = 0
    moved = replace(
        world.relations,
        tables={**world.relations.tables, "customers": replace(customers, time=late)},
    )
    folds = make_folds(table.examples, table.query, "rolling")
    model = world.fit(REGRESSION)
    options = {"regime": "rolling", "seed": 0, "threads": 1}
    found = make_certificate(moved, table.query, folds, model.predictor, None, **options)
    (population,) = [c for c in found.checks if "there at their anchor" in c.name]
    wrong = int((table.examples.entity >= customers.rows // 2).sum())
    assert population.passed is False
    assert population.says.startswith(f"{wrong:,} of ")
    assert not found.passed
    assert found.verdict("Better.").startswith("Not to be trusted")
    assert Certificate.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_failed_certificate_is_in_the_verdict_and_the_summary(world: World) -> None:
    table = world.table(REGRESSION)
    anchor = table.examples.anchor.copy()
    anchor[table.examples.split == 2] -= 20 * DAY
    moved = replace(table, examples=replace(table.examples, anchor=anchor))
    model = fit(world.relations, table.query, moved, replace(QUICK, num_experiments=0))
    assert model.evaluation.verdict.startswith("Not to be trusted, the leakage certificate failed")
    assert model.summary()["verdict"] == model.evaluation.verdict
    assert any("certificate failed" in w for w in model.summary()["warnings"])
    assert model.summary()["certificate"]["passed"] is False


def test_a_value_that_becomes_known_later_is_perturbed(world: World) -> None:
    orders = world.relations.tables["orders"]
    columns = tuple(
        replace(c, known_after=Delay.of("10 days")) if c.name == "price" else c
        for c in orders.table.columns
    )
    late = replace(orders, table=replace(orders.table, columns=columns))
    relations = replace(world.relations, tables={**world.relations.tables, "orders": late})
    moment = int(np.median(orders.time))
    other, _ = perturbed(relations, moment, np.random.default_rng(0))
    before, after = (d.tables["orders"].columns["price"].values for d in (relations, other))
    waiting = (orders.time <= moment) & (orders.time > moment - 10 * DAY)
    assert (before != after)[waiting].all()
    assert (before == after)[orders.time <= moment - 10 * DAY].all()
