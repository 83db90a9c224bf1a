"""What a model is worth: its metrics with intervals, beside those of every baseline.

An evaluation holds numbers only. Which model is published, and why, is decided in ``fit``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relcast.core.schema import TaskType
from relcast.learners.metrics import is_greater_better

__all__ = ["Evaluation", "Measured", "Split", "better", "verdict"]


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
        per_class: Multiclass and multilabel only: by class or label, precision, recall, f1 and
            rows, for labels the areas as well; of many the 100 with the most rows.
        per_step: Forecasting only: the metrics of each step, the nearest first.
    """

    rows: int
    entities: int
    metrics: Mapping[str, Measured]
    per_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    per_step: tuple[Mapping[str, float | None], ...] = ()

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
            "per_step": [dict(m) for m in self.per_step],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Split:
        return cls(
            rows=obj["rows"],
            entities=obj["entities"],
            metrics={name: Measured.from_json(m) for name, m in obj["metrics"].items()},
            per_class={name: dict(m) for name, m in obj.get("per_class", {}).items()},
            per_step=tuple(dict(m) for m in obj.get("per_step", ())),
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
        chosen: Why this is published, and what stands above it on the leaderboard, in words; empty
            of models that were made before this was said.
        intervals: How the intervals were made.
        warnings: Sentences that a reader of the figures should know.
        curves: By split what figures do not say, JSON-ready (see ``curves``).
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
    chosen: str = ""
    intervals: str = ""
    warnings: tuple[str, ...] = ()
    curves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
            "chosen": self.chosen,
            "intervals": self.intervals,
            "warnings": list(self.warnings),
            "curves": {split: dict(curves) for split, curves in self.curves.items()},
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
            chosen=str(obj.get("chosen", "")),
            intervals=obj["intervals"],
            warnings=tuple(obj["warnings"]),
            curves=obj.get("curves", {}),
        )


def better(metric: str, mine: float | None, other: float | None) -> bool:
    """Whether ``mine`` is strictly better; an undefined value is worse than any defined one."""
    if mine is None or math.isnan(mine):
        return False
    if other is None or math.isnan(other):
        return True
    return mine > other if is_greater_better(metric) else mine < other


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
