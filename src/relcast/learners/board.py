"""The board of one fit: what was tried, what it said of held-out rows, and how good that was."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.progress import Stage
from relcast.learners.deadline import Deadline
from relcast.learners.evaluation import better
from relcast.learners.folds import Folds
from relcast.learners.leaderboard import Entry
from relcast.learners.learner import Settings, Trained, Work
from relcast.learners.metrics import metrics_of
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Fold, Predictor
from relcast.learners.training import train_trees
from relcast.learners.trees import TreeModel

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Board", "Contender"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A predictor that can be published.

    Attributes:
        predictor: What would be published.
        said: Its predictions by split (``validation``, ``test``).
        value: The tune metric on validation; None where it is not defined.
        validation_of: Whose validation predictions these are, in words.
    """

    predictor: Predictor
    said: dict[str, Float]
    value: float | None
    validation_of: str = "published model"


class Board:
    """Collects contenders and the lines of the leaderboard."""

    def __init__(
        self, relations: Relations, folds: Folds, plan: ModelPlan, metric: str, stage: Stage
    ) -> None:
        self.relations = relations
        self.folds = folds
        self.plan = plan
        self.metric = metric
        self.threads = plan.thread_count()
        self.baselines: list[Contender] = []
        self.trees: Contender | None = None
        self._entries: list[Entry] = []
        self._stage = stage

    def add_baseline(self, baseline: Predictor) -> None:
        """Score a baseline and report it."""
        began = time.monotonic()
        contender = self._contender(baseline)
        self.baselines.append(contender)
        seconds = time.monotonic() - began
        self._entries.append(Entry("baseline", baseline.name, contender.value, seconds))
        self._stage.update(detail=f"baseline: {baseline.name}")
        self._report(baseline.name, None, None, self.metric, contender.value)

    def train(
        self, query: CheckedQuery, features: FeatureSet, deadline: Deadline
    ) -> Trained[TreeModel]:
        """Train trees, score what comes out and report every trial.

        No trial begins when ``deadline`` has passed.
        """
        began = time.monotonic()
        settings = Settings(
            self.plan.budget(),
            self.metric,
            self.plan.seed,
            self.threads,
            deadline,
            calibrate=self.plan.calibrate,
        )
        trained = train_trees(
            Work(
                self.relations,
                query,
                self.folds.target,
                self.folds.train,
                self.folds.validation,
                features,
                settings,
                self._on_iteration,
            )
        )
        for trial in trained.trials:
            value = trial.validation if np.isfinite(trial.validation) else None
            name = f"trees, trial {trial.number}"
            self._entries.append(
                Entry(
                    "trees",
                    name,
                    value,
                    trial.seconds,
                    trial.number,
                    trial.iterations,
                    trial.config,
                )
            )
            self._report(name, trial.number, trial.iterations, self.metric, value)
        self.trees = self._trees_contender(trained)
        spent = time.monotonic() - began - sum(trial.seconds for trial in trained.trials)
        self._entries.append(Entry("trees", trained.model.name, self.trees.value, spent))
        self._report(trained.model.name, None, None, self.metric, self.trees.value)
        self._stage.update(self.plan.budget().experiments + 1, detail="trees are trained")
        return trained

    def best_baseline(self) -> Contender:
        """Return the baseline that is best on validation; the first of equals."""
        best = self.baselines[0]
        for contender in self.baselines[1:]:
            if better(self.metric, contender.value, best.value):
                best = contender
        return best

    def winner(self) -> Contender:
        """Return what is to be published: trees only where they validate strictly better."""
        best = self.best_baseline()
        if self.trees is not None and better(self.metric, self.trees.value, best.value):
            return self.trees
        return best

    def value(self, fold: Fold, values: Float) -> float | None:
        """Return the tune metric of predictions; None where it is not defined."""
        metrics = metrics_of(self.folds.target.task_type, fold.label, values)
        found = metrics.compute((self.metric,))[self.metric]
        return found if np.isfinite(found) else None

    def ranked(self) -> tuple[Entry, ...]:
        """Return the lines, best on validation first, the published one marked."""
        published = self.winner().predictor.name
        ranked: list[Entry] = []
        for entry in self._entries:
            place = 0
            while place < len(ranked) and not better(
                self.metric, entry.validation, ranked[place].validation
            ):
                place += 1
            ranked.insert(place, replace(entry, published=entry.name == published))
        return tuple(ranked)

    def _contender(self, predictor: Predictor) -> Contender:
        said = {
            name: predictor.predict(self.relations, fold.asked, threads=self.threads)
            for name, fold in self.folds.held_out().items()
        }
        return Contender(predictor, said, self.value(self.folds.validation, said["validation"]))

    def _trees_contender(self, trained: Trained[TreeModel]) -> Contender:
        """Score trees; after a refit, validation is scored by the blend that never saw its rows."""
        published = self._contender(trained.model)
        if trained.model is trained.validated:
            return published
        honest = trained.validated.predict(
            self.relations, self.folds.validation.asked, threads=self.threads
        )
        return Contender(
            trained.model,
            {**published.said, "validation": honest},
            self.value(self.folds.validation, honest),
            "model before the refit",
        )

    def _on_iteration(self, trial: int, iteration: int, metric: str, value: float) -> None:
        self._stage.update(trial + 1, detail=f"trial {trial + 1}: {iteration} trees")
        self._report(
            f"trees, trial {trial}", trial, iteration, metric, value if np.isfinite(value) else None
        )

    def _report(
        self,
        learner: str,
        trial: int | None,
        iteration: int | None,
        metric: str,
        value: float | None,
    ) -> None:
        self._stage.report(
            {
                "learner": learner,
                "trial": trial,
                "iteration": iteration,
                "metric": metric,
                "validation": value,
            }
        )
