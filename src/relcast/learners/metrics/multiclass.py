"""Metrics of multiclass classification, by scikit-learn's definitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relcast.learners.metrics.base import Metrics, ratios, weighed

__all__ = ["MulticlassMetrics"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


class MulticlassMetrics(Metrics):
    """Metrics over the best class (the first one of a tie), macro averages, and the rank.

    Args:
        target: float64[n], indices of classes.
        values: float64[n, classes].
    """

    def __init__(self, target: Float, values: Float) -> None:
        self.rows = len(values)
        self._classes = values.shape[1]
        self._target = target.astype(np.int64)
        self._predicted = values.argmax(axis=1) if len(values) else np.zeros(0, np.int64)
        own = values[np.arange(len(values)), self._target]
        # A tie takes the worst rank, so that a constant score earns nothing.
        self._reciprocal = 1.0 / np.maximum((values >= own[:, None]).sum(axis=1), 1)

    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        total = weights.sum(axis=1)
        found: dict[str, Float] = {}
        if {"precision", "recall", "f1"} & set(names):
            precision, recall, f1, there = self._by_class(weights)
            count = there.sum(axis=1)
            for name, each in (("precision", precision), ("recall", recall), ("f1", f1)):
                found[name] = ratios((each * there).sum(axis=1), count * 1.0, np.nan)
        if "acc" in names:
            found["acc"] = ratios(weighed(weights, self._target == self._predicted), total)
        if "mrr" in names:
            found["mrr"] = ratios(weighed(weights, self._reciprocal), total)
        return {name: np.where(total > 0, found[name], np.nan) for name in names}

    def by_class(self) -> list[dict[str, float]]:
        """Return precision, recall, f1 and the number of rows of every class, in order."""
        precision, recall, f1, _ = self._by_class(np.ones((1, self.rows)))
        support = np.bincount(self._target, minlength=self._classes)
        return [
            {
                "precision": float(precision[0, k]),
                "recall": float(recall[0, k]),
                "f1": float(f1[0, k]),
                "rows": float(support[k]),
            }
            for k in range(self._classes)
        ]

    def _by_class(self, weights: Float) -> tuple[Float, Float, Float, npt.NDArray[np.bool_]]:
        right = np.flatnonzero(self._target == self._predicted)
        hit = _sums(weights[:, right], self._target[right], self._classes)
        true = _sums(weights, self._target, self._classes)
        said = _sums(weights, self._predicted, self._classes)
        return ratios(hit, said), ratios(hit, true), ratios(2 * hit, true + said), true + said > 0


def _sums(weights: Float, codes: Index, size: int) -> Float:
    """Return float64[r, size]: the weights float64[r, n] by code."""
    out = np.zeros((len(weights), size))
    if len(codes):
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        out[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return out
