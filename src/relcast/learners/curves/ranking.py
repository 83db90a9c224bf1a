"""Curves of a ranking: its figures by the length of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relcast.learners.curves.thin import plain
from relcast.learners.metrics import RankingMetrics
from relcast.learners.protocol import Ranked

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["ranking_curves"]

_KS = (*range(1, 11), 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_WORDS = ("map", "ndcg", "precision", "recall", "hit_ratio")


def ranking_curves(lists: Lists, ranked: Ranked) -> dict[str, Any]:
    """Return MAP, NDCG, precision, recall and hit ratio at lists of 1 to 100 items."""
    longest = ranked.items.shape[1]
    ks = [k for k in _KS if k <= longest]
    if not len(ranked) or not ks:
        return {}
    metrics = RankingMetrics(lists, ranked)
    found = metrics.compute([f"{word}@{k}" for word in _WORDS for k in ks])
    return {
        "by_k": {"k": ks, **{w: plain(found[f"{w}@{k}"] for k in ks) for w in _WORDS}},
    }
