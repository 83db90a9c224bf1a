"""Rows between the given ones: labels and population are the query's, windows end in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.learners.denser import Denser, densified
from relcast.learners.folds import Folds, label_known_at, make_folds
from relcast.learners.probe import perturbed
from relcast.pql import check
from relcast.tasks import Examples, evaluate_target, examples_at
from tests.learners.worlds import BINARY, DAY, MULTICLASS, REGRESSION, STATIC, World

COUNTED = "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id"
RATIO = (
    "PREDICT SUM(orders.price, 0, 30, days) / COUNT(orders.*, 0, 30, days) "
    "FOR EACH customers.customer_id"
)
MEAN = "PREDICT AVG(orders.price, 0, 30, days) FOR EACH customers.customer_id"
LATER = "PREDICT SUM(orders.price, 7, 37, days) FOR EACH customers.customer_id"


def folds_of(world: World, query: str, regime: str = "rolling") -> Folds:
    table = world.table(query)
    return make_folds(table.examples, table.query, regime)


def added_to(world: World, query: str, regime: str = "rolling") -> tuple[Folds, Denser]:
    folds = folds_of(world, query, regime)
    found = densified(world.relations, world.table(query).query, folds)
    assert found is not None
    return folds, found


@pytest.mark.parametrize("query", [REGRESSION, COUNTED, RATIO, MEAN, LATER])
def test_added_rows_are_what_the_query_says_at_other_anchors(world: World, query: str) -> None:
    folds, found = added_to(world, query)
    checked = world.table(query).query
    for fold, given in ((found.train, folds.train), (found.newer, folds.validation)):
        asked = fold.asked
        truth = evaluate_target(world.snapshot, checked, asked.entity, asked.anchor)
        np.testing.assert_allclose(fold.label, truth, rtol=1e-6)
        moments = np.setdiff1d(asked.anchor, given.asked.anchor)
        if not len(moments):
            assert fold is found.newer  # one anchor of validation, and test right after it
            continue
        expected, _ = examples_at(world.snapshot, checked, moments)
        there = np.isin(asked.anchor, moments)
        np.testing.assert_array_equal(asked.anchor[there], expected.anchor)
        np.testing.assert_array_equal(asked.entity[there], expected.entity)
    assert (
        len(np.unique(found.train.asked.anchor)) == 2 * len(np.unique(folds.train.asked.anchor)) - 1
    )
    rows = len(folds.train) + found.report["added"]
    assert len(found.train) == rows
    assert found.train.weight is not None
    assert found.train.weight.sum() == pytest.approx(rows / 2)


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_labels_of_added_rows_are_settled_before_the_next_split(world: World, regime: str) -> None:
    folds, found = added_to(world, REGRESSION, regime)
    query = world.table(REGRESSION).query
    for fold, later in ((found.train, folds.validation), (found.newer, folds.test)):
        if not len(fold):
            continue
        assert label_known_at(query, fold.asked.anchor, world.relations).max() <= (
            later.asked.anchor.min()
        )
        assert (fold.asked.known <= fold.asked.anchor).all()


def test_rows_added_to_validation_see_as_far_as_validation_does(world: World) -> None:
    table = world.table(REGRESSION)
    moments = np.unique(table.examples.anchor)
    split = np.searchsorted(moments[[3, 7]], table.examples.anchor, side="right").astype(np.int8)
    for regime in ("rolling", "frozen"):
        folds = make_folds(replace(table.examples, split=split), table.query, regime)
        found = densified(world.relations, table.query, folds)
        assert found is not None
        assert len(found.newer)
        asked = found.newer.asked
        known = asked.anchor if regime == "rolling" else np.full(len(asked), moments[3])
        np.testing.assert_array_equal(asked.known, known)
        settled = label_known_at(table.query, asked.anchor, world.relations)
        assert settled.max() <= folds.test.asked.anchor.min()


def test_no_added_row_moves_when_everything_after_validation_differs(world: World) -> None:
    table = world.table(REGRESSION)
    moments = np.unique(table.examples.anchor)
    split = np.searchsorted(moments[[3, 7]], table.examples.anchor, side="right").astype(np.int8)
    folds = make_folds(replace(table.examples, split=split), table.query, "rolling")
    end = int(label_known_at(table.query, folds.validation.asked.anchor, world.relations).max())
    other, changed = perturbed(world.relations, end, np.random.default_rng(0))
    assert changed > 100
    before = densified(world.relations, table.query, folds)
    after = densified(other, table.query, folds)
    assert before is not None
    assert after is not None
    for mine, others in ((before.train, after.train), (before.newer, after.newer)):
        np.testing.assert_array_equal(mine.label, others.label)
        np.testing.assert_array_equal(mine.asked.entity, others.asked.entity)
        np.testing.assert_array_equal(mine.asked.anchor, others.asked.anchor)


def test_a_population_of_those_with_events_is_found(world: World) -> None:
    """As published benchmarks have it: who has no row in the window is not asked."""
    checked = check(COUNTED, world.snapshot.graph)
    examples = world.table(COUNTED).examples
    many = check(COUNTED.replace(" > 1", ""), world.snapshot.graph)
    counts = evaluate_target(world.snapshot, many, examples.entity, examples.anchor)
    folds = make_folds(examples.take(counts > 0), checked, "rolling")
    found = densified(world.relations, checked, folds)
    assert found is not None
    assert "in the label window" in found.report["population"]
    asked = found.train.asked
    assert (evaluate_target(world.snapshot, many, asked.entity, asked.anchor) > 0).all()


@pytest.mark.parametrize("query", [BINARY, MULTICLASS, STATIC])
def test_other_queries_are_left_alone(world: World, query: str) -> None:
    folds = folds_of(world, query)
    assert densified(world.relations, world.table(query).query, folds) is None


def test_rows_that_follow_no_rule_are_left_alone(world: World) -> None:
    table = world.table(REGRESSION)
    examples = table.examples
    rng = np.random.default_rng(0)

    def found(rows: Examples) -> Denser | None:
        return densified(world.relations, table.query, make_folds(rows, table.query, "rolling"))

    assert found(examples) is not None
    assert found(examples.take(rng.random(len(examples)) < 0.9)) is None  # chosen by hand
    target = examples.target.copy()
    target[7] += 1.0
    assert found(replace(examples, target=target)) is None  # a label of another making
    assert found(replace(examples, weight=np.ones(len(examples)))) is None
    moved = replace(examples, anchor=examples.anchor - np.arange(len(examples)) % 2 * DAY)
    assert found(moved) is None


def test_many_rows_are_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = folds_of(world, REGRESSION)
    monkeypatch.setattr("relcast.learners.denser._MOST_ROWS", len(folds.train) - 1)
    assert densified(world.relations, world.table(REGRESSION).query, folds) is None
