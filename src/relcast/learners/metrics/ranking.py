"""Metrics of rankings: a list of items, best first, against the set that was linked to.

Rows with nothing to be found do not count, except for what looks at lists alone (coverage,
popularity, personalization, diversity). AP@k divides by the smaller of k and the number to be
found; precision@k by k; NDCG is of binary gains (Järvelin and Kekäläinen, 2002). Ranking is always
against all items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from relcast.learners.metrics.base import Metrics, ratios, weighed
from relcast.learners.metrics.names import split_at_k
from relcast.learners.protocol import Ranked

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["Catalogue", "RankingMetrics"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of the items, for the metrics that look beyond hits.

    Attributes:
        size: How many items there are.
        popularity: float64[size]: how often each was linked to in training; None when unknown.
        group: int64[size]: a category of each item, -1 for none; None when items have none.
    """

    size: int
    popularity: Float | None = None
    group: Index | None = None


class RankingMetrics(Metrics):
    """Metrics at any k up to the length of the lists given (a shorter list has nothing further).

    Args:
        lists: n sets of items that were linked to.
        ranked: n lists of items, best first, -1 where a list has ended.
        catalogue: For coverage, popularity and diversity; they are NaN without it.
    """

    def __init__(self, lists: Lists, ranked: Ranked, catalogue: Catalogue | None = None) -> None:
        self.rows = len(ranked)
        self._items = ranked.items
        hit = _hits(lists, ranked.items)
        found = np.cumsum(hit, axis=1, dtype=np.float64)
        self._hits = _Hits(hit, found, lists.lengths.astype(np.float64))
        self._asked = self._hits.truth > 0
        self._catalogue = catalogue

    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        counted = weights * self._asked
        total = counted.sum(axis=1)
        others = {
            "avg_popularity": self._mean_popularity,
            "coverage": self._coverage,
            "diversity": self._diversity,
            "personalization": self._personalization,
        }
        out = {}
        for name in names:
            at = split_at_k(name)
            if at is None:
                raise ValueError(f"{name!r} is no metric of a ranking")
            word, k = at
            if word in others:
                out[name] = others[word](k, weights)
            else:
                out[name] = ratios(weighed(counted, _PER_ROW[word](self._hits, k)), total, np.nan)
        return out

    def per_row(self, word: str, k: int) -> Float:
        """Return float64[n] of a metric that is a mean over rows; NaN with nothing to be found."""
        return np.where(self._asked, _PER_ROW[word](self._hits, k), np.nan)

    def _mean_popularity(self, k: int, weights: Float) -> Float:
        """Return the mean popularity of everything that is shown."""
        value = None if self._catalogue is None else self._catalogue.popularity
        if value is None or not self.rows:
            return np.full(len(weights), np.nan)
        items = self._items[:, :k]
        shown = items >= 0
        sums = np.where(shown, value[np.maximum(items, 0)], 0.0).sum(axis=1)
        return ratios(weighed(weights, sums), weighed(weights, shown.sum(axis=1)), np.nan)

    def _diversity(self, k: int, weights: Float) -> Float:
        """Return how often two items of one list are of different groups, over lists with two."""
        group = None if self._catalogue is None else self._catalogue.group
        if group is None or not self.rows:
            return np.full(len(weights), np.nan)
        items = self._items[:, :k]
        shown = items >= 0
        code = np.where(shown, group[np.maximum(items, 0)], -2)
        length = shown.sum(axis=1).astype(np.float64)
        ordered = np.sort(code, axis=1)
        same = np.zeros(self.rows)
        for distance in range(1, ordered.shape[1]):
            alike = ordered[:, distance:] == ordered[:, :-distance]
            same += (alike & (ordered[:, distance:] >= 0)).sum(axis=1)
        pairs = length * (length - 1) / 2
        each = 1.0 - ratios(same, pairs)
        counted = weights * (pairs > 0)
        return ratios(weighed(counted, each), counted.sum(axis=1), np.nan)

    def _coverage(self, k: int, weights: Float) -> Float:
        """Return the share of all items that anybody is shown."""
        if self._catalogue is None or not self._catalogue.size:
            return np.full(len(weights), np.nan)
        size = self._catalogue.size
        return np.array([(self._times(k, w) > 0).sum() / size for w in weights])

    def _personalization(self, k: int, weights: Float) -> Float:
        """Return 1 less the mean share of k that the lists of two rows have in common."""
        rows = weights.sum(axis=1)
        common = np.array([(t * (t - 1)).sum() for t in (self._times(k, w) for w in weights)])
        return np.where(rows > 1, 1.0 - ratios(common, rows * (rows - 1)) / k, np.nan)

    def _times(self, k: int, weight: Float) -> Float:
        """Return how often each item is shown, float64[items]."""
        items = self._items[:, :k]
        shown = items >= 0
        owner = np.repeat(np.arange(self.rows), shown.sum(axis=1))
        return np.bincount(items[shown], weights=weight[owner]).astype(np.float64)


class _Hits(NamedTuple):
    """The hits of n lists: bool[n, k], their running sum float64[n, k], and how many there are."""

    hit: npt.NDArray[np.bool_]
    found: Float
    truth: Float

    def at(self, k: int) -> Float:
        """Return how many of the first k are hits, float64[n]."""
        width = self.found.shape[1]
        return self.found[:, min(k, width) - 1] if width else np.zeros(len(self.truth))


def _map(hits: _Hits, k: int) -> Float:
    part = hits.hit[:, :k] * hits.found[:, :k]
    return ratios((part / np.arange(1, part.shape[1] + 1)).sum(axis=1), np.minimum(hits.truth, k))


def _ndcg(hits: _Hits, k: int) -> Float:
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.append(0.0, np.cumsum(gains))
    shown = hits.hit[:, :k]
    best = ideal[np.minimum(hits.truth, k).astype(np.int64)]
    return ratios((shown * gains[: shown.shape[1]]).sum(axis=1), best)


def _mrr(hits: _Hits, k: int) -> Float:
    shown = hits.hit[:, :k]
    if not shown.shape[1]:
        return np.zeros(len(shown))
    return np.where(shown.any(axis=1), 1.0 / (shown.argmax(axis=1) + 1), 0.0)


_PER_ROW: dict[str, Callable[[_Hits, int], Float]] = {
    "map": _map,
    "ndcg": _ndcg,
    "mrr": _mrr,
    "precision": lambda hits, k: hits.at(k) / k,
    "recall": lambda hits, k: ratios(hits.at(k), hits.truth),
    "f1": lambda hits, k: 2 * hits.at(k) / (k + hits.truth),
    "hit_ratio": lambda hits, k: np.where(hits.at(k) > 0, 1.0, 0.0),
}


def _hits(lists: Lists, items: Index) -> npt.NDArray[np.bool_]:
    """Return bool[n, k]: whether each listed item is in its row's set."""
    if not items.size or not len(lists.values):
        return np.zeros(items.shape, dtype=np.bool_)
    size = int(max(items.max(), lists.values.max())) + 1
    owner = np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths)
    truth = np.sort(owner * size + lists.values)
    asked = np.arange(len(items), dtype=np.int64)[:, None] * size + items
    place = np.minimum(np.searchsorted(truth, asked), len(truth) - 1)
    found: npt.NDArray[np.bool_] = (truth[place] == asked) & (items >= 0)
    return found
