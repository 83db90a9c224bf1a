"""Cohorts: how prediction and target differ along the features that matter most.

For each feature the rows of a split are grouped by its value; a group says its mean prediction and
mean target. Where the two part, the model is wrong about that group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.protocol import Fold, Ranked, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.learners.importance import Importance
    from relcast.relations import Relations

__all__ = ["Cohort", "Group", "make_cohorts"]

Float = npt.NDArray[np.float64]

_FEATURES = 20
_ROWS = 5_000
_GROUPS = 8
_FIRST = 10
_LEAST = 8
"""Features of a ranking that are looked at, whatever its trees make of them."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of a split whose feature has some value.

    Attributes:
        value: The value in words: a category, ``3 to 5``, ``missing``, ``others``.
        low, high: Bounds of a number's group, both inside; None for words.
        rows: How many.
        prediction: Mean prediction.
        target: Mean target.
    """

    value: str
    low: float | None
    high: float | None
    rows: int
    prediction: float
    target: float


@dataclass(frozen=True)
class Cohort:
    """A feature and its groups, in ascending order of the value; words by size.

    Attributes:
        feature, table, column, window: As in the feature set.
        of: What is averaged: ``probability of true``, ``value``, ``probability of <class>``. Of a
            ranking ``hits among the first 10``: the prediction is how many there are, the target
            how many there could be, so that they part by what was missed.
        groups: The groups that have rows.
    """

    feature: str
    table: str
    column: str | None
    window: str | None
    of: str
    groups: tuple[Group, ...]

    def to_json(self) -> dict[str, Any]:
        obj = asdict(self)
        obj["groups"] = list(obj["groups"])
        return obj

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Cohort:
        return cls(**{**obj, "groups": tuple(Group(**group) for group in obj["groups"])})


def make_cohorts(
    relations: Relations,
    features: FeatureSet,
    importance: Importance,
    target: Target,
    fold: Fold,
    said: Float | Ranked,
    *,
    seed: int,
    threads: int,
) -> tuple[Cohort, ...]:
    """Group at most 5,000 seeded rows of a split along the twenty most important features.

    What matters most in a ranking are columns of a pair (entity and item), along which examples
    cannot be grouped; so the first of the entity's own features stand in for what is lacking, up
    to eight in all. The same where no important feature is the entity's.

    Args:
        relations: The snapshot's arrays.
        features: The model's features.
        importance: Says which of them matter.
        target: What is predicted.
        fold: n labelled examples.
        said: What the model said of them, n rows.
        seed: Of the sample.
        threads: Threads to use.
    """
    place = {feature.name: k for k, feature in enumerate(features.features)}
    chosen = [place[f.name] for f in importance.features if f.name in place][:_FEATURES]
    if isinstance(said, Ranked) or not chosen:
        others = [k for k in range(len(features.features)) if k not in chosen]
        chosen += others[: max(0, _LEAST - len(chosen))]
    if not chosen or not len(fold):
        return ()
    rows = np.sort(np.random.default_rng([seed, 29]).permutation(len(fold))[:_ROWS])
    truth, guess, of = _one_number(target, fold, said)
    truth, guess = truth[rows], guess[rows]
    asked = fold.asked.take(rows)
    subset = features.select(chosen)
    values = subset.compute(
        relations, asked.entity, asked.anchor, known=asked.known, threads=threads
    ).values
    cohorts = []
    for k, feature in enumerate(subset.features):
        column = values[:, k].astype(np.float64)
        groups = (
            _of_words(column, feature.categories or (), guess, truth)
            if feature.kind == "category"
            else _of_numbers(column, guess, truth)
        )
        cohorts.append(
            Cohort(feature.name, feature.table, feature.column, feature.window, of, groups)
        )
    return tuple(cohorts)


def _one_number(target: Target, fold: Fold, said: Float | Ranked) -> tuple[Float, Float, str]:
    """Return target and prediction as one number per row, and what that number is."""
    if isinstance(said, Ranked):
        return _hits(fold, said)
    if target.task_type is TaskType.BINARY_CLASSIFICATION:
        return fold.label, said, "probability of true"
    if target.task_type is TaskType.REGRESSION:
        return fold.label, said, "value"
    if target.task_type is TaskType.FORECASTING:
        return fold.label.mean(axis=1), said.mean(axis=1), "mean of all steps"
    classes = target.classes or ()
    if fold.lists is not None:
        most = int(np.bincount(fold.lists.values, minlength=len(classes)).argmax())
        owner = np.repeat(np.arange(len(fold)), fold.lists.lengths)
        truth = np.zeros(len(fold))
        truth[owner[fold.lists.values == most]] = 1.0
    else:
        most = int(np.bincount(fold.label.astype(np.int64), minlength=len(classes)).argmax())
        truth = (fold.label == most).astype(np.float64)
    return truth, said[:, most], f"probability of {classes[most]}"


def _hits(fold: Fold, said: Ranked) -> tuple[Float, Float, str]:
    """Return how many of the first ten items could come true, and how many did, float64[n]."""
    if fold.lists is None:
        raise AssertionError("a ranking is judged by lists")
    wide = 1 + int(max(fold.lists.values.max(initial=0), said.items.max(initial=0)))
    owner = np.repeat(np.arange(len(fold)), fold.lists.lengths)
    wanted = owner * wide + fold.lists.values
    first = said.items[:, :_FIRST]
    most = first.shape[1]
    given = np.arange(len(fold))[:, None] * wide + first
    hit = np.isin(given, wanted) & (first >= 0)
    possible = np.minimum(fold.lists.lengths, most).astype(np.float64)
    return possible, hit.sum(axis=1).astype(np.float64), f"hits among the first {most}"


def _of_numbers(values: Float, guess: Float, truth: Float) -> tuple[Group, ...]:
    there = ~np.isnan(values)
    groups: list[Group] = []
    if there.any():
        edges = np.unique(
            np.quantile(values[there], np.arange(1, _GROUPS) / _GROUPS, method="higher")
        )
        # A value that equals an edge stands above it, so that equal values stay together.
        which = np.where(there, np.searchsorted(edges, values, side="right"), -1)
        for number in range(len(edges) + 1):
            rows = np.flatnonzero(which == number)
            if len(rows):
                low, high = float(values[rows].min()), float(values[rows].max())
                word = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
                groups.append(_group(word, low, high, rows, guess, truth))
    return (*groups, *_missing(there, guess, truth))


def _of_words(
    values: Float, words: tuple[str, ...], guess: Float, truth: Float
) -> tuple[Group, ...]:
    there = ~np.isnan(values)
    codes = np.where(there, values, -1).astype(np.int64)
    count = np.bincount(codes[there], minlength=len(words))
    order = np.argsort(-count, kind="stable")[:_GROUPS]
    groups = [
        _group(words[code], None, None, np.flatnonzero(codes == code), guess, truth)
        for code in order.tolist()
        if count[code]
    ]
    others = np.flatnonzero(there & ~np.isin(codes, order))
    if len(others):
        groups.append(_group("others", None, None, others, guess, truth))
    return (*groups, *_missing(there, guess, truth))


def _missing(there: npt.NDArray[np.bool_], guess: Float, truth: Float) -> tuple[Group, ...]:
    rows = np.flatnonzero(~there)
    return (_group("missing", None, None, rows, guess, truth),) if len(rows) else ()


def _group(
    word: str,
    low: float | None,
    high: float | None,
    rows: npt.NDArray[Any],
    guess: Float,
    truth: Float,
) -> Group:
    return Group(word, low, high, len(rows), float(guess[rows].mean()), float(truth[rows].mean()))
