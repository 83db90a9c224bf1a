"""Fit: baselines first, then trees, one leaderboard; the best on validation is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relcast.core.errors import ModelError
from relcast.core.progress import SILENT, Progress
from relcast.learners.board import Board
from relcast.learners.contenders import candidate_features, make_baselines
from relcast.learners.deadline import Deadline
from relcast.learners.folds import make_folds
from relcast.learners.model import FittedModel
from relcast.learners.plan import ModelPlan
from relcast.learners.publishing import publish
from relcast.pql.support import require_supported

if TYPE_CHECKING:
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations
    from relcast.tasks import TrainingTable

__all__ = ["fit"]


def fit(
    relations: Relations,
    query: CheckedQuery,
    table: TrainingTable,
    plan: ModelPlan | None = None,
    progress: Progress = SILENT,
) -> FittedModel:
    """Fit a model for a query on its training table.

    The leaderboard's best on validation, by the tune metric, is published, baselines included:
    trees that do not beat the best baseline say so and give way to it.

    Args:
        relations: Arrays of the snapshot that the table was made from.
        query: The checked query; the table's own says more of the task type and is what counts.
        table: Examples with targets and splits.
        plan: Options; None takes the defaults.
        progress: Stages ``Training`` (in trials) and ``Evaluation`` (in steps); reports
            ``{"learner", "trial", "iteration", "metric", "validation"}``.

    Raises ``pql.task_not_supported_yet``, ``model.other_query``, ``model.one_class``,
    ``model.no_training_rows``, ``model.no_validation_rows``, ``plan.unknown_metric``, and
    ``Cancelled``.
    """
    chosen = plan or ModelPlan()
    asked = table.query
    if asked.query != query.query:
        raise ModelError(
            f"The training table is of another query: {asked.text}",
            code="model.other_query",
            hint="Make the training table of the query that is to be fitted.",
        )
    require_supported(asked)
    metric = chosen.tune_metric_for(asked.task_type)
    chosen.metrics_for(asked.task_type)  # an unknown metric is refused before hours of work
    folds = make_folds(table.examples, asked, chosen.regime)
    budget = chosen.budget()
    deadline = Deadline.after(
        chosen.time_budget_seconds, budget.seconds * min(2, chosen.thread_count())
    )
    with progress.stage("Training", total=budget.experiments + 1, unit="trials") as stage:
        features = candidate_features(relations, asked, folds, budget.candidates)
        board = Board(relations, folds, chosen, metric, stage)
        for baseline in make_baselines(relations, asked, folds, features):
            board.add_baseline(baseline)
        stage.update(1)
        trained = None
        if budget.experiments > 0 and len(features.features):
            trained = board.train(asked, features, deadline)
    with progress.stage("Evaluation", total=4, unit="steps") as stage:
        return publish(board, asked, table.snapshot_id, trained, stage)
