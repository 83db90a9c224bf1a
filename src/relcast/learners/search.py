"""Which settings of trees are tried, and in which order.

First every objective that suits the metric with sober settings; then the one that validated best on
labels less the level of their anchor; then variations of the best so far, beginning with the ones
that differ most from each other (a blend lives on differences), then settings drawn with the plan's
seed. The size of the data, not the clock, decides
how many trees there are, so that the same inputs give the same model on a busy machine. Nothing
here looks at a data set's names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relcast.core.schema import TaskType
from relcast.learners.boosting import TreeConfig

__all__ = ["Effort", "Search", "effort", "objectives"]

_SMALL = 10_000_000
_FEW_ROWS = 100_000
_LARGE = 50_000_000
_LEAST_WAY = 5.0
"""Learning rate times iterations: with less, a trial would end before it has learned."""

_VARIATIONS: tuple[Mapping[str, Any], ...] = (
    {"extra_trees": True, "num_leaves": 7, "feature_fraction": 0.05, "leaf": 2.0},
    {"extra_trees": False, "num_leaves": 7, "feature_fraction": 0.15},
    {"extra_trees": True, "num_leaves": 31, "feature_fraction": 0.15},
    {"extra_trees": True, "num_leaves": 7, "feature_fraction": 0.15},
    {"extra_trees": True, "num_leaves": 15, "feature_fraction": 0.5},
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long trials may be.

    Attributes:
        iterations: Most iterations of a trial.
        patience: Iterations without improvement that end it.
        rate: Learning rate.
        trials: How many trials.
    """

    iterations: int
    patience: int
    rate: float
    trials: int


def effort(cells: int, iterations: int, trials: int, width: int) -> Effort:
    """Return the effort for a matrix of ``cells`` values and ``width`` outputs.

    Large data learns in larger steps and with fewer trials; each output costs a tree per iteration.
    """
    if cells <= _SMALL:
        rate, most, some = 0.04, iterations, trials
    elif cells <= _LARGE:
        rate, most, some = 0.1, max(40, iterations // 3), max(1, trials // 2)
    else:
        rate, most, some = 0.12, max(40, iterations // 4), max(1, trials // 4)
    most = max(20, most // max(1, width // 4))
    rate = max(rate, _LEAST_WAY / most)
    return Effort(most, max(20, min(80, most // 8)), rate, some)


def objectives(
    task_type: TaskType, metric: str, losses: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return (objective, early stopping metric) pairs to try for a tune metric.

    ``losses`` are a plan's words; those that trees have no objective for are passed over.
    """
    stop = "l2" if metric in {"mse", "rmse", "r2"} else "l1"
    named = [(_OBJECTIVES[word], stop) for word in losses or () if word in _OBJECTIVES]
    if task_type is TaskType.REGRESSION and named:
        return list(dict.fromkeys(named))
    if task_type is TaskType.BINARY_CLASSIFICATION:
        return [("binary", "binary_logloss")]
    if task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return [("multiclass", "multi_logloss")]
    if metric in {"mse", "rmse", "r2"}:
        return [("regression", "l2")]
    return [("regression_l1", "l1"), ("regression", "l1"), ("huber", "l1")]


_OBJECTIVES: Mapping[str, str] = {
    "mae": "regression_l1",
    "wape": "regression_l1",
    "mse": "regression",
    "normal": "regression",
    "huber": "huber",
    "quantile": "quantile",
}
"""LightGBM's name for a plan's loss; the median is the quantile that a point prediction is."""


class Search:
    """Proposes one set of settings after another.

    Args:
        task_type: The task.
        metric: The tune metric.
        rows: Training rows.
        outputs: Outputs of the model: classes of a multiclass one, else 1.
        rate: Learning rate of the sober settings.
        seed: Seed of the settings that are drawn.
        losses: The plan's losses; None leaves the choice to the task and metric.
        levels: Whether labels have levels by anchor that can be taken off (see ``levels``).
    """

    def __init__(
        self,
        task_type: TaskType,
        metric: str,
        rows: int,
        outputs: int,
        rate: float,
        seed: int,
        losses: Sequence[str] | None = None,
        levels: bool = False,
    ) -> None:
        self._levels = levels and task_type is TaskType.REGRESSION
        self._pairs = objectives(task_type, metric, losses)
        self._rng = np.random.default_rng([seed, 17])
        self._leaf = int(np.clip(rows // 250, 10, 100))
        self._sober = TreeConfig(
            objective="",
            metric="",
            learning_rate=rate,
            num_leaves=15 if rows < _FEW_ROWS else 31,
            min_data_in_leaf=self._leaf,
            feature_fraction=0.15 if rows < _FEW_ROWS else 0.25,
            extra_trees=rows < _FEW_ROWS,
            bagging_fraction=0.7,
            lambda_l2=5.0,
            num_class=outputs if task_type is TaskType.MULTICLASS_CLASSIFICATION else 1,
        )

    def propose(self, number: int, best: TreeConfig | None) -> TreeConfig:
        """Return the settings of trial ``number``; ``best`` are those that validated best so far.

        Trials are to be asked for in order: drawn settings follow on each other.
        """
        if number < len(self._pairs) or best is None:
            objective, stop = self._pairs[number % len(self._pairs)]
            level = 0.5 if objective == "quantile" else self._sober.alpha
            return replace(self._sober, objective=objective, metric=stop, alpha=level)
        chosen = replace(
            self._sober,
            objective=best.objective,
            metric=best.metric,
            alpha=best.alpha,
            centred=best.centred,
        )
        place = number - len(self._pairs) - self._levels
        if place < 0:
            return replace(chosen, centred=True)
        if place < len(_VARIATIONS):
            varied = dict(_VARIATIONS[place])
            leaf = max(5, int(self._leaf * varied.pop("leaf", 1.0)))
            return replace(chosen, min_data_in_leaf=leaf, **varied)
        draw = self._rng
        return replace(
            chosen,
            learning_rate=chosen.learning_rate * float(draw.choice([0.6, 1.0, 1.5])),
            num_leaves=int(draw.choice([7, 15, 31, 63])),
            min_data_in_leaf=max(5, int(self._leaf * draw.choice([0.5, 1.0, 2.0]))),
            feature_fraction=float(draw.choice([0.1, 0.2, 0.4])),
            bagging_fraction=float(draw.choice([0.5, 0.7, 0.9])),
            lambda_l2=float(draw.choice([0.5, 5.0, 20.0])),
            path_smooth=float(draw.choice([0.0, 5.0])),
            extra_trees=bool(draw.random() < 0.5),
        )
