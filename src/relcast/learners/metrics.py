"""Metrics of binary classification, multiclass classification and regression.

The definitions are scikit-learn's (scikit-learn itself is a test dependency only). Every metric
takes row weights: a whole number as weight means that many copies of the row, which is what the
bootstrap of ``evaluation`` needs, so rows are sorted once and weighed many times. A metric that is
not defined on the rows given (AUROC with one class, R² of one row) is NaN. Not for rankings of
items, which need a list per entity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest, nearest
from relcast.core.schema import TaskType

__all__ = [
    "BinaryMetrics",
    "Metrics",
    "MulticlassMetrics",
    "RegressionMetrics",
    "check_metrics",
    "default_metrics",
    "default_tune_metric",
    "is_greater_better",
    "metrics_of",
]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_BINARY = ("auroc", "ap", "auprc", "acc", "f1", "precision", "recall")
_MULTICLASS = ("acc", "f1", "precision", "recall", "mrr")
_REGRESSION = ("mae", "mse", "rmse", "mape", "smape", "wape", "r2")
_NAMES = {
    TaskType.BINARY_CLASSIFICATION: _BINARY,
    TaskType.MULTICLASS_CLASSIFICATION: _MULTICLASS,
    TaskType.REGRESSION: _REGRESSION,
}
_AT_K = re.compile(r"(ndcg|precision|recall)@([1-9][0-9]{0,6})")


class Metrics(Protocol):
    """The metrics of one set of predictions, for any weights of its rows."""

    def compute(self, names: Sequence[str], weight: Float | None = None) -> dict[str, float]:
        """Return the named metrics; ``weight`` float64[n] defaults to one for each row."""


def default_metrics(task_type: TaskType) -> tuple[str, ...]:
    """Return the metrics that a task reports when nobody chose."""
    return _names_of(task_type)


def default_tune_metric(task_type: TaskType) -> str:
    """Return the metric that decides between models when nobody chose."""
    return _names_of(task_type)[0]


def is_greater_better(name: str) -> bool:
    """Whether a larger value is the better one; only regression errors say no."""
    return name not in {"mae", "mse", "rmse", "mape", "smape", "wape"}


def check_metrics(task_type: TaskType, names: Sequence[str]) -> tuple[str, ...]:
    """Return ``names`` without repetition, or raise ``plan.unknown_metric``.

    Binary tasks also know ``ndcg@k``, ``precision@k`` and ``recall@k``.
    """
    known = _names_of(task_type)
    for name in names:
        at_k = task_type is TaskType.BINARY_CLASSIFICATION and _AT_K.fullmatch(name)
        if name not in known and not at_k:
            raise InvalidRequest(
                f"There is no metric {name!r} for {task_type.value}",
                code="plan.unknown_metric",
                hint=nearest(name, known),
            )
    return tuple(dict.fromkeys(names))


def metrics_of(task_type: TaskType, target: Float, values: Float) -> Metrics:
    """Return the metrics of predictions.

    Args:
        task_type: Binary, multiclass or regression.
        target: float64[n]: 0/1, the value, or the class's index.
        values: float64[n] probability of true or value; float64[n, classes] for multiclass.
    """
    if task_type is TaskType.BINARY_CLASSIFICATION:
        return BinaryMetrics(target, values)
    if task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return MulticlassMetrics(target, values)
    return RegressionMetrics(target, values)


def _names_of(task_type: TaskType) -> tuple[str, ...]:
    try:
        return _NAMES[task_type]
    except KeyError:
        raise InvalidRequest(
            f"Models for {task_type.value} are not available yet",
            code="model.task_type",
            hint="Ask for a number, a condition, or the first or last category in a window.",
        ) from None


class BinaryMetrics:
    """Ranking metrics over all thresholds, and the metrics of one threshold (0.5, inclusive)."""

    def __init__(self, target: Float, score: Float, threshold: float = 0.5) -> None:
        self._order = np.argsort(-score, kind="stable")
        ranked = score[self._order]
        self._positive = target[self._order] > 0.5
        # Rows of one score enter together: a threshold cannot tell them apart.
        self._ends = (
            np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
            if len(ranked)
            else np.zeros(0, np.int64)
        )
        self._predicted = ranked >= threshold

    def compute(self, names: Sequence[str], weight: Float | None = None) -> dict[str, float]:
        w = np.ones(len(self._order)) if weight is None else weight[self._order]
        hits = np.cumsum(w * self._positive)[self._ends]
        rows = np.cumsum(w)[self._ends]
        return {name: self._one(name, w, hits, rows) for name in names}

    def _one(self, name: str, w: Float, hits: Float, rows: Float) -> float:
        if not len(hits) or rows[-1] <= 0:
            return float("nan")
        at_k = _AT_K.fullmatch(name)
        if at_k:
            return _at_k(at_k[1], int(at_k[2]), hits, rows)
        if name == "auroc":
            return _auroc(hits, rows)
        if name in {"ap", "auprc"}:
            return _precision_recall_area(hits, rows, trapezoid=name == "auprc")
        positive, predicted = self._positive, self._predicted
        true_positive = float(w[positive & predicted].sum())
        if name == "acc":
            return float(w[positive == predicted].sum() / w.sum())
        if name == "precision":
            return _ratio(true_positive, float(w[predicted].sum()))
        if name == "recall":
            return _ratio(true_positive, float(w[positive].sum()))
        return _ratio(2 * true_positive, float(w[positive].sum() + w[predicted].sum()))


def _auroc(hits: Float, rows: Float) -> float:
    misses = rows - hits
    if hits[-1] <= 0 or misses[-1] <= 0:
        return float("nan")
    width = np.diff(misses, prepend=0.0)
    height = (hits + np.append(0.0, hits[:-1])) / 2
    return float((width * height).sum() / (hits[-1] * misses[-1]))


def _precision_recall_area(hits: Float, rows: Float, *, trapezoid: bool) -> float:
    if hits[-1] <= 0:
        return float("nan")
    precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    if trapezoid:
        precision = (precision + np.append(1.0, precision[:-1])) / 2
    return float((np.diff(hits, prepend=0.0) * precision).sum() / hits[-1])


def _at_k(name: str, k: int, hits: Float, rows: Float) -> float:
    """Metrics of the best k rows; rows that tie count by their mean over all orders of the tie."""
    if hits[-1] <= 0:
        return float("nan")
    ends = rows.astype(np.int64)
    counts = np.diff(ends, prepend=0)
    share = np.divide(np.diff(hits, prepend=0.0), counts, out=np.zeros_like(hits), where=counts > 0)
    if name == "ndcg":
        gains = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, min(k, int(ends[-1])) + 2))))
        inside = np.minimum(ends, len(gains) - 1)
        found = (np.diff(gains[inside], prepend=0.0) * share).sum()
        return float(found / gains[min(int(hits[-1]), len(gains) - 1)])
    found = (np.diff(np.minimum(ends, k), prepend=0) * share).sum()
    return float(found / (k if name == "precision" else hits[-1]))


def _ratio(part: float, whole: float) -> float:
    """Return part / whole, and 0 where nothing was predicted or nothing is there to be found."""
    return part / whole if whole > 0 else 0.0


class MulticlassMetrics:
    """Metrics over the best class (the first one of a tie), macro averages, and the rank."""

    def __init__(self, target: Float, values: Float) -> None:
        self._classes = values.shape[1]
        self._target = target.astype(np.int64)
        self._predicted = values.argmax(axis=1) if len(values) else np.zeros(0, np.int64)
        own = values[np.arange(len(values)), self._target]
        # A tie takes the worst rank, so that a constant score earns nothing.
        self._reciprocal = 1.0 / np.maximum((values >= own[:, None]).sum(axis=1), 1)

    def compute(self, names: Sequence[str], weight: Float | None = None) -> dict[str, float]:
        w = np.ones(len(self._target)) if weight is None else weight
        total = float(w.sum())
        if total <= 0:
            return dict.fromkeys(names, float("nan"))
        precision, recall, f1, present = self._by_class(w)
        values = {
            "acc": float(w[self._target == self._predicted].sum() / total),
            "mrr": float((w * self._reciprocal).sum() / total),
            "precision": float(precision[present].mean()),
            "recall": float(recall[present].mean()),
            "f1": float(f1[present].mean()),
        }
        return {name: values[name] for name in names}

    def by_class(self) -> list[dict[str, float]]:
        """Return precision, recall, f1 and the number of rows of every class, in order."""
        w = np.ones(len(self._target))
        precision, recall, f1, _ = self._by_class(w)
        support = np.bincount(self._target, minlength=self._classes)
        return [
            {
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "rows": float(support[k]),
            }
            for k in range(self._classes)
        ]

    def _by_class(self, w: Float) -> tuple[Float, Float, Float, npt.NDArray[np.bool_]]:
        right = self._target == self._predicted

        def total(codes: Index, weight: Float) -> Float:
            sums = np.bincount(codes, weights=weight, minlength=self._classes)
            return sums.astype(np.float64)

        hit = total(self._target[right], w[right])
        true, said = total(self._target, w), total(self._predicted, w)
        return (
            _ratios(hit, said),
            _ratios(hit, true),
            _ratios(2 * hit, true + said),
            (true + said) > 0,
        )


def _ratios(part: Float, whole: Float) -> Float:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


class RegressionMetrics:
    """Errors of predicted numbers; one that is beyond all numbers is infinite, not an error."""

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, target: Float, values: Float) -> None:
        error = np.abs(target - values)
        size = np.abs(target)
        both = size + np.abs(values)
        self._target = target
        self._error = error
        self._size = size
        self._percent = error / np.maximum(size, np.finfo(np.float64).eps)
        self._symmetric = np.divide(2 * error, both, out=np.zeros_like(error), where=both > 0)

    @np.errstate(over="ignore", invalid="ignore")
    def compute(self, names: Sequence[str], weight: Float | None = None) -> dict[str, float]:
        w = np.ones(len(self._target)) if weight is None else weight
        total = float(w.sum())
        if total <= 0:
            return dict.fromkeys(names, float("nan"))
        return {name: self._one(name, w, total) for name in names}

    def _one(self, name: str, w: Float, total: float) -> float:
        if name == "mae":
            return float((w * self._error).sum() / total)
        if name == "mape":
            return float((w * self._percent).sum() / total)
        if name == "smape":
            return float((w * self._symmetric).sum() / total)
        if name == "wape":
            size = float((w * self._size).sum())
            return float((w * self._error).sum() / size) if size > 0 else float("nan")
        squared = float((w * self._error**2).sum())
        if name == "mse":
            return squared / total
        if name == "rmse":
            return float(np.sqrt(squared / total))
        return self._r2(w, total, squared)

    def _r2(self, w: Float, total: float, squared: float) -> float:
        if total < 2:
            return float("nan")
        mean = float((w * self._target).sum() / total)
        spread = float((w * (self._target - mean) ** 2).sum())
        if spread > 0:
            return 1.0 - squared / spread
        return 1.0 if squared == 0 else 0.0
