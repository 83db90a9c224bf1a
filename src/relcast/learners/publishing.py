"""From the winner of a board to a published model: figures, importance, certificate, holdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.progress import Stage
from relcast.core.schema import TaskType
from relcast.learners.assumed import assumed
from relcast.learners.board import Board, Contender
from relcast.learners.certificate import make_certificate
from relcast.learners.chosen import why_published
from relcast.learners.contenders import missing
from relcast.learners.curves import LEVELS, Grouped, make_curves
from relcast.learners.evaluation import Evaluation, Split, verdict
from relcast.learners.explaining.cohorts import Cohort, make_cohorts
from relcast.learners.holdout import make_holdout
from relcast.learners.importance import make_importance
from relcast.learners.lineage import hardware, versions
from relcast.learners.measuring import evaluate_split
from relcast.learners.model import FittedModel
from relcast.learners.protocol import Fold, Quantiles, Said, taken

__all__ = ["publish"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Measure = Callable[[Index], float | None]

_FAN_ROWS = 2_000


def publish(board: Board, snapshot_id: str, stage: Stage) -> FittedModel:
    """Return the model of a board's winner with everything that is known about it."""
    folds, plan, relations, query = board.folds, board.plan, board.relations, board.query
    winner = board.winner()
    stage.update(0, 5, detail="metrics and their intervals")
    evaluation = _evaluation(board, winner)
    stage.update(1, detail="importance")
    fold = folds.test if len(folds.test) else folds.validation
    importance = make_importance(
        winner.model, relations, fold.asked, seed=plan.seed, threads=board.threads
    )
    cohorts: tuple[Cohort, ...] = ()
    if board.features is not None and any(winner is each for each in board.learned):
        cohorts = make_cohorts(
            relations,
            board.features,
            importance,
            folds.target,
            fold,
            winner.said["test" if "test" in winner.said else "validation"],
            seed=plan.seed,
            threads=board.threads,
        )
    stage.update(3, detail="leakage certificate")
    certificate = make_certificate(
        relations,
        query,
        board.learned_from(),
        winner.model,
        board.features,
        regime=plan.regime,
        seed=plan.seed,
        threads=board.threads,
        again=board.regenerate,
        added=None if board.denser is None else board.denser.report,
        assumed=assumed(relations, query, allow_mutable=plan.allow_mutable).to_json(),
    )
    evaluation = replace(evaluation, verdict=certificate.verdict(evaluation.verdict))
    stage.update(4, detail="holdout")
    holdout = None
    if "test" in winner.said:
        holdout = make_holdout(relations, query, folds, winner.said["test"])
    model = FittedModel(
        target=folds.target,
        query=query,
        graph=relations.graph,
        snapshot_id=snapshot_id,
        plan=plan,
        predictor=winner.model,
        evaluation=evaluation,
        leaderboard=board.ranked(),
        importance=importance,
        cohorts=cohorts,
        certificate=certificate,
        lineage=_lineage(board),
        warnings=(*folds.warnings, *board.notes, *certificate.warnings),
        holdout=holdout,
    )
    stage.update(5, detail=evaluation.verdict)
    return model


def _evaluation(board: Board, winner: Contender) -> Evaluation:
    best, learned = board.best_baseline(), board.best_learned()
    baselines = {c.model.name: _splits(board, c.said) for c in board.baselines}
    model = _splits(board, winner.said) if winner is not best else baselines[best.model.name]
    name = best.model.name
    if learned is None:
        sentence = f"Nothing was trained; the best baseline, {name}, is published."
        beats = False
    else:
        trained = model if winner is learned else _splits(board, learned.said)
        sentence, beats = verdict(board.metric, trained, name, baselines[name])
    return Evaluation(
        task_type=board.folds.target.task_type,
        tune_metric=board.metric,
        regime=board.plan.regime,
        learner=winner.model.name,
        model=model,
        baselines=baselines,
        best_baseline=name,
        verdict=sentence,
        beats_baseline=beats,
        validation_of=winner.validation_of,
        chosen=why_published(board, winner),
        intervals=(
            "95 % percentile bootstrap over entities, "
            f"{board.plan.bootstrap_resamples} resamples, seed {board.plan.seed}"
        ),
        warnings=(*board.folds.warnings, *board.notes),
        curves=_curves(board, winner, best),
    )


def _splits(board: Board, said: Mapping[str, Said]) -> dict[str, Split]:
    folds, plan = board.folds, board.plan
    return {
        name: evaluate_split(
            folds.target.task_type,
            fold.label if fold.lists is None else fold.lists,
            said[name],
            fold.asked.entity,
            board.metrics,
            resamples=plan.bootstrap_resamples,
            seed=plan.seed,
            classes=tuple(map(str, folds.target.classes or ())),
            catalogue=board.catalogue,
        )
        for name, fold in folds.held_out().items()
    }


def _curves(board: Board, winner: Contender, best: Contender) -> dict[str, dict[str, Any]]:
    folds, target = board.folds, board.folds.target
    found = {}
    for name, fold in folds.held_out().items():

        def measured(contender: Contender, fold: Fold = fold, name: str = name) -> Measure:
            said = contender.said[name]
            return lambda rows: board.value(fold.take(rows, None), taken(said, rows))

        grouped = Grouped(board.metric, best.model.name, measured(winner), measured(best))
        found[name] = make_curves(
            board.relations,
            board.query.entity_table,
            target,
            fold,
            winner.said[name],
            grouped,
            _quantiles(board, winner, fold),
        )
    return found


def _quantiles(board: Board, winner: Contender, fold: Fold) -> tuple[Index, Float] | None:
    """Return the quantiles of a sample of a fold, where the published model has some."""
    numbers = {TaskType.REGRESSION, TaskType.FORECASTING}
    if board.folds.target.task_type not in numbers or not isinstance(winner.model, Quantiles):
        return None
    rng = np.random.default_rng([board.plan.seed, 29])
    rows = np.sort(rng.permutation(len(fold))[:_FAN_ROWS])
    asked = fold.asked.take(rows)
    found = winner.model.quantiles(board.relations, asked, levels=LEVELS, threads=board.threads)
    return rows, found


def _lineage(board: Board) -> dict[str, Any]:
    folds = board.folds
    winner = board.winner()
    trained = {c.family: dict(c.report) for c in board.learned}
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
        "added_rows": {} if board.denser is None else dict(board.denser.report),
        "false_and_true": None if folds.false_and_true is None else list(folds.false_and_true),
        "training": trained.get(winner.family, {}),
        "tried": trained,
        "absent": missing(folds.target),
    }
