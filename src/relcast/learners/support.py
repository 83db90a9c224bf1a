"""Clocks: features whose values move on with time, so that what was learned of them never returns.

The day of the year in a single year of history, the mean of a ``month`` column over the last week,
days since the first row: on validation rows they lie where no training row was. A tree answers
there with its outermost leaf, which is a guess about the future dressed as a rule. Over several
years the same day of the year is no clock, and stays. The test looks at features only, never at
labels, and never at the test split.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_OUTSIDE", "outside_share"]

Values = npt.NDArray[np.float32]

MOST_OUTSIDE = 0.5
"""A feature with more than this share of validation values outside of training's is a clock."""

_TAIL = 0.005


def outside_share(train: Values, valid: Values) -> npt.NDArray[np.float64]:
    """Return, per feature, the share of validation values outside of what training rows hold.

    Outside means below the 0.5 % or above the 99.5 % quantile of the training values; missing
    values count neither way.

    Args:
        train: float32[n, f] values of training rows.
        valid: float32[m, f] values of validation rows.

    Returns:
        float64[f] shares in [0, 1]; 0 where either side has no value.
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
