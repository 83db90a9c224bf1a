"""Linear fits with a ridge penalty, for a whole path of penalties.

Squares in closed form by one decomposition (Hoerl and Kennard, 1970); absolute errors, rounded off
near zero (Huber, 1964), logistic and softmax losses by L-BFGS from the strongest penalty to the
weakest, each beginning where the last ended. The intercept is never penalised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Squares", "Weights", "fit_absolute", "fit_logistic", "fit_softmax", "fit_squares"]

Float = npt.NDArray[np.float64]
Weights = tuple[Float, Float]
"""Slopes float64[d, outputs] and intercepts float64[outputs]."""

_STEPS = 200


_BEND = 0.1
"""Below this share of the mean deviation an error counts by its square."""

_ROUNDS = 25
"""Steps of a fit of absolute errors, which the decomposition makes short work of."""


@dataclass(frozen=True)
class Squares:
    """The squares of weighted columns, decomposed: what every fit of a number begins with.

    Attributes:
        mean: float64[d] weighted means of the columns.
        values, vectors: float64[d] and float64[d, d] of the centred columns' squares.
    """

    mean: Float
    values: Float
    vectors: Float

    @classmethod
    def of(cls, columns: Float, weight: Float) -> Squares:
        """Decompose columns float64[n, d] of rows that weigh float64[n]."""
        mean = (weight @ columns) / weight.sum()
        centred = (columns - mean) * np.sqrt(weight)[:, None]
        values, vectors = np.linalg.eigh(centred.T @ centred)
        return cls(mean, np.maximum(values, 0.0), vectors)


def fit_squares(
    columns: Float, label: Float, weight: Float, penalties: Sequence[float], squares: Squares
) -> Iterator[Weights]:
    """Yield ridge fits of a number, one per penalty."""
    level = float(weight @ label) / weight.sum()
    pull = weight * (label - level)
    inner = squares.vectors.T @ (columns.T @ pull - squares.mean * pull.sum())
    for penalty in penalties:
        slope = squares.vectors @ (inner / (squares.values + penalty))
        yield slope[:, None], np.array([level - float(squares.mean @ slope)])


def fit_absolute(
    columns: Float, label: Float, weight: Float, penalties: Sequence[float], squares: Squares
) -> Iterator[Weights]:
    """Yield fits of a number's median, one per penalty.

    Errors count by their size, and by their square below a tenth of the label's mean deviation, in
    which the penalty is measured as well: a label that is stretched gives stretched slopes. The
    steps are taken where the squares are round, so that a few dozen suffice.
    """
    centre = _median(label, weight)
    size = float(weight @ np.abs(label - centre)) / weight.sum() or 1.0
    goal = (label - centre) / size
    narrow = columns.astype(np.float32)
    share = weight / weight.sum()
    pulled = np.zeros(len(squares.values) + 1)
    before: Float | None = None

    def loss(at: Float, root: Float, strength: float) -> tuple[float, Float]:
        slope = squares.vectors @ (at[:-1] / root)
        said = narrow @ slope.astype(np.float32)
        error = goal - at[-1] - (said - squares.mean @ slope)
        bent = np.abs(error) < _BEND
        each = np.where(bent, error * error / (2 * _BEND), np.abs(error) - _BEND / 2)
        value = float(share @ each) + 0.5 * strength * float(slope @ slope)
        push = share * np.clip(error / _BEND, -1.0, 1.0)
        total = push.sum()
        back = (push.astype(np.float32) @ narrow) - squares.mean * total
        turned = squares.vectors.T @ (strength * slope - back)
        return value, np.append(turned / root, -total)

    for penalty in penalties:
        strength = penalty / weight.sum()
        root = np.sqrt(squares.values / weight.sum() + strength)
        if before is not None:
            pulled[:-1] *= root / before
        found = _least(loss, pulled, (root, strength), _ROUNDS)
        pulled, before = found, root
        slope = size * (squares.vectors @ (found[:-1] / root))
        level = centre + size * found[-1] - float(squares.mean @ slope)
        yield slope[:, None], np.array([level])


def _median(label: Float, weight: Float) -> float:
    """Return the weighted median."""
    order = np.argsort(label, kind="stable")
    total = np.cumsum(weight[order])
    return float(label[order[np.searchsorted(total, 0.5 * total[-1])]])


def fit_logistic(
    columns: Float,
    label: Float,
    weight: Float,
    penalties: Sequence[float],
    stop: Callable[[], bool],
) -> Iterator[Weights]:
    """Yield logistic fits of labels 0 and 1, one per penalty, the last ones not after ``stop``."""
    sign = 2.0 * label - 1.0
    width = columns.shape[1]

    def loss(at: Float, penalty: float) -> tuple[float, Float]:
        margin = sign * (columns @ at[:width] + at[width])
        pull = -sign * weight * _sigmoid(-margin)
        value = float(weight @ np.logaddexp(0.0, -margin))
        gradient = np.append(columns.T @ pull + penalty * at[:width], pull.sum())
        return value + 0.5 * penalty * float(at[:width] @ at[:width]), gradient

    rate = float(np.clip(np.average(label, weights=weight), 1e-6, 1 - 1e-6))
    begin = np.append(np.zeros(width), np.log(rate / (1 - rate)))
    for at in _path(loss, begin, penalties, stop):
        yield at[:width, None], at[width:]


def fit_softmax(
    columns: Float,
    label: Float,
    weight: Float,
    outputs: int,
    penalties: Sequence[float],
    stop: Callable[[], bool],
) -> Iterator[Weights]:
    """Yield multinomial logistic fits of class indices, one per penalty, not after ``stop``."""
    width = columns.shape[1]
    rows, truth = np.arange(len(label)), label.astype(np.int64)

    def loss(at: Float, penalty: float) -> tuple[float, Float]:
        slopes = at[: width * outputs].reshape(width, outputs)
        raw = columns @ slopes + at[width * outputs :]
        raw -= raw.max(axis=1, keepdims=True)
        share = np.exp(raw)
        sums = share.sum(axis=1)
        value = float(weight @ (np.log(sums) - raw[rows, truth]))
        share /= sums[:, None]
        share[rows, truth] -= 1.0
        share *= weight[:, None]
        gradient = columns.T @ share + penalty * slopes
        value += 0.5 * penalty * float((slopes * slopes).sum())
        return value, np.concatenate([gradient.ravel(), share.sum(axis=0)])

    count = np.bincount(truth, weights=weight, minlength=outputs) + 0.5
    begin = np.concatenate([np.zeros(width * outputs), np.log(count / count.sum())])
    for at in _path(loss, begin, penalties, stop):
        yield at[: width * outputs].reshape(width, outputs), at[width * outputs :]


def _path(
    loss: Callable[[Float, float], tuple[float, Float]],
    begin: Float,
    penalties: Sequence[float],
    stop: Callable[[], bool],
) -> Iterator[Float]:
    at = begin
    for number, penalty in enumerate(penalties):
        if number and stop():
            return
        at = _least(loss, at, (penalty,), _STEPS)
        yield at


def _least(
    loss: Callable[..., tuple[float, Float]], begin: Float, given: tuple[Any, ...], steps: int
) -> Float:
    """Return where a smooth loss (value and gradient) is least, after at most so many steps.

    ``given`` is what the loss is told beside the place.
    """
    from scipy.optimize import minimize

    options = {"maxiter": steps}
    found = minimize(loss, begin, args=given, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64)


def _sigmoid(x: Float) -> Float:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -500, 500))), dtype=np.float64)
