"""Fit: baselines first, then trees, one leaderboard; the best on validation is published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.progress import SILENT, Progress, Stage
from relcast.learners.baselines import WindowBaseline, global_baselines, history_baselines
from relcast.learners.certificate import make_certificate
from relcast.learners.evaluation import Evaluation, Split, better, evaluate_split, verdict
from relcast.learners.folds import Folds, label_known_at, make_folds
from relcast.learners.history import History
from relcast.learners.importance import Importance, tree_importance
from relcast.learners.leaderboard import Entry
from relcast.learners.lineage import hardware, versions
from relcast.learners.metrics import metrics_of
from relcast.learners.model import FittedModel
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Predictor
from relcast.learners.scores import Scores, to_output
from relcast.learners.training import Fold, Settings, Trained, train_trees
from relcast.learners.trees import TreeModel

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations
    from relcast.tasks import TrainingTable

__all__ = ["fit"]

Float = npt.NDArray[np.float64]
Predictions = dict[str, Float]


def fit(
    relations: Relations,
    query: CheckedQuery,
    table: TrainingTable,
    plan: ModelPlan | None = None,
    progress: Progress = SILENT,
) -> FittedModel:
    """Fit a model for a query on its training table.

    The leaderboard's best on validation, by the tune metric, is published, baselines included:
    a model that does not beat the best baseline says so and gives way to it.

    Args:
        relations: Arrays of the snapshot that the table was made from.
        query: The checked query.
        table: Examples with targets and splits.
        plan: Options; None takes the defaults.
        progress: Stages ``Training`` (in trials) and ``Evaluation``; reports
            ``{"learner", "trial", "iteration", "metric", "validation"}``.

    Raises ``model.task_type``, ``model.one_class``, ``model.no_training_rows``,
    ``model.no_validation_rows``, ``plan.unknown_metric``, and ``Cancelled``.
    """
    chosen = plan or ModelPlan()
    began = time.monotonic()
    metric = chosen.tune_metric_for(query.task_type)
    names = chosen.metrics_for(query.task_type)
    folds = make_folds(table.examples, query, chosen.regime)
    budget = chosen.budget()
    with progress.stage("Training", total=budget.experiments + 1, unit="trials") as stage:
        features = _features(relations, query, folds, chosen)
        board = _Board(relations, folds, chosen, metric, stage)
        for baseline in _baselines(relations, query, folds, features):
            board.add_baseline(baseline)
        trained = None
        if budget.experiments > 0 and features is not None and len(features.features):
            trained = board.train(features, began + budget.seconds)
    with progress.stage("Evaluation", unit="steps") as stage:
        return _publish(
            _Published(relations, query, table.snapshot_id, chosen, names, stage), board, trained
        )


def _features(
    relations: Relations, query: CheckedQuery, folds: Folds, plan: ModelPlan
) -> FeatureSet | None:
    from relcast.learners.features import FeatureSet

    anchor = folds.train.asked.anchor
    return FeatureSet.generate(
        relations,
        query,
        budget=plan.budget().candidates,
        until=None if anchor is None else int(anchor.max()),
    )


def _baselines(
    relations: Relations, query: CheckedQuery, folds: Folds, features: FeatureSet | None
) -> list[Predictor]:
    target, train = folds.target, folds.train
    everybody = global_baselines(target, train.label, train.weight)
    answers = {baseline.name: baseline.answer for baseline in everybody}
    found: list[Predictor] = [*everybody]
    if not query.temporal:
        return found
    parts = [fold for fold in (train, folds.validation, folds.test) if len(fold)]
    anchor = np.concatenate([p.asked.anchor for p in parts if p.asked.anchor is not None])
    history = History.build(
        relations,
        query.entity_table,
        np.concatenate([p.asked.entity for p in parts]),
        label_known_at(query, anchor),
        np.concatenate([p.label for p in parts]),
    )
    found.extend(history_baselines(target, history, answers))
    past = _past_window(features)
    if past is not None:
        answer = answers["global median" if "global median" in answers else "prior"]
        found.append(WindowBaseline("own past window", target, past, answer))
    return found


def _past_window(features: FeatureSet | None) -> FeatureSet | None:
    """Return the feature that is the target over the window that ends at the anchor."""
    if features is None:
        return None
    for number, feature in enumerate(features.features):
        recipe = feature.recipe
        if recipe.family == "past" and recipe.measure in ("value", "truth") and recipe.other == 0:
            return features.select(np.array([number]))
    return None


class _Board:
    """What has been tried so far: predictors, their held-out predictions, and the leaderboard."""

    def __init__(
        self, relations: Relations, folds: Folds, plan: ModelPlan, metric: str, stage: Stage
    ) -> None:
        self.relations = relations
        self.folds = folds
        self.plan = plan
        self.metric = metric
        self.stage = stage
        self.threads = plan.thread_count()
        self.baselines: list[tuple[Predictor, Predictions]] = []
        self.entries: list[Entry] = []

    def predictions(self, predictor: Predictor) -> Predictions:
        return {
            name: predictor.predict(self.relations, fold.asked, threads=self.threads)
            for name, fold in self.folds.held_out().items()
        }

    def value(self, fold: Fold, values: Float) -> float | None:
        metrics = metrics_of(self.folds.target.task_type, fold.label, values)
        found = metrics.compute((self.metric,))[self.metric]
        return found if np.isfinite(found) else None

    def add_baseline(self, baseline: Predictor) -> None:
        began = time.monotonic()
        said = self.predictions(baseline)
        value = self.value(self.folds.validation, said["validation"])
        self.baselines.append((baseline, said))
        self.entries.append(Entry("baseline", baseline.name, value, time.monotonic() - began))
        self.stage.update(detail=f"baseline {baseline.name}")
        self.stage.report(
            {
                "learner": baseline.name,
                "trial": None,
                "iteration": None,
                "metric": self.metric,
                "validation": value,
            }
        )

    def best_baseline(self) -> tuple[Predictor, Predictions]:
        best = self.baselines[0]
        for candidate in self.baselines[1:]:
            mine = self.value(self.folds.validation, candidate[1]["validation"])
            if better(self.metric, mine, self.value(self.folds.validation, best[1]["validation"])):
                best = candidate
        return best

    def train(self, features: FeatureSet, deadline: float) -> Trained:
        began = time.monotonic()
        budget = self.plan.budget()

        def report(trial: int, iteration: int, value: float) -> None:
            self.stage.update(trial + 1, detail=f"trial {trial + 1}, {iteration} trees")
            self.stage.report(
                {
                    "learner": "trees",
                    "trial": trial,
                    "iteration": iteration,
                    "metric": "early stopping loss",
                    "validation": value if np.isfinite(value) else None,
                }
            )

        trained = train_trees(
            self.relations,
            self.folds.target,
            features,
            self.folds.train,
            self.folds.validation,
            Settings(
                budget,
                self.metric,
                self.plan.seed,
                self.threads,
                deadline,
                calibrate=self.plan.calibrate,
            ),
            report,
        )
        for trial in trained.trials:
            self.entries.append(
                Entry(
                    "trees",
                    f"trees, trial {trial.number}",
                    trial.validation if np.isfinite(trial.validation) else None,
                    trial.seconds,
                    trial.number,
                    trial.iterations,
                    trial.config.to_json(),
                )
            )
        spent = time.monotonic() - began - sum(trial.seconds for trial in trained.trials)
        self.entries.append(Entry("trees", trained.validated.name, None, spent))
        self.stage.update(budget.experiments + 1, detail="trees are trained")
        return trained


class _Published:
    """What the model is made with, beside the leaderboard."""

    def __init__(
        self,
        relations: Relations,
        query: CheckedQuery,
        snapshot_id: str,
        plan: ModelPlan,
        names: Sequence[str],
        stage: Stage,
    ) -> None:
        self.relations = relations
        self.query = query
        self.snapshot_id = snapshot_id
        self.plan = plan
        self.names = names
        self.stage = stage

    def splits(self, folds: Folds, said: Mapping[str, Float]) -> dict[str, Split]:
        classes = tuple(map(str, folds.target.classes or ()))
        return {
            name: evaluate_split(
                folds.target.task_type,
                fold.label,
                said[name],
                fold.asked.entity,
                self.names,
                resamples=self.plan.bootstrap_resamples,
                seed=self.plan.seed,
                classes=classes,
            )
            for name, fold in folds.held_out().items()
        }


def _publish(made: _Published, board: _Board, trained: Trained | None) -> FittedModel:
    folds, plan, relations = board.folds, made.plan, made.relations
    threads = plan.thread_count()
    made.stage.update(detail="metrics of the baselines")
    baselines = {b.name: made.splits(folds, said) for b, said in board.baselines}
    best, best_said = board.best_baseline()
    predictor, said, validation_of = best, best_said, "published model"
    entries = list(board.entries)
    if trained is not None:
        made.stage.update(detail="scoring validation and test")
        trees_said, validation_of = _trees_predictions(board, trained)
        value = board.value(folds.validation, trees_said["validation"])
        entries[-1] = replace(entries[-1], validation=value)
        if better(board.metric, value, board.value(folds.validation, best_said["validation"])):
            predictor, said = trained.model, trees_said
        else:
            validation_of = "published model"
    sentence, beats = _verdict(board, trained, trees_said if trained else None, best)
    made.stage.update(detail="intervals")
    evaluation = Evaluation(
        task_type=folds.target.task_type,
        tune_metric=board.metric,
        regime=plan.regime,
        learner=predictor.name,
        model=made.splits(folds, said),
        baselines=baselines,
        best_baseline=best.name,
        verdict=sentence,
        beats_baseline=beats,
        validation_of=validation_of,
        intervals=(
            f"95 % percentile bootstrap over entities, {plan.bootstrap_resamples} resamples, "
            f"seed {plan.seed}"
        ),
        warnings=folds.warnings,
    )
    made.stage.update(detail="importance")
    importance = Importance()
    fold = folds.test if len(folds.test) else folds.validation
    if isinstance(predictor, TreeModel):
        importance = tree_importance(
            predictor, relations, fold.asked, seed=plan.seed, threads=threads
        )
    made.stage.update(detail="leakage certificate")
    certificate = make_certificate(
        relations, made.query, folds, predictor, regime=plan.regime, seed=plan.seed, threads=threads
    )
    return FittedModel(
        target=folds.target,
        query=made.query,
        graph=relations.graph,
        snapshot_id=made.snapshot_id,
        plan=plan,
        predictor=predictor,
        evaluation=evaluation,
        leaderboard=_ranked(entries, predictor.name, board.metric),
        importance=importance,
        certificate=certificate,
        lineage=_lineage(made, folds, trained),
        warnings=(*folds.warnings, *certificate.warnings),
        holdout=_holdout(relations, made.query, folds, said),
    )


def _trees_predictions(board: _Board, trained: Trained) -> tuple[Predictions, str]:
    """Return held-out predictions; validation is the model before the refit, test the published."""
    if trained.model is trained.validated:
        return board.predictions(trained.model), "published model"
    said = {
        "validation": trained.validated.predict(
            board.relations, board.folds.validation.asked, threads=board.threads
        )
    }
    if len(board.folds.test):
        said["test"] = trained.model.predict(
            board.relations, board.folds.test.asked, threads=board.threads
        )
    return said, "model before the refit"


def _verdict(
    board: _Board,
    trained: Trained | None,
    said: Predictions | None,
    best: Predictor,
) -> tuple[str, bool]:
    if trained is None or said is None:
        return f"No trees were trained; the best baseline, {best.name}, is published.", False
    quick = {
        name: Split(len(fold), 0, {board.metric: _plain(board.value(fold, said[name]))})
        for name, fold in board.folds.held_out().items()
    }
    other = next(p for b, p in board.baselines if b is best)
    theirs = {
        name: Split(len(fold), 0, {board.metric: _plain(board.value(fold, other[name]))})
        for name, fold in board.folds.held_out().items()
    }
    return verdict(board.metric, quick, best.name, theirs)


def _plain(value: float | None) -> Any:
    from relcast.learners.evaluation import Measured

    return Measured(value)


def _ranked(entries: list[Entry], published: str, metric: str) -> tuple[Entry, ...]:
    ranked: list[Entry] = []
    for entry in entries:
        place = next(
            (
                i
                for i, other in enumerate(ranked)
                if better(metric, entry.validation, other.validation)
            ),
            len(ranked),
        )
        ranked.insert(place, replace(entry, published=entry.name == published))
    return tuple(ranked)


def _lineage(made: _Published, folds: Folds, trained: Trained | None) -> dict[str, Any]:
    return {
        "versions": versions(),
        "hardware": hardware(),
        "seed": made.plan.seed,
        "threads": made.plan.thread_count(),
        "rows": {
            "train": len(folds.train),
            "validation": len(folds.validation),
            "test": len(folds.test),
            "dropped": folds.dropped,
        },
        "training": dict(trained.report) if trained is not None else {},
    }


def _holdout(
    relations: Relations, query: CheckedQuery, folds: Folds, said: Predictions
) -> pa.Table | None:
    """Return the test rows with ENTITY, TIMESTAMP, TARGET and the prediction columns."""
    import pyarrow as pa

    if not len(folds.test):
        return None
    asked, target = folds.test.asked, folds.target
    scores = Scores(target.task_type, asked.entity, asked.anchor, said["test"], target.classes)
    keys = relations.table(query.entity_table).keys().take(pa.array(asked.entity))
    rows = to_output(scores, keys)
    label = folds.test.label
    if target.classes is not None:
        named = pa.array(
            [str(c) if not isinstance(c, (int, float, bool)) else c for c in target.classes]
        )
        truth = named.take(pa.array(np.repeat(label.astype(np.int64), len(target.classes))))
    elif rows.schema.field("TARGET_PRED").type == pa.bool_():
        truth = pa.array(label > 0.5)
    else:
        truth = pa.array(label)
    place = rows.column_names.index("TIMESTAMP") + 1 if "TIMESTAMP" in rows.column_names else 1
    return rows.add_column(place, "TARGET", truth)
