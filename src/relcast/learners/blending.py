"""Blend: greedy selection of trials with replacement on validation (Caruana et al., 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["greedy_weights"]

Float = npt.NDArray[np.float64]

_PICKS = 12
_LEAST_GAIN = 1e-4


def greedy_weights(raws: Sequence[Float], loss: Callable[[Float], float]) -> Float:
    """Return float64[trials] weights that add up to one.

    Begins with the mean of the better half, which guards against what a small validation split
    pretends, and adds, again and again, the one that lowers the loss of the
    mean most; a pick must lower it by a ten-thousandth of itself. A blend that does not validate
    better than the best trial is that trial alone.

    Args:
        raws: Raw validation scores of each trial, all of one shape.
        loss: Loss of a raw score, less is better; NaN counts as worst.
    """

    def of(raw: Float) -> float:
        value = loss(raw)
        return np.inf if np.isnan(value) else value

    losses = np.array([of(raw) for raw in raws])
    order = np.argsort(losses, kind="stable")
    alone = np.eye(len(raws))[order[0]]
    picks = np.zeros(len(raws))
    picks[order[: max(1, len(raws) // 2)]] = 1
    total = np.tensordot(picks, np.stack(raws), axes=1)
    best = of(total / picks.sum())
    while picks.sum() < _PICKS:
        tried = [of((total + raw) / (picks.sum() + 1)) for raw in raws]
        choice = int(np.argmin(tried))
        if not tried[choice] < best - _LEAST_GAIN * abs(best):
            break
        picks[choice] += 1
        total, best = total + raws[choice], tried[choice]
    return np.asarray(picks / picks.sum()) if best < losses[order[0]] else alone
