"""The leakage certificate finds what is planted and is quiet where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.learners import fit
from relcast.learners.certificate import suspicious_features
from relcast.learners.probe import perturbed, probe_future
from relcast.learners.protocol import Asked, Contributions, Target
from tests.learners.worlds import BINARY, MULTICLASS, QUICK, REGRESSION, STATIC, World


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


def test_a_feature_that_holds_the_answer_is_named(world: World) -> None:
    """reliability.md D5: planted copies are found, honest features are not blamed."""
    model = world.fit(REGRESSION).predictor
    n = 4_000
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(n, len(model.features.features))).astype(np.float32)
        number = rng.normal(size=n)
        coin = (rng.random(n) < 0.3).astype(float)
        classes = rng.integers(0, 4, n).astype(float)
        for target, label in (
            (Target(model.target.task_type), number),
            (Target(world.fit(BINARY).target.task_type), coin),
            (Target(world.fit(MULTICLASS).target.task_type, ("a", "b", "c", "d")), classes),
        ):
            honest = suspicious_features(model, values, label, target, np.random.default_rng(0))
            assert honest == ()
            planted = values.copy()
            place = int(rng.integers(0, values.shape[1]))
            planted[:, place] = (3 * label + 7).astype(np.float32)
            found = suspicious_features(model, planted, label, target, np.random.default_rng(0))
            assert [s.feature for s in found] == [model.features.features[place].name]
            assert found[0].value > 0.98
