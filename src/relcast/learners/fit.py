"""Fit: baselines first, then every learner, one leaderboard; the best is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relcast.core.errors import Cancelled, ModelError
from relcast.core.progress import SILENT, Progress
from relcast.learners.board import Board
from relcast.learners.contenders import (
    Family,
    families,
    first_baselines,
    later_baselines,
)
from relcast.learners.deadline import Deadline
from relcast.learners.features.memory import remembering
from relcast.learners.folds import bounded, make_folds
from relcast.learners.model import FittedModel
from relcast.learners.plan import ModelPlan
from relcast.learners.publishing import publish

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

    The leaderboard's best on validation, by the tune metric, is published, baselines included: a
    learner that does not beat the best baseline says so and gives way to it. Baselines are there
    within seconds, before features are made. A fit that is cancelled, or interrupted, publishes the
    best so far where the plan says ``on_stop="publish"``.

    Args:
        relations: Arrays of the snapshot that the table was made from.
        query: The checked query; the table's own says more of the task type and is what counts.
        table: Examples with targets and splits.
        plan: Options; None takes the defaults.
        progress: Stages ``Training`` (in trials) and ``Evaluation`` (in steps); reports
            ``{"learner", "trial", "iteration", "metric", "validation"}``.

    Raises ``model.other_query``, ``model.one_class``, ``model.no_training_rows``,
    ``model.no_validation_rows``, ``plan.unknown_metric``, and ``Cancelled``.
    """
    chosen = (plan or ModelPlan()).with_inputs_of(table)
    asked = table.query
    if asked.query != query.query:
        raise ModelError(
            f"The training table is of another query: {asked.text}",
            code="model.other_query",
            hint="Make the training table of the query that is to be fitted.",
        )
    chosen.metrics_for(asked.task_type)  # an unknown metric is refused before hours of work
    folds = bounded(
        make_folds(table.examples, asked, chosen.regime, use_weights=chosen.use_weights),
        chosen.budget().held_out,
        chosen.seed,
    )
    learners = families(folds.target, chosen)
    total = max(1, chosen.budget().experiments * len(learners)) + 1
    with remembering(relations):  # what one learner computed the next one reads
        with progress.stage("Training", total=total, unit="trials") as stage:
            board = Board(relations, asked, folds, chosen, stage)
            try:
                _fill(board, learners)
            except (Cancelled, KeyboardInterrupt):
                if chosen.on_stop != "publish" or not board.baselines:
                    raise
                board.hush()
                board.notes.append("The fit was stopped: what was best by then is published.")
                progress = SILENT
        with progress.stage("Evaluation", total=5, unit="steps") as stage:
            return publish(board, table.snapshot_id, stage)


def _fill(board: Board, learners: Sequence[Family]) -> None:
    """Put everything on the board: what needs no features first, so that there is an answer."""
    relations, query, folds, plan = board.relations, board.query, board.folds, board.plan
    budget = plan.budget()
    deadline = Deadline.after(
        plan.time_budget_seconds, budget.seconds * min(2, plan.thread_count())
    )
    for baseline in first_baselines(relations, query, folds):
        board.add_baseline(baseline)
    board.step("features")
    features = board.make_features()
    for baseline in later_baselines(query, folds, features):
        board.add_baseline(baseline)
    for place, family in enumerate(learners):
        coming = learners[place:]
        if deadline.passed() and board.learned:
            names = ", ".join(each.name for each in coming)
            board.notes.append(f"The time was spent before these were tried: {names}.")
            break
        if family.reads_features and not features.features:
            board.notes.append(f"There is nothing that {family.name} could learn from.")
            continue
        share = family.share / sum(each.share for each in coming)
        board.train(family, features, deadline.part(share))
    board.blend()
