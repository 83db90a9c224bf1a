"""What a model is worth: its metrics with intervals, beside those of every baseline.

An evaluation holds numbers only. Which model is published, and why, is decided in ``fit``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.metrics import MulticlassMetrics, is_greater_better, metrics_of

__all__ = ["Evaluation", "Measured", "Split", "better", "evaluate_split", "verdict"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROWS_PER_RESAMPLE = 50_000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric with the bounds of its 95 % bootstrap interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Measured:
        return cls(obj["value"], obj.get("low"), obj.get("high"))


@dataclass(frozen=True, slots=True)
class Split:
    """The metrics of one predictor on one split.

    Attributes:
        rows: Rows that were scored.
        entities: Distinct entities among them, which is what the bootstrap draws.
        metrics: Each metric by name.
        per_class: Multiclass only: by class, precision, recall, f1 and rows.
    """

    rows: int
    entities: int
    metrics: Mapping[str, Measured]
    per_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """Return the value of a metric; None when it is not defined here."""
        measured = self.metrics.get(name)
        return None if measured is None else measured.value

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "entities": self.entities,
            "metrics": {name: m.to_json() for name, m in self.metrics.items()},
            "per_class": {name: dict(m) for name, m in self.per_class.items()},
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Split:
        return cls(
            rows=obj["rows"],
            entities=obj["entities"],
            metrics={name: Measured.from_json(m) for name, m in obj["metrics"].items()},
            per_class={name: dict(m) for name, m in obj.get("per_class", {}).items()},
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of a published model.

    Attributes:
        task_type: The task.
        tune_metric: The metric that decided.
        regime: What an example could see: ``rolling`` (everything up to its own anchor) or
            ``frozen`` (nothing after the start of its split).
        learner: Name of what is published; a baseline's when that validated best.
        model: Splits (``validation``, ``test``) of the published model.
        baselines: The same for every baseline.
        best_baseline: The baseline that is best on validation.
        verdict: One sentence on model against best baseline, on validation and on test.
        beats_baseline: Whether the model is better than the best baseline on validation.
        validation_of: ``published model``, or ``model before the refit`` when the published one
            was trained on the validation rows as well.
        intervals: How the intervals were made.
        warnings: Sentences that a reader of the figures should know.
    """

    task_type: TaskType
    tune_metric: str
    regime: str
    learner: str
    model: Mapping[str, Split]
    baselines: Mapping[str, Mapping[str, Split]]
    best_baseline: str | None
    verdict: str
    beats_baseline: bool
    validation_of: str = "published model"
    intervals: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "task_type": self.task_type.value,
            "tune_metric": self.tune_metric,
            "regime": self.regime,
            "learner": self.learner,
            "model": {name: s.to_json() for name, s in self.model.items()},
            "baselines": {
                name: {split: s.to_json() for split, s in splits.items()}
                for name, splits in self.baselines.items()
            },
            "best_baseline": self.best_baseline,
            "verdict": self.verdict,
            "beats_baseline": self.beats_baseline,
            "validation_of": self.validation_of,
            "intervals": self.intervals,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Evaluation:
        return cls(
            task_type=TaskType(obj["task_type"]),
            tune_metric=obj["tune_metric"],
            regime=obj["regime"],
            learner=obj["learner"],
            model={name: Split.from_json(s) for name, s in obj["model"].items()},
            baselines={
                name: {split: Split.from_json(s) for split, s in splits.items()}
                for name, splits in obj["baselines"].items()
            },
            best_baseline=obj["best_baseline"],
            verdict=obj["verdict"],
            beats_baseline=obj["beats_baseline"],
            validation_of=obj["validation_of"],
            intervals=obj["intervals"],
            warnings=tuple(obj["warnings"]),
        )


def better(metric: str, mine: float | None, other: float | None) -> bool:
    """Whether ``mine`` is strictly better; an undefined value is worse than any defined one."""
    if mine is None or math.isnan(mine):
        return False
    if other is None or math.isnan(other):
        return True
    return mine > other if is_greater_better(metric) else mine < other


def evaluate_split(
    task_type: TaskType,
    target: Float,
    values: Float,
    entity: Index,
    names: Sequence[str],
    *,
    resamples: int,
    seed: int,
    classes: Sequence[str] = (),
) -> Split:
    """Measure predictions, with percentile intervals from a bootstrap over entities.

    Rows of one entity are drawn together, because they are not independent. Beyond 50,000 rows
    the resamples are drawn from a seeded sample of the entities and the spread is scaled by
    sqrt(rows of the sample / rows); the value itself always counts every row.

    Args:
        task_type: Binary, multiclass or regression.
        target: float64[n].
        values: float64[n], or float64[n, classes] for multiclass.
        entity: int64[n] the entity of each row.
        names: Metrics to measure.
        resamples: How many resamples.
        seed: Seed of the resamples.
        classes: Names of the classes, for the figures per class.
    """
    whole = metrics_of(task_type, target, values)
    found = whole.compute(names)
    _, codes = np.unique(entity, return_inverse=True)
    entities = int(codes.max()) + 1 if len(codes) else 0
    bounds = _bootstrap(task_type, target, values, codes, names, found, resamples, seed)
    per_class: dict[str, dict[str, float]] = {}
    if isinstance(whole, MulticlassMetrics):
        per_class = dict(zip(map(str, classes), whole.by_class(), strict=False))
    return Split(
        rows=len(target),
        entities=entities,
        metrics={
            name: Measured(_defined(found[name]), *map(_defined, bounds[name])) for name in names
        },
        per_class=per_class,
    )


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _bootstrap(
    task_type: TaskType,
    target: Float,
    values: Float,
    codes: Index,
    names: Sequence[str],
    found: Mapping[str, float],
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng([seed, len(target)])
    rows = len(target)
    entities = int(codes.max()) + 1 if rows else 0
    if entities < 2:
        return dict.fromkeys(names, (math.nan, math.nan))
    scale = 1.0
    if rows > _ROWS_PER_RESAMPLE:
        kept = rng.permutation(entities) < max(2, entities * _ROWS_PER_RESAMPLE // rows)
        chosen = np.flatnonzero(kept[codes])
        target, values = target[chosen], values[chosen]
        _, codes = np.unique(codes[chosen], return_inverse=True)
        entities = int(codes.max()) + 1
        scale = math.sqrt(len(chosen) / rows)
    sample = metrics_of(task_type, target, values)
    centre = sample.compute(names) if scale < 1 else dict(found)
    drawn = np.full((resamples, len(names)), np.nan)
    for number in range(resamples):
        times = np.bincount(rng.integers(0, entities, entities), minlength=entities)
        values_of = sample.compute(names, times[codes].astype(np.float64))
        drawn[number] = [values_of[name] for name in names]
    tail = (1 - _LEVEL) / 2
    bounds: dict[str, tuple[float, float]] = {}
    for column, name in enumerate(names):
        usable = drawn[np.isfinite(drawn[:, column]), column]
        if not len(usable):
            bounds[name] = (math.nan, math.nan)
            continue
        if scale < 1:
            usable = found[name] + (usable - centre[name]) * scale
        low, high = np.quantile(usable, [tail, 1 - tail])
        bounds[name] = (float(low), float(high))
    return bounds


def verdict(
    metric: str, model: Mapping[str, Split], baseline: str | None, other: Mapping[str, Split]
) -> tuple[str, bool]:
    """Return one sentence on a model against its best baseline, and whether it validates better."""
    if baseline is None:
        return "There is no baseline to compare with.", True
    parts = []
    wins = {}
    for split in ("validation", "test"):
        mine = model[split].value(metric) if split in model else None
        theirs = other[split].value(metric) if split in other else None
        if mine is None and theirs is None:
            continue
        wins[split] = better(metric, mine, theirs)
        parts.append(f"{split} {metric} {_shown(mine)} against {_shown(theirs)}")
    says = "; ".join(parts) or f"{metric} is not defined on the held-out rows"
    if wins.get("validation", False):
        if wins.get("test", True):
            return f"Better than the best baseline, {baseline}: {says}.", True
        return f"Better than the best baseline, {baseline}, on validation only: {says}.", True
    return f"No better than the baseline {baseline}: {says}.", False


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
