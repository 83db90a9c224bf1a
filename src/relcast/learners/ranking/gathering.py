"""The rows of a ranking's training: which examples, and of each which pairs, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked, Fold
from relcast.learners.ranking.candidates import candidates
from relcast.learners.ranking.pairs import Pairs

if TYPE_CHECKING:
    from relcast.learners.ranking.model import RankModel
    from relcast.relations import Relations
    from relcast.tasks import Lists

__all__ = ["Rows", "apart", "as_stale_as", "gather", "halves"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_LEAST_NEGATIVES = 30
_MOST_NEGATIVES = 80
_FEW = 300


@dataclass(frozen=True)
class Rows:
    """Pairs as trees see them."""

    pairs: Pairs
    fold: Fold
    values: Values
    label: Float

    @property
    def sizes(self) -> Index:
        return np.diff(self.pairs.indptr)

    def weight(self) -> Float | None:
        """Return float64[pairs], the weight of each pair's example; None without weights."""
        return None if self.fold.weight is None else self.fold.weight[self.pairs.owner]

    @classmethod
    def joined(cls, parts: list[Rows]) -> Rows:
        """Return the rows of several, one after another."""
        fold = Fold.joined([part.fold for part in parts])
        sizes = np.concatenate([part.sizes for part in parts])
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        pairs = Pairs(fold.asked, indptr, np.concatenate([part.pairs.item for part in parts]))
        values = np.asfortranarray(np.concatenate([part.values for part in parts]))
        return cls(pairs, fold, values, np.concatenate([part.label for part in parts]))

    def take(self, columns: Index) -> Rows:
        """Return the same with these columns only."""
        values = np.asfortranarray(self.values[:, columns])
        return Rows(self.pairs, self.fold, values, self.label)


def gather(
    model: RankModel,
    relations: Relations,
    fold: Fold,
    most: int,
    *,
    sample: bool,
    seed: int,
    threads: int,
) -> Rows:
    """Return candidates with columns and labels, at most about ``most`` pairs.

    Training takes the newest examples and some of the negatives of each, and leaves out those
    whose candidates hold nothing that came true; validation examples are thinned evenly and keep
    all candidates.
    """
    values = model.values(relations)
    limit = most // (_LEAST_NEGATIVES if sample else 150)
    if len(fold) > limit:
        fold = _taken(fold, _chosen(fold, limit, newest=sample, seed=seed))
    pairs = candidates(values, model.quota, fold.asked, None, threads)
    label = _labels(pairs, fold.lists)
    if sample:
        hit = np.bincount(pairs.owner, weights=label, minlength=len(fold)) > 0
        share = most // max(1, int(hit.sum()))
        share = min(max(_LEAST_NEGATIVES, share), _MOST_NEGATIVES)
        keep = hit[pairs.owner] & _sampled(pairs, label, share, seed)
        pairs, label = pairs.keep(keep), label[keep]
        indptr = np.concatenate([pairs.indptr[:-1][hit], pairs.indptr[-1:]])
        fold = _taken(fold, np.flatnonzero(hit))
        pairs = Pairs(fold.asked, indptr, pairs.item)
    return Rows(pairs, fold, values.compute(pairs, threads), label)


def halves(train: Fold, seed: int) -> tuple[Fold, Fold]:
    """Return which examples of a static task are remembered, and which are learned from.

    An example that is among what is remembered would find its own answer there, and leaving it out
    of the counts would tell it as well: by what is missing. Temporal examples see what came before.
    """
    if train.asked.anchor is not None or len(train) < 2:
        return train, train
    first = np.zeros(len(train), dtype=bool)
    first[np.random.default_rng([seed, len(train), 2]).permutation(len(train))[::2]] = True
    return _taken(train, np.flatnonzero(first)), _taken(train, np.flatnonzero(~first))


def apart(train: Fold, valid: Fold, seed: int) -> tuple[Fold, Fold | None]:
    """Take some of training aside for stopping and choosing, where validation has few rows.

    The newest anchors, or of a static task a random part; at most a quarter. They are trained on
    again once everything is chosen.
    """
    lacking = min(_FEW - len(valid), len(train) // 4)
    if lacking <= 0:
        return train, None
    anchor = train.asked.anchor
    if anchor is None:
        draw = np.random.default_rng([seed, len(train), 1]).permutation(len(train))
        aside = np.zeros(len(train), dtype=bool)
        aside[draw[:lacking]] = True
    else:
        bound = np.sort(anchor)[-lacking]
        aside = anchor > bound if (anchor > bound).any() else anchor >= bound
    if aside.all() or not aside.any():
        return train, None
    return _taken(train, np.flatnonzero(~aside)), _taken(train, np.flatnonzero(aside))


def _taken(fold: Fold, rows: Index) -> Fold:
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])


def _labels(pairs: Pairs, lists: Lists | None) -> Float:
    """Return 1.0 for the pairs whose item is in the example's list."""
    if lists is None or not len(pairs.item):
        return np.zeros(len(pairs.item))
    width = int(max(pairs.item.max(initial=0), lists.values.max(initial=0))) + 1
    wanted = np.repeat(np.arange(len(lists)), lists.lengths) * width + lists.values
    return np.isin(pairs.owner * width + pairs.item, wanted).astype(np.float64)


def _sampled(pairs: Pairs, label: Float, share: int, seed: int) -> npt.NDArray[np.bool_]:
    """Choose every positive and up to ``share`` pairs per example, by a hash of the pair."""
    asked, owner = pairs.asked, pairs.owner
    moment = np.zeros(len(asked), dtype=np.int64) if asked.anchor is None else asked.anchor
    key = (asked.entity.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ moment.astype(
        np.uint64
    )
    mixed = _mix(key + np.uint64(seed))[owner] ^ pairs.item.astype(np.uint64)
    draw = _mix(mixed)
    order = np.lexsort((draw, label == 0, owner))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - pairs.indptr[:-1][owner[order]]
    keep: npt.NDArray[np.bool_] = (place < share) | (label > 0)
    return keep


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64 bits (the finaliser of SplitMix64, Steele and others, 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)), dtype=np.uint64)


def _chosen(fold: Fold, limit: int, *, newest: bool, seed: int) -> Index:
    """Return ``limit`` examples in their order: the newest anchors, or evenly at random."""
    draw = np.random.default_rng([seed, len(fold)]).random(len(fold))
    anchor = fold.asked.anchor
    keys = (draw,) if anchor is None or not newest else (draw, -anchor)
    return np.sort(np.lexsort(keys)[:limit])


def as_stale_as(train: Fold, valid: Fold) -> Fold:
    """Let training examples know as little as those of validation do.

    Where validation's rows see nothing after the first of their anchors, so do those of training,
    in spans of the same length counted back from the newest.
    """
    asked, other = train.asked, valid.asked
    if asked.anchor is None or other.anchor is None or other.known is None:
        return train
    if not (other.known < other.anchor).any():
        return train
    span = int((other.anchor - other.known).max()) + 1
    block = (int(asked.anchor.max()) - asked.anchor) // span
    first = np.full(int(block.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, block, asked.anchor)
    known = np.minimum(first[block], asked.anchor if asked.known is None else asked.known)
    return replace(train, asked=Asked(asked.entity, asked.anchor, known))
