"""What a run mode spends on the network, and which settings are tried. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from relcast.core.schema import TaskType
from relcast.learners.plan import Budget

__all__ = ["Effort", "Trying", "bounded", "effort_of", "propose", "target_fanout"]


@dataclass(frozen=True, slots=True)
class Effort:
    """A run mode's numbers; the time of the fit cuts all of them.

    Attributes:
        trials: Networks that are trained.
        epochs: Most rounds over the training rows, each followed by a look at validation.
        steps: Least and most steps per round.
        checked: Most batches of validation rows.
        batch: Rows per step.
        neighbours: Most children per row and foreign key.
        hops: Links away from the entity that are read.
    """

    trials: int
    epochs: int
    steps: tuple[int, int]
    checked: int
    batch: int
    neighbours: int
    hops: int = 2


_DEBUG = Effort(2, 2, (1, 2), 2, 16, 8)
_FAST = Effort(4, 8, (10, 1_000), 1_000, 512, 12)
_NORMAL = Effort(8, 12, (10, 2_000), 2_000, 512, 16)
_BEST = Effort(16, 16, (10, 2_000), 2_000, 512, 24)


def effort_of(budget: Budget, task_type: TaskType) -> Effort:
    """Return what a budget spends; classification tries half as many networks, at least two."""
    base = _BEST
    for most, effort in ((100, _DEBUG), (1_500, _FAST), (3_000, _NORMAL)):
        if budget.iterations <= most:
            base = effort
            break
    numbers = (TaskType.REGRESSION, TaskType.FORECASTING)
    trials = base.trials if task_type in numbers else max(2, base.trials // 2)
    return replace(base, trials=max(1, min(trials, budget.experiments)))


_EXAMPLES_PER_SECOND = 6_000
"""What a fit's networks may learn from, for each second of its run mode: half of what a processor
got through, so that they take no longer than what stands beside them."""

_FEWEST_EPOCHS = 2


def bounded(effort: Effort, examples: int, budget: Budget) -> Effort:
    """Return an effort that the budget has time for: fewer networks, then shorter ones.

    The number of training examples decides, not the clock, so that the same inputs give the same
    networks on a busy machine. A network that is trained again counts twice.
    """
    most = int(_EXAMPLES_PER_SECOND * budget.seconds)
    again = int(budget.refit)
    least, limit = effort.steps
    steps = min(max(least, math.ceil(examples / effort.batch)), limit)
    epoch = steps * effort.batch
    trials = max(1, min(effort.trials, most // (epoch * effort.epochs) - again))
    share = most // (trials + again)
    epochs = max(_FEWEST_EPOCHS, min(effort.epochs, share // epoch))
    room = max(1, share // (epochs * effort.batch))
    if steps > room:
        least, limit = min(least, room), room
    return replace(effort, trials=trials, epochs=epochs, steps=(least, limit))


def target_fanout(children: int, parents: int) -> int:
    """Return how many of the target's own rows are read per entity: 64 to 512."""
    return min(512, max(64, math.ceil(8 * math.sqrt(children / max(1, parents)))))


@dataclass(frozen=True, slots=True)
class Trying:
    """The settings of one network.

    Attributes:
        rate: Highest learning rate; the first tenth of the steps leads up to it.
        decay: Weight decay (of Adam's kind).
        schedule: How the rate falls afterwards.
        features: Whether the seeds' own features join.
        dropout: Share of an example's own features that a step does not see.
    """

    rate: float = 2e-3
    decay: float = 0.0
    schedule: str = "cosine"
    channels: int = 64
    before: int = 0
    after: int = 1
    aggregations: tuple[str, ...] = ("sum", "mean", "max")
    features: bool = True
    dropout: float = 0.3

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "aggregations": list(self.aggregations)}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Trying:
        return cls(**{**obj, "aggregations": tuple(obj["aggregations"])})


def propose(number: int, seed: int) -> Trying:
    """Return the settings of a trial: first the default, then draws from the search space."""
    if number == 0:
        return Trying()
    rng = np.random.default_rng([seed, number, 71])
    return Trying(
        rate=float(np.exp(rng.uniform(np.log(5e-4), np.log(5e-3)))),
        decay=float(rng.choice([0.0, 5e-7, 5e-6])),
        schedule=str(rng.choice(["cosine", "linear", "constant"])),
        channels=int(rng.choice([64, 128])),
        before=int(rng.choice([0, 1])),
        after=int(rng.choice([1, 2])),
        aggregations=("sum", "mean", "max") if rng.random() < 0.5 else ("sum", "mean"),
        dropout=float(rng.choice([0.0, 0.3, 0.5])),
    )
