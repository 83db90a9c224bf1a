"""Rankings that need no training: the popular, the lately popular, and an entity's own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked, Contributions, Packed, Ranked, Reason
from relcast.learners.ranking.scene import Question, Scene, known_of

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["BaselineRanker", "baseline_rankers", "unpack_baseline"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BaselineRanker:
    """Items by how many links they have, the entity's own first where ``own``.

    An own item scores its number of links of the entity, ties by the newest; any other its number
    of links in the window as a share of one more than the most popular's, so that all own items
    stand before all others.

    Attributes:
        name: What the leaderboard shows.
        question: What is ranked.
        width: Length in ns of the window that ends at what is known; -1 counts from the beginning.
        own: Whether the entity's own items come first.
    """

    name: str
    question: Question
    width: int = -1
    own: bool = False

    def rank(
        self,
        relations: Relations,
        asked: Asked,
        *,
        k: int,
        among: Index | None = None,
        threads: int = 1,
    ) -> Ranked:
        scene = self.question.scene(relations)
        known = known_of(asked)
        items = np.full((len(asked), k), -1, dtype=np.int64)
        scores = np.full((len(asked), k), np.nan)
        for moment in np.unique(known).tolist():
            rows = np.flatnonzero(known == moment)
            allowed = scene.allowed(moment, among)
            popularity = scene.popularity(moment, self.width)
            longest = 2 * k if self.own else k  # at most k of them are an entity's own already
            order = popularity.order(allowed, min(longest, scene.count))
            share = popularity.count / (popularity.count.max(initial=0) + 1.0)
            if not self.own:
                items[rows, : len(order)] = order
                scores[rows, : len(order)] = share[order]
                continue
            for row in rows:
                mine, count = _own(scene, int(asked.entity[row]), moment)
                free = allowed[mine]
                mine, count = mine[free][:k], count[free][:k]
                rest = order[~np.isin(order, mine)][: k - len(mine)]
                both = np.concatenate([mine, rest])
                items[row, : len(both)] = both
                scores[row, : len(both)] = np.concatenate([count.astype(np.float64), share[rest]])
        return Ranked(items, scores)

    def explain_items(
        self, relations: Relations, asked: Asked, items: Index, *, top: int, threads: int = 1
    ) -> Contributions:
        scene = self.question.scene(relations)
        known = known_of(asked)
        raw = np.zeros(len(asked))
        for moment in np.unique(known).tolist():
            rows = np.flatnonzero(known == moment)
            count = scene.popularity(moment, self.width).count
            raw[rows] = count[items[rows]] / (count.max(initial=0) + 1.0)
            for row in rows if self.own else ():
                mine, times = _own(scene, int(asked.entity[row]), moment)
                here = np.flatnonzero(mine == items[row])
                if len(here):
                    raw[row] = float(times[here[0]])
        shown = top > 0
        reasons = tuple(
            (self._reason(score),) if shown and score != 0.0 else () for score in raw.tolist()
        )
        return Contributions(raw, np.zeros(len(raw)), reasons, raw * (not shown))

    def _reason(self, score: float) -> Reason:
        return Reason(
            feature=self.name,
            table=self.question.spec.table if self.question.spec.down else "",
            column=None,
            window=None,
            value=score,
            contribution=score,
        )

    def pack(self) -> Packed:
        config = {
            "kind": "ranking",
            "form": "baseline",
            "name": self.name,
            "question": self.question.to_json(),
            "width": self.width,
            "own": self.own,
        }
        return Packed(config, self.question.arrays(), {})


def _own(scene: Scene, entity: int, known: int) -> tuple[Index, Index]:
    """Return an entity's items and how many links it has to each, most and newest first."""
    side = scene.links.by_entity
    begin, end = side.indptr[entity], side.indptr[entity + 1]
    end = begin + int(np.searchsorted(side.time[begin:end], known, side="right"))
    mine = side.other[begin:end]
    if len(side.over):
        mine = mine[side.over[begin:end] > known]
    found, newest, count = np.unique(mine[::-1], return_index=True, return_counts=True)
    order = np.lexsort((newest, -count))
    return found[order].astype(np.int64), count[order]


def baseline_rankers(question: Question) -> list[BaselineRanker]:
    """Return the baselines of a question; a static one has no past."""
    found = [BaselineRanker("popularity", question)]
    if question.temporal:
        width = question.spec.horizon
        found.append(BaselineRanker("recent popularity", question, width))
        found.append(BaselineRanker("own past", question, own=True))
    return found


def unpack_baseline(config: Mapping[str, Any], question: Question) -> BaselineRanker:
    """Rebuild a packed baseline; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    return BaselineRanker(config["name"], question, int(config["width"]), bool(config["own"]))
