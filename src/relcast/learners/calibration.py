"""Calibration of a binary model: from its raw score to a probability that can be taken at its word.

A calibration keeps the order of rows, so that no ranking metric changes: it increases strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration", "choose_calibration"]

Float = npt.NDArray[np.float64]
Kind = Literal["none", "platt", "isotonic"]

_FOLDS = 5
_SMALLEST_CLASS = 25
_SLOPE_SHARE = 1e-3
_LIMIT = 1e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """A strictly increasing map from a raw score (log odds) to a probability.

    Attributes:
        kind: ``none`` is the logistic function; ``platt`` is ``1 / (1 + exp(-(slope * s +
            offset)))``; ``isotonic`` goes through ``knots`` (score, probability), straight
            between them, with a thousandth of ``platt`` mixed in so that it never is flat.
        slope: Of the logistic function, positive.
        offset: Of the logistic function.
        knots: Scores (increasing) and their probabilities, for ``isotonic``.
    """

    kind: Kind = "none"
    slope: float = 1.0
    offset: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def apply(self, score: Float) -> Float:
        """Return the probability of each score, float64[n]."""
        probability = _sigmoid(self.slope * score + self.offset)
        if self.kind != "isotonic":
            return probability
        x, y = np.array(self.knots, dtype=np.float64).T
        mixed: Float = (1 - _SLOPE_SHARE) * np.interp(score, x, y) + _SLOPE_SHARE * probability
        return mixed

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "slope": self.slope,
            "offset": self.offset,
            "knots": [list(knot) for knot in self.knots],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Calibration:
        """Build a calibration; raises ``ValueError`` when it is not an increasing map."""
        knots = tuple((float(x), float(y)) for x, y in obj["knots"])
        made = cls(obj["kind"], float(obj["slope"]), float(obj["offset"]), knots)
        flat = np.array(knots, dtype=np.float64).reshape(-1, 2)
        rising = bool((np.diff(flat, axis=0) >= 0).all())
        sane = np.isfinite([made.slope, made.offset]).all() and np.isfinite(flat).all()
        if not (sane and rising and made.slope > 0):
            raise ValueError("a calibration must increase")
        if made.kind not in {"none", "platt", "isotonic"} or (
            made.kind == "isotonic" and not knots
        ):
            raise ValueError("a calibration has an unknown kind")
        return made


def choose_calibration(score: Float, target: Float, seed: int) -> Calibration:
    """Fit the kind of calibration whose log loss is least in cross-validation, on all rows.

    With fewer than 25 rows of either class the raw probabilities are kept, because a map learned
    from so few does harm.
    """
    positives = int(target.sum())
    if min(positives, len(target) - positives) < _SMALLEST_CLASS:
        return Calibration()
    # Folds are drawn by class, so that each has both.
    order = np.random.default_rng(seed).permutation(len(target))
    order = order[np.argsort(target[order], kind="stable")]
    fold = np.empty(len(target), np.int64)
    fold[order] = np.arange(len(target)) % _FOLDS
    losses = {"none": _log_loss(target, Calibration().apply(score))}
    for kind in ("platt", "isotonic"):
        said = np.empty(len(target))
        for number in range(_FOLDS):
            out = fold == number
            said[out] = _fit(kind, score[~out], target[~out]).apply(score[out])
        losses[kind] = _log_loss(target, said)
    best = min(losses, key=lambda kind: losses[kind])
    return _fit(best, score, target)


def _fit(kind: str, score: Float, target: Float) -> Calibration:
    if kind == "none":
        return Calibration()
    slope, offset = _platt(score, target)
    if kind == "platt":
        return Calibration("platt", slope, offset)
    return Calibration("isotonic", slope, offset, _isotonic(score, target))


def _platt(score: Float, target: Float) -> tuple[float, float]:
    """Fit slope and offset by Newton's method, targets smoothed after Platt (1999)."""
    positives = float(target.sum())
    negatives = len(target) - positives
    goal = np.where(target > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(score.mean()), float(score.std()) or 1.0
    design = np.column_stack([(score - centre) / spread, np.ones(len(score))])
    weights = np.array([spread, centre])
    for _ in range(50):
        probability = _sigmoid(design @ weights)
        gradient = design.T @ (probability - goal)
        curvature = design.T @ (design * (probability * (1 - probability))[:, None])
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        weights -= np.clip(step, -5, 5)
        if float(np.abs(step).max()) < 1e-10:
            break
    slope = float(weights[0]) / spread
    if slope <= 0:
        return 1.0, 0.0
    return slope, float(weights[1]) - slope * centre


def _isotonic(score: Float, target: Float) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators; a knot stands at the mean score of each block."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(score, kind="stable")
    ordered = score[order]
    first = np.append(0, np.flatnonzero(np.diff(ordered)) + 1)
    size = np.diff(np.append(first, len(ordered))).astype(np.float64)
    share = np.add.reduceat(target[order], first) / size
    level = isotonic_regression(share, weights=size).x
    begin = np.append(0, np.flatnonzero(np.diff(level)) + 1)
    weight = np.add.reduceat(size, begin)
    x = np.add.reduceat(ordered[first] * size, begin) / weight
    # A block of one class is shrunk towards one half by half a row, as no block is certain.
    hits = np.add.reduceat(share * size, begin)
    y = np.maximum.accumulate((hits + 0.5) / (weight + 1.0))
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))


def _sigmoid(x: Float) -> Float:
    bounded = np.clip(x, -500, 500)
    return np.asarray(1.0 / (1.0 + np.exp(-bounded)), dtype=np.float64)


def _log_loss(target: Float, probability: Float) -> float:
    p = np.clip(probability, _LIMIT, 1 - _LIMIT)
    return float(-np.where(target > 0.5, np.log(p), np.log1p(-p)).mean())
