"""Train a ranking: candidates of training anchors, trials on validation, refit."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.metrics import metrics_of
from relcast.learners.protocol import Asked, Fold, Ranked
from relcast.learners.ranking.boosters import OBJECTIVES, Grown, RankConfig, grouped, grow
from relcast.learners.ranking.candidates import Quota, candidates
from relcast.learners.ranking.model import ItemVectors, RankModel, best_of
from relcast.learners.ranking.packed import question_of
from relcast.learners.ranking.pairs import Pairs
from relcast.learners.ranking.planning import plan_pairs
from relcast.learners.ranking.scene import Question
from relcast.learners.ranking.traits import PairPlan
from relcast.learners.ranking.vectors import learn
from relcast.tasks import Lists

__all__ = ["train"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_MATRIX_BYTES = 600 * 2**20
_LEAST_NEGATIVES = 30
_DIMENSIONS = 32
_MOMENTS = 4
_PATIENCE = 30
_SCREEN_ITERATIONS = 60
_KEPT_GAIN = 0.999


@dataclass(frozen=True)
class _Rows:
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

    def take(self, columns: Index) -> _Rows:
        """Return the same with these columns only."""
        values = np.asfortranarray(self.values[:, columns])
        return _Rows(self.pairs, self.fold, values, self.label)


def train(work: Work) -> Trained[RankModel]:
    """Train a ranking of links or classes.

    Objectives (lambdarank, Burges 2010; XE-NDCG, Bruch 2021; log loss) and sizes of trees are tried
    in turn; the tune metric on validation, against all items, decides.
    """
    trainer = _Trainer(work)
    return trainer.run()


class _Trainer:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.seed, self.threads = work.settings.seed, work.settings.threads
        self.train = _as_stale_as(work.train, work.valid)
        self.quota = Quota()

    def run(self) -> Trained[RankModel]:
        work, budget = self.work, self.work.settings.budget
        question = question_of(work.relations, work.query, work.target, [work.train])
        vectors = self._learn(question, self.train.asked)
        scene = question.scene(work.relations)
        plan = plan_pairs(work, question, scene, vectors=bool(vectors.sets))
        model = RankModel("ranking", question, plan, self.quota, vectors, "")
        columns = len(plan.traits)
        rows = max(20_000, min(3 * budget.rows, _MATRIX_BYTES // (4 * columns)))
        fitted = self._rows(model, self.train, rows, sample=True)
        valid = self._rows(model, work.valid, rows, sample=False)
        plan, kept = self._screen(plan, fitted)
        fitted, valid = fitted.take(kept), valid.take(kept)
        model = replace(model, plan=plan, _values=[])
        trials, grown = self._search(model, fitted, valid)
        best = max(range(len(trials)), key=lambda k: (trials[k].validation, -k))
        validated = replace(model, text=grown[best].text, config=trials[best].config, _values=[])
        final = validated
        if budget.refit:
            final = self._refit(validated, trials[best], rows)
        found = np.bincount(valid.pairs.owner, weights=valid.label, minlength=len(valid.fold))
        wanted = valid.fold.lists.lengths if valid.fold.lists is not None else found
        notes: dict[str, Any] = {
            "training_rows": len(fitted.fold),
            "training_pairs": len(fitted.label),
            "candidates": float(valid.sizes.mean()) if len(valid.sizes) else 0.0,
            "candidate_recall": float(found.sum() / max(1, wanted.sum())),
            "features": len(plan.traits),
            "candidate_features": columns,
            "refit": budget.refit,
            "out_of_time": any(trial.out_of_time for trial in trials),
        }
        return Trained(final, validated, tuple(trials), notes)

    def _learn(self, question: Question, asked: Asked) -> ItemVectors:
        """Learn vectors at a few moments of the training side, the last of them its end."""
        if not question.temporal or asked.known is None:
            return ItemVectors(None)
        relations, items = self.work.relations, question.items
        scene = question.scene(relations)
        keys = None if items.table is None else relations.table(items.table).keys()
        if not scene.links.timed or scene.count < 3:
            return ItemVectors(None)
        width = min(_DIMENSIONS, scene.count - 1, scene.links.entities)
        places = np.linspace(0, 1, _MOMENTS + 1)[1:]
        moments = np.unique(np.quantile(asked.known, places, method="lower")).tolist()
        sets = [learn(scene.links, int(m), width, self.seed) for m in moments]
        return ItemVectors(keys, tuple(sets))

    def _rows(self, model: RankModel, fold: Fold, most: int, *, sample: bool) -> _Rows:
        """Return candidates with columns and labels, at most about ``most`` pairs.

        Training takes the newest examples and some of the negatives of each; validation examples
        are thinned evenly and keep all candidates.
        """
        values = model.values(self.work.relations)
        limit = most // (_LEAST_NEGATIVES if sample else 150)
        if len(fold) > limit:
            fold = fold.take(_chosen(fold, limit, newest=sample, seed=self.seed), None)
        pairs = candidates(values, model.quota, fold.asked, None, self.threads)
        label = _labels(pairs, fold.lists)
        if sample:
            hit = np.bincount(pairs.owner, weights=label, minlength=len(fold)) > 0
            share = max(_LEAST_NEGATIVES, most // max(1, int(hit.sum())))
            keep = hit[pairs.owner] & _sampled(pairs, label, share, self.seed)
            fold_rows = np.flatnonzero(hit)
            pairs, label = pairs.keep(keep), label[keep]
            indptr = np.concatenate([pairs.indptr[:-1][hit], pairs.indptr[-1:]])
            weight = None if fold.weight is None else fold.weight[fold_rows]
            fold = fold.take(fold_rows, weight)
            pairs = Pairs(fold.asked, indptr, pairs.item)
        return _Rows(pairs, fold, values.compute(pairs, self.threads), label)

    def _screen(self, plan: PairPlan, rows: _Rows) -> tuple[PairPlan, Index]:
        """Drop the features of either side that a first, short training found no use for."""
        every = np.arange(len(plan.traits))
        count = {
            "entity": len(plan.entity.features) if plan.entity else 0,
            "items": len(plan.items.features) if plan.items else 0,
        }
        if not sum(count.values()) or not len(rows.label):
            return plan, every
        data = self._data(rows, plan, None)
        grown = grow(
            RankConfig("lambdarank", learning_rate=0.1),
            data, None, iterations=_SCREEN_ITERATIONS, patience=_SCREEN_ITERATIONS, at=10,
            seed=self.seed, threads=self.threads, deadline=self.work.settings.deadline,
        )  # fmt: skip
        order = np.argsort(-grown.gain, kind="stable")
        share = np.cumsum(grown.gain[order]) / max(grown.gain.sum(), 1e-300)
        useful = np.zeros(len(every), dtype=bool)
        useful[order[: int(np.searchsorted(share, _KEPT_GAIN)) + 1]] = True
        useful &= grown.gain > 0
        first = len(every) - sum(count.values())
        kept = [every[:first]]
        for name in ("entity", "items"):
            places = first + np.flatnonzero(useful[first : first + count[name]])
            features = getattr(plan, name)
            if features is not None:
                chosen = features.select(places - first)
                kept_features = chosen if chosen.features else None
                if name == "entity":
                    plan = replace(plan, entity=kept_features)
                else:
                    plan = replace(plan, items=kept_features)
            kept.append(places)
            first += count[name]
        return plan, np.concatenate(kept)

    def _data(self, rows: _Rows, plan: PairPlan, reference: Any) -> Any:
        return grouped(
            rows.values, rows.label, rows.sizes, plan.categorical, self.threads, rows.weight(),
            reference,
        )  # fmt: skip

    def _search(
        self, model: RankModel, rows: _Rows, valid: _Rows
    ) -> tuple[list[Trial], list[Grown]]:
        work = self.work
        budget, deadline = work.settings.budget, work.settings.deadline
        train, check = self._data(rows, model.plan, None), None
        check = self._data(valid, model.plan, train)
        trials: list[Trial] = []
        grown: list[Grown] = []
        for number, config in enumerate(_configs(max(1, budget.experiments))):
            if number and deadline.passed():
                break
            began = time.perf_counter()
            found = grow(
                config, train, check,
                iterations=budget.iterations, patience=_PATIENCE, at=10,
                seed=self.seed + number, threads=self.threads, deadline=deadline,
                report=partial(self._tell, number),
            )  # fmt: skip
            trial = replace(model, text=found.text, _values=[])
            score = self._measure(trial, valid)
            took = time.perf_counter() - began
            work.report(number, found.iterations, work.settings.metric, score)
            trials.append(
                Trial(number, config.to_json(), found.iterations, score, took, found.out_of_time)
            )
            grown.append(found)
        return trials, grown

    def _tell(self, trial: int, iteration: int, value: float) -> None:
        self.work.report(trial, iteration, "ndcg@10", value)

    def _measure(self, model: RankModel, valid: _Rows) -> float:
        score = model.raw(valid.values, self.threads)
        k = 10
        items = np.full((len(valid.fold), k), -1, dtype=np.int64)
        scores = np.full((len(valid.fold), k), np.nan)
        best_of(valid.pairs, score, items, scores)
        name = self.work.settings.metric
        found = metrics_of(self.work.target.task_type, valid.fold, Ranked(items, scores))
        value = found.compute([name], valid.fold.weight)[name]
        return value if np.isfinite(value) else 0.0

    def _refit(self, model: RankModel, trial: Trial, most: int) -> RankModel:
        """Train the chosen settings again on training and validation rows."""
        work = self.work
        both = Fold.joined([self.train, work.valid])
        question = question_of(work.relations, work.query, work.target, [work.train, work.valid])
        vectors = self._learn(question, both.asked)
        model = replace(model, question=question, vectors=vectors, _values=[])
        rows = self._rows(model, both, most, sample=True)
        config = RankConfig(**trial.config)
        grown = grow(
            config, self._data(rows, model.plan, None), None,
            iterations=trial.iterations, patience=trial.iterations, at=10,
            seed=self.seed + trial.number, threads=self.threads,
        )  # fmt: skip
        return replace(model, text=grown.text, _values=[])


def _configs(most: int) -> list[RankConfig]:
    """Return the trials in order: each objective, then other sizes of trees."""
    first = [RankConfig(objective) for objective in OBJECTIVES]
    small = [replace(c, num_leaves=8, min_data_in_leaf=200, lambda_l2=20.0) for c in first]
    large = [replace(c, num_leaves=63, learning_rate=0.03, feature_fraction=0.3) for c in first]
    return [*first, *small, *large][:most]


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


def _as_stale_as(train: Fold, valid: Fold) -> Fold:
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
