"""Train a model of many classes: evidence, features that help, trees on pairs, blend, calibration.

Everything here sees training and validation rows only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import boosting
from relcast.learners.blending import greedy_weights
from relcast.learners.calibration import choose_calibration
from relcast.learners.evaluation import better
from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.multilabel.choosing import Yardstick, most_rows
from relcast.learners.multilabel.evidence import Evidence, Seen, read_features
from relcast.learners.multilabel.gathering import (
    Ground,
    Pairs,
    all_pairs,
    gather,
    labels_of,
    lists_of,
    sample_pairs,
)
from relcast.learners.multilabel.linear import Design, solve
from relcast.learners.multilabel.model import ClassModel, Member, Own
from relcast.learners.multilabel.pairs import candidates, categorical, pair_matrix
from relcast.learners.protocol import Fold
from relcast.learners.sampling import sample_rows
from relcast.learners.search import Search, effort
from relcast.learners.staleness import aged
from relcast.learners.support import clocks

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet

__all__ = ["train_classes"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_SCREEN_ROWS = 10_000
_SCREENED_BY = 40
"""Classes, the most frequent ones, that features are chosen by."""
_MOST_FEATURES = 30
_CELLS = 150_000_000
"""Examples times classes that are scored while training, about."""
_PAIRS_PER_ROW, _LEAST_PAIRS = 2, 200_000
_CALIBRATED_ON = 500_000
_OWN_PAIRS = 1_000_000
_LEAST_POSITIVES = 30
_SHARES = (0.0, 0.25, 0.5, 0.75)
_SHARPNESS = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)


def train_classes(work: Work) -> Trained[ClassModel]:
    """Train for a multilabel task, or for a multiclass one with however many classes.

    The first score of all classes is a contender by itself; trees on (example, class) pairs, and
    trees of frequent classes alone, come to it where they validate better.
    """
    bench = _Bench.of(work)
    settings = work.settings
    first = ClassModel("classes", work.target, bench.ground.evidence)
    seen = bench.seen
    yardstick = bench.yardstick
    trials: list[tuple[Trial, Member | None, Float]] = []
    value = yardstick.measure(seen.score)
    trials.append((Trial(0, {"learner": "first score"}, 0, value, 0.0, False), None, seen.score))
    trials += bench.search()
    raws = [raw for _, _, raw in trials]
    weights = greedy_weights(raws, yardstick.loss)
    members = tuple(
        replace(member, weight=float(weight))
        for (_, member, _), weight in zip(trials, weights, strict=True)
        if member is not None and weight > 0
    )
    model = replace(first, first=float(weights[0]), members=members)
    raw = np.tensordot(weights, np.stack(raws), axes=1)
    model, raw = bench.with_own(model, raw)
    validated = bench.calibrated(model, raw)
    final = bench.refit(validated) if settings.budget.refit else validated
    notes: dict[str, Any] = {
        "training_rows": bench.sampled,
        "validation_rows": {"rows": len(bench.valid), "of": len(work.valid)},
        "features": len(bench.ground.evidence.features.features),
        "candidate_features": len(work.features.features),
        "clocks": list(bench.clocks),
        "classes": work.target.width,
        "own_trees": len(validated.own),
        "share_of_first_score": validated.first,
        "refit": settings.budget.refit,
        "out_of_time": any(trial.out_of_time for trial, _, _ in trials),
    }
    return Trained(final, validated, tuple(trial for trial, _, _ in trials), notes)


@dataclass(frozen=True)
class _Bench:
    work: Work
    ground: Ground
    valid: Fold
    seen: Seen
    yardstick: Yardstick
    sampled: dict[str, Any]
    clocks: tuple[str, ...]

    @classmethod
    def of(cls, work: Work) -> _Bench:
        settings, width = work.settings, work.target.width
        most = int(np.clip(_CELLS // width, 2_000, settings.budget.rows))
        train, sampled = _thinned(work.train, most, settings.seed)
        limit = min(most_rows(width), max(2_000, settings.budget.rows // 2))
        valid, _ = _thinned(work.valid, limit, settings.seed)
        train = aged(train, valid, limit=most, seed=settings.seed)
        features, left_out = _screened(work, train, valid)
        ground = gather(
            work.relations,
            train,
            features,
            tuple(work.target.classes or ()),
            threads=settings.threads,
            seed=settings.seed,
        )
        seen = _read_all(ground.evidence, work, valid)
        yardstick = Yardstick.of(work.target, settings.metric, valid, settings.seed)
        return cls(work, ground, valid, seen, yardstick, sampled, left_out)

    @property
    def _most_pairs(self) -> int:
        return max(_LEAST_PAIRS, _PAIRS_PER_ROW * self.work.settings.budget.rows)

    def search(self) -> list[tuple[Trial, Member, Float]]:
        """Grow trees on pairs, one set of settings after another."""
        settings = self.work.settings
        pairs = sample_pairs(self.ground, self._most_pairs, settings.seed)
        chosen = candidates(self.seen.score)
        rows = np.repeat(np.arange(len(self.valid)), chosen.shape[1])
        number = chosen.ravel()
        matrix = pair_matrix(self.ground.evidence, self.seen, rows, number)
        labels = labels_of(lists_of(self.valid), self.ground.evidence.width)
        held = np.asarray(labels[rows, number]).ravel()
        data = self._data(pairs)
        check = self._data(Pairs(matrix, held, np.ones(len(held))), data)
        budget = settings.budget
        plan = effort(pairs.matrix.size, budget.iterations, budget.experiments, 1)
        search = Search(
            TaskType.BINARY_CLASSIFICATION,
            settings.metric,
            len(pairs.label),
            1,
            max(plan.rate, 0.06),
            settings.seed,
        )
        found: list[tuple[Trial, Member, Float]] = []
        best: tuple[float, boosting.TreeConfig] | None = None
        for k in range(min(plan.trials, 6)):
            if found and settings.deadline.passed():
                trial, member, raw = found[-1]
                found[-1] = (replace(trial, out_of_time=True), member, raw)
                break
            began = time.monotonic()
            config = search.propose(k, None if best is None else best[1])
            grown = boosting.grow(
                config,
                data,
                check,
                iterations=min(plan.iterations, 600),
                patience=settings.patience or plan.patience,
                seed=settings.seed + k,
                threads=settings.threads,
                deadline=settings.deadline,
                report=self._report(k + 1),
            )
            shown = {**config.to_json(), "seed": settings.seed + k}
            booster = boosting.load(grown.text)
            raw = self.seen.score.copy()
            raw[rows, number] = boosting.raw_scores(booster, matrix, settings.threads)
            value = self.yardstick.measure(raw)
            seconds = time.monotonic() - began
            trial = Trial(k + 1, shown, grown.iterations, value, seconds, grown.out_of_time)
            found.append((trial, Member(grown.text, 1.0, grown.iterations, shown), raw))
            if best is None or better(settings.metric, value, best[0]):
                best = (value, config)
        return found

    def with_own(self, model: ClassModel, raw: Float) -> tuple[ClassModel, Float]:
        """Give frequent classes trees of their own where that validates better."""
        settings, width = self.work.settings, self.work.target.width
        multilabel = self.work.target.task_type is TaskType.MULTILABEL_CLASSIFICATION
        most = 4 * (settings.budget.experiments - 1)
        if not multilabel or width > 200 or most < 1 or settings.deadline.passed():
            return model, raw
        count = np.asarray(self.ground.labels.sum(axis=0)).ravel()
        frequent = np.argsort(-count, kind="stable")[:most]
        frequent = np.sort(frequent[count[frequent] >= _LEAST_POSITIVES])
        matrix, places = all_pairs(self.ground, _OWN_PAIRS)
        labels, weight = self.ground.labels[places].tocsc(), self.ground.weight()[places]
        held = labels_of(lists_of(self.valid), width).tocsc()
        rows = np.arange(len(self.valid))
        found: list[tuple[Own, Float]] = []
        for number in frequent.tolist():
            label = labels[:, [number]].toarray()[:, 0]
            truth = held[:, [number]].toarray()[:, 0]
            if label.min() == label.max() or settings.deadline.passed():
                continue
            data = self._data(Pairs(matrix[number::width], label, weight))
            inside = pair_matrix(self.ground.evidence, self.seen, rows, np.full(len(rows), number))
            check = self._data(Pairs(inside, truth, np.ones(len(truth))), data)
            search = Search(
                TaskType.BINARY_CLASSIFICATION, "auroc", len(label), 1, 0.06, settings.seed
            )
            grown = boosting.grow(
                search.propose(0, None),
                data,
                check,
                iterations=min(300, settings.budget.iterations),
                patience=30,
                seed=settings.seed,
                threads=settings.threads,
                deadline=settings.deadline,
            )
            scores = boosting.raw_scores(boosting.load(grown.text), inside, settings.threads)
            found.append((Own(number, grown.text), scores))
        if not found:
            return model, raw
        best, share, mixed = self.yardstick.measure(raw), 0.0, raw
        for trial in _SHARES[1:]:
            tried = raw.copy()
            for own, scores in found:
                tried[:, own.number] = (1 - trial) * raw[:, own.number] + trial * scores
            value = self.yardstick.measure(tried)
            if better(settings.metric, value, best):
                best, share, mixed = value, trial, tried
        if share == 0.0:
            return model, raw
        return replace(model, own=tuple(own for own, _ in found), share=share), mixed

    def calibrated(self, model: ClassModel, raw: Float) -> ClassModel:
        """Fit the link on validation scores, and name the model by what it is made of."""
        parts = ["trees on pairs"] if model.members else []
        parts += ["trees of classes"] if model.own else []
        name = f"classes ({', '.join(parts)})" if parts else "classes (first score)"
        model = replace(model, name=name)
        if self.work.target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            own = self.valid.label.astype(np.int64)
            losses = []
            for sharpness in _SHARPNESS:
                sharp = replace(model, sharpness=sharpness).link(raw)
                likely = np.maximum(sharp[np.arange(len(own)), own], 1e-12)
                losses.append(-float(np.log(likely).mean()))
            return replace(model, sharpness=_SHARPNESS[int(np.argmin(losses))])
        if not self.work.settings.calibrate:
            return model
        rng = np.random.default_rng([self.work.settings.seed, 53])
        label = labels_of(lists_of(self.valid), raw.shape[1]).toarray().ravel()
        cells = np.arange(raw.size)
        if raw.size > _CALIBRATED_ON:
            cells = rng.integers(0, raw.size, _CALIBRATED_ON)
        calibration = choose_calibration(raw.ravel()[cells], label[cells], self.work.settings.seed)
        return replace(model, calibration=calibration)

    def refit(self, model: ClassModel) -> ClassModel:
        """Fit the evidence and grow trees on pairs again, on training and validation rows.

        Trees of single classes and the link stay as they are.
        """
        settings = self.work.settings
        joined = Fold.joined([self.ground.fold, self.valid])
        ground = gather(
            self.work.relations,
            joined,
            self.ground.evidence.features,
            self.ground.evidence.classes,
            threads=settings.threads,
            seed=settings.seed,
        )
        pairs = sample_pairs(ground, self._most_pairs, settings.seed)
        members = []
        for member in model.members:
            config = {name: value for name, value in member.config.items() if name != "seed"}
            grown = boosting.grow(
                boosting.TreeConfig.from_json(config),
                self._data(pairs),
                None,
                iterations=member.iterations,
                patience=member.iterations,
                seed=int(member.config["seed"]),
                threads=settings.threads,
            )
            members.append(replace(member, text=grown.text))
        return replace(model, evidence=ground.evidence, members=tuple(members))

    def _report(self, number: int) -> Callable[[int, float], None]:
        return lambda at, value: self.work.report(number, at, "binary_logloss", value)

    def _data(self, pairs: Pairs, reference: boosting.Data | None = None) -> boosting.Data:
        weight = None if (pairs.weight == 1.0).all() else pairs.weight
        return boosting.make_data(
            np.ascontiguousarray(pairs.matrix),
            pairs.label,
            weight,
            categorical(self.ground.evidence),
            self.work.settings.threads,
            reference,
        )


def _thinned(fold: Fold, limit: int, seed: int) -> tuple[Fold, dict[str, Any]]:
    found = sample_rows(
        np.zeros(len(fold)),
        fold.asked.anchor,
        fold.weight,
        task_type=TaskType.REGRESSION,
        limit=limit,
        seed=seed,
    )
    return fold.take(found.rows, found.weight), found.report


def _read_all(evidence: Evidence, work: Work, fold: Fold) -> Seen:
    read = evidence.parts(work.relations, fold.asked, work.settings.threads)
    parts = [seen for _, seen in read]
    memory = evidence.recall(work.relations, fold.asked)
    return Seen(
        np.concatenate([part.values for part in parts]),
        memory,
        np.concatenate([part.signs for part in parts], axis=1),
        np.concatenate([part.score for part in parts]),
    )


def _screened(work: Work, train: Fold, valid: Fold) -> tuple[FeatureSet, tuple[str, ...]]:
    """Keep the features that say most of frequent classes in a regression; no clocks.

    Beside them, the names of the clocks.
    """
    features, width = work.features, work.target.width
    if not features.features:
        return features, ()
    rng = np.random.default_rng([work.settings.seed, 5])
    sample, later = (_some(fold, rng) for fold in (train, valid))
    threads = work.settings.threads
    values = read_features(features, work.relations, sample.asked, threads)
    clock = np.zeros(len(features.features), dtype=np.bool_)
    if sample.asked.anchor is not None:
        ahead = read_features(features, work.relations, later.asked, threads)
        clock = clocks(values, sample.asked.anchor, ahead)
    left_out = tuple(f.name for f, out in zip(features.features, clock, strict=True) if out)
    values[:, clock] = np.nan
    design = Design.of(features, values, 2_000)
    labels = labels_of(lists_of(sample), width)
    count = np.asarray(labels.sum(axis=0)).ravel()
    chosen = np.argsort(-count, kind="stable")[:_SCREENED_BY]
    truth = labels[:, chosen].toarray()
    inside = design.matrix(values)
    ridge = solve(inside.T @ inside, inside.T @ (truth - truth.mean(axis=0)), len(inside))
    spread = np.maximum(truth.var(axis=0), 1e-9)
    worth = (ridge**2 / spread).sum(axis=1) * inside.var(axis=0)
    of_feature = np.concatenate([design.numbers, design.numbers, design.categories])
    total = np.bincount(of_feature, weights=worth, minlength=len(features.features))
    most = min(_MOST_FEATURES, work.settings.budget.features)
    kept = np.argsort(-total, kind="stable")[:most]
    return features.select(np.sort(kept[total[kept] > 0]).tolist()), left_out


def _some(fold: Fold, rng: np.random.Generator) -> Fold:
    rows = np.sort(rng.permutation(len(fold))[:_SCREEN_ROWS])
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])
