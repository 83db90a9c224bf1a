"""Which candidate features trees get: those that vary, do no harm on later rows, and carry gain.

Two groups of features are on trial. *Clocks* (see ``support``) move on with time; *shared* ones
tell of the moment instead of the entity (the calendar, whole tables, cohorts). Over decades they
carry what has changed for good, over few anchors they are learned by heart. So a quick booster
grows with and without each group, on older rows against newer ones and on training rows against
validation: clocks stay where they help, on validation too; shared ones go where both say that they
hurt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners import boosting
from relcast.learners.protocol import Fold
from relcast.learners.search import Search
from relcast.learners.support import clocks

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.learners.features.spec import Feature
    from relcast.learners.learner import Work
    from relcast.learners.trees import TreeModel

__all__ = ["Screened", "screen"]

Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]

_ROWS = 20_000
_ITERATIONS = 120
_TRIED_ITERATIONS = 60
_RATE = 0.08
_KEPT_GAIN = 0.9995
_NEWEST = 0.25
_FEWEST = 50
_BESIDE = 300
_MATTERS = 0.002
"""Share of the loss that a group must change to be said to help or to hurt."""


@dataclass(frozen=True)
class Screened:
    """The features that are kept, and what a reader of the report should know."""

    features: FeatureSet
    report: dict[str, Any]


def screen(
    work: Work,
    trees: TreeModel,
    label: Callable[[Fold], Float],
    train: Fold,
    valid: Fold,
) -> Screened:
    """Return the features that are worth training on, at most the budget's number.

    Args:
        work: What is trained.
        trees: An empty model with all candidates.
        label: Labels as boosters see them.
        train: The rows that are trained on.
        valid: The rows that are validated on.
    """
    trial = _Trial.prepare(work, trees, label, train, valid)
    chosen = trees.features.features
    names = np.array([feature.name for feature in chosen], dtype=object)
    kept = trial.varied()
    dropped: dict[str, list[str]] = {"clocks": [], "shared": []}
    clock = kept & trial.clocks()
    if clock.any() and not _helpful(trial.changes(kept, clock)):
        kept &= ~clock
        dropped["clocks"] = names[clock].tolist()
    shared = kept & np.array([f.shared and not _is_lag(f) for f in chosen], dtype=np.bool_)
    if shared.any() and max(trial.changes(kept, shared)) < -_MATTERS:
        kept &= ~shared
        dropped["shared"] = names[shared].tolist()
    report: dict[str, Any] = {**dropped, "clocks_kept": names[clock & kept].tolist()}
    if not kept.any():
        return Screened(trees.features, report)
    if len(train) > _ROWS or int(kept.sum()) > work.settings.budget.features:
        # Else little data trains in seconds, and a screen on the same rows would only add noise.
        kept = trial.gainful(kept, work.settings.budget.features)
    everything = bool(kept.all()) or not kept.any()
    features = trees.features if everything else trees.features.select(np.flatnonzero(kept))
    return Screened(features, report)


@dataclass(frozen=True)
class _Trial:
    """A sample of training and validation rows on which quick boosters are grown."""

    work: Work
    label: Callable[[Fold], Float]
    outputs: int
    train: Fold
    values: Values
    valid: Fold
    ahead: Values
    categorical: Bools

    @classmethod
    def prepare(
        cls,
        work: Work,
        trees: TreeModel,
        label: Callable[[Fold], Float],
        train: Fold,
        valid: Fold,
    ) -> _Trial:
        rng = np.random.default_rng([work.settings.seed, 5])
        sample, later = _some(train, rng), _some(valid, rng)
        threads = work.settings.threads
        categorical = [feature.kind == "category" for feature in trees.features.features]
        return cls(
            work,
            label,
            trees.outputs,
            sample,
            trees.matrix(work.relations, sample.asked, threads),
            later,
            trees.matrix(work.relations, later.asked, threads),
            np.array(categorical, dtype=np.bool_),
        )

    def varied(self) -> Bools:
        """Return which features have more than one value."""
        least, spread = np.empty(self.values.shape[1]), np.empty(self.values.shape[1])
        missing = np.empty(self.values.shape[1], dtype=np.bool_)
        for place in range(self.values.shape[1]):  # by column: a copy of all would be large
            column = self.values[:, place]
            gone = np.isnan(column)
            missing[place] = gone.any()
            there = column[~gone]
            least[place], spread[place] = there.min(initial=np.inf), there.max(initial=-np.inf)
        return (spread > least) | (missing & (spread >= least))

    def clocks(self) -> Bools:
        """Return which features move on with time."""
        anchor = self.train.asked.anchor
        if anchor is None:
            return np.zeros(self.values.shape[1], dtype=np.bool_)
        return clocks(self.values, anchor, self.ahead)

    def changes(self, kept: Bools, group: Bools) -> list[float]:
        """Return by which share of the loss a group helps (negative: hurts) on later rows.

        One number for each split into older and newer rows.

        It stands beside the first few hundred others, which are of the strongest families.
        """
        helped: list[float] = []
        without = kept & ~group
        without &= np.cumsum(without) <= _BESIDE
        for older, newer in self._splits():
            losses = [self._loss(older, newer, part) for part in (without, without | group)]
            helped.append((losses[0] - losses[1]) / max(abs(losses[0]), 1e-12))
        return helped

    def gainful(self, kept: Bools, most: int) -> Bools:
        """Return the features that carry nearly all gain, at most ``most``."""
        iterations = max(20, _ITERATIONS // max(1, self.outputs // 2))
        places = np.flatnonzero(kept)
        grown = self._grow(self.values, self.train, None, None, places, iterations)
        order = np.argsort(-grown.gain, kind="stable")
        total = np.cumsum(grown.gain[order])
        if total[-1] <= 0:
            chosen = places[:most]
        else:
            enough = int(np.searchsorted(total, _KEPT_GAIN * total[-1])) + 1
            useful = order[: min(enough, most)]
            chosen = places[useful[grown.gain[useful] > 0]]
        found = np.zeros(len(kept), dtype=np.bool_)
        found[chosen] = True
        return found

    def _splits(self) -> list[tuple[tuple[Values, Fold], tuple[Values, Fold]]]:
        """Return (older rows, newer rows): within training rows, and these against validation."""
        found = [((self.values, self.train), (self.ahead, self.valid))]
        anchor = self.train.asked.anchor
        if anchor is not None:
            edge = np.quantile(anchor, 1 - _NEWEST, method="nearest")
            older, newer = np.flatnonzero(anchor < edge), np.flatnonzero(anchor > edge)
            if min(len(older), len(newer)) >= _FEWEST:
                parts = [(self.values[rows], _taken(self.train, rows)) for rows in (older, newer)]
                found.append((parts[0], parts[1]))
        return found

    def _loss(self, older: tuple[Values, Fold], newer: tuple[Values, Fold], kept: Bools) -> float:
        places = np.flatnonzero(kept)
        if not len(places):
            return np.inf
        iterations = max(20, _TRIED_ITERATIONS // max(1, self.outputs // 2))
        values, fold = older
        grown = self._grow(values, fold, *newer, places, iterations)
        return grown.loss

    def _grow(
        self,
        values: Values,
        fold: Fold,
        ahead: Values | None,
        later: Fold | None,
        places: npt.NDArray[np.int64],
        iterations: int,
    ) -> boosting.Grown:
        settings = self.work.settings
        config = Search(
            self.work.target.task_type,
            settings.metric,
            len(fold),
            self.outputs,
            _RATE,
            settings.seed,
            losses=settings.losses,
        ).propose(0, None)
        categorical = np.flatnonzero(self.categorical[places]).tolist()

        def data(matrix: Values, rows: Fold, reference: boosting.Data | None) -> boosting.Data:
            return boosting.make_data(
                np.asfortranarray(matrix[:, places]),
                self.label(rows),
                rows.weight,
                categorical,
                settings.threads,
                reference,
            )

        train = data(values, fold, None)
        valid = None if ahead is None or later is None else data(ahead, later, train)
        return boosting.grow(
            config,
            train,
            valid,
            iterations=iterations,
            patience=iterations,
            seed=settings.seed,
            threads=settings.threads,
            deadline=settings.deadline,
        )


def _helpful(changes: list[float]) -> bool:
    """Tell whether a group helps: on validation, which is the newest, and on the whole."""
    return changes[0] > 0 and float(np.mean(changes)) > _MATTERS


def _is_lag(feature: Feature) -> bool:
    """Tell the staleness of an example: in the frozen regime nothing replaces it."""
    return feature.recipe.family == "calendar" and feature.recipe.measure == "staleness"


def _some(fold: Fold, rng: np.random.Generator) -> Fold:
    return _taken(fold, np.sort(rng.permutation(len(fold))[:_ROWS]))


def _taken(fold: Fold, rows: npt.NDArray[np.int64]) -> Fold:
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])
