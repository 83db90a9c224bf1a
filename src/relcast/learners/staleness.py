"""Freshness matched between training and scoring in the frozen regime.

A frozen validation row sees nothing after the start of its split, months or years before its own
anchor. A model that learned from rows that see everything up to their anchor relies on freshness
that it will not have. So training rows are read as old as validation rows are: each several times,
with lags that validation rows have, and once fresh. Only anchors are looked at, never labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked, Fold

__all__ = ["aged", "lags_of"]

Index = npt.NDArray[np.int64]

_COPIES = 4
_YEAR = 31_557_600 * 10**9  # 365.25 days
_LAG_COPIES_SEED = 23


def lags_of(asked: Asked) -> Index:
    """Return by how much each example sees less than up to its anchor, int64[n] ns."""
    if asked.anchor is None or asked.known is None:
        return np.zeros(len(asked), dtype=np.int64)
    return np.asarray(np.maximum(asked.anchor - asked.known, 0))


def aged(train: Fold, valid: Fold, *, limit: int, seed: int) -> Fold:
    """Return training rows that see as little as validation rows do.

    Rolling rows come back as they are. Else every row stands there once fresh and up to four times
    stale, weighed so that all its copies count once. Where the lags reach over a year, copies are
    frozen on the day of the year on which validation is (a season that is over differs from one
    that goes on); shorter lags are drawn from those of validation rows.

    Args:
        train: Rolling training rows.
        valid: Validation rows; their lags decide.
        limit: Most rows that may come back; with fewer, rows have fewer copies.
        seed: Seed of the draws.
    """
    lags = lags_of(valid.asked)
    anchor = train.asked.anchor
    if anchor is None or valid.asked.known is None or not lags.any() or not len(train):
        return train
    copies = int(np.clip(limit // len(train) - 1, 1, _COPIES))
    rng = np.random.default_rng([seed, _LAG_COPIES_SEED])
    reach = int(lags.max())
    if reach >= _YEAR:
        moment = int(valid.asked.known.min())
        stale = _same_day(anchor, moment, reach, copies, rng)
    else:
        # Stratified draws: the copies of a row spread over the lags that there are.
        place = (np.arange(copies) + rng.random((len(anchor), copies))) / copies
        drawn = np.quantile(lags, place, method="nearest").astype(np.int64)
        stale = np.asarray(anchor[:, None] - drawn)
    fresh = len(train) * (copies + 1) <= max(limit, 2 * len(train))
    known = np.concatenate([anchor[:, None], stale], axis=1) if fresh else stale
    row = np.repeat(np.arange(len(train)), known.shape[1])
    order = np.argsort(row, kind="stable")
    weight = np.ones(len(train)) if train.weight is None else train.weight
    taken = train.take(row[order], weight[row[order]] / known.shape[1])
    flat: Index = known.reshape(-1).astype(np.int64)
    old = Asked(taken.asked.entity, taken.asked.anchor, flat)
    return Fold(old, taken.label, taken.weight, taken.lists)


def _same_day(
    anchor: Index, moment: int, reach: int, copies: int, rng: np.random.Generator
) -> Index:
    """Return int64[n, copies] moments whole years from ``moment``, at most ``reach`` before."""
    latest = moment + (anchor - moment) // _YEAR * _YEAR
    most = np.maximum((reach - (anchor - latest)) // _YEAR, 0)
    place = (np.arange(copies) + rng.random((len(anchor), copies))) / copies
    back = np.floor(place * (most[:, None] + 1)).astype(np.int64)
    return np.asarray(latest[:, None] - back * _YEAR)
