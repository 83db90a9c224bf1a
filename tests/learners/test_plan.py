"""The options of a fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from relcast.core.errors import InvalidRequest, SchemaError
from relcast.core.progress import Silent
from relcast.core.schema import TaskType
from relcast.learners import ModelPlan
from relcast.learners.board import Board
from relcast.learners.contenders import families
from relcast.learners.folds import make_folds
from relcast.learners.leaving_out import left_out
from relcast.learners.protocol import Target
from tests.learners.worlds import BINARY, QUICK, REGRESSION, World


def test_run_modes_spend_as_engine_md_says() -> None:
    fast, normal, best = (ModelPlan(run_mode=m).budget() for m in ("fast", "normal", "best"))
    assert (fast.rows, normal.rows, best.rows) == (200_000, 1_000_000, 5_000_000)
    assert (normal.seconds, best.seconds) == (4 * fast.seconds, 16 * fast.seconds)
    assert (fast.refit, normal.refit, best.refit) == (True, True, True)
    assert ModelPlan(run_mode="debug").budget().seconds <= 10


def test_own_numbers_take_the_place_of_the_modes() -> None:
    plan = ModelPlan(
        num_experiments=2, refit_trainval=True, max_training_rows=50, time_budget_seconds=3
    )
    budget = plan.budget()
    assert (budget.experiments, budget.refit, budget.rows, budget.seconds) == (2, True, 50, 3)


def test_a_plan_goes_to_json_and_back() -> None:
    plan = ModelPlan(
        run_mode="best",
        metrics=("mae", "r2"),
        regime="frozen",
        threads=3,
        losses=("mae", "huber"),
        leave_out=("orders.price",),
        learners=("trees",),
    )
    assert ModelPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert ModelPlan.from_json({}) == ModelPlan()


def test_the_tune_metric_is_always_reported() -> None:
    assert ModelPlan().tune_metric_for(TaskType.MULTICLASS_CLASSIFICATION) == "acc"
    plan = ModelPlan(metrics=("ap",), tune_metric="f1")
    assert plan.metrics_for(TaskType.BINARY_CLASSIFICATION) == ("ap", "f1")


@pytest.mark.parametrize(
    "options",
    [
        {"run_mode": "fats"},
        {"regime": "melted"},
        {"threads": 0},
        {"num_experiments": -1},
        {"max_training_rows": 0},
        {"seed": 2**31},
        {"time_budget_seconds": float("nan")},
        {"speed": 3},
        {"learners": ["tress"]},
        {"losses": ["mea"]},
        {"leave_out": ["price"]},
        {"patience": 0},
        {"on_stop": "keep"},
    ],
)
def test_bad_options_are_refused_with_advice(options: dict) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ModelPlan.from_json(options)
    assert caught.value.code == "plan.invalid"
    assert next(iter(options)) in caught.value.message
    assert caught.value.hint


def test_columns_that_are_left_out_are_read_by_no_feature(world: World) -> None:
    plan = replace(QUICK, leave_out=("orders.price", "customers.age"), num_experiments=0)
    table = world.table(BINARY)
    folds = make_folds(table.examples, table.query, "rolling")
    board = Board(world.relations, table.query, folds, plan, Silent())
    honest = Board(world.relations, table.query, folds, QUICK, Silent())
    names = {f.name for f in board.make_features().features}
    rest = {f.name for f in honest.make_features().features} - names
    assert names
    assert rest
    assert not any("price" in name or "age of" in name for name in names)
    assert all("price" in name or "age" in name for name in rest)
    with pytest.raises(SchemaError) as caught:
        left_out(("orders.prise",), world.relations.graph)
    assert caught.value.code == "schema.unknown_column"


def test_weights_count_only_where_the_plan_says_so(world: World) -> None:
    table = world.table(REGRESSION)
    weight = np.arange(1.0, len(table) + 1)
    weighed = replace(table.examples, weight=weight)
    assert make_folds(weighed, table.query, "rolling").train.weight is not None
    assert make_folds(weighed, table.query, "rolling", use_weights=False).train.weight is None


def test_the_plan_says_who_takes_part() -> None:
    number = Target(TaskType.REGRESSION)
    quick = [family.name for family in families(number, ModelPlan(run_mode="debug"))]
    assert "trees" in quick
    assert "gnn" not in quick  # a debug run has no time for it
    only = families(number, ModelPlan(learners=("trees",)))
    assert [family.name for family in only] == ["trees"]
    assert families(number, ModelPlan(num_experiments=0)) == ()
    few = Target(TaskType.MULTICLASS_CLASSIFICATION, tuple("abc"))
    assert "wide classes" not in [f.name for f in families(few, ModelPlan())]
