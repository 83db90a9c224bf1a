"""The board of one fit: what was tried, what it said of held-out rows, and how good that was.

It has a winner from the first baseline on, at any moment.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.progress import Silent, Stage
from relcast.learners.blending import shrunk_weights, tolerance
from relcast.learners.catalogue import make_catalogue
from relcast.learners.contenders import Family, candidate_features
from relcast.learners.deadline import Deadline
from relcast.learners.denser import Denser, densified
from relcast.learners.evaluation import better
from relcast.learners.finer import Finer, finer_of
from relcast.learners.folds import Folds
from relcast.learners.leaderboard import Entry
from relcast.learners.learner import Report, Settings, Trained, Work
from relcast.learners.leaving_out import left_out, without
from relcast.learners.metrics import (
    Catalogue,
    is_greater_better,
    is_ranked,
    largest_k,
    metrics_of,
)
from relcast.learners.mixture import mixed, mixture_of
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Fold, Predictor, Ranker, Said, ask, is_ranker
from relcast.learners.tide import Tide, tide_of

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Board", "Contender"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A fitted learner that can be published.

    Attributes:
        family: ``baseline``, or the name of the learner.
        model: What would be published.
        said: What it says of the held-out splits (``validation``, ``test``).
        value: The tune metric on validation; None where it is not defined.
        validation_of: Whose validation predictions these are, in words.
        report: What its training says of itself, JSON-ready.
    """

    family: str
    model: Predictor | Ranker
    said: dict[str, Said]
    value: float | None
    validation_of: str = "published model"
    report: dict[str, Any] = field(default_factory=dict)


class Board:
    """Collects contenders and the lines of the leaderboard."""

    def __init__(
        self,
        relations: Relations,
        query: CheckedQuery,
        folds: Folds,
        plan: ModelPlan,
        stage: Stage,
    ) -> None:
        target = folds.target
        self.relations = relations
        self.query = query
        self.folds = folds
        self.plan = plan
        self.metric = plan.tune_metric_for(target.task_type)
        self.metrics = plan.metrics_for(target.task_type, target.top)
        self.threads = plan.thread_count()
        self.k = largest_k(self.metrics)
        self.catalogue: Catalogue | None = None
        if is_ranked(target.task_type):
            self.catalogue = make_catalogue(relations, folds)
        self.baselines: list[Contender] = []
        self.learned: list[Contender] = []
        self.notes: list[str] = []
        self.features: FeatureSet | None = None
        self.denser: Denser | None = None
        self.otherwise: Finer | Tide | None = None
        self._entries: list[tuple[Entry, Contender | None]] = []
        self._stage = stage
        self._done = 0.0
        self._trials = 0

    def listen(self, stage: Stage) -> None:
        """Report to another stage from now on."""
        self._stage = stage

    def hush(self) -> None:
        """Report to nobody any more: who listened wants to stop."""
        self._stage = Silent()

    def add_baseline(self, baseline: Predictor | Ranker) -> None:
        """Score a baseline and report it."""
        began = time.monotonic()
        contender = self._contender("baseline", baseline)
        self.baselines.append(contender)
        seconds = time.monotonic() - began
        entry = Entry("baseline", baseline.name, contender.value, seconds)
        self._entries.append((entry, contender))
        self._stage.update(detail=f"baseline: {baseline.name}")
        self._report("baseline", baseline.name, None, None, self.metric, contender.value)

    def step(self, detail: str, done: float = 1.0) -> None:
        """Say that some of the work is done."""
        self._done += done
        self._stage.update(self._done, detail=detail)

    def regenerate(self, relations: Relations) -> FeatureSet:
        """Make the candidate features of relations; nothing after the training side is read."""
        made = candidate_features(
            relations,
            self.query,
            self.folds,
            self.plan.budget().candidates,
            allow_mutable=self.plan.allow_mutable,
        )
        return without(made, left_out(self.plan.leave_out, self.relations.graph))

    def make_features(self) -> FeatureSet:
        """Make the candidate features, and more rows to learn them from where there are few."""
        self.features = self.regenerate(self.relations)
        if self.plan.run_mode != "debug":  # a few seconds are for the given rows
            self.denser = densified(self.relations, self.query, self.folds)
            self.otherwise = self._other_labels(self.features)
        return self.features

    def train(self, family: Family, features: FeatureSet, deadline: Deadline) -> Contender:
        """Train a learner, score what comes out and report every trial.

        Where labels can be learned in another way, in that way as well, as a learner of its own, if
        the first took less than half of the time. No trial begins when ``deadline`` has passed.
        """
        way = self._other_way(family)
        if way is None:
            return self._train(family, features, deadline, None)
        half = deadline.part(0.5)
        found = self._train(family, features, deadline, None)
        if not half.passed():  # else the second would have no time for its refit
            again = replace(family, name=f"{family.name} {way.name}")
            self._train(again, features, deadline, way)
        return found

    def _other_labels(self, features: FeatureSet) -> Finer | Tide | None:
        folds = self.folds
        finer = finer_of(self.relations, self.query, folds.target, folds.train, folds.validation)
        return finer or tide_of(
            self.relations,
            folds.target,
            features,
            folds.train,
            metric=self.metric,
            threads=self.threads,
        )

    def _other_way(self, family: Family) -> Finer | Tide | None:
        way = self.otherwise
        return way if way is not None and family.reads_features and way.suits(family.name) else None

    def _train(
        self, family: Family, features: FeatureSet, deadline: Deadline, way: Finer | Tide | None
    ) -> Contender:
        began = time.monotonic()
        budget = self.plan.budget()
        ways = 1 if way is None and self._other_way(family) is None else 2
        budget = replace(budget, experiments=-(-budget.experiments // ways))  # as long as one way
        first = self._trials  # trials are numbered over all learners

        def on_iteration(trial: int, iteration: int, metric: str, value: float) -> None:
            name = f"{family.name}, trial {trial}"
            self._stage.update(
                self._done + min(trial, budget.experiments), detail=f"{name}: step {iteration}"
            )
            said = value if np.isfinite(value) else None
            self._report(family.name, name, first + trial, iteration, metric, said)

        settings = Settings(
            budget,
            self.metric,
            self.plan.seed,
            self.threads,
            deadline,
            calibrate=self.plan.calibrate,
            losses=self.plan.losses,
            patience=self.plan.patience,
            lag_timesteps=self.plan.lag_timesteps,
            year_over_year=self.plan.year_over_year,
            leave_out=left_out(self.plan.leave_out, self.relations.graph),
            allow_mutable=self.plan.allow_mutable,
        )
        work = self._work(family, features, settings, on_iteration)
        trained: Trained[Any] = family.learner()(work if way is None else way.ask(work))
        if way is not None:
            trained = way.answer(trained, work)
        for trial in trained.trials:
            value = trial.validation if np.isfinite(trial.validation) else None
            name, number = f"{family.name}, trial {trial.number}", first + trial.number
            entry = Entry(
                family.name,
                name,
                value,
                trial.seconds,
                number,
                trial.iterations,
                trial.config,
            )
            self._entries.append((entry, None))
            self._report(family.name, name, number, trial.iterations, self.metric, value)
        self._trials += len(trained.trials)
        contender = self._trained(family, trained)
        self.learned.append(contender)
        spent = time.monotonic() - began - sum(trial.seconds for trial in trained.trials)
        entry = Entry(family.name, trained.model.name, contender.value, spent)
        self._entries.append((entry, contender))
        self._report(family.name, trained.model.name, None, None, self.metric, contender.value)
        self.step(f"{family.name}: trained", self.plan.budget().experiments / ways)
        return contender

    def _work(
        self, family: Family, features: FeatureSet, settings: Settings, report: Report
    ) -> Work:
        folds, more = self.folds, self.denser
        work = Work(
            self.relations,
            self.query,
            folds.target,
            folds.train,
            folds.validation,
            features,
            settings,
            report,
        )
        if more is None or not family.reads_features:
            return work
        held = replace(folds.validation, weight=np.full(len(folds.validation), more.weight))
        return replace(work, train=more.train, valid=held, newer=more.newer)

    def learned_from(self) -> Folds:
        """Return the folds with every row that a published model may have been trained on."""
        more, folds = self.denser, self.folds
        if more is None:
            return folds
        held = folds.validation
        if len(more.newer):
            held = Fold.joined([held, more.newer])
        return replace(folds, train=more.train, validation=held)

    def blend(self) -> None:
        """Blend the learners; their weights are near to equal (see ``shrunk_weights``)."""
        members = [c for c in self.learned if not is_ranker(c.model)]
        if len(members) < 2:
            return
        began, target, fold = time.monotonic(), self.folds.target, self.folds.validation
        said = [cast("Float", c.said["validation"]) for c in members]
        sign = -1.0 if is_greater_better(self.metric) else 1.0

        def loss(weights: Float) -> float:
            value = self.value(fold, mixed(target, said, weights))
            return np.nan if value is None else sign * value

        weights = shrunk_weights(len(members), loss, slack=self.slack)
        if weights.max() == 1.0:
            return
        model = mixture_of(target, weights, [cast("Predictor", c.model) for c in members])
        both = {
            name: mixed(target, [cast("Float", c.said[name]) for c in members], weights)
            for name in self.folds.held_out()
        }
        honest = [c.validation_of for c in members if c.validation_of != "published model"]
        contender = Contender(
            "blend",
            model,
            dict(both),
            self.value(fold, both["validation"]),
            honest[0] if honest else "published model",
            {
                "weights": {c.model.name: float(w) for c, w in zip(members, weights, strict=True)},
                "learners": {c.family: c.report for c in members},
            },
        )
        self.learned.append(contender)
        entry = Entry("blend", model.name, contender.value, time.monotonic() - began)
        self._entries.append((entry, contender))
        self._report("blend", model.name, None, None, self.metric, contender.value)

    @property
    def slack(self) -> float:
        """Which share of the tune metric validation cannot tell from chance."""
        fold = self.folds.validation
        return tolerance(len(fold), len(np.unique(fold.asked.entity)))

    def best_baseline(self) -> Contender:
        """Return the baseline that is best on validation; the first of equals."""
        return self._best(self.baselines)

    def best_learned(self) -> Contender | None:
        """Return the learned contender that is best on validation; None without any.

        A blend is preferred where validation has too few rows to tell it from the best.
        """
        if not self.learned:
            return None
        best = self._best(self.learned)
        for each in self.learned:
            if each.family == "blend" and best.value is not None and each.value is not None:
                worse = abs(each.value - best.value)
                return each if worse <= self.slack * abs(best.value) else best
        return best

    def winner(self) -> Contender:
        """Return what is to be published: a learner only where it validates strictly better.

        It can be asked at any moment after the first baseline.
        """
        best, learned = self.best_baseline(), self.best_learned()
        if learned is not None and better(self.metric, learned.value, best.value):
            return learned
        return best

    def value(self, fold: Fold, said: Said) -> float | None:
        """Return the tune metric of what was said; None where it is not defined."""
        metrics = metrics_of(self.folds.target.task_type, fold, said, self.catalogue)
        found = metrics.compute((self.metric,)).get(self.metric, np.nan)
        return found if np.isfinite(found) else None

    def ranked(self) -> tuple[Entry, ...]:
        """Return the lines, best on validation first, the published one marked."""
        winner = self.winner()
        ranked: list[Entry] = []
        for entry, contender in self._entries:
            place = 0
            while place < len(ranked) and not better(
                self.metric, entry.validation, ranked[place].validation
            ):
                place += 1
            ranked.insert(place, replace(entry, published=contender is winner))
        return tuple(ranked)

    def _best(self, contenders: list[Contender]) -> Contender:
        best = contenders[0]
        for contender in contenders[1:]:
            if better(self.metric, contender.value, best.value):
                best = contender
        return best

    def _contender(self, family: str, model: Predictor | Ranker) -> Contender:
        said = {name: self._ask(model, fold) for name, fold in self.folds.held_out().items()}
        return Contender(family, model, said, self.value(self.folds.validation, said["validation"]))

    def _ask(self, model: Predictor | Ranker, fold: Fold) -> Said:
        return ask(model, self.relations, fold.asked, k=self.k, threads=self.threads)

    def _trained(self, family: Family, trained: Trained[Any]) -> Contender:
        """Score what was trained; after a refit, validation is of the model before it."""
        published = replace(
            self._contender(family.name, trained.model), report=dict(trained.report)
        )
        if trained.model is trained.validated:
            return published
        honest = self._ask(trained.validated, self.folds.validation)
        return replace(
            published,
            said={**published.said, "validation": honest},
            value=self.value(self.folds.validation, honest),
            validation_of="model before the refit",
        )

    def _report(
        self,
        family: str,
        learner: str,
        trial: int | None,
        iteration: int | None,
        metric: str,
        value: float | None,
    ) -> None:
        self._stage.report(
            {
                "family": family,
                "learner": learner,
                "trial": trial,
                "iteration": iteration,
                "metric": metric,
                "validation": value,
            }
        )
