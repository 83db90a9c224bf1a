"""The linear learner: ridge, median, logistic and multinomial regression on point-in-time features.

It sees the same features as trees do and errs elsewhere, so that a blend of both is better than
each. Loss and penalty are chosen on the newest part of the training rows and on validation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.calibration import choose_calibration
from relcast.learners.classes import ClassMap
from relcast.learners.design import Design
from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.linear_fits import Bench, Way, ways_of
from relcast.learners.linear_model import LinearFan, LinearModel, unpack
from relcast.learners.metrics import is_greater_better, metrics_of
from relcast.learners.protocol import Fold, Target
from relcast.learners.sampling import sample_rows
from relcast.learners.spread import Spread
from relcast.learners.staleness import aged
from relcast.learners.support import clocks

__all__ = ["LinearFan", "LinearModel", "train", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_MOST_CELLS = 20_000_000
_MOST_FEATURES = 400
_NEWEST = 0.25
_CLOCK_ROWS = 20_000


def train(work: Work) -> Trained[LinearModel]:
    """Fit every way there is, keep the one that holds best on newer rows than it learned from."""
    settings, target = work.settings, work.target
    most = min(len(work.features.features), settings.budget.features, _MOST_FEATURES)
    features = work.features.select(range(most))
    limit = min(settings.budget.rows, max(2_000, _MOST_CELLS // max(1, most)))
    sample = sample_rows(
        work.train.label,
        work.train.asked.anchor,
        work.train.weight,
        task_type=target.task_type,
        limit=limit,
        seed=settings.seed,
    )
    chosen = work.train.take(sample.rows, sample.weight)
    rows = aged(chosen, work.valid, limit=limit, seed=settings.seed)
    checked = sample_rows(
        work.valid.label,
        None,
        work.valid.weight,
        task_type=TaskType.REGRESSION,
        limit=limit,
        seed=settings.seed,
    )
    valid = work.valid.take(checked.rows, checked.weight)
    classes = None
    if target.classes is not None:
        classes = ClassMap.of(rows.label, rows.weight, target.width)
    empty = LinearModel(
        "linear", target, features, Design.none(), np.zeros((0, 1)), np.zeros(1), classes=classes
    )
    matrix = empty.matrix(work.relations, rows.asked, settings.threads)
    check = empty.matrix(work.relations, valid.asked, settings.threads)
    ways = ways_of(target, settings, rows.asked.anchor)
    ground = _Ground(work, empty, _moving(ways, matrix, rows, check, settings.seed))
    trials, models, raws = _tried(ground, ways, (matrix, rows), (check, valid))
    best = _best_on_newer(ground, ways, (matrix, rows), trials)
    validated, raw = models[best], raws[best]
    if target.task_type is TaskType.BINARY_CLASSIFICATION and settings.calibrate:
        calibration = choose_calibration(raw, valid.label, settings.seed)
        validated = replace(validated, calibration=calibration)
    if target.task_type is TaskType.REGRESSION:
        validated = LinearFan.of(validated, Spread.of(raw, valid.label))
    model = validated
    if settings.budget.refit:
        parts = [(matrix, rows), (check, valid)]
        if work.newer is not None and len(work.newer):
            newer = empty.matrix(work.relations, work.newer.asked, settings.threads)
            parts.append((newer, work.newer))
        again = _again(ground, ways, best, parts)
        model = replace(
            validated, design=again.design, slopes=again.slopes, intercepts=again.intercepts
        )
    notes: dict[str, Any] = {
        "training_rows": sample.report,
        "validation_rows": checked.report,
        "stale_rows": len(rows) if rows is not chosen else 0,
        "features": most,
        "columns": len(model.design),
        **ways[best].to_json(),
        "refit": settings.budget.refit,
    }
    return Trained(model, validated, tuple(trials), notes)


Rows = tuple[Values, Fold]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all fits share: the work, a model without slopes, and which features are clocks."""

    work: Work
    empty: LinearModel
    moving: npt.NDArray[np.bool_]

    @property
    def late(self) -> Callable[[], bool]:
        return self.work.settings.deadline.passed

    def bench(self, matrix: Values, rows: Fold, anchor: Index | None) -> Bench:
        return Bench.of(self.empty, matrix, rows, anchor, self.moving)

    def metric(self, model: LinearModel, raw: Float, fold: Fold) -> float:
        name = self.work.settings.metric
        metrics = metrics_of(self.work.target.task_type, fold, model.link(raw))
        return metrics.compute((name,))[name]


def _moving(
    ways: tuple[Way, ...], matrix: Values, rows: Fold, check: Values, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which features are clocks, where anybody asks."""
    anchor = rows.asked.anchor
    if anchor is None or not any(way.within for way in ways):
        return np.zeros(matrix.shape[1], dtype=np.bool_)
    some = np.sort(np.random.default_rng([seed, 5]).permutation(len(rows))[:_CLOCK_ROWS])
    return clocks(matrix[some], anchor[some], check)


def _tried(
    ground: _Ground, ways: tuple[Way, ...], train: Rows, valid: Rows
) -> tuple[list[Trial], list[LinearModel], list[Float]]:
    """Fit every way on all training rows; return also the raw scores of validation rows."""
    trials, models, raws = [], [], []
    began = time.monotonic()
    bench = ground.bench(*train, train[1].asked.anchor)
    for number, (model, raw) in enumerate(bench.fits(ways, valid[0], ground.late)):
        value = ground.metric(model, raw, valid[1])
        ground.work.report(number, 1, ground.work.settings.metric, value)
        now = time.monotonic()
        told = ways[number].to_json()
        trials.append(Trial(number, told, 1, value, now - began, ground.late()))
        models.append(model)
        raws.append(raw)
        began = now
    return trials, models, raws


def _best_on_newer(ground: _Ground, ways: tuple[Way, ...], train: Rows, trials: list[Trial]) -> int:
    """Return the way that is best on the newest training rows and validation together."""
    work = ground.work
    sign = -1.0 if is_greater_better(work.settings.metric) else 1.0
    losses = np.array([sign * trial.validation for trial in trials])
    matrix, rows = train
    anchor = rows.asked.anchor
    if anchor is not None and len(np.unique(anchor)) >= 4:
        # A label of the older part may not be complete when the newer part begins: leave a gap of
        # one anchor between them, so that the windows of neighbours do not overlap.
        edge = np.quantile(anchor, 1 - _NEWEST, method="nearest")
        newer = np.flatnonzero(anchor > edge)
        older = np.flatnonzero(anchor < edge)
        if len(newer) >= 50 and len(older) >= 50 and _varied(work.target, rows, older, newer):
            weight = None if rows.weight is None else rows.weight
            parts = [rows.take(p, None if weight is None else weight[p]) for p in (older, newer)]
            bench = ground.bench(matrix[older], parts[0], anchor[older])
            fits = bench.fits(ways[: len(trials)], matrix[newer], ground.late)
            more = [sign * ground.metric(model, raw, parts[1]) for model, raw in fits]
            losses = losses[: len(more)] + np.array(more)
    usable = np.where(np.isnan(losses), np.inf, losses)
    return int(np.argmin(usable))


def _again(ground: _Ground, ways: tuple[Way, ...], best: int, parts: Sequence[Rows]) -> LinearModel:
    """Fit the best way on training, validation and newer rows."""
    matrix = np.concatenate([values for values, _ in parts])
    rows = Fold.joined([fold for _, fold in parts])
    bench = ground.bench(matrix, rows, rows.asked.anchor)
    # Those of classes begin where the stronger penalty ended; those of numbers need no path.
    path = ways[: best + 1] if ways[best].loss is None else ways[best : best + 1]
    *_, (model, _) = bench.fits(path, matrix[:0], ground.late)
    return model


def _varied(target: Target, rows: Fold, *parts: Index) -> bool:
    if target.task_type is TaskType.REGRESSION:
        return True
    return all(len(np.unique(rows.label[part])) > 1 for part in parts)
