"""Curves of numbers: residuals, predicted against actual, and the fan of a forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.curves.thin import plain

__all__ = ["fan_curves", "number_curves"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_SPREAD = (0.1, 0.5, 0.9)
_BARS = 40
_BINS = 10


@np.errstate(over="ignore", invalid="ignore")
def number_curves(target: Float, values: Float) -> dict[str, Any]:
    """Return residuals (actual less predicted) and predicted against actual, over all cells."""
    actual, said = target.ravel(), values.ravel()
    if not len(said):
        return {}
    residual = actual - said
    return {
        "residuals": {
            "levels": list(_LEVELS),
            "quantiles": plain(np.quantile(residual, _LEVELS)),
            **_histogram(residual),
        },
        "predicted_actual": _against(actual, said),
    }


def _histogram(values: Float) -> dict[str, Any]:
    """Return 40 bars between the 1st and the 99th percentile; the outermost hold what is beyond."""
    low, high = np.quantile(values, [0.01, 0.99])
    if not np.isfinite(high - low) or high <= low:
        return {"edges": plain([low, high]), "rows": [len(values)]}
    edges = np.linspace(low, high, _BARS + 1)
    bars = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BARS - 1)
    return {"edges": plain(edges), "rows": np.bincount(bars, minlength=_BARS).tolist()}


def _against(actual: Float, said: Float) -> dict[str, Any]:
    """Return, by tenths of the prediction, its mean, the mean of the truth, and its quantiles."""
    edges = np.unique(np.quantile(said, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, said, side="left")
    groups = [np.flatnonzero(bins == k) for k in range(len(edges) + 1)]
    groups = [rows for rows in groups if len(rows)]
    spread = [np.quantile(actual[rows], _SPREAD) for rows in groups]
    return {
        "rows": [len(rows) for rows in groups],
        "predicted": plain(said[rows].mean() for rows in groups),
        "actual": plain(actual[rows].mean() for rows in groups),
        "levels": list(_SPREAD),
        "quantiles": [plain(row) for row in spread],
    }


@np.errstate(over="ignore", invalid="ignore")
def fan_curves(
    target: Float,
    values: Float,
    quantiles: tuple[Index, Float] | None,
    levels: Sequence[float],
) -> dict[str, Any]:
    """Return error and coverage by step; a number that is no forecast is one step.

    ``coverage`` is the share of truths at or below the quantile of each level, which a calibrated
    fan has equal to the level; ``width`` the mean distance of the outermost quantiles.
    """
    if not len(values) or (quantiles is None and target.ndim == 1):
        return {}
    truth, said = target.reshape(len(target), -1), values.reshape(len(values), -1)
    fan: dict[str, Any] = {
        "mae": plain(np.abs(truth - said).mean(axis=0)),
        "bias": plain((said - truth).mean(axis=0)),
        "actual": plain(truth.mean(axis=0)),
        "predicted": plain(said.mean(axis=0)),
    }
    if quantiles is not None:
        rows, found = quantiles
        spread = found.reshape(len(rows), truth.shape[1], -1)
        below = truth[rows][:, :, None] <= spread
        fan |= {
            "levels": list(levels),
            "rows": len(rows),
            "coverage": [plain(step) for step in below.mean(axis=0)],
            "quantiles": [plain(step) for step in spread.mean(axis=0)],
            "width": plain((spread[:, :, -1] - spread[:, :, 0]).mean(axis=0)),
        }
    return {"fan": fan}
