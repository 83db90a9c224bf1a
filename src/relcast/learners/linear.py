"""The linear learner: ridge, logistic and multinomial regression on point-in-time features.

It sees the same features as trees do and errs elsewhere, so that a blend of both is better than
each. The penalty is chosen on the newest part of the training rows and on validation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.calibration import Calibration, choose_calibration
from relcast.learners.classes import ClassMap
from relcast.learners.design import Design
from relcast.learners.learner import Trained, Trial, Work
from relcast.learners.metrics import is_greater_better, metrics_of
from relcast.learners.protocol import Asked, Contributions, Fold, Packed, Target
from relcast.learners.reasons import chunks, explained
from relcast.learners.sampling import sample_rows
from relcast.learners.shrinkage import Weights, fit_logistic, fit_softmax, fit_squares
from relcast.learners.spread import Spread
from relcast.learners.staleness import aged

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["LinearFan", "LinearModel", "train", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Per training row, strongest first."""

_MOST_CELLS = 20_000_000
_MOST_FEATURES = 400
_NEWEST = 0.25
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class LinearModel:
    """Slopes on standardised columns, then the task's link.

    Attributes:
        slopes: float64[d, outputs].
        intercepts: float64[outputs]: the raw score of the mean training row.
        classes: Of a multiclass task, which classes have an output.
    """

    name: str
    target: Target
    features: FeatureSet
    design: Design
    slopes: Float
    intercepts: Float
    calibration: Calibration = field(default_factory=Calibration)
    classes: ClassMap | None = None

    def raw(self, values: Values) -> Float:
        """Return raw scores of a matrix float32[n, f]: float64[n], or float64[n, outputs]."""
        found = self._sums(self.design.apply(values))
        if self.classes is not None:
            return np.asarray(found)
        return np.clip(found[:, 0], -_LARGEST, _LARGEST)

    def _sums(self, columns: Float) -> Float:
        """Return slopes times columns and the intercepts, float64[n, outputs].

        Row by row, and not as one product of matrices, whose last digits depend on how many rows
        are asked together: an entity scores the same alone as in any batch.
        """
        ordered = np.ascontiguousarray(columns)
        sums = [(ordered * slope).sum(axis=1) for slope in self.slopes.T]
        return np.stack(sums, axis=1) + self.intercepts

    def link(self, raw: Float) -> Float:
        """Turn raw scores into probabilities or values."""
        if self.target.task_type is TaskType.BINARY_CLASSIFICATION:
            return self.calibration.apply(raw)
        return raw if self.classes is None else self.classes.probabilities(raw)

    def matrix(self, relations: Relations, asked: Asked, threads: int) -> Values:
        """Compute the features of examples, float32[n, f]."""
        found = self.features.compute(
            relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        values: Values = found.values
        return values

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        parts = [
            self.link(self.raw(self.matrix(relations, asked.take(rows), threads)))
            for rows in chunks(len(asked), 4 * len(self.features.features))
        ]
        if not parts:
            return np.zeros((0, self.target.width) if self.classes is not None else 0)
        return np.concatenate(parts)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return slope times column, added up by feature: exact, and zero for the mean row."""

        def moved(rows: slice) -> tuple[Values, Float, Float, Float]:
            values = self.matrix(relations, asked.take(rows), threads)
            columns = self.design.apply(values)
            raw = self._sums(columns)
            at = np.zeros(len(raw), dtype=np.int64)
            if self.classes is not None:
                chosen = None if output is None else output[rows]
                at = self.classes.explained(raw, chosen)
            each = columns * self.slopes[:, at].T
            parts = self.design.gathered(each, len(self.features.features))
            return values, parts, raw[np.arange(len(raw)), at], self.intercepts[at]

        return explained(self.features.features, len(asked), moved, top=top, outputs=1)

    def pack(self) -> Packed:
        config = {
            "kind": "linear",
            "name": self.name,
            "calibration": self.calibration.to_json(),
            "features": self.features.to_json(),
        }
        arrays = {**self.design.arrays(), "slopes": self.slopes, "intercepts": self.intercepts}
        if self.classes is not None:
            arrays |= self.classes.arrays()
        return Packed(config, arrays, {})


@dataclass(frozen=True)
class LinearFan(LinearModel):
    """A linear model of a number that also says how sure it is."""

    spread: Spread = field(kw_only=True)

    @classmethod
    def of(cls, model: LinearModel, spread: Spread) -> LinearFan:
        """Return the same model with a spread."""
        parts = {each.name: getattr(model, each.name) for each in fields(LinearModel)}
        return cls(**parts, spread=spread)

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        said = self.predict(relations, asked, threads=threads)
        return self.spread.around(said, levels)

    def pack(self) -> Packed:
        packed = super().pack()
        return Packed(packed.config, {**packed.arrays, **self.spread.arrays()}, packed.texts)


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    _texts: Mapping[str, str],
    target: Target,
) -> LinearModel:
    """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    from relcast.learners.features import FeatureSet

    features = FeatureSet.from_json(config["features"])
    design = Design.of_arrays(arrays, len(features.features))
    classes = None if target.classes is None else ClassMap.of_arrays(arrays, target.width)
    outputs = 1 if classes is None else classes.outputs
    slopes, intercepts = arrays["slopes"], arrays["intercepts"]
    if (
        slopes.shape != (len(design), outputs)
        or intercepts.shape != (outputs,)
        or not (slopes.dtype == intercepts.dtype == np.float64)
        or not (np.isfinite(slopes).all() and np.isfinite(intercepts).all())
    ):
        raise ValueError("the slopes of a linear model do not fit its columns")
    made = LinearModel(
        name=config["name"],
        target=target,
        features=features,
        design=design,
        slopes=slopes,
        intercepts=intercepts,
        calibration=Calibration.from_json(config["calibration"]),
        classes=classes,
    )
    if target.task_type is not TaskType.REGRESSION:
        return made
    return LinearFan.of(made, Spread.of_arrays(arrays))


def train(work: Work) -> Trained[LinearModel]:
    """Fit a path of penalties, keep the one that holds best on newer rows than it learned from."""
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
    trials, models = _tried(work, empty, (matrix, rows), (check, valid))
    best = _best_on_newer(work, empty, (matrix, rows), trials)
    validated = models[best]
    if target.task_type is TaskType.BINARY_CLASSIFICATION and settings.calibrate:
        calibration = choose_calibration(validated.raw(check), valid.label, settings.seed)
        validated = replace(validated, calibration=calibration)
    if target.task_type is TaskType.REGRESSION:
        validated = LinearFan.of(validated, Spread.of(validated.raw(check), valid.label))
    model = validated
    if settings.budget.refit:
        both = _joined(rows, valid)
        penalties = _PENALTIES[: best + 1]
        every = np.concatenate([matrix, check])
        *_, again = _path(empty, every, both, penalties, settings.deadline.passed)
        model = replace(
            validated, design=again.design, slopes=again.slopes, intercepts=again.intercepts
        )
    notes: dict[str, Any] = {
        "training_rows": sample.report,
        "validation_rows": checked.report,
        "stale_rows": len(rows) if rows is not chosen else 0,
        "features": most,
        "columns": len(model.design),
        "penalty_per_row": _PENALTIES[best],
        "refit": settings.budget.refit,
    }
    return Trained(model, validated, tuple(trials), notes)


Rows = tuple[Values, Fold]


def _tried(
    work: Work, empty: LinearModel, train: Rows, valid: Rows
) -> tuple[list[Trial], list[LinearModel]]:
    """Fit the path on all training rows and measure it on validation."""
    settings = work.settings
    trials, models = [], []
    began = time.monotonic()
    path = _path(empty, *train, _PENALTIES, settings.deadline.passed)
    for number, model in enumerate(path):
        value = _metric(work, model, valid)
        work.report(number, 1, settings.metric, value)
        now = time.monotonic()
        config = {"penalty_per_row": _PENALTIES[number]}
        trials.append(Trial(number, config, 1, value, now - began, settings.deadline.passed()))
        models.append(model)
        began = now
    return trials, models


def _best_on_newer(work: Work, empty: LinearModel, train: Rows, trials: list[Trial]) -> int:
    """Return the penalty that is best on the newest training rows and validation together."""
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
            penalties = _PENALTIES[: len(trials)]
            path = _path(empty, matrix[older], parts[0], penalties, work.settings.deadline.passed)
            more = [sign * _metric(work, model, (matrix[newer], parts[1])) for model in path]
            losses = losses[: len(more)] + np.array(more)
    usable = np.where(np.isnan(losses), np.inf, losses)
    return int(np.argmin(usable))


def _varied(target: Target, rows: Fold, *parts: Index) -> bool:
    if target.task_type is TaskType.REGRESSION:
        return True
    return all(len(np.unique(rows.label[part])) > 1 for part in parts)


def _path(
    empty: LinearModel,
    matrix: Values,
    rows: Fold,
    penalties: tuple[float, ...],
    stop: Any,
) -> Iterator[LinearModel]:
    chosen = empty.features.features
    categorical = [k for k, feature in enumerate(chosen) if feature.kind == "category"]
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    design = Design.of(matrix, categorical, rows.weight)
    columns = design.apply(matrix)
    strengths = [float(weight.sum()) * penalty for penalty in penalties]
    found: Iterator[Weights]
    if empty.classes is not None:
        label = empty.classes.encode(rows.label)
        outputs = empty.classes.outputs
        found = fit_softmax(columns, label, weight, outputs, strengths, stop)
    elif empty.target.task_type is TaskType.BINARY_CLASSIFICATION:
        found = fit_logistic(columns, rows.label, weight, strengths, stop)
    else:
        size = max(float(np.abs(rows.label).max(initial=0.0)), 1e-300)
        path = fit_squares(columns, rows.label / size, weight, strengths)
        found = iter([(slopes * size, intercepts * size) for slopes, intercepts in path])
    for slopes, intercepts in found:
        yield replace(empty, design=design, slopes=slopes, intercepts=intercepts)


def _metric(work: Work, model: LinearModel, rows: Rows) -> float:
    matrix, fold = rows
    metrics = metrics_of(work.target.task_type, fold, model.link(model.raw(matrix)))
    return metrics.compute((work.settings.metric,))[work.settings.metric]


def _joined(train: Fold, valid: Fold) -> Fold:
    parts = [np.ones(len(f)) if f.weight is None else f.weight for f in (train, valid)]
    label = np.concatenate([train.label, valid.label])
    return Fold(train.asked, label, np.concatenate(parts))
