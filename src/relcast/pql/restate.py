"""A checked query in plain English: ``describe``."""

from __future__ import annotations

from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery

__all__ = ["describe"]

_TASKS = {
    TaskType.BINARY_CLASSIFICATION: "Binary classification",
    TaskType.MULTICLASS_CLASSIFICATION: "Multiclass classification",
    TaskType.MULTILABEL_CLASSIFICATION: "Multilabel classification",
    TaskType.MULTILABEL_RANKING: "Multilabel ranking",
    TaskType.REGRESSION: "Regression",
    TaskType.TEMPORAL_LINK_PREDICTION: "Temporal link prediction",
    TaskType.STATIC_LINK_PREDICTION: "Static link prediction",
    TaskType.FORECASTING: "Forecasting",
}


def describe(checked: CheckedQuery) -> str:
    """Return one or two sentences: the task, who is in it, and the window."""
    return f"{_TASKS[checked.task_type]} for each row of {checked.entity_table}."
