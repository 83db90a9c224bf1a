"""Columns that are too good to be true: features that alone tell nearly everything of the target.

A feature's values are cut into 64 bins (few values are a bin each, a missing value is one); what
each bin tells is learned on one half of the entities and measured on the other, so that a name of
the entity tells nothing. A number in the order of the target tells it as well. That the past
repeats itself is no leak: a feature is reported only where it leaves less than half of the error
that the target's own past leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.metrics import RANKED, BinaryMetrics, RegressionMetrics
from relcast.learners.protocol import Fold, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet, Recipe
    from relcast.tasks import Lists

__all__ = ["Suspicion", "scan"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_TOO_GOOD = 0.98
_LEAST_ROWS = 100
_LEAST_ENTITIES = 50
_BINS = 64
_MOST_VALUES = 256
_LABELS = 10
_LEAST_OF_A_LABEL = 20
_PLAINLY = 0.9
_KNOWN = 0.9
_WELL_KNOWN = 10
_MOSTLY = 0.8
_PERSISTS = 0.5


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A feature that alone tells nearly everything, with its evidence.

    Attributes:
        feature, table, column: Whose values they are.
        metric: ``auroc`` (binary, or of one label), ``acc`` (multiclass), ``r2`` (numbers),
            ``hit_ratio@1`` (lists of items).
        value: That metric of the feature alone, on the half that it was not learned on.
        rows: Rows of both halves.
        of: What is told, where it is a part of the target: a label, a step.
        past: The same of the target's own past; None where there is none.
    """

    feature: str
    table: str
    column: str | None
    metric: str
    value: float
    rows: int
    of: str | None = None
    past: float | None = None

    @property
    def sentence(self) -> str:
        what = f" of {self.of}" if self.of else ""
        reaches = f"{self.feature} alone reaches {self.metric} {self.value:.3f}{what}"
        return f"{reaches}: it may hold the answer."


@dataclass(frozen=True, slots=True)
class _Question:
    """Something that a feature may tell: bins int64[n] -> a metric, NaN where it is not defined.

    ``number`` is what is asked for where it is one: a feature in the same order tells it, too.
    """

    metric: str
    alone: Callable[[Index], float]
    of: str | None = None
    number: Float | None = None

    def value(self, values: npt.NDArray[np.float32], *, category: bool) -> float:
        found = self.alone(_binned(values, category=category))
        if self.number is None or category:
            return found
        return max(
            found, _same_order(values, self.number), key=lambda v: -1.0 if np.isnan(v) else v
        )


def scan(
    features: FeatureSet, values: Values, fold: Fold, target: Target, rng: np.random.Generator
) -> tuple[Suspicion, ...]:
    """Return features (columns of ``values`` float32[n, f]) that alone predict nearly perfectly.

    Reported beyond 0.98 of AUROC (binary; of a label), R² (numbers), accuracy where the commonest
    class has less (multiclass), or of how often the first guess is in the list (lists of items).
    """
    n = len(fold)
    if n < _LEAST_ROWS:
        return ()
    questions = _questions(fold, target, _halves(fold, rng))
    found = []
    for question in questions:
        each = [
            question.value(values[:, k], category=feature.kind == "category")
            for k, feature in enumerate(features.features)
        ]
        is_past = [_is_past(feature.recipe) for feature in features.features]
        pasts = [v for v, past in zip(each, is_past, strict=True) if past and np.isfinite(v)]
        best = max(pasts, default=None)
        for feature, value, past in zip(features.features, each, is_past, strict=True):
            if past or not value > _TOO_GOOD:
                continue
            if best is not None and 1 - value > _PERSISTS * (1 - best):
                continue
            found.append(
                Suspicion(
                    feature.name,
                    feature.table,
                    feature.column,
                    question.metric,
                    float(value),
                    n,
                    question.of,
                    None if best is None else float(best),
                )
            )
    return tuple(sorted(found, key=lambda s: (-s.value, s.feature)))


def _is_past(recipe: Recipe) -> bool:
    """Whether a feature is the target's own past, in whatever window."""
    if recipe.of is not None:
        return _is_past(recipe.of)
    value = recipe.value
    return recipe.family == "past" or (value is not None and value.kind in {"target", "holds"})


def _halves(fold: Fold, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which rows teach: those of half of the entities, or of few entities half of all."""
    _, code = np.unique(fold.asked.entity, return_inverse=True)
    entities = int(code.max()) + 1
    if entities < _LEAST_ENTITIES:
        return np.asarray(rng.random(len(fold)) < 0.5)
    return np.asarray((rng.random(entities) < 0.5)[code])


def _questions(fold: Fold, target: Target, half: npt.NDArray[np.bool_]) -> list[_Question]:
    task, label = target.task_type, fold.label
    if fold.lists is not None:
        if task in RANKED:
            return _hits(fold.lists, half)
        return _labels(fold.lists, target, half)
    if task is TaskType.BINARY_CLASSIFICATION:
        return [_Question("auroc", _auroc(label, half))]
    if task is TaskType.MULTICLASS_CLASSIFICATION:
        code = label.astype(np.int64)
        if np.bincount(code).max() > _TOO_GOOD * len(code):
            return []
        return [_Question("acc", _accuracy(code, target.width, half))]
    if label.ndim == 1:
        return [_Question("r2", _r2(label, half), number=label)]
    asked = {f"step {k + 1}": label[:, k] for k in sorted({0, label.shape[1] - 1})}
    asked["the sum of all steps"] = label.sum(axis=1)
    return [_Question("r2", _r2(each, half), of, each) for of, each in asked.items()]


def _means(bins: Index, label: Float, half: npt.NDArray[np.bool_]) -> Float:
    """Return what the teaching half says of the other: the mean label of each bin."""
    size = int(bins.max(initial=0)) + 1
    count = np.bincount(bins[half], minlength=size).astype(np.float64)
    total = np.bincount(bins[half], weights=label[half], minlength=size)
    mean = label[half].mean() if half.any() else 0.0
    table = np.divide(total, count, out=np.full(size, mean), where=count > 0)
    found: Float = table[bins[~half]]
    return found


def _auroc(label: Float, half: npt.NDArray[np.bool_]) -> Callable[[Index], float]:
    def alone(bins: Index) -> float:
        said = _means(bins, label, half)
        return BinaryMetrics(label[~half], said).compute(("auroc",))["auroc"]

    return alone


def _r2(label: Float, half: npt.NDArray[np.bool_]) -> Callable[[Index], float]:
    def alone(bins: Index) -> float:
        said = _means(bins, label, half)
        return RegressionMetrics(label[~half], said).compute(("r2",))["r2"]

    return alone


def _same_order(values: npt.NDArray[np.float32], number: Float) -> float:
    """Return the squared rank correlation; NaN where a tenth of the values is missing, or more."""
    from scipy.stats import rankdata

    known = ~np.isnan(values)
    if known.mean() <= _KNOWN:
        return float("nan")
    left, right = rankdata(values[known]), rankdata(number[known])
    if left.std() == 0 or right.std() == 0:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1] ** 2)


def _accuracy(code: Index, width: int, half: npt.NDArray[np.bool_]) -> Callable[[Index], float]:
    def alone(bins: Index) -> float:
        size = int(bins.max(initial=0)) + 1
        flat = bins[half] * width + code[half]
        best = np.bincount(flat, minlength=size * width).reshape(size, width).argmax(axis=1)
        return float((best[bins[~half]] == code[~half]).mean()) if (~half).any() else np.nan

    return alone


def _labels(lists: Lists, target: Target, half: npt.NDArray[np.bool_]) -> list[_Question]:
    owner = np.repeat(np.arange(len(lists)), lists.lengths)
    count = np.bincount(lists.values, minlength=target.width)
    rare = np.minimum(count, len(lists) - count)
    found = []
    for k in np.argsort(-rare, kind="stable")[:_LABELS].tolist():
        if rare[k] < _LEAST_OF_A_LABEL:
            continue
        label = np.zeros(len(lists))
        label[owner[lists.values == k]] = 1.0
        name = str((target.classes or ())[k])
        found.append(_Question("auroc", _auroc(label, half), f"label {name}"))
    return found


def _hits(lists: Lists, half: npt.NDArray[np.bool_]) -> list[_Question]:
    """Ask how often the item that a bin saw most is in the list."""
    owner = np.repeat(np.arange(len(lists)), lists.lengths)
    items, code = np.unique(lists.values, return_inverse=True)
    if not len(items):
        return []
    everywhere = np.bincount(code[half[owner]], minlength=len(items))
    commonest = everywhere.argmax()
    asked = np.flatnonzero(~half & (lists.lengths > 0))
    in_list = _membership(owner, code, len(items))
    if not len(asked) or in_list(asked, np.full(len(asked), commonest)).mean() > _PLAINLY:
        return []
    teaching = half[owner]

    def alone(bins: Index) -> float:
        pairs, times = np.unique(
            bins[owner[teaching]] * len(items) + code[teaching], return_counts=True
        )
        order = np.lexsort((pairs, everywhere[pairs % len(items)], -times))  # of equals the rarest
        bin_of = pairs[order] // len(items)
        known, first = np.unique(bin_of, return_index=True)
        size = int(bins.max(initial=0)) + 1
        guess = np.full(size, commonest)
        guess[known] = pairs[order][first] % len(items)
        # Bins that taught a handful of rows guess by chance, and say little of the column.
        well = np.bincount(bins[half], minlength=size)[bins[asked]] >= _WELL_KNOWN
        if well.mean() < _MOSTLY:
            return float("nan")
        return float(in_list(asked[well], guess[bins[asked[well]]]).mean())

    return [_Question("hit_ratio@1", alone)]


def _membership(
    owner: Index, code: Index, size: int
) -> Callable[[Index, Index], npt.NDArray[np.bool_]]:
    """Return a test whether rows' lists hold items, both int64[m]."""
    there = np.sort(owner * size + code)

    def holds(rows: Index, items: Index) -> npt.NDArray[np.bool_]:
        wanted = rows * size + items
        place = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
        found: npt.NDArray[np.bool_] = there[place] == wanted
        return found

    return holds


def _binned(values: npt.NDArray[np.float32], *, category: bool) -> Index:
    """Return int64[n] bins; 0 is missing."""
    known = ~np.isnan(values)
    bins = np.zeros(len(values), dtype=np.int64)
    if not known.any():
        return bins
    if category:
        bins[known] = np.maximum(values[known].astype(np.int64), -1) + 2
        return bins
    edges = np.unique(values[known])
    if len(edges) > _MOST_VALUES:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins[known] = np.searchsorted(edges, values[known], side="left") + 1
    return bins
