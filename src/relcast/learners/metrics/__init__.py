"""Metrics of every task type, with row weights, by scikit-learn's definitions.

scikit-learn itself is a test dependency only. ``metrics_of`` gives the metrics of predictions; they
are computed for one weighing of the rows, or for many at once (the bootstrap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.metrics.base import Metrics
from relcast.learners.metrics.binary import BinaryMetrics
from relcast.learners.metrics.multiclass import MulticlassMetrics
from relcast.learners.metrics.multilabel import MultilabelMetrics
from relcast.learners.metrics.names import (
    RANKED,
    check_metrics,
    default_metrics,
    default_tune_metric,
    is_greater_better,
    is_ranked,
    largest_k,
)
from relcast.learners.metrics.ranking import Catalogue, RankingMetrics
from relcast.learners.metrics.regression import ForecastMetrics, RegressionMetrics
from relcast.learners.protocol import Fold, Ranked

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = [
    "RANKED",
    "BinaryMetrics",
    "Catalogue",
    "ForecastMetrics",
    "Metrics",
    "MulticlassMetrics",
    "MultilabelMetrics",
    "RankingMetrics",
    "RegressionMetrics",
    "check_metrics",
    "default_metrics",
    "default_tune_metric",
    "is_greater_better",
    "is_ranked",
    "largest_k",
    "metrics_of",
]

Float = npt.NDArray[np.float64]


def metrics_of(
    task_type: TaskType,
    truth: Fold | Float | Lists,
    said: Float | Ranked,
    catalogue: Catalogue | None = None,
) -> Metrics:
    """Return the metrics of predictions.

    Args:
        task_type: The task.
        truth: The fold, or what counts of it: float64[n] (0 or 1, the value, or the class's
            index), float64[n, horizon] of a forecast, or lists.
        said: float64[n] probability of true or value; float64[n, classes] for multiclass and
            multilabel; float64[n, horizon] for forecasts; ``Ranked`` for rankings and links.
        catalogue: Of a ranking: what is known of its items.
    """
    found = truth
    if isinstance(truth, Fold):
        found = truth.label if truth.lists is None else truth.lists
    if task_type in RANKED:
        return RankingMetrics(cast("Lists", found), cast("Ranked", said), catalogue)
    values = cast("Float", said)
    if task_type is TaskType.MULTILABEL_CLASSIFICATION:
        return MultilabelMetrics(cast("Lists", found), values)
    target = cast("Float", found)
    if task_type is TaskType.BINARY_CLASSIFICATION:
        return BinaryMetrics(target, values)
    if task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return MulticlassMetrics(target, values)
    if task_type is TaskType.FORECASTING:
        return ForecastMetrics(target, values)
    return RegressionMetrics(target, values)
