"""Which settings of trees are tried, and in which order.

The first trial of every objective is a sober default; the rest are drawn from the ranges below with
the plan's seed. The size of the data, not the clock, decides how many trees there are, so that the
same inputs give the same model on a busy machine. Nothing here looks at a data set's names.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from relcast.core.schema import TaskType
from relcast.learners.boosting import TreeConfig

__all__ = ["Effort", "configurations", "effort", "objectives"]

_SMALL = 5_000_000
_LARGE = 50_000_000
_LEAST_WAY = 5.0
"""Learning rate times iterations: with less, a trial would end before it has learned."""


class Effort:
    """How long a trial may be: iterations, patience and learning rate for the size of the data."""

    __slots__ = ("iterations", "patience", "rate", "trials")

    def __init__(self, iterations: int, patience: int, rate: float, trials: int) -> None:
        self.iterations = iterations
        self.patience = patience
        self.rate = rate
        self.trials = trials


def effort(cells: int, iterations: int, trials: int, width: int) -> Effort:
    """Return the effort for a matrix of ``cells`` values and ``width`` classes.

    Large data learns in larger steps and with fewer trials; each class costs a tree per iteration.
    """
    if cells <= _SMALL:
        rate, most, some = 0.03, iterations, trials
    elif cells <= _LARGE:
        rate, most, some = 0.06, max(40, iterations // 2), max(1, trials // 2)
    else:
        rate, most, some = 0.1, max(40, iterations // 4), max(1, trials // 4)
    most = max(20, most // max(1, width // 4))
    rate = max(rate, _LEAST_WAY / most)
    return Effort(most, max(20, min(100, most // 8)), rate, min(trials, some))


def objectives(task_type: TaskType, metric: str) -> list[tuple[str, str]]:
    """Return (objective, early stopping metric) pairs to try for a tune metric."""
    if task_type is TaskType.BINARY_CLASSIFICATION:
        return [("binary", "binary_logloss")]
    if task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return [("multiclass", "multi_logloss")]
    if metric in {"mse", "rmse", "r2"}:
        return [("regression", "l2")]
    return [("regression_l1", "l1"), ("regression", "l1"), ("huber", "l1")]


def configurations(
    task_type: TaskType, metric: str, rows: int, width: int, rate: float, seed: int
) -> Iterator[TreeConfig]:
    """Yield settings without end, the sober ones first."""
    rng = np.random.default_rng([seed, 17])
    pairs = objectives(task_type, metric)
    classes = width if task_type is TaskType.MULTICLASS_CLASSIFICATION else 1
    leaf = int(np.clip(rows // 250, 10, 100))
    number = 0
    while True:
        objective, stop = pairs[number % len(pairs)]
        if number < len(pairs):
            yield TreeConfig(
                objective,
                stop,
                learning_rate=rate,
                num_leaves=15 if rows < 20_000 else 31,
                min_data_in_leaf=leaf,
                feature_fraction=0.4,
                bagging_fraction=0.8,
                lambda_l2=5.0,
                num_class=classes,
            )
        else:
            yield TreeConfig(
                objective,
                stop,
                learning_rate=rate * float(rng.choice([0.7, 1.0, 1.5])),
                num_leaves=int(rng.choice([7, 15, 31, 63])),
                min_data_in_leaf=max(5, int(leaf * rng.choice([0.5, 1.0, 2.0]))),
                feature_fraction=float(rng.choice([0.2, 0.4, 0.7])),
                bagging_fraction=float(rng.choice([0.6, 0.8, 1.0])),
                lambda_l2=float(rng.choice([0.5, 5.0, 20.0])),
                path_smooth=float(rng.choice([0.0, 5.0])),
                extra_trees=bool(rng.random() < 0.4),
                num_class=classes,
            )
        number += 1
