"""The options of a fit."""

from __future__ import annotations

import json

import pytest

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners import ModelPlan


def test_run_modes_spend_as_engine_md_says() -> None:
    fast, normal, best = (ModelPlan(run_mode=m).budget() for m in ("fast", "normal", "best"))
    assert (fast.rows, normal.rows, best.rows) == (200_000, 1_000_000, 5_000_000)
    assert (normal.seconds, best.seconds) == (4 * fast.seconds, 16 * fast.seconds)
    assert (fast.refit, normal.refit, best.refit) == (False, True, True)
    assert ModelPlan(run_mode="debug").budget().seconds <= 10


def test_own_numbers_take_the_place_of_the_modes() -> None:
    plan = ModelPlan(
        num_experiments=2, refit_trainval=True, max_training_rows=50, time_budget_seconds=3
    )
    budget = plan.budget()
    assert (budget.experiments, budget.refit, budget.rows, budget.seconds) == (2, True, 50, 3)


def test_a_plan_goes_to_json_and_back() -> None:
    plan = ModelPlan(run_mode="best", metrics=("mae", "r2"), regime="frozen", threads=3)
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
    ],
)
def test_bad_options_are_refused_with_advice(options: dict) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ModelPlan.from_json(options)
    assert caught.value.code == "plan.invalid"
    assert next(iter(options)) in caught.value.message
    assert caught.value.hint
