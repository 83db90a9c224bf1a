"""Curves of an evaluation: what figures do not say, JSON-ready and bounded in size.

``make_curves`` gives one object a split: ROC, precision and recall, calibration, gain and the
confusion by threshold (binary); the confusion matrix (multiclass); residuals and predicted against
actual (regression); figures by k (rankings); error and coverage by step (forecasts); for every task
the tune metric over time and by cohort. Points that are left out of a long curve are left out
evenly; those that stay are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.curves.binary import binary_curves
from relcast.learners.curves.classes import class_curves, label_curves
from relcast.learners.curves.groups import Grouped, by_cohort, over_time
from relcast.learners.curves.numbers import fan_curves, number_curves
from relcast.learners.curves.ranking import ranking_curves
from relcast.learners.metrics import RANKED
from relcast.learners.protocol import Fold, Ranked, Said, Target

if TYPE_CHECKING:
    from relcast.relations import Relations
    from relcast.tasks import Lists

__all__ = ["LEVELS", "Grouped", "make_curves"]

Float = npt.NDArray[np.float64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles whose coverage a fan shows."""


def make_curves(
    relations: Relations,
    entity_table: str,
    target: Target,
    fold: Fold,
    said: Said,
    grouped: Grouped,
    quantiles: tuple[npt.NDArray[np.int64], Float] | None = None,
) -> dict[str, Any]:
    """Return the curves of what was said of a fold.

    Args:
        relations: For the entity's own columns and past events.
        entity_table: Whose rows the examples are.
        target: What was predicted.
        fold: The examples with their truth.
        said: The predictions of the published model.
        grouped: The metric by time and cohort, of the model and of the best baseline.
        quantiles: Rows int64[m] that quantiles are known of, and float64[m, (horizon,) levels] at
            ``LEVELS``; None without.
    """
    task_type = target.task_type
    own: dict[str, Any]
    if task_type in RANKED:
        own = ranking_curves(cast("Lists", fold.lists), cast("Ranked", said))
    else:
        values = cast("Float", said)
        if task_type is TaskType.BINARY_CLASSIFICATION:
            own = binary_curves(fold.label, values)
        elif task_type is TaskType.MULTICLASS_CLASSIFICATION:
            own = class_curves(fold.label, values, [str(c) for c in target.classes or ()])
        elif task_type is TaskType.MULTILABEL_CLASSIFICATION:
            own = label_curves(
                cast("Lists", fold.lists), values, [str(c) for c in target.classes or ()]
            )
        else:
            own = number_curves(fold.label, values)
            own |= fan_curves(fold.label, values, quantiles, LEVELS)
    return {
        **own,
        "metric": grouped.metric,
        "baseline": grouped.baseline_name,
        "over_time": over_time(fold, grouped),
        "by_cohort": by_cohort(relations, entity_table, fold, grouped),
    }
