"""How many networks a budget has time for, and how long they may be: examples decide."""

from __future__ import annotations

import pytest

from relcast.core.schema import TaskType
from relcast.learners.gnn.settings import Effort, bounded, effort_of
from relcast.learners.plan import ModelPlan, RunMode


def seen(effort: Effort, examples: int, *, again: bool) -> int:
    """Return the examples that all networks of an effort learn from."""
    steps = min(max(effort.steps[0], -(-examples // effort.batch)), effort.steps[1])
    return (effort.trials + again) * effort.epochs * steps * effort.batch


@pytest.mark.parametrize("mode", ["fast", "normal", "best"])
@pytest.mark.parametrize("examples", [500, 7_453, 44_000, 200_000, 3_000_000])
def test_time_bounds_what_networks_see(mode: RunMode, examples: int) -> None:
    budget = ModelPlan(run_mode=mode).budget()
    whole = effort_of(budget, TaskType.REGRESSION)
    some = bounded(whole, examples, budget)
    assert 1 <= some.trials <= whole.trials
    assert 2 <= some.epochs <= whole.epochs
    assert seen(some, examples, again=budget.refit) <= 6_000 * budget.seconds
    # Whoever has time for everything does everything.
    assert (some == whole) is (seen(whole, examples, again=True) <= 6_000 * budget.seconds)


def test_few_rows_get_every_network_and_many_get_one() -> None:
    budget = ModelPlan().budget()
    whole = effort_of(budget, TaskType.REGRESSION)
    assert bounded(whole, 7_453, budget).trials == whole.trials
    many = bounded(whole, 44_000, budget)
    assert (many.trials, many.epochs) == (1, 4)
