"""Compute the columns of pairs of entity and item, as of what each example knows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import FeatureSet
from relcast.learners.features.resolver import unique_pairs
from relcast.learners.protocol import Asked
from relcast.learners.ranking import comparing, counting, walking
from relcast.learners.ranking.cohorts import Codes
from relcast.learners.ranking.content import Labels
from relcast.learners.ranking.links import Links, Side
from relcast.learners.ranking.scene import Scene, known_of
from relcast.learners.ranking.traits import MATCHED, NEAR, PairPlan
from relcast.learners.ranking.vectors import VectorSet

__all__ = ["REACH", "PairValues", "Pairs", "sides"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

REACH = np.array([20, 100, 40], dtype=np.int64)
"""A walk's latest items, latest walkers of each, and links of a walker around the shared one."""
_NEWEST_OF_ITEM = 256
_NEWEST_OF_MEMORY = 4096
_SMALL = 256
_DAY = 86_400e9
_Four = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Pairs:
    """Candidates of n examples.

    Attributes:
        asked: The examples.
        indptr: int64[n + 1]; ``item[indptr[i]:indptr[i + 1]]`` are example i's candidates.
        item: int64[pairs] dense rows of the item table, or indices of classes.
    """

    asked: Asked
    indptr: Index
    item: Index

    @property
    def owner(self) -> Index:
        """int64[pairs], the example of each pair."""
        return np.repeat(np.arange(len(self.asked)), np.diff(self.indptr))

    def part(self, rows: slice) -> Pairs:
        """Return the pairs of a range of examples."""
        indptr = self.indptr[rows.start : rows.stop + 1]
        item = self.item[indptr[0] : indptr[-1]]
        return Pairs(self.asked.take(rows), indptr - indptr[0], item)

    def keep(self, chosen: npt.NDArray[np.bool_]) -> Pairs:
        """Return the chosen pairs of all examples."""
        running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(chosen)])
        return Pairs(self.asked, running[self.indptr], self.item[chosen])


@dataclass(frozen=True)
class PairValues:
    """Computes a plan's columns in one scene.

    Attributes:
        vectors: Vectors of items as dense rows of the scene, by the moment they were learned at,
            oldest first.
    """

    plan: PairPlan
    scene: Scene
    vectors: tuple[VectorSet, ...]

    def compute(self, pairs: Pairs, threads: int) -> Values:
        """Return float32[pairs, columns], column-major; it does not depend on ``threads``."""
        plan = self.plan
        out: Values = np.empty((len(pairs.item), len(plan.traits)), dtype=np.float32, order="F")
        own = len(plan.traits) - self._features_width()
        n = len(pairs.asked)
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:

            def work(begin: int) -> None:
                rows = slice(begin, min(begin + _SMALL, n))
                place = slice(pairs.indptr[rows.start], pairs.indptr[rows.stop])
                with np.errstate(all="ignore"):
                    out[place, :own] = self._aggregates(pairs.part(rows))

            list(pool.map(work, range(0, n, _SMALL)))
        self._features(pairs, out, own, threads)
        return out

    # -- aggregates of pairs ----------------------------------------------------------------------

    def _aggregates(self, pairs: Pairs) -> Float:
        """Return float64[pairs, aggregates] in the order of the plan's traits."""
        plan, links = self.plan, self.scene.links
        known = known_of(pairs.asked)
        anchor = known if pairs.asked.anchor is None else pairs.asked.anchor
        entity = np.asarray(pairs.asked.entity, dtype=np.int64)
        owner = pairs.owner
        widths = np.array([w.width for w in plan.windows], dtype=np.int64)
        back = np.array(plan.back, dtype=np.int64).reshape(-1, 2)
        common = (entity, known, pairs.indptr, pairs.item)
        history = self._history(links, pairs, known, anchor, widths, back)
        popular = self._popular(links, pairs, known, anchor, widths, back)
        parts: list[Float] = []
        if plan.temporal:
            ever = popular[:, :1]
            parts += [popular, history]
        else:
            ever = popular[:, :1] - history[:, :1]  # its own links are what is asked
            parts.append(ever / max(1, len(links.item)))
        for other in self.scene.others:
            mine = self._history(other, pairs, known, anchor, widths[:0], back[:0])
            count = np.empty((len(pairs.item), 3))
            counting.popularity_of_pairs(
                other.by_item.indptr, other.by_item.time, other.by_item.over,
                pairs.item, known[owner], anchor[owner], widths[:0], back[:0], count,
            )  # fmt: skip
            parts += [mine[:, [0, 2]], count[:, :1]]
        parts += self._cohorts(links, common)
        if plan.temporal:
            parts += self._content(links, common)
            parts += self._walks(links, common, ever)
        found: Float = np.concatenate(parts, axis=1)
        return found

    def _history(
        self, links: Links, pairs: Pairs, known: Index, anchor: Index, widths: Index, back: Index
    ) -> Float:
        out = np.empty((len(pairs.item), 7 + len(widths) + len(back)))
        counting.item_history(
            *_plain(links.by_entity), np.asarray(pairs.asked.entity, dtype=np.int64), known,
            anchor, pairs.indptr, pairs.item, links.items, widths, back, out,
        )  # fmt: skip
        return out

    def _popular(
        self, links: Links, pairs: Pairs, known: Index, anchor: Index, widths: Index, back: Index
    ) -> Float:
        """Return counts of the item; of a temporal plan as shares of all links, and the trend."""
        owner, side = pairs.owner, links.by_item
        out = np.empty((len(pairs.item), 3 + len(widths) + len(back)))
        counting.popularity_of_pairs(
            side.indptr, side.time, side.over, pairs.item, known[owner], anchor[owner],
            widths, back, out,
        )  # fmt: skip
        if not self.plan.temporal:
            return out
        total = np.empty((len(known), out.shape[1]))
        total[:, 0] = np.searchsorted(links.time, known, side="right")
        for k, width in enumerate(widths):
            total[:, 3 + k] = total[:, 0] - np.searchsorted(links.time, known - width, side="right")
        for k, (begin, end) in enumerate(back):
            high = np.searchsorted(links.time, np.minimum(anchor - end, known), side="right")
            low = np.searchsorted(links.time, np.minimum(anchor - begin, known), side="right")
            total[:, 3 + len(widths) + k] = high - low
        shared = [0, *range(3, out.shape[1])]
        out[:, shared] /= np.maximum(1.0, total[owner][:, shared])
        trend = out[:, 3] / (out[:, 0] + 1e-6) if len(widths) else np.ones(len(out))
        return np.concatenate([out, trend[:, None]], axis=1)

    def _cohorts(self, links: Links, common: _Four) -> list[Float]:
        """Return the share of the example's cohort among an item's links, and its lift."""
        entity, known, indptr, item = common
        name = links.originals(entity)
        newest = _NEWEST_OF_ITEM if self.plan.temporal else _NEWEST_OF_MEMORY
        parts = []
        owner = np.repeat(np.arange(len(entity)), np.diff(indptr))
        for codes in self.cohorts:
            mine = codes.mine(entity, known)
            share = np.empty(int(indptr[-1]))
            comparing.shares(
                *_plain(links.by_item), codes.by_item, name, known, indptr, item, mine, newest,
                share,
            )  # fmt: skip
            base = self._base(links, codes.by_time, mine, known)
            lift = (share + 0.01) / (base[owner] + 0.01)
            parts += [share[:, None], lift[:, None]]
        return parts

    def _base(self, links: Links, code: Any, mine: Any, known: Index) -> Float:
        """Return the share of each example's code among the newest links of all that have one."""
        base = np.zeros(len(mine))
        ends = np.searchsorted(links.time, known, side="right")
        for end in np.unique(ends).tolist():
            rows = np.flatnonzero(ends == end)
            begin = max(0, end - _NEWEST_OF_MEMORY) if self.plan.temporal else 0
            here = code[begin:end]
            here = here[here >= 0]
            wanted = mine[rows]
            most = int(max(here.max(initial=0), wanted.max(initial=0))) + 1
            count = np.bincount(here, minlength=most)
            base[rows] = np.where(wanted >= 0, count[wanted], 0) / max(1, len(here))
        return base

    def _content(self, links: Links, common: _Four) -> list[Float]:
        parts = []
        pairs = int(common[2][-1])
        for labels in self._item_labels:
            for newest in MATCHED:
                out = np.empty(pairs)
                comparing.match(
                    *_plain(links.by_entity), labels.indptr, labels.codes, labels.width,
                    *common, newest, out,
                )  # fmt: skip
                parts.append(out[:, None])
        for values in self._item_numbers:
            out = np.empty(pairs)
            comparing.affinity(*_plain(links.by_entity), values, *common, MATCHED[0], out)
            parts.append(out[:, None])
        return parts

    def _walks(self, links: Links, common: _Four, ever: Float) -> list[Float]:
        entity, known, indptr, item = common
        out = np.empty((len(item), 4))
        walking.walk_pairs(
            *sides(links), entity, links.originals(entity), known, indptr, item, links.items, REACH,
            out,
        )  # fmt: skip
        owner = np.repeat(np.arange(len(entity)), np.diff(indptr))
        count = ever[:, 0] * np.maximum(1, np.searchsorted(links.time, known, side="right"))[owner]
        parts = [out, (out[:, 0] / np.sqrt(count + 1.0))[:, None]]
        if self.plan.vectors:
            near = np.full((len(item), 3), np.nan)
            comparing.likeness(
                *_plain(links.by_entity), self.stack, self.space(known), *common,
                NEAR[0], NEAR[1], near,
            )  # fmt: skip
            parts.append(near)
        return parts

    # -- features of either side ------------------------------------------------------------------

    def _features_width(self) -> int:
        plan = self.plan
        sets = [s for s in (plan.entity, plan.items) if s is not None]
        return sum(len(s.features) for s in sets) + (plan.classes is not None) + plan.stale

    def _features(self, pairs: Pairs, out: Values, begin: int, threads: int) -> None:
        plan, asked, owner = self.plan, pairs.asked, pairs.owner
        if plan.classes is not None:
            out[:, begin] = pairs.item
            begin += 1
        if plan.stale:
            gap = np.zeros(len(asked))
            if asked.anchor is not None and asked.known is not None:
                gap = (asked.anchor - asked.known) / _DAY
            out[:, begin] = gap[owner]
            begin += 1
        if plan.entity is not None:
            values = self._compute(plan.entity, asked, threads)
            for k in range(values.shape[1]):
                out[:, begin + k] = values[owner, k]
            begin += values.shape[1]
        if plan.items is not None:
            known, anchor = known_of(asked), asked.anchor
            late = known if anchor is None else anchor
            # Of examples that know the same, an item is computed once.
            moments, moment = np.unique(np.stack([known, late]), axis=1, return_inverse=True)
            (rows, which), inverse = unique_pairs(pairs.item, moment.reshape(-1)[owner])
            timeless = anchor is None
            items = Asked(
                rows,
                None if timeless else moments[1][which],
                None if timeless else moments[0][which],
            )
            values = self._compute(plan.items, items, threads)
            for k in range(values.shape[1]):
                out[:, begin + k] = values[inverse, k]

    def _compute(self, features: FeatureSet, asked: Asked, threads: int) -> Values:
        found = features.compute(
            self.scene.relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        return found.values

    # -- what a scene holds -----------------------------------------------------------------------

    @cached_property
    def cohorts(self) -> Sequence[Codes]:
        """The codes of the plan's cohorts."""
        scene = self.scene
        return [Codes.read(scene.relations, scene.links, c) for c in self.plan.cohorts]

    @cached_property
    def _item_labels(self) -> Sequence[Labels]:
        return [Labels.read(self.scene.relations, c) for c in self.plan.labels]

    @cached_property
    def _item_numbers(self) -> Sequence[Float]:
        up = self.plan.spec.up
        if up is None:
            return []
        table = self.scene.relations.table(up.to)
        found = [table.column(name).numbers() for name in self.plan.numbers]
        return [np.where(np.isfinite(values), values, np.nan) for values in found]

    @cached_property
    def stack(self) -> npt.NDArray[np.float32]:
        """float32[sets, items, d], the vectors by their moments; one empty set without any."""
        if not self.vectors:
            return np.zeros((1, self.scene.count, 1), dtype=np.float32)
        return np.stack([v.vectors for v in self.vectors])

    def space(self, known: Index) -> Index:
        """Return which vectors each example may use: the latest learned by then, -1 for none."""
        if not self.vectors:
            return np.full(len(known), -1, dtype=np.int64)
        moments = np.array([v.until for v in self.vectors], dtype=np.int64)
        return np.searchsorted(moments, known, side="right").astype(np.int64) - 1


def _plain(side: Side) -> _Four:
    return side.indptr, side.other, side.time, side.over


def sides(links: Links) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any, Any]:
    """Return both sides of links as the walk's kernels take them."""
    second = links.by_item
    return (*_plain(links.by_entity), *_plain(second), second.twin)
