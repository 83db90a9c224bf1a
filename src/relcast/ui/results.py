"""What a model's evaluation says, made ready for a page: headline, rivals, importance, reasons.

Reads the JSON that the learners wrote (``Evaluation.to_json`` and beside it) and computes nothing
but shares of a bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relcast.learners.metrics import is_greater_better

__all__ = [
    "Headline",
    "Importance",
    "Rival",
    "Scores",
    "headline",
    "importance",
    "is_smaller_better",
    "scores_of",
]

# What learners watch while they train, besides the metrics that are reported.
_LOSSES = frozenset({"l1", "l2", "loss", "huber", "brier"})
_SPLITS = ("test", "validation")


@dataclass(frozen=True, slots=True)
class Rival:
    """The model or a baseline: its metrics on one split, by name, as (value, low, high)."""

    name: str
    is_model: bool
    metrics: Mapping[str, tuple[float | None, float | None, float | None]]

    def value(self, metric: str) -> float | None:
        return self.metrics.get(metric, (None, None, None))[0]


@dataclass(frozen=True, slots=True)
class Scores:
    """The model and every baseline on one split; the model comes first."""

    split: str
    metric: str
    metrics: tuple[str, ...]
    rows: int | None
    rivals: tuple[Rival, ...]
    verdict: str
    chosen: str
    regime: str
    warnings: tuple[str, ...]

    @property
    def smaller_is_better(self) -> bool:
        return is_smaller_better(self.metric)

    @property
    def model(self) -> Rival:
        return self.rivals[0]

    def winner(self, metric: str) -> str | None:
        """Return the name of the rival that is best by a metric."""
        known = [(r.value(metric), r.name) for r in self.rivals]
        values = [(v, name) for v, name in known if v is not None]
        if not values:
            return None
        pick = min if is_smaller_better(metric) else max
        return pick(values, key=lambda pair: pair[0])[1]

    def share(self, rival: Rival) -> float:
        """Return a bar's length in [0, 1] for the rival's headline metric."""
        values = [v for r in self.rivals if (v := r.value(self.metric)) is not None]
        value = rival.value(self.metric)
        longest = max((abs(v) for v in values), default=0.0)
        return 0.0 if value is None or longest == 0 else abs(value) / longest


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure for a list: the model's, and the best baseline's beside it."""

    metric: str
    split: str
    value: float | None
    baseline: float | None
    baseline_name: str | None

    @property
    def beats(self) -> bool | None:
        """Whether the model is better; None when one of the two is unknown."""
        if self.value is None or self.baseline is None:
            return None
        if is_smaller_better(self.metric):
            return self.value < self.baseline
        return self.value > self.baseline


@dataclass(frozen=True, slots=True)
class Importance:
    """One line of what mattered, with its share of everything in [0, 1]."""

    name: str
    share: float


def is_smaller_better(metric: str) -> bool:
    """Whether a smaller value is the better one: of a reported metric or of a learner's loss."""
    name = metric.casefold()
    loss = name in _LOSSES or name.endswith(("logloss", "log_loss", "cross_entropy"))
    return loss or not is_greater_better(name)


def scores_of(report: Mapping[str, Any] | None, on: str | None = None) -> Scores | None:
    """Read model and baselines on a split; on test, or else validation, where none is named."""
    evaluation = _evaluation(report)
    if evaluation is None:
        return None
    model, baselines = evaluation["model"], evaluation.get("baselines", {})
    split = next((s for s in (on, *_SPLITS) if s in model), None)
    if split is None:
        return None
    measured = model[split]
    name = str(evaluation.get("learner") or "model")
    rivals = [Rival(f"Model ({name})", True, _metrics(measured))]
    metric = str(evaluation["tune_metric"])
    others = [
        Rival(str(other), False, _metrics(splits[split]))
        for other, splits in baselines.items()
        if split in splits
    ]
    worst = float("inf") if is_smaller_better(metric) else float("-inf")
    others.sort(
        key=lambda r: v if (v := r.value(metric)) is not None else worst,
        reverse=not is_smaller_better(metric),
    )
    names = tuple(measured.get("metrics", {}))
    return Scores(
        split=split,
        metric=metric,
        metrics=(metric, *(n for n in names if n != metric)),
        rows=measured.get("rows"),
        rivals=(*rivals, *others),
        verdict=str(evaluation.get("verdict") or ""),
        chosen=str(evaluation.get("chosen") or ""),
        regime=str(evaluation.get("regime") or ""),
        warnings=tuple(str(w) for w in evaluation.get("warnings", ())),
    )


def headline(report: Mapping[str, Any] | None) -> Headline | None:
    """Return the figure for a list, or None when there is no evaluation."""
    scores = scores_of(report)
    if scores is None:
        return None
    # The strictest comparison: the baseline that is best here, whichever was best on validation.
    best = next((r for r in scores.rivals[1:] if r.value(scores.metric) is not None), None)
    return Headline(
        metric=scores.metric,
        split=scores.split,
        value=scores.model.value(scores.metric),
        baseline=None if best is None else best.value(scores.metric),
        baseline_name=None if best is None else best.name,
    )


def importance(report: Mapping[str, Any] | None, by: str, top: int = 10) -> list[Importance]:
    """Return the largest lines of ``importance[by]``.

    ``by`` is ``features``, ``tables``, ``columns`` or ``windows``.
    """
    found = (report or {}).get("importance")
    if not isinstance(found, Mapping):
        return []
    lines = [(name, abs(share)) for name, share in _pairs(found.get(by) or ()) if share]
    total = sum(share for _, share in lines)
    lines.sort(key=lambda line: line[1], reverse=True)
    return [Importance(name, share / total) for name, share in lines[:top]]


def _evaluation(report: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Find the evaluation in a report, which may hold it or be it."""
    for candidate in (report, (report or {}).get("evaluation")):
        if isinstance(candidate, Mapping) and {"model", "tune_metric"} <= set(candidate):
            return candidate
    return None


def _metrics(
    split: Mapping[str, Any],
) -> dict[str, tuple[float | None, float | None, float | None]]:
    return {
        str(name): (m.get("value"), m.get("low"), m.get("high"))
        for name, m in split.get("metrics", {}).items()
    }


def _pairs(lines: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    if isinstance(lines, Mapping):
        return [(str(name), float(value)) for name, value in lines.items()]
    return [(str(line.get("name", "")), float(line.get("share") or 0.0)) for line in lines]
