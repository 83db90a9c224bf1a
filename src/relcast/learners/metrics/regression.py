"""Metrics of predicted numbers, by scikit-learn's definitions; also of forecasts, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relcast.learners.metrics.base import Metrics, ratios, weighed

__all__ = ["ForecastMetrics", "RegressionMetrics"]

Float = npt.NDArray[np.float64]


class RegressionMetrics(Metrics):
    """Errors of predicted numbers; one that is beyond all numbers is infinite, not an error.

    Args:
        target: float64[n].
        values: float64[n].
    """

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, target: Float, values: Float) -> None:
        error = np.abs(target - values)
        size = np.abs(target)
        self.rows = len(target)
        self._target = target
        self._error = error
        self._size = size
        self._percent = error / np.maximum(size, np.finfo(np.float64).eps)
        self._symmetric = ratios(2 * error, size + np.abs(values))

    @np.errstate(over="ignore", invalid="ignore")
    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        total = weights.sum(axis=1)
        found = {name: self._one(name, weights, total) for name in names}
        return {name: np.where(total > 0, value, np.nan) for name, value in found.items()}

    def _one(self, name: str, w: Float, total: Float) -> Float:
        if name == "mae":
            return ratios(weighed(w, self._error), total)
        if name == "mape":
            return ratios(weighed(w, self._percent), total)
        if name == "smape":
            return ratios(weighed(w, self._symmetric), total)
        if name == "wape":
            return ratios(weighed(w, self._error), weighed(w, self._size), np.nan)
        squared = weighed(w, self._error**2)
        if name == "mse":
            return ratios(squared, total)
        if name == "rmse":
            return np.sqrt(ratios(squared, total))
        return self._r2(w, total, squared)

    def _r2(self, w: Float, total: Float, squared: Float) -> Float:
        mean = ratios(weighed(w, self._target), total)
        spread = (w * (self._target - mean[:, None]) ** 2).sum(axis=1)
        constant = np.where(squared == 0, 1.0, 0.0)
        found = np.where(spread > 0, 1.0 - ratios(squared, spread), constant)
        return np.where(total < 2, np.nan, found)


class ForecastMetrics(Metrics):
    """The same over all cells of a forecast: every step of every row counts alike.

    Args:
        target, values: float64[n, horizon].
    """

    def __init__(self, target: Float, values: Float) -> None:
        self.rows, self._steps = target.shape
        self._target, self._values = target, values
        self._cells = RegressionMetrics(target.ravel(), values.ravel())

    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        return self._cells.many(names, np.repeat(weights, self._steps, axis=1))

    def by_step(self, names: Sequence[str]) -> list[dict[str, float]]:
        """Return the metrics of each step, the nearest first."""
        return [
            RegressionMetrics(self._target[:, step], self._values[:, step]).compute(names)
            for step in range(self._steps)
        ]
