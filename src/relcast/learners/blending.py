"""Blend: greedy selection of trials with replacement on validation (Caruana et al., 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["greedy_weights"]

Float = npt.NDArray[np.float64]

_PICKS = 12
_LEAST_GAIN = 1e-4


def greedy_weights(raws: Sequence[Float], loss: Callable[[Float], float]) -> Float:
    """Return float64[trials] weights that add up to one.

    Begins with the best trial and adds, again and again, the one that lowers the loss of the mean
    most; a pick must lower it by a ten-thousandth of itself. A blend that does not validate better
    than the best trial is that trial alone.

    Args:
        raws: Raw validation scores of each trial, all of one shape.
        loss: Loss of a raw score, less is better; NaN counts as worst.
    """

    def of(raw: Any) -> float:
        value = loss(raw)
        return np.inf if np.isnan(value) else value

    losses = [of(raw) for raw in raws]
    picks = np.zeros(len(raws))
    first = int(np.argmin(losses))
    picks[first] = 1
    total, best = raws[first].copy(), losses[first]
    for count in range(2, _PICKS + 1):
        tried = [of((total + raw) / count) for raw in raws]
        choice = int(np.argmin(tried))
        if not tried[choice] < best - _LEAST_GAIN * abs(best):
            break
        picks[choice] += 1
        total, best = total + raws[choice], tried[choice]
    return np.asarray(picks / picks.sum())
