"""Train a ranking: candidates of training anchors, trials on validation, refit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.metrics import metrics_of
from relcast.learners.protocol import Asked, Fold, Ranked
from relcast.learners.ranking.boosters import OBJECTIVES, RankConfig, grouped, grow
from relcast.learners.ranking.candidates import Quota, candidates
from relcast.learners.ranking.model import ItemVectors, Member, RankModel, best_of
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
_MOST_NEGATIVES = 80
_AT = 10
_FEW = 300
_PICKS = 14
_ALONE = 0.03
_LEAST_BETTER = 0.005
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

    @classmethod
    def joined(cls, parts: list[_Rows]) -> _Rows:
        """Return the rows of several, one after another."""
        fold = Fold.joined([part.fold for part in parts])
        sizes = np.concatenate([part.sizes for part in parts])
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        pairs = Pairs(fold.asked, indptr, np.concatenate([part.pairs.item for part in parts]))
        values = np.asfortranarray(np.concatenate([part.values for part in parts]))
        return cls(pairs, fold, values, np.concatenate([part.label for part in parts]))

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
        remembered, examples = _halves(self.train, self.seed)
        question = question_of(work.relations, work.query, work.target, [remembered])
        vectors = self._learn(question, self.train.asked)
        scene = question.scene(work.relations)
        plan = plan_pairs(work, question, scene, vectors=bool(vectors.sets))
        model = RankModel("ranking", question, plan, self.quota, vectors)
        columns = len(plan.traits)
        most = max(20_000, min(3 * budget.rows, _MATRIX_BYTES // (4 * columns)))
        older, newer = _apart(examples, work.valid, self.seed)
        rows = self._rows(model, older, most, sample=True)
        check = self._rows(model, work.valid, most, sample=False)
        valid = check
        if newer is not None:
            check = _Rows.joined([valid, self._rows(model, newer, most, sample=False)])
        plan, kept = self._screen(plan, rows)
        rows, check = rows.take(kept), check.take(kept)
        model = replace(model, plan=plan, _values=[])
        trials, members = self._search(model, rows, check)
        validated = replace(model, members=self._blend(model, members, check), _values=[])
        if newer is not None:
            newest = self._rows(model, newer, most, sample=True)
            validated = self._again(validated, _Rows.joined([rows, newest]))
        final = validated
        if budget.refit:
            final = self._refit(validated, examples, most)
        validated = self._remembering(validated, [work.train])
        found = np.bincount(valid.pairs.owner, weights=valid.label, minlength=len(valid.fold))
        wanted = valid.fold.lists.lengths if valid.fold.lists is not None else found
        notes: dict[str, Any] = {
            "training_rows": len(rows.fold),
            "training_pairs": len(rows.label),
            "stopping_rows": len(check.fold),
            "candidates": float(valid.sizes.mean()) if len(valid.sizes) else 0.0,
            "candidate_recall": float(found.sum() / max(1, wanted.sum())),
            "features": len(plan.traits),
            "candidate_features": columns,
            "blend": [
                [
                    m.config["objective"] if m.text else plan.traits[m.config["column"]].name,
                    m.weight,
                    m.iterations,
                ]
                for m in validated.members
            ],
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
            share = most // max(1, int(hit.sum()))
            share = min(max(_LEAST_NEGATIVES, share), _MOST_NEGATIVES)
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
            data, None, iterations=_SCREEN_ITERATIONS, patience=_SCREEN_ITERATIONS, at=_AT,
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
        self, model: RankModel, rows: _Rows, check: _Rows
    ) -> tuple[list[Trial], list[Member]]:
        work = self.work
        budget, deadline = work.settings.budget, work.settings.deadline
        train = self._data(rows, model.plan, None)
        valid = self._data(check, model.plan, train)
        trials: list[Trial] = []
        members: list[Member] = []
        for number, config in enumerate(_configs(max(1, budget.experiments))):
            if number and deadline.passed():
                break
            began = time.perf_counter()
            found = grow(
                config, train, valid,
                iterations=budget.iterations, patience=work.settings.patience or _PATIENCE, at=_AT,
                seed=self.seed + number, threads=self.threads, deadline=deadline,
                report=partial(self._tell, number),
            )  # fmt: skip
            member = Member(found.text, 1.0, found.iterations, config.to_json())
            raw = replace(model, members=(member,), _values=[]).raw(check.values, self.threads)
            score = self._measure(model, check, raw)
            took = time.perf_counter() - began
            work.report(number, found.iterations, work.settings.metric, score)
            trials.append(
                Trial(number, config.to_json(), found.iterations, score, took, found.out_of_time)
            )
            # Raw scores of different objectives differ in size only by chance.
            members.append(replace(member, weight=1.0 / max(float(raw.std()), 1e-9)))
        return trials, members

    def _blend(self, model: RankModel, members: list[Member], check: _Rows) -> tuple[Member, ...]:
        """Return the members that rank best together, with their weights.

        Single columns (popularity, the entity's own links) stand beside the boosters, so that where
        there is little to learn from the ranking is no worse than they are.
        """
        members = [*members, *self._columns(model, check)]
        raws = [
            replace(model, members=(member,), _values=[]).raw(check.values, self.threads)
            for member in members
        ]
        weights = _together(raws, lambda raw: self._measure(model, check, raw))
        return tuple(
            replace(member, weight=member.weight * float(weight))
            for member, weight in zip(members, weights, strict=True)
            if weight > 0
        )

    def _columns(self, model: RankModel, check: _Rows) -> list[Member]:
        found = []
        for column in model.plan.shares:
            values = np.nan_to_num(check.values[:, column].astype(np.float64))
            if not (values > 0).any():
                continue
            member = Member.of_column(column, float(values[values > 0].mean()))
            size = member.score(None, check.values, self.threads).std()
            found.append(replace(member, weight=1.0 / max(float(size), 1e-9)))
        return found

    def _again(self, model: RankModel, rows: _Rows) -> RankModel:
        """Return the model with every member trained again on other rows."""
        data = self._data(rows, model.plan, None)
        members = []
        for number, member in enumerate(model.members):
            if not member.text:
                members.append(member)
                continue
            grown = grow(
                RankConfig(**member.config), data, None,
                iterations=member.iterations, patience=member.iterations, at=_AT,
                seed=self.seed + number, threads=self.threads,
            )  # fmt: skip
            members.append(replace(member, text=grown.text))
        return replace(model, members=tuple(members), _values=[])

    def _tell(self, trial: int, iteration: int, value: float) -> None:
        self.work.report(trial, iteration, "ndcg@10", value)

    def _measure(self, model: RankModel, check: _Rows, raw: Float) -> float:
        items = np.full((len(check.fold), _AT), -1, dtype=np.int64)
        scores = np.full((len(check.fold), _AT), np.nan)
        best_of(check.pairs, raw, model.plan.ties(check.values), items, scores)
        name = self.work.settings.metric
        found = metrics_of(self.work.target.task_type, check.fold, Ranked(items, scores))
        value = found.compute([name], check.fold.weight)[name]
        return value if np.isfinite(value) else 0.0

    def _refit(self, model: RankModel, examples: Fold, most: int) -> RankModel:
        """Train the chosen members again on training and validation rows."""
        both = Fold.joined([examples, self.work.valid])
        vectors = self._learn(model.question, both.asked)
        model = replace(model, vectors=vectors, _values=[])
        model = self._again(model, self._rows(model, both, most, sample=True))
        return self._remembering(model, [self.work.train, self.work.valid])

    def _remembering(self, model: RankModel, folds: list[Fold]) -> RankModel:
        """Return the model with all that may be known of links; a temporal one reads them."""
        work = self.work
        question = question_of(work.relations, work.query, work.target, folds)
        return replace(model, question=question, _values=[])


def _together(raws: list[Float], measure: Callable[[Float], float]) -> Float:
    """Return float64[members] weights that add up to one: greedy selection with replacement.

    Begins with the mean of the better half, which guards against what few rows pretend (Caruana
    and others, 2004); a pick must better the measure by half a per cent of itself. The best member
    stands alone only where it is better by more than three per cent.
    """
    values = np.array([measure(raw) for raw in raws])
    order = np.argsort(-values, kind="stable")
    picks = np.zeros(len(raws))
    picks[order[: max(1, len(raws) // 2)]] = 1.0
    total = np.tensordot(picks, np.stack(raws), axes=1)
    best = measure(total / picks.sum())
    while picks.sum() < _PICKS:
        tried = [measure((total + raw) / (picks.sum() + 1.0)) for raw in raws]
        choice = int(np.argmax(tried))
        if not tried[choice] > best * (1.0 + _LEAST_BETTER):
            break
        picks[choice] += 1.0
        total, best = total + raws[choice], tried[choice]
    if values[order[0]] > best * (1.0 + _ALONE):
        return np.asarray(np.eye(len(raws))[order[0]])
    return np.asarray(picks / picks.sum())


def _halves(train: Fold, seed: int) -> tuple[Fold, Fold]:
    """Return which examples of a static task are remembered, and which are learned from.

    An example that is among what is remembered would find its own answer there, and leaving it out
    of the counts would tell it as well: by what is missing. Temporal examples see what came before.
    """
    if train.asked.anchor is not None or len(train) < 2:
        return train, train
    first = np.zeros(len(train), dtype=bool)
    first[np.random.default_rng([seed, len(train), 2]).permutation(len(train))[::2]] = True
    return _part(train, first), _part(train, ~first)


def _configs(most: int) -> list[RankConfig]:
    """Return the trials in order: each objective, then other sizes of trees."""
    first = [RankConfig(objective) for objective in OBJECTIVES]
    small = [
        replace(c, num_leaves=12, learning_rate=0.04, feature_fraction=0.3, lambda_l2=20.0)
        for c in first
    ]
    return [*first, *small][:most]


def _apart(train: Fold, valid: Fold, seed: int) -> tuple[Fold, Fold | None]:
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
    return _part(train, ~aside), _part(train, aside)


def _part(fold: Fold, mask: npt.NDArray[np.bool_]) -> Fold:
    rows = np.flatnonzero(mask)
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
