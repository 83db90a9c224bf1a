"""Folds of every task type: labels, lists, targets, and what is said of few positives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType
from relcast.learners.balance import check_balance
from relcast.learners.folds import bounded, make_folds
from relcast.learners.protocol import Asked, Fold, Target
from relcast.tasks import Lists
from tests.learners.worlds import DAY, World

EACH = "FOR EACH customers.customer_id"
KINDS = ("cocoa", "coffee", "tea", "water")
QUERIES = {
    "forecasting": f"PREDICT SUM(orders.price, 0, 30, days) FORECAST 2 TIMEFRAMES {EACH}",
    "multilabel": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) CLASSIFY {EACH}",
    "ranking": f"PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) RANK TOP 2 {EACH}",
    "links": f"PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 3 {EACH}",
}
TARGETS = {
    "forecasting": Target(TaskType.FORECASTING, horizon=2),
    "multilabel": Target(TaskType.MULTILABEL_CLASSIFICATION, KINDS),
    "ranking": Target(TaskType.MULTILABEL_RANKING, KINDS, top=2),
    "links": Target(TaskType.TEMPORAL_LINK_PREDICTION, items="products", top=3),
}


@pytest.mark.parametrize("task", QUERIES)
@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_every_task_has_folds(task: str, regime: str, world: World) -> None:
    table = world.table(QUERIES[task])
    folds = make_folds(table.examples, table.query, regime)
    assert folds.target == TARGETS[task]
    parts = [folds.train, folds.validation, folds.test]
    assert sum(map(len, parts)) == len(table)
    for number, fold in enumerate(parts):
        rows = np.flatnonzero(table.examples.split == number)
        assert np.array_equal(fold.asked.entity, table.examples.entity[rows])
        if regime == "frozen" and number:
            assert (fold.asked.known == fold.asked.anchor.min()).all()
        else:
            assert np.array_equal(fold.asked.known, fold.asked.anchor)
        if task == "forecasting":
            assert fold.lists is None
            assert np.array_equal(fold.label, table.examples.target[rows])
            assert fold.label.shape == (len(rows), 2)
        else:
            assert fold.label.shape == (len(rows), 0)
            assert len(fold.lists) == len(fold) == len(rows)
            for place in range(0, len(rows), 37):
                assert _at(fold.lists, place) == _at(table.examples.lists, rows[place])
    if task in {"ranking", "links"}:
        assert (folds.train.lists.lengths > 0).all()


def test_folds_are_joined_one_after_another(world: World) -> None:
    table = world.table(QUERIES["links"])
    folds = make_folds(table.examples, table.query, "rolling")
    weighted = folds.validation.take(np.arange(5), np.arange(5.0))
    whole = Fold.joined([folds.train, weighted])
    assert len(whole) == len(folds.train) + 5
    assert whole.weight[: len(folds.train)].tolist() == [1.0] * len(folds.train)
    assert whole.weight[-5:].tolist() == [0, 1, 2, 3, 4]
    assert _at(whole.lists, len(folds.train) + 3) == _at(folds.validation.lists, 3)
    assert np.array_equal(whole.asked.anchor[-5:], weighted.asked.anchor)
    assert Fold.joined([folds.train]).weight is None


@pytest.mark.parametrize("task", QUERIES)
def test_held_out_rows_beyond_the_bound_are_drawn_evenly(task: str, world: World) -> None:
    table = world.table(QUERIES[task])
    folds = make_folds(table.examples, table.query, "frozen")
    assert bounded(folds, len(table), 0) == folds
    most = len(folds.test) // 2
    few = bounded(folds, most, 0)
    assert few.train is folds.train
    assert len(few.test) == most
    for whole, part in ((folds.validation, few.validation), (folds.test, few.test)):
        keys = list(zip(whole.asked.anchor, whole.asked.entity, strict=True))
        rows = [keys.index(k) for k in zip(part.asked.anchor, part.asked.entity, strict=True)]
        assert rows == sorted(set(rows))  # their order, each once
        assert np.array_equal(part.label, whole.label[rows])
        assert np.array_equal(part.asked.known, whole.asked.known[rows])
        if part.lists is not None:
            assert [_at(part.lists, k) for k in range(len(part))] == [
                _at(whole.lists, row) for row in rows
            ]
    sentence = f"Test figures are measured on {most:,} of {len(folds.test):,} rows, drawn evenly."
    assert sentence in few.warnings
    again, other = bounded(folds, most, 0), bounded(folds, most, 1)
    assert np.array_equal(again.test.asked.entity, few.test.asked.entity)
    assert not np.array_equal(other.test.asked.entity, few.test.asked.entity)


def test_a_row_of_many_classes_counts_for_as_many_numbers(world: World) -> None:
    table = world.table(QUERIES["multilabel"])
    folds = make_folds(table.examples, table.query, "rolling")
    wide = replace(folds, target=replace(folds.target, classes=tuple(map(str, range(3_000_000)))))
    assert len(bounded(wide, 200_000, 0).test) == 10


def test_few_positives_of_a_label_are_counted() -> None:
    target = Target(TaskType.MULTILABEL_CLASSIFICATION, ("a", "b", "c"))
    train = _lists([[0], [0, 2]] * 20 + [[1]] * 3)
    (few,) = check_balance(target, train, _lists([[0]] * 20), _lists([]))
    assert "(a: 3, b: 3)" in few  # all but three have a
    assert "label" in few
    said = check_balance(
        target, _lists([[0, 1], [0, 2]] * 30 + [[1, 2]] * 2), _lists([[0]] * 3), _lists([])
    )
    assert "(a: 2" in said[0]  # nearly everybody has it: two rows that have not
    assert "validation split has 3 rows of 3" in said[1]


def test_a_rare_class_is_said_with_its_counts() -> None:
    target = Target(TaskType.BINARY_CLASSIFICATION)
    label = np.zeros(2000)
    label[:12] = 1
    said = check_balance(target, _plain(label), _plain(label), _plain(label[:0]))
    assert len(said) == 1
    assert said[0].startswith("Only 12 of 2,000 training rows are true: ")


@pytest.mark.parametrize(
    ("task", "lists"),
    [
        (TaskType.MULTILABEL_CLASSIFICATION, [[], []]),
        (TaskType.MULTILABEL_CLASSIFICATION, [[0, 1], [0, 1]]),
        (TaskType.TEMPORAL_LINK_PREDICTION, [[], []]),
    ],
)
def test_lists_that_teach_nothing_are_refused(task: TaskType, lists: list[list[int]]) -> None:
    classes = ("a", "b") if task is TaskType.MULTILABEL_CLASSIFICATION else None
    with pytest.raises(ModelError) as caught:
        check_balance(Target(task, classes), _lists(lists), _lists([[0]]), _lists([]))
    assert caught.value.code == "model.one_class"
    assert caught.value.hint


def _at(lists: Lists, place: int) -> list[int]:
    return lists.values[lists.offsets[place] : lists.offsets[place + 1]].tolist()


def _lists(rows: list[list[int]]) -> Fold:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    values = np.array([v for row in rows for v in row], dtype=np.int64)
    asked = Asked(np.arange(len(rows)), None, None)
    return Fold(asked, np.zeros((len(rows), 0)), None, Lists(offsets, values))


def _plain(label: np.ndarray) -> Fold:
    moments = np.arange(len(label)) * DAY
    return Fold(Asked(np.arange(len(label)), moments, moments), label, None)
