"""The leakage certificate: facts that were computed about a model, not asserted.

What it holds in this version: whether label windows of splits are disjoint, the regime, the
future-perturbation probe, and single features that are too good to be true. It does not yet look
for columns that are filled in later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.folds import Folds, label_known_at
from relcast.learners.metrics import metrics_of
from relcast.learners.probe import Probe, probe_future
from relcast.learners.protocol import Asked, Predictor, Ranker, Target
from relcast.learners.trees import TreeModel
from relcast.pql.ast import CheckedQuery
from relcast.tasks.anchors import Frame

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["Certificate", "Gap", "Suspicion", "make_certificate", "suspicious_features"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

_TOO_GOOD = 0.98
_SAMPLE = 20_000
_BINS = 64


@dataclass(frozen=True, slots=True)
class Gap:
    """Two splits in time order: where the earlier one's labels end and the later one's begin.

    Attributes:
        earlier, later: Names of the splits.
        ends: Latest end of a label window of the earlier one, ns UTC (closed).
        begins: Earliest begin of a label window of the later one, ns UTC (open).
        disjoint: Whether ``ends <= begins``.
    """

    earlier: str
    later: str
    ends: int
    begins: int
    disjoint: bool


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A feature that alone tells nearly everything, with its evidence.

    ``value`` is the metric of the feature alone, bins learned on one half of the rows and measured
    on the other.
    """

    feature: str
    table: str
    column: str | None
    metric: str
    value: float
    rows: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts.

    Attributes:
        regime: ``rolling`` or ``frozen``.
        gaps: Neighbouring splits and their windows; none for a static query.
        probe: The future-perturbation probe.
        suspicions: Features that are too good to be true, best first.
    """

    regime: str
    gaps: tuple[Gap, ...]
    probe: Probe
    suspicions: tuple[Suspicion, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must hear: overlapping windows, a moved feature, a feature too good."""
        found = [
            f"Label windows of {gap.earlier} and {gap.later} overlap: figures of {gap.later} are "
            "too good."
            for gap in self.gaps
            if not gap.disjoint
        ]
        if self.probe.ran and not self.probe.passed:
            found.append("Something moved when only the future changed: the model sees too much.")
        found.extend(
            f"{s.feature} alone reaches {s.metric} {s.value:.3f}: it may hold the answer."
            for s in self.suspicions
        )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        return {
            "regime": self.regime,
            "gaps": [asdict(gap) for gap in self.gaps],
            "windows_disjoint": all(gap.disjoint for gap in self.gaps),
            "probe": self.probe.to_json(),
            "suspicions": [asdict(s) for s in self.suspicions],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Certificate:
        return cls(
            regime=obj["regime"],
            gaps=tuple(Gap(**gap) for gap in obj["gaps"]),
            probe=Probe.from_json(obj["probe"]),
            suspicions=tuple(Suspicion(**s) for s in obj["suspicions"]),
        )


def make_certificate(
    relations: Relations,
    query: CheckedQuery,
    folds: Folds,
    predictor: Predictor | Ranker,
    *,
    regime: str,
    seed: int,
    threads: int,
) -> Certificate:
    """Compute the certificate of a published predictor."""
    parts = [fold.asked for fold in (folds.train, folds.validation, folds.test) if len(fold)]
    everything = Asked(
        np.concatenate([part.entity for part in parts]),
        _joined([part.anchor for part in parts]),
        _joined([part.known for part in parts]),
    )
    suspicions: tuple[Suspicion, ...] = ()
    if isinstance(predictor, TreeModel):
        rng = np.random.default_rng([seed, 43])
        rows = np.sort(rng.permutation(len(folds.train))[:_SAMPLE])
        values = predictor.matrix(relations, folds.train.asked.take(rows), threads)
        suspicions = suspicious_features(
            predictor, values, folds.train.label[rows], folds.target, rng
        )
    return Certificate(
        regime=regime,
        gaps=_gaps(query, folds),
        probe=probe_future(relations, predictor, everything, seed=seed, threads=threads),
        suspicions=suspicions,
    )


def _joined(parts: list[Index | None]) -> Index | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _gaps(query: CheckedQuery, folds: Folds) -> tuple[Gap, ...]:
    named = [("train", folds.train), *folds.held_out().items()]
    gaps = []
    for (earlier, before), (later, after) in pairwise(named):
        if before.asked.anchor is None or after.asked.anchor is None:
            return ()
        ends = int(label_known_at(query, before.asked.anchor).max())
        begins = int(_window_begin(query, after.asked.anchor).min())
        gaps.append(Gap(earlier, later, ends, begins, ends <= begins))
    return tuple(gaps)


def _window_begin(query: CheckedQuery, anchor: Index) -> Index:
    begin: Index = Frame.of(query).spans(anchor)[0]
    return begin


def suspicious_features(
    model: TreeModel,
    values: npt.NDArray[np.float32],
    label: Float,
    target: Target,
    rng: np.random.Generator,
) -> tuple[Suspicion, ...]:
    """Return features (columns of ``values`` float32[n, f]) that alone predict nearly perfectly.

    A feature's values are cut into at most 64 bins (a missing value is a bin); the mean label of
    each bin is learned on a random half and scored on the other. Reported beyond 0.98 AUROC
    (binary), R² (regression) or, for multiclass, accuracy where the commonest class has less.
    """
    n = len(label)
    if n < 100:
        return ()
    half = rng.random(n) < 0.5
    metric = {
        TaskType.BINARY_CLASSIFICATION: "auroc",
        TaskType.MULTICLASS_CLASSIFICATION: "acc",
    }.get(target.task_type, "r2")
    if metric == "acc" and np.bincount(label.astype(np.int64)).max() > _TOO_GOOD * n:
        return ()
    found = []
    for number, feature in enumerate(model.features.features):
        bins = _binned(values[:, number], category=feature.kind == "category")
        said = _bin_means(bins[half], label[half], bins[~half], target)
        value = metrics_of(target.task_type, label[~half], said).compute((metric,))[metric]
        if value > _TOO_GOOD:
            found.append(
                Suspicion(feature.name, feature.table, feature.column, metric, float(value), int(n))
            )
    return tuple(sorted(found, key=lambda s: -s.value))


def _binned(values: npt.NDArray[np.float32], *, category: bool) -> Index:
    """Return int64[n] bins; 0 is missing."""
    known = ~np.isnan(values)
    bins = np.zeros(len(values), dtype=np.int64)
    if not known.any():
        return bins
    if category:
        bins[known] = np.maximum(values[known].astype(np.int64), -1) + 1
        return bins
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins[known] = np.searchsorted(edges, values[known], side="left") + 1
    return bins


def _bin_means(bins: Index, label: Float, other: Index, target: Target) -> Float:
    size = int(max(bins.max(initial=0), other.max(initial=0))) + 1
    count = np.bincount(bins, minlength=size).astype(np.float64)
    if target.classes is not None:
        width = target.width
        flat = bins * width + label.astype(np.int64)
        table = np.bincount(flat, minlength=size * width).reshape(size, width) + 1e-9
        return np.asarray(table[other] / table[other].sum(axis=1, keepdims=True))
    total = np.bincount(bins, weights=label, minlength=size)
    means = np.divide(total, count, out=np.full(size, label.mean()), where=count > 0)
    found: Float = means[other]
    return found
