"""Clocks: features whose values move on with time, so that what was learned of them never returns.

The day of the year in a single year of history, the mean of a ``month`` column over the last week,
days since the first row: they follow the anchor through training, and on validation rows they lie
where no training row was. A tree answers there with its outermost leaf, which is a guess about the
future dressed as a rule. Over several years the same day of the year is no clock, and stays; so
does a rate that has merely drifted, since its outermost leaf is the nearest thing to the truth. The
test looks at features and anchors only, never at labels, and never at the test split.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["clocks"]

Values = npt.NDArray[np.float32]

_MOST_OUTSIDE = 0.5
_CLOSELY = 0.8
_TAIL = 0.005


def clocks(train: Values, anchor: npt.NDArray[np.int64], valid: Values) -> npt.NDArray[np.bool_]:
    """Return which features are clocks.

    A clock follows the anchor in training (rank correlation of 0.8 or more, either way), and more
    than half of its validation values lie outside of what training rows hold.

    Args:
        train: float32[n, f] values of training rows.
        anchor: int64[n] anchors of the same rows.
        valid: float32[m, f] values of validation rows.

    Returns:
        bool[f].
    """
    found = _outside_share(train, valid) > _MOST_OUTSIDE
    for number in np.flatnonzero(found):
        found[number] = abs(_rank_correlation(train[:, number], anchor)) >= _CLOSELY
    return found


def _rank_correlation(values: npt.NDArray[np.float32], anchor: npt.NDArray[np.int64]) -> float:
    """Spearman's rank correlation over the rows that have a value; 0 where it is not defined."""
    from scipy.stats import rankdata

    there = ~np.isnan(values)
    left, right = rankdata(values[there]), rankdata(anchor[there])
    if len(left) < 2 or left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _outside_share(train: Values, valid: Values) -> npt.NDArray[np.float64]:
    """Return, per feature, the share of validation values outside of what training rows hold.

    Outside means below the 0.5 % or above the 99.5 % quantile of the training values; missing
    values count neither way. 0 where either side has no value.
    """
    shares = np.zeros(train.shape[1])
    for number in range(train.shape[1]):
        seen = train[:, number]
        seen = seen[~np.isnan(seen)]
        new = valid[:, number]
        new = new[~np.isnan(new)]
        if len(seen) and len(new):
            low, high = np.quantile(seen, [_TAIL, 1 - _TAIL])
            shares[number] = np.mean((new < low) | (new > high))
    return shares
