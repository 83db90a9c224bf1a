"""Train a ranking: candidates of training anchors, trials on validation, refit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.metrics import largest_k, metrics_of
from relcast.learners.protocol import Asked, Fold, Ranked
from relcast.learners.ranking.boosters import OBJECTIVES, RankConfig, grouped, grow
from relcast.learners.ranking.candidates import Quota
from relcast.learners.ranking.gathering import Rows, apart, as_stale_as, gather, halves
from relcast.learners.ranking.model import ItemVectors, Member, RankModel, best_of
from relcast.learners.ranking.packed import question_of
from relcast.learners.ranking.planning import plan_pairs
from relcast.learners.ranking.scene import Question
from relcast.learners.ranking.traits import PairPlan
from relcast.learners.ranking.vectors import learn

__all__ = ["train"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

_MATRIX_BYTES = 600 * 2**20
_AT = 10
_PICKS = 14
_ALONE = 0.03
_LEAST_BETTER = 0.005
_DIMENSIONS = 32
_MOMENTS = 4
_PATIENCE = 30
_SCREEN_ITERATIONS = 60
_KEPT_GAIN = 0.999


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
        self.train = as_stale_as(work.train, work.valid)
        self.quota = Quota()

    def run(self) -> Trained[RankModel]:
        work, budget = self.work, self.work.settings.budget
        remembered, examples = halves(self.train, self.seed)
        question = question_of(work.relations, work.query, work.target, [remembered])
        vectors = self._learn(question, self.train.asked)
        scene = question.scene(work.relations)
        plan = plan_pairs(work, question, scene, vectors=bool(vectors.sets))
        model = RankModel("ranking", question, plan, self.quota, vectors)
        columns = len(plan.traits)
        most = max(20_000, min(3 * budget.rows, _MATRIX_BYTES // (4 * columns)))
        older, newer = apart(examples, work.valid, self.seed)
        rows = self._rows(model, older, most, sample=True)
        check = self._rows(model, work.valid, most, sample=False)
        valid = check
        if newer is not None:
            check = Rows.joined([valid, self._rows(model, newer, most, sample=False)])
        plan, kept = self._screen(plan, rows)
        rows, check = rows.take(kept), check.take(kept)
        model = replace(model, plan=plan, _values=[])
        trials, members = self._search(model, rows, check)
        validated = replace(model, members=self._blend(model, members, check), _values=[])
        if newer is not None:
            newest = self._rows(model, newer, most, sample=True)
            validated = self._again(validated, Rows.joined([rows, newest]))
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

    def _rows(self, model: RankModel, fold: Fold, most: int, *, sample: bool) -> Rows:
        return gather(
            model, self.work.relations, fold, most,
            sample=sample, seed=self.seed, threads=self.threads,
        )  # fmt: skip

    def _screen(self, plan: PairPlan, rows: Rows) -> tuple[PairPlan, Index]:
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

    def _data(self, rows: Rows, plan: PairPlan, reference: Any) -> Any:
        return grouped(
            rows.values, rows.label, rows.sizes, plan.categorical, self.threads, rows.weight(),
            reference,
        )  # fmt: skip

    def _search(
        self, model: RankModel, rows: Rows, check: Rows
    ) -> tuple[list[Trial], list[Member]]:
        work = self.work
        budget, deadline = work.settings.budget, work.settings.deadline
        if not rows.label.any() or not len(check.label):
            return [], []  # of what came true nothing is a candidate: there is nothing to learn
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
            members.append(replace(member, weight=_leveled(raw)))
        return trials, members

    def _blend(self, model: RankModel, members: list[Member], check: Rows) -> tuple[Member, ...]:
        """Return the members that rank best together, with their weights.

        Single columns (popularity, the entity's own links) stand beside the boosters, so that where
        there is little to learn from the ranking is no worse than they are.
        """
        members = [*members, *self._columns(model, check)]
        if not members:
            return (Member.of_column(model.plan.shares[0], 1.0),)
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

    def _columns(self, model: RankModel, check: Rows) -> list[Member]:
        found = []
        for column in model.plan.shares:
            values = np.nan_to_num(check.values[:, column].astype(np.float64))
            if not (values > 0).any():
                continue
            member = Member.of_column(column, float(values[values > 0].mean()))
            score = member.score(None, check.values, self.threads)
            found.append(replace(member, weight=_leveled(score)))
        return found

    def _again(self, model: RankModel, rows: Rows) -> RankModel:
        """Return the model with every booster trained again on other rows, where they teach."""
        if not rows.label.any() or not any(member.text for member in model.members):
            return model
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

    def _measure(self, model: RankModel, check: Rows, raw: Float) -> float:
        name = self.work.settings.metric
        items = np.full((len(check.fold), largest_k((name,))), -1, dtype=np.int64)
        scores = np.full(items.shape, np.nan)
        best_of(check.pairs, raw, model.plan.ties(check.values), items, scores)
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


def _leveled(raw: Float) -> float:
    """Return the weight that gives scores a deviation of one; one where they are all the same."""
    size = float(raw.std())
    return 1.0 / size if size > 1e-9 else 1.0


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


def _configs(most: int) -> list[RankConfig]:
    """Return the trials in order: each objective, then other sizes of trees."""
    first = [RankConfig(objective) for objective in OBJECTIVES]
    small = [
        replace(c, num_leaves=12, learning_rate=0.04, feature_fraction=0.3, lambda_l2=20.0)
        for c in first
    ]
    return [*first, *small][:most]
