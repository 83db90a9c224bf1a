"""Linear fits with a ridge penalty, for a whole path of penalties.

Squares in closed form by one decomposition (Hoerl and Kennard, 1970), logistic and softmax losses
by L-BFGS from the strongest penalty to the weakest, each beginning where the last ended. The
intercept is never penalised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Weights", "fit_logistic", "fit_softmax", "fit_squares"]

Float = npt.NDArray[np.float64]
Weights = tuple[Float, Float]
"""Slopes float64[d, outputs] and intercepts float64[outputs]."""

_STEPS = 200


def fit_squares(
    columns: Float, label: Float, weight: Float, penalties: Sequence[float]
) -> list[Weights]:
    """Return ridge fits of a number, one per penalty."""
    total = weight.sum()
    mean, level = (weight @ columns) / total, float(weight @ label) / total
    root = np.sqrt(weight)
    centred = (columns - mean) * root[:, None]
    values, vectors = np.linalg.eigh(centred.T @ centred)
    inner = vectors.T @ (centred.T @ ((label - level) * root))
    found = []
    for penalty in penalties:
        slope = vectors @ (inner / (np.maximum(values, 0.0) + penalty))
        found.append((slope[:, None], np.array([level - float(mean @ slope)])))
    return found


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
    from scipy.optimize import minimize

    at = begin
    for number, penalty in enumerate(penalties):
        if number and stop():
            return
        found = minimize(
            loss, at, args=(penalty,), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}
        )
        at = np.asarray(found.x, dtype=np.float64)
        yield at


def _sigmoid(x: Float) -> Float:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -500, 500))), dtype=np.float64)
