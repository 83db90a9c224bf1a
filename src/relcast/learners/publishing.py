"""From the winner of a board to a published model: figures, importance, certificate, holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.progress import Stage
from relcast.core.schema import TaskType
from relcast.learners.board import Board, Contender
from relcast.learners.certificate import make_certificate
from relcast.learners.evaluation import Evaluation, Split, verdict
from relcast.learners.folds import Folds
from relcast.learners.importance import Importance, tree_importance
from relcast.learners.learner import Trained
from relcast.learners.lineage import hardware, versions
from relcast.learners.measuring import evaluate_split
from relcast.learners.model import FittedModel
from relcast.learners.scores import Scores, to_output
from relcast.learners.trees import TreeModel

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["publish"]

Float = npt.NDArray[np.float64]


def publish(
    board: Board,
    query: CheckedQuery,
    snapshot_id: str,
    trained: Trained[TreeModel] | None,
    stage: Stage,
) -> FittedModel:
    """Return the model of a board's winner with everything that is known about it."""
    folds, plan, relations = board.folds, board.plan, board.relations
    winner = board.winner()
    stage.update(0, 4, detail="metrics and their intervals")
    evaluation = _evaluation(board, winner)
    stage.update(1, detail="importance")
    importance = Importance()
    if isinstance(winner.predictor, TreeModel):
        fold = folds.test if len(folds.test) else folds.validation
        importance = tree_importance(
            winner.predictor, relations, fold.asked, seed=plan.seed, threads=board.threads
        )
    stage.update(2, detail="leakage certificate")
    certificate = make_certificate(
        relations,
        query,
        folds,
        winner.predictor,
        regime=plan.regime,
        seed=plan.seed,
        threads=board.threads,
    )
    stage.update(3, detail="holdout")
    model = FittedModel(
        target=folds.target,
        query=query,
        graph=relations.graph,
        snapshot_id=snapshot_id,
        plan=plan,
        predictor=winner.predictor,
        evaluation=evaluation,
        leaderboard=board.ranked(),
        importance=importance,
        certificate=certificate,
        lineage=_lineage(board, trained),
        warnings=(*folds.warnings, *certificate.warnings),
        holdout=_holdout(relations, query, folds, winner.said),
    )
    stage.update(4, detail=evaluation.verdict)
    return model


def _evaluation(board: Board, winner: Contender) -> Evaluation:
    best = board.best_baseline()
    baselines = {c.predictor.name: _splits(board, c.said) for c in board.baselines}
    model = _splits(board, winner.said) if winner is not best else baselines[best.predictor.name]
    if board.trees is None:
        sentence = f"No trees were trained; the best baseline, {best.predictor.name}, is published."
        beats = False
    else:
        trees = model if winner is board.trees else _splits(board, board.trees.said)
        name = best.predictor.name
        sentence, beats = verdict(board.metric, trees, name, baselines[name])
    return Evaluation(
        task_type=board.folds.target.task_type,
        tune_metric=board.metric,
        regime=board.plan.regime,
        learner=winner.predictor.name,
        model=model,
        baselines=baselines,
        best_baseline=best.predictor.name,
        verdict=sentence,
        beats_baseline=beats,
        validation_of=winner.validation_of,
        intervals=(
            "95 % percentile bootstrap over entities, "
            f"{board.plan.bootstrap_resamples} resamples, seed {board.plan.seed}"
        ),
        warnings=board.folds.warnings,
    )


def _splits(board: Board, said: Mapping[str, Float]) -> dict[str, Split]:
    folds, plan = board.folds, board.plan
    return {
        name: evaluate_split(
            folds.target.task_type,
            fold.label,
            said[name],
            fold.asked.entity,
            plan.metrics_for(folds.target.task_type),
            resamples=plan.bootstrap_resamples,
            seed=plan.seed,
            classes=tuple(map(str, folds.target.classes or ())),
        )
        for name, fold in folds.held_out().items()
    }


def _lineage(board: Board, trained: Trained[TreeModel] | None) -> dict[str, Any]:
    folds = board.folds
    return {
        "versions": versions(),
        "hardware": hardware(),
        "seed": board.plan.seed,
        "threads": board.threads,
        "rows": {
            "train": len(folds.train),
            "validation": len(folds.validation),
            "test": len(folds.test),
            "dropped": folds.dropped,
        },
        "false_and_true": None if folds.false_and_true is None else list(folds.false_and_true),
        "training": {} if trained is None else dict(trained.report),
    }


def _holdout(
    relations: Relations, query: CheckedQuery, folds: Folds, said: Mapping[str, Float]
) -> pa.Table | None:
    """Return the test rows: ENTITY, TIMESTAMP, TARGET and the prediction columns."""
    import pyarrow as pa

    if not len(folds.test):
        return None
    asked, target, label = folds.test.asked, folds.target, folds.test.label
    scores = Scores(target.task_type, asked.entity, asked.anchor, said["test"], target.classes)
    keys = relations.table(query.entity_table).keys().take(pa.array(asked.entity))
    rows = to_output(scores, keys)
    truth: Any = pa.array(label)
    if target.classes is not None:
        wide = np.repeat(label.astype(np.int64), target.width)
        truth = pa.array(list(target.classes)).take(pa.array(wide))
    elif target.task_type is TaskType.BINARY_CLASSIFICATION:
        truth = pa.array(label > 0.5)
    return rows.add_column(1 if asked.anchor is None else 2, "TARGET", truth)
