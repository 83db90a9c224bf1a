"""Blend: greedy selection of trials with replacement on validation (Caruana et al., 2004)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["greedy_weights", "shrunk_weights", "tolerance"]

Float = npt.NDArray[np.float64]

_PICKS = 12
_LEAST_GAIN = 1e-4
_NOISE = 0.5
_ALIKE = 0.2


def tolerance(rows: int, entities: int | None = None) -> float:
    """Return which share of a loss so many validation rows cannot tell from chance.

    Rows of one entity are partly alike, so that they count for less than as many of different ones:
    by the design effect of clusters (Kish, 1965) for a correlation of 0.2.

    Args:
        rows: Validation rows.
        entities: How many entities they are of; None takes each row for one of its own.
    """
    each = rows / max(1, entities or rows)
    return _NOISE / math.sqrt(max(1.0, rows / (1 + (each - 1) * _ALIKE)))


def greedy_weights(
    raws: Sequence[Float], loss: Callable[[Float], float], *, slack: float = 0.0
) -> Float:
    """Return float64[trials] weights that add up to one.

    Begins with the mean of the better half, which guards against what a small validation split
    pretends, and adds, again and again, the one that lowers the loss of the
    mean most; a pick must lower it by a ten-thousandth of itself. A blend that does not validate
    better than the best trial is that trial alone.

    Args:
        raws: Raw validation scores of each trial, all of one shape.
        loss: Loss of a raw score, less is better; NaN counts as worst.
        slack: Share of the best trial's loss by which the blend may be worse and still be taken:
            a mean of several is the safer bet where validation cannot tell (see ``tolerance``).
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
    least = losses[order[0]]
    good = best < least or (slack > 0 and best <= least + slack * abs(least))
    return np.asarray(picks / picks.sum()) if good else alone


def shrunk_weights(members: int, loss: Callable[[Float], float], *, slack: float) -> Float:
    """Return float64[members] weights of a few learners of different kinds, near to equal.

    Different kinds err differently, and a small validation split is no judge of how much; so all
    begin with two picks each, one is left out only where the rest validates better by more than
    ``slack`` of the loss, and as many further picks as there are members go where they help.

    Args:
        members: How many learners.
        loss: Loss of weights float64[members] that add up to one, less is better; NaN is worst.
        slack: See ``tolerance``.
    """

    def of(picks: Float) -> float:
        value = loss(picks / picks.sum())
        return np.inf if np.isnan(value) else value

    picks = np.full(members, 2.0)
    best = of(picks)
    while (picks > 0).sum() > 1:
        here = np.flatnonzero(picks)
        tried = [of(np.where(np.arange(members) == k, 0.0, picks)) for k in here]
        choice = int(np.argmin(tried))
        if np.isfinite(best) and not tried[choice] < best - slack * abs(best):
            break
        picks[here[choice]] = 0.0
        best = tried[choice]
    for _ in range(members):
        here = np.flatnonzero(picks)
        tried = [of(picks + (np.arange(members) == k)) for k in here]
        choice = int(np.argmin(tried))
        if not tried[choice] < best - _LEAST_GAIN * abs(best):
            break
        picks[here[choice]] += 1.0
        best = tried[choice]
    return np.asarray(picks / picks.sum())
