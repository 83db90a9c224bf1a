"""Train a forecast: columns, trials, blend with its fan, and the same once more on all rows.

Everything here sees training and validation rows only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relcast.core.schema import TaskType
from relcast.learners.evaluation import better
from relcast.learners.forecasting.bench import Bench
from relcast.learners.forecasting.finishing import blended, regrown
from relcast.learners.forecasting.model import ForecastModel
from relcast.learners.forecasting.preparing import (
    best_rule,
    hold_back,
    is_squared,
    make_reader,
)
from relcast.learners.forecasting.screening import screened
from relcast.learners.forecasting.trials import Trials
from relcast.learners.learner import Trained, Work
from relcast.learners.protocol import Fold
from relcast.learners.sampling import sample_rows
from relcast.learners.staleness import aged

__all__ = ["train_forecast"]


def train_forecast(work: Work) -> Trained[ForecastModel]:
    """Train a blend of boosters over (example, step) rows; see ``Frame`` for what they are asked.

    Training rows are the newest anchors that the budget holds; in the frozen regime they are made
    as stale as validation rows are. Where validation has few anchors, the newest anchors of the
    training side help to choose (``hold_back``), and what was chosen is then grown again on all of
    the training side.
    """
    settings, target = work.settings, work.target
    horizon = target.horizon
    limit = max(200, settings.budget.rows // horizon)
    reader = make_reader(
        work.relations,
        work.query,
        work.features,
        work.train,
        newest=settings.lag_timesteps,
        years=settings.year_over_year is not False,
    )
    older, newer = hold_back(reader.grid, work.train, work.valid)
    train, sample = _thinned(older, limit, settings.seed)
    valid, checked = _thinned(work.valid, max(2_000, limit // 2), settings.seed)
    train = aged(train, valid, limit=limit, seed=settings.seed)
    held = valid
    if newer is not None:
        more, _ = _thinned(newer, max(2_000, limit // 2), settings.seed)
        stale = aged(more, valid, limit=len(more), seed=settings.seed + 1)
        held = Fold.joined([valid, stale])
    rules = reader.rules()
    bases = tuple(
        dict.fromkeys(
            best_rule(
                reader,
                work.relations,
                fold,
                rules,
                squared=is_squared(settings.metric),
                threads=settings.threads,
            )
            for fold in (train, held)
        )
    )
    scale = float(np.abs(train.label - np.median(train.label)).mean())
    floor = 0.0 if float(work.train.label.min()) >= 0.0 else None
    bench = Bench(
        work.relations,
        ForecastModel("forecast", target, reader, (), floor),
        rules,
        bases,
        scale if 0 < scale < np.inf else 1.0,
        settings,
        work.report,
        len(valid),
    )
    bench, left_out = screened(bench, train, valid)
    reader = bench.model.reader
    # What comes after the trials takes about as long as they did, where all is grown once more.
    later = (newer is not None) + settings.budget.refit
    deadline = settings.deadline.part(0.85 / (1 + 0.7 * later))
    trials = Trials(bench, train, bench.read(train), held, bench.read(held), deadline)
    grown = trials.search()
    chosen = blended(trials, grown)
    del trials
    whole, sample = _thinned(work.train, limit, settings.seed)
    whole = aged(whole, valid, limit=limit, seed=settings.seed)
    validated, steady = chosen, True
    if newer is not None:
        # Where the newest training rows are of another world, what was chosen without them stays.
        again = regrown(bench, chosen, whole)
        steady = not better(
            settings.metric, _value(bench, chosen, valid), _value(bench, again, valid)
        )
        validated = again if steady else chosen
    model = validated
    if settings.budget.refit and steady:
        model = regrown(bench, validated, Fold.joined([whole, valid]))
    notes: dict[str, Any] = {
        "training_rows": sample,
        "validation_rows": checked,
        "rows_held_back": len(held) - len(valid),
        "features": len(reader.names),
        "candidate_features": len(work.features.features),
        "left_out": list(left_out),
        "windows_back": reader.reach,
        "lag_timesteps": reader.newest,
        "seasons": {season.name: season.length for season in reader.seasons},
        "bases": [base.name for base in bases],
        "asked_for": [member.frame.name for member in validated.members],
        "newest_rows_used": steady,
        "refit": settings.budget.refit and steady,
        "out_of_time": any(each.trial.out_of_time for each in grown),
    }
    return Trained(model, validated, tuple(each.trial for each in grown), notes)


def _value(bench: Bench, model: ForecastModel, valid: Fold) -> float:
    threads = bench.settings.threads
    return bench.measure(model.predict(bench.relations, valid.asked, threads=threads), valid)


def _thinned(fold: Fold, limit: int, seed: int) -> tuple[Fold, dict[str, Any]]:
    found = sample_rows(
        fold.label[:, 0],
        fold.asked.anchor,
        fold.weight,
        task_type=TaskType.REGRESSION,
        limit=limit,
        seed=seed,
    )
    return fold.take(found.rows, found.weight), found.report
