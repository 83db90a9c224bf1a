"""Metrics of binary classification, by scikit-learn's definitions.

A metric that is not defined on the rows given (AUROC with one class) is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relcast.learners.metrics.base import Metrics, ratios, weighed
from relcast.learners.metrics.names import split_at_k

__all__ = ["BinaryMetrics"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_OF_A_THRESHOLD = frozenset({"acc", "f1", "precision", "recall"})


class BinaryMetrics(Metrics):
    """Ranking metrics over all thresholds, and the metrics of one threshold (0.5, inclusive).

    Args:
        target: float64[n], 0 or 1.
        score: float64[n], the probability of true.
        threshold: From which on a row counts as predicted true.
    """

    def __init__(self, target: Float, score: Float, threshold: float = 0.5) -> None:
        self.rows = len(score)
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

    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        if not self.rows:
            return {name: np.full(len(weights), np.nan) for name in names}
        w = weights[:, self._order]
        total = w.sum(axis=1)
        hits = rows = np.zeros((len(weights), 0))
        if not set(names) <= _OF_A_THRESHOLD:
            hits = np.cumsum(w * self._positive, axis=1)[:, self._ends]
            rows = np.cumsum(w, axis=1)[:, self._ends]
        found = {name: self._one(name, w, hits, rows) for name in names}
        return {name: np.where(total > 0, value, np.nan) for name, value in found.items()}

    def _one(self, name: str, w: Float, hits: Float, rows: Float) -> Float:
        at = split_at_k(name)
        if at is not None:
            return _at_k(*at, hits, rows)
        if name == "auroc":
            return _auroc(hits, rows)
        if name in {"ap", "auprc"}:
            return _precision_recall_area(hits, rows, trapezoid=name == "auprc")
        positive, predicted = self._positive, self._predicted
        if name == "acc":
            return ratios(weighed(w, positive == predicted), w.sum(axis=1))
        true_positive = weighed(w, positive & predicted)
        if name == "precision":
            return ratios(true_positive, weighed(w, predicted))
        if name == "recall":
            return ratios(true_positive, weighed(w, positive))
        return ratios(2 * true_positive, weighed(w, positive) + weighed(w, predicted))


def _auroc(hits: Float, rows: Float) -> Float:
    misses = rows - hits
    width = np.diff(misses, axis=1, prepend=0.0)
    height = hits.copy()
    height[:, 1:] += hits[:, :-1]
    return ratios((width * height).sum(axis=1) / 2, hits[:, -1] * misses[:, -1], np.nan)


def _precision_recall_area(hits: Float, rows: Float, *, trapezoid: bool) -> Float:
    precision = ratios(hits, rows)
    if trapezoid:
        before = np.column_stack([np.ones(len(hits)), precision[:, :-1]])
        precision = (precision + before) / 2
    return ratios((np.diff(hits, axis=1, prepend=0.0) * precision).sum(axis=1), hits[:, -1], np.nan)


def _at_k(name: str, k: int, hits: Float, rows: Float) -> Float:
    """Metrics of the best k rows; rows that tie count by their mean over all orders of the tie."""
    ends = np.rint(rows).astype(np.int64)
    share = ratios(np.diff(hits, axis=1, prepend=0.0), np.diff(ends, axis=1, prepend=0) * 1.0)
    whole = hits[:, -1]
    if name == "ndcg":
        most = min(k, int(ends[:, -1].max()))
        gains = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, most + 2))))
        inside = np.minimum(ends, most)
        found = (np.diff(gains[inside], axis=1, prepend=0.0) * share).sum(axis=1)
        return ratios(found, gains[np.minimum(np.rint(whole).astype(np.int64), most)], np.nan)
    found = (np.diff(np.minimum(ends, k), axis=1, prepend=0) * share).sum(axis=1)
    return np.where(whole > 0, found / k if name == "precision" else ratios(found, whole), np.nan)
