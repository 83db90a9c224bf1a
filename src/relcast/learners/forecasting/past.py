"""The target in the windows behind an example, and the simple forecasts that are made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.features import Feature, FeatureSet, Recipe
from relcast.learners.features.spec import Value

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = [
    "Rule",
    "forecast",
    "growth",
    "lag_features",
    "mean_back",
    "read_lags",
    "seasonal",
    "shaped",
    "take_lags",
]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_SEASONS_BACK = 4
_SHAPED_BACK = 8
_SHORT = 60
"""A season of so few windows is averaged over several of its repetitions."""
_KINDS = ("season", "season mean", "shape", "last", "mean", "always", "nothing")


@dataclass(frozen=True, slots=True)
class Rule:
    """A simple forecast.

    Attributes:
        kind: ``season``: the value one season before; ``season mean``: the mean of up to four
            seasons before; ``shape``: the season's shape on the level of today (see ``shaped``);
            ``last``: the last window; ``mean``: the mean of the last windows;
            ``always``: the mean of every window that is looked back on; ``nothing``: zero.
        length: Windows of the season, or of the mean.
    """

    kind: str
    length: int = 0

    @property
    def name(self) -> str:
        """What a person reads."""
        match self.kind:
            case "season":
                return f"seasonal naive ({self.length} windows)"
            case "season mean":
                return f"seasonal mean ({self.length} windows)"
            case "shape":
                return f"season's shape on today's level ({self.length} windows)"
            case "last":
                return "last value"
            case "mean":
                return f"moving average ({self.length} windows)"
            case "always":
                return "entity mean"
            case _:
                return self.kind

    def to_json(self) -> list[str | int]:
        return [self.kind, self.length]

    @classmethod
    def from_json(cls, obj: list[str | int]) -> Rule:
        kind, length = str(obj[0]), int(obj[1])
        if kind not in _KINDS or length < 0:
            raise ValueError(f"there is no forecasting rule {obj!r}")
        return cls(kind, length)


def lag_features(features: FeatureSet, reach: int) -> FeatureSet:
    """Return the features "the target in window k before" for k in 0, …, ``reach`` - 1."""
    target = features.target
    if target is None:
        raise AssertionError("a forecast's target has a window")
    part = target.aggregations[0]
    measure = "value" if target.formula is None else "formula"
    value = Value("target", part.table, part.column, number=0)
    lags = tuple(
        Feature(
            name=f"target {k + 1} windows back",
            table=part.table,
            column=part.column,
            window=f"window {k + 1} back",
            kind="number",
            categories=None,
            recipe=Recipe("past", measure, value=value if measure == "value" else None, other=k),
        )
        for k in range(reach)
    )
    return replace(features, features=lags)


def read_lags(
    lags: FeatureSet, relations: Relations, entity: Index, origin: Index, threads: int
) -> Float:
    """Return the target in the windows that end at the origin, newest first: float64[n, reach].

    NaN where a window counts for nothing: it ends before the entity's first event, or its
    aggregate has no value.
    """
    found = lags.compute(relations, entity, origin, threads=threads)
    # By rows in memory: sums over an example are then the same bits in any batch.
    return np.ascontiguousarray(found.values, dtype=np.float64)


def take_lags(lags: Float, place: Index) -> Float:
    """Return one lag per row by its place (int64[n]); NaN where it is out of reach."""
    inside = (place >= 0) & (place < lags.shape[1])
    rows = np.arange(len(lags))
    return np.where(inside, lags[rows, np.where(inside, place, 0)], np.nan)


def mean_back(lags: Float, count: int) -> Float:
    """Return the mean of the last ``count`` windows that have a value, float64[n]."""
    part = lags[:, :count]
    there = ~np.isnan(part)
    total = np.where(there, part, 0.0).sum(axis=1)
    number = there.sum(axis=1)
    return np.asarray(total / np.where(number == 0, np.nan, number))


def seasonal(lags: Float, ahead: Index, length: int, back: int) -> Float:
    """Return the value of the same window ``back`` seasons before the newest known one.

    Args:
        lags: float64[n, reach].
        ahead: int64[n] windows between the origin and the one that is forecast.
        length: Windows of the season.
        back: 0 is the newest one that is known.
    """
    seasons = ahead // length + 1 + back
    return take_lags(lags, seasons * length - ahead - 1)


def shaped(lags: Float, ahead: Index, length: int) -> Float:
    """Return the season's shape at a step, times the level of today: float64[n].

    Short seasons: the mean of the same window over up to eight seasons, against the mean of all
    their windows, times the mean of the last whole season. Long ones (a year of days): the window
    one season before, times how much the last quarter of a year, at most, has grown since then;
    growth beyond three times either way is taken as three.
    """
    if length <= _SHORT:
        several = [seasonal(lags, ahead, length, back) for back in range(_SHAPED_BACK)]
        same = mean_back(np.stack(several, axis=1), _SHAPED_BACK)
        whole, now = mean_back(lags, _SHAPED_BACK * length), mean_back(lags, length)
        share = np.divide(same, whole, out=np.full(len(lags), np.nan), where=whole > 0)
        return np.asarray(share * now)
    return seasonal(lags, ahead, length, 0) * np.clip(growth(lags, length), 1 / 3, 3)


def growth(lags: Float, length: int) -> Float:
    """Return the mean of the last windows against that of one season before, float64[n].

    At most half a season and 13 windows; NaN where there was nothing above zero.
    """
    width = max(1, min(length // 2, 13))
    now, then = mean_back(lags, width), mean_back(lags[:, length:], width)
    found: Float = np.divide(now, then, out=np.full(len(lags), np.nan), where=then > 0)
    return found


def forecast(rule: Rule, lags: Float, ahead: Index, horizon: int, otherwise: float) -> Float:
    """Return what a rule says of every step, float64[n, horizon].

    Where it has nothing to say, the entity's own mean, and where there is none, ``otherwise``.
    """
    if rule.kind == "nothing":
        return np.zeros((len(lags), horizon))
    everything = mean_back(lags, lags.shape[1])
    fallback = np.where(np.isnan(everything), otherwise, everything)
    out = np.empty((len(lags), horizon))
    for step in range(horizon):
        if rule.kind == "season":
            value = seasonal(lags, ahead + step, rule.length, 0)
        elif rule.kind == "season mean":
            backs = [seasonal(lags, ahead + step, rule.length, b) for b in range(_SEASONS_BACK)]
            value = mean_back(np.stack(backs, axis=1), _SEASONS_BACK)
        elif rule.kind == "shape":
            value = shaped(lags, ahead + step, rule.length)
        elif rule.kind == "last":
            value = lags[:, 0]
        elif rule.kind == "mean":
            value = mean_back(lags, rule.length)
        else:
            value = everything
        out[:, step] = np.where(np.isnan(value), fallback, value)
    return out
