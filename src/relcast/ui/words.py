"""How numbers, times and names are written on pages. Pure text in, pure text out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from relcast.core.clock import utc_now
from relcast.core.schema import TaskType

__all__ = [
    "ago",
    "amount",
    "cause",
    "count",
    "decimals",
    "duration",
    "kind_name",
    "metric_name",
    "moment",
    "number",
    "progress_words",
    "state_name",
    "task_name",
]

_KINDS = {
    "ingest": "Ingestion",
    "training_table": "Training table",
    "prediction_table": "Prediction table",
    "training": "Training",
    "prediction": "Batch prediction",
}
_STATES = {
    "NOT_STARTED": "Waiting",
    "QUEUED": "Queued",
    "RUNNING": "Running",
    "DONE": "Done",
    "FAILED": "Failed",
    "CANCELLED": "Cancelled",
}
_METRICS = {
    "acc": "Accuracy",
    "accuracy": "Accuracy",
    "avg_popularity": "Mean popularity",
    "coverage": "Coverage",
    "diversity": "Diversity",
    "hit_ratio": "Hit ratio",
    "personalization": "Personalization",
    "wape": "WAPE",
    "map": "MAP",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "ap": "Average precision",
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "f1": "F1",
    "f1_macro": "Macro F1",
    "log_loss": "Log loss",
    "logloss": "Log loss",
    "mae": "MAE",
    "mape": "MAPE",
    "mse": "MSE",
    "precision": "Precision",
    "r2": "R²",
    "recall": "Recall",
    "rmse": "RMSE",
    "smape": "SMAPE",
}
_MEANS = ("macro", "micro")
_TASKS = {
    TaskType.BINARY_CLASSIFICATION: "Binary classification",
    TaskType.MULTICLASS_CLASSIFICATION: "Multiclass classification",
    TaskType.MULTILABEL_CLASSIFICATION: "Multilabel classification",
    TaskType.MULTILABEL_RANKING: "Multilabel ranking",
    TaskType.REGRESSION: "Regression",
    TaskType.TEMPORAL_LINK_PREDICTION: "Link prediction",
    TaskType.STATIC_LINK_PREDICTION: "Static link prediction",
    TaskType.FORECASTING: "Forecasting",
}


def kind_name(kind: str) -> str:
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())


def state_name(state: str) -> str:
    return _STATES.get(state, state.replace("_", " ").capitalize())


def metric_name(metric: str) -> str:
    """Return the field's name of a metric: ``auroc`` is AUROC, ``map@10`` is MAP@10."""
    head, at, k = metric.partition("@")
    first, under, kind = head.rpartition("_")
    name = _METRICS.get(head.casefold())
    if name is None and under and kind in _MEANS and first.casefold() in _METRICS:
        name = f"{_METRICS[first.casefold()]}, {kind}"
    if name is None:
        name = head.upper() if at else head.replace("_", " ")
    return f"{name}{at}{k}"


def task_name(task: TaskType | str) -> str:
    try:
        return _TASKS[TaskType(task)]
    except ValueError:
        return str(task).replace("_", " ")


def number(value: object, digits: int = 4) -> str:
    """Write a measurement with about ``digits`` significant digits; anything else as its text."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 1e12:
        return f"{value:.{digits}g}"
    places = decimals(value, digits)
    if value and places > digits + 3:
        return f"{value:.{digits - 1}g}"
    return f"{value:,.{places}f}"


def decimals(largest: float, digits: int = 4) -> int:
    """Return the places after the point that show ``digits`` significant digits of a value."""
    if not largest or not math.isfinite(largest):
        return digits - 1
    return max(0, digits - 1 - math.floor(math.log10(abs(largest))))


def amount(value: float) -> str:
    """Write how many: without a point where there is nothing behind it."""
    return f"{int(value):,}" if float(value).is_integer() else number(float(value))


def cause(value: object) -> str:
    """Write a feature's value or a cell: no thousands separators, for a year is a value too."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def count(n: int, thing: str, things: str | None = None) -> str:
    """``count(1, 'row')`` is ``1 row``; ``count(2000, 'row')`` is ``2,000 rows``."""
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def moment(time: datetime | None) -> str:
    """Write a time to the second, in UTC and saying so."""
    return "–" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Write a length of time: ``0.8 s``, ``42 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(time: datetime | None, now: datetime | None = None) -> str:
    """Write how long ago a time was, coarsely: ``just now``, ``4 min ago``, ``3 days ago``."""
    if time is None:
        return "–"
    seconds = ((now or utc_now()) - time).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86400:
        return f"{round(seconds / 3600)} h ago"
    return count(round(seconds / 86400), "day") + " ago"


def progress_words(line: Mapping[str, Any]) -> str:
    """Write how far a computation is: ``12 of 40 anchors``; nothing when it did not say."""
    done, total, unit = line.get("done"), line.get("total"), line.get("unit") or ""
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return ""
    return f"{done:,.0f} of {total:,.0f} {unit}".strip()
