"""The level of each anchor: what all of its labels have in common.

A storm delays every aircraft of a week, and what was seen of that week says nothing of the next
one. A model that learns from labels of few anchors learns their levels by heart. Labels less the
level of their anchor tell entities apart instead of weeks (fixed effects of panels: Mundlak, 1978);
whether that predicts better is for validation to say.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["common_levels", "has_levels"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_FEWEST_ANCHORS = 4
_ROWS_PER_ANCHOR = 10


def has_levels(anchor: Index | None) -> bool:
    """Tell whether rows stand at four anchors or more, ten at each on average."""
    if anchor is None:
        return False
    anchors = len(np.unique(anchor))
    return anchors >= _FEWEST_ANCHORS and len(anchor) >= _ROWS_PER_ANCHOR * anchors


def common_levels(
    label: Float, anchor: Index, weight: Float | None, middle: Literal["mean", "median"]
) -> Float:
    """Return how much the middle of each row's anchor is above the middle of all, float64[n].

    Args:
        label: float64[n] labels.
        anchor: int64[n] anchors.
        weight: float64[n]; None weighs all alike.
        middle: What is taken as middle, both of an anchor and of all.
    """
    weights = np.ones(len(label)) if weight is None else weight
    _, which = np.unique(anchor, return_inverse=True)
    if middle == "mean":
        total = np.bincount(which, weights=weights)
        levels = np.bincount(which, weights=weights * label) / total
        return np.asarray(levels[which] - float(weights @ label) / weights.sum())
    order = np.lexsort((label, which))
    ends = np.flatnonzero(np.append(np.diff(which[order]), 1)) + 1
    begins = np.append(0, ends[:-1])
    levels = np.array(
        [_median(label[order[a:b]], weights[order[a:b]]) for a, b in zip(begins, ends, strict=True)]
    )
    whole = np.argsort(label, kind="stable")
    return np.asarray(levels[which] - _median(label[whole], weights[whole]))


def _median(ordered: Float, weight: Float) -> float:
    """Return the weighted median of ascending values."""
    total = np.cumsum(weight)
    return float(ordered[np.searchsorted(total, 0.5 * total[-1])])
