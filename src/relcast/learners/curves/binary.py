"""Curves of a binary classification: ROC, precision and recall, calibration, gain, thresholds.

ROC, precision and recall, and calibration (by quantiles of the score) are scikit-learn's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.curves.thin import evenly, plain

__all__ = ["binary_curves", "calibration"]

Float = npt.NDArray[np.float64]

_BINS = 10
_GRID = 100


def binary_curves(target: Float, score: Float) -> dict[str, Any]:
    """Return the curves of probabilities ``score`` float64[n] of the truth ``target`` (0 or 1)."""
    if not len(score):
        return {}
    order = np.argsort(-score, kind="stable")
    ranked, positive = score[order], target[order] > 0.5
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(positive)[ends].astype(np.float64)
    rows = ends + 1.0
    return {
        "roc": _roc(ranked[ends], hits, rows),
        "pr": _precision_recall(ranked[ends], hits, rows),
        "calibration": calibration(target, score),
        "gain": _gain(hits, rows),
        "thresholds": _thresholds(target, score),
    }


def _roc(threshold: Float, hits: Float, rows: Float) -> dict[str, Any] | None:
    misses = rows - hits
    if hits[-1] == 0 or misses[-1] == 0:
        return None
    true = np.append(0.0, hits / hits[-1])
    false = np.append(0.0, misses / misses[-1])
    at = np.append(np.inf, threshold)
    kept = evenly(len(at))
    return {
        "threshold": plain(at[kept]),
        "false_positive_rate": plain(false[kept]),
        "true_positive_rate": plain(true[kept]),
    }


def _precision_recall(threshold: Float, hits: Float, rows: Float) -> dict[str, Any] | None:
    if hits[-1] == 0:
        return None
    precision = np.append((hits / rows)[::-1], 1.0)
    recall = np.append((hits / hits[-1])[::-1], 0.0)
    at = np.append(threshold[::-1], np.inf)
    kept = evenly(len(at))
    return {
        "threshold": plain(at[kept]),
        "precision": plain(precision[kept]),
        "recall": plain(recall[kept]),
    }


def calibration(target: Float, score: Float) -> dict[str, Any]:
    """Return mean score and share of true rows in ten bins with about as many rows each."""
    edges = np.percentile(score, np.linspace(0, 1, _BINS + 1) * 100)
    bins = np.searchsorted(edges[1:-1], score)
    rows = np.bincount(bins, minlength=_BINS)
    there = rows > 0
    said = np.bincount(bins, weights=score, minlength=_BINS)[there] / rows[there]
    true = np.bincount(bins, weights=target, minlength=_BINS)[there] / rows[there]
    return {"predicted": plain(said), "actual": plain(true), "rows": rows[there].tolist()}


def _gain(hits: Float, rows: Float) -> dict[str, Any] | None:
    """Return which share of the true rows the best rows hold."""
    if hits[-1] == 0:
        return None
    kept = evenly(len(hits) + 1)
    return {
        "rows": plain(np.append(0.0, rows / rows[-1])[kept]),
        "positives": plain(np.append(0.0, hits / hits[-1])[kept]),
    }


def _thresholds(target: Float, score: Float) -> dict[str, Any]:
    """Return the confusion at thresholds from 0 to 1 and at quantiles of the scores."""
    grid = np.linspace(0, 1, _GRID + 1)
    at = np.unique(np.concatenate([grid, np.quantile(score, grid, method="higher")]))
    order = np.argsort(score, kind="stable")
    before = np.append(0, np.cumsum(target[order] > 0.5))
    place = np.searchsorted(score[order], at, side="left")
    positives = int(before[-1])
    true_positive = positives - before[place]
    predicted = len(score) - place
    return {
        "threshold": plain(at),
        "true_positive": true_positive.tolist(),
        "false_positive": (predicted - true_positive).tolist(),
        "false_negative": before[place].tolist(),
        "true_negative": (place - before[place]).tolist(),
    }
