"""Measure what was said of a split: metrics with intervals from a bootstrap over entities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.evaluation import Measured, Split
from relcast.learners.metrics import (
    Catalogue,
    ForecastMetrics,
    MulticlassMetrics,
    MultilabelMetrics,
    metrics_of,
)
from relcast.learners.protocol import Ranked, Said, taken

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["evaluate_split", "width_of"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ROWS_PER_RESAMPLE = 50_000
_CELLS_PER_RESAMPLE = 400_000
"""Cells count where every one of them takes part in a metric: labels, steps of a forecast."""
_CELLS_AT_ONCE = 4_000_000
_LEVEL = 0.95
_MOST_CLASSES = 100


def evaluate_split(
    task_type: TaskType,
    truth: Float | Lists,
    said: Said,
    entity: Index,
    names: Sequence[str],
    *,
    resamples: int,
    seed: int,
    classes: Sequence[str] = (),
    catalogue: Catalogue | None = None,
) -> Split:
    """Measure predictions, with percentile intervals from a bootstrap over entities.

    Rows of one entity are drawn together, because they are not independent. Beyond 50,000 rows, or
    400,000 cells of labels or steps, the resamples are drawn from a seeded sample of the entities
    and the spread is scaled by sqrt(rows of the sample / rows); the value itself always counts
    every row.

    Args:
        task_type: The task.
        truth: float64[n], float64[n, horizon], or n lists (see ``metrics_of``).
        said: What was predicted.
        entity: int64[n] the entity of each row.
        names: Metrics to measure.
        resamples: How many resamples.
        seed: Seed of the resamples.
        classes: Names of the classes, for the figures per class.
        catalogue: Of a ranking: what is known of its items.
    """
    whole = metrics_of(task_type, truth, said, catalogue)
    found = whole.compute(names)
    _, codes = np.unique(entity, return_inverse=True)
    entities = int(codes.max()) + 1 if len(codes) else 0
    sample = _Sample(task_type, truth, said, codes, catalogue)
    bounds = _bootstrap(sample, found, resamples, seed)
    per_class: list[dict[str, float]] = []
    if isinstance(whole, MulticlassMetrics):
        per_class = whole.by_class()
    elif isinstance(whole, MultilabelMetrics):
        per_class = whole.by_label()
    steps = whole.by_step(names) if isinstance(whole, ForecastMetrics) else []
    return Split(
        rows=len(entity),
        entities=entities,
        metrics={
            name: Measured(_defined(found[name]), *map(_defined, bounds[name])) for name in found
        },
        per_class=_largest(per_class, classes),
        per_step=tuple({n: _defined(v) for n, v in step.items()} for step in steps),
    )


def width_of(said: Said) -> int:
    """Return the cells of a row that a metric looks at: labels or steps; 1 for the others."""
    return 1 if isinstance(said, Ranked) or said.ndim == 1 else said.shape[1]


def _largest(
    figures: Sequence[Mapping[str, float]], classes: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    order = sorted(range(len(figures)), key=lambda k: -figures[k]["rows"])[:_MOST_CLASSES]
    return {
        str(classes[k]): {name: _defined(value) for name, value in figures[k].items()}
        for k in sorted(order)
        if k < len(classes)
    }


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class _Sample:
    """The rows that resamples are drawn from."""

    def __init__(
        self,
        task_type: TaskType,
        truth: Float | Lists,
        said: Said,
        codes: Index,
        catalogue: Catalogue | None,
    ) -> None:
        self.task_type, self.truth, self.said = task_type, truth, said
        self.codes, self.catalogue = codes, catalogue
        multiclass = task_type is TaskType.MULTICLASS_CLASSIFICATION
        self.width = 1 if multiclass else width_of(said)

    @property
    def entities(self) -> int:
        return int(self.codes.max()) + 1 if len(self.codes) else 0

    def thinned(self, rng: np.random.Generator) -> _Sample:
        """Return as many whole entities as a resample may hold."""
        rows = len(self.codes)
        most = min(_ROWS_PER_RESAMPLE, max(200, _CELLS_PER_RESAMPLE // self.width))
        if rows <= most:
            return self
        kept = rng.permutation(self.entities) < max(2, self.entities * most // rows)
        chosen = np.flatnonzero(kept[self.codes])
        _, codes = np.unique(self.codes[chosen], return_inverse=True)
        truth = self.truth[chosen] if isinstance(self.truth, np.ndarray) else None
        return _Sample(
            self.task_type,
            self.truth.take(chosen) if truth is None else truth,
            taken(self.said, chosen),
            codes,
            self.catalogue,
        )


def _bootstrap(
    whole: _Sample, found: Mapping[str, float], resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    names, rows = list(found), len(whole.codes)
    rng = np.random.default_rng([seed, rows])
    if whole.entities < 2:
        return dict.fromkeys(names, (math.nan, math.nan))
    sample = whole.thinned(rng)
    scale = math.sqrt(len(sample.codes) / rows)
    metrics = metrics_of(sample.task_type, sample.truth, sample.said, sample.catalogue)
    centre = metrics.compute(names) if scale < 1 else dict(found)
    entities = sample.entities
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(sample.codes) * sample.width))
    drawn: dict[str, list[Float]] = {name: [] for name in names}
    for first in range(0, resamples, at_once):
        times = np.stack(
            [
                np.bincount(rng.integers(0, entities, entities), minlength=entities)
                for _ in range(first, min(resamples, first + at_once))
            ]
        )
        values = metrics.many(names, times[:, sample.codes].astype(np.float64))
        for name in names:
            drawn[name].append(values[name])
    tail = (1 - _LEVEL) / 2
    bounds: dict[str, tuple[float, float]] = {}
    for name in names:
        column = np.concatenate(drawn[name]) if drawn[name] else np.zeros(0)
        usable = column[np.isfinite(column)]
        if not len(usable):
            bounds[name] = (math.nan, math.nan)
            continue
        if scale < 1:
            usable = found[name] + (usable - centre[name]) * scale
        low, high = np.quantile(usable, [tail, 1 - tail])
        bounds[name] = (float(low), float(high))
    return bounds
