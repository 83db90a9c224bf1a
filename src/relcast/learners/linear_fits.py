"""The ways to fit a linear model, and the rows that all of them are fitted on.

Numbers are fitted to means and to medians, over all rows and within anchors; classes have one loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.design import Design
from relcast.learners.learner import Settings
from relcast.learners.levels import common_levels, has_levels
from relcast.learners.linear_model import LinearModel
from relcast.learners.protocol import Fold, Target
from relcast.learners.shrinkage import (
    Squares,
    Weights,
    fit_absolute,
    fit_logistic,
    fit_softmax,
    fit_squares,
)

__all__ = ["Bench", "Way", "ways_of"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]
Stop = Callable[[], bool]

_PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Per training row, strongest first."""

_OF_SQUARES = frozenset({"mse", "rmse", "r2"})
_LOSSES = {"mae": "mae", "wape": "mae", "quantile": "mae", "mse": "mse", "normal": "mse"}
"""What a plan's losses of a number mean here."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to fit.

    Attributes:
        loss: Of numbers: ``mse`` or ``mae``; else None.
        within: Whether rows are compared within their anchor only (see ``levels``).
        penalty: Per training row.
    """

    loss: str | None
    within: bool
    penalty: float

    def to_json(self) -> dict[str, Any]:
        told = {"penalty_per_row": self.penalty}
        if self.loss is None:
            return told
        return {"loss": self.loss, "within_anchors": self.within, **told}


def ways_of(target: Target, settings: Settings, anchor: Index | None) -> tuple[Way, ...]:
    """Return what is tried, in order: a loss after another, each from strong to weak penalties.

    A number that is judged by the size of its errors is fitted to its median as well: of a skewed
    target the mean is not what such a metric asks for.
    """
    if target.task_type is not TaskType.REGRESSION:
        return tuple(Way(None, False, penalty) for penalty in _PENALTIES)
    named = [_LOSSES[word] for word in settings.losses or () if word in _LOSSES]
    both = ("mse",) if settings.metric in _OF_SQUARES else ("mse", "mae")
    losses = tuple(dict.fromkeys(named)) or both
    sides = (False, True) if has_levels(anchor) else (False,)
    return tuple(
        Way(loss, within, penalty) for within in sides for loss in losses for penalty in _PENALTIES
    )


@dataclass(frozen=True)
class Bench:
    """Rows that linear models are fitted on: their design and its columns, made once.

    Attributes:
        empty: A model without slopes.
        rows: n labelled rows.
        anchor: int64[n] their anchors; None in a static task.
        moving: bool[features] which are clocks, that no comparison within anchors reads: they
            hardly move there, and move on until predictions are made.
        weight: float64[n].
        design: The d columns.
        columns: float64[n, d].
    """

    empty: LinearModel
    rows: Fold
    anchor: Index | None
    moving: Bools
    weight: Float
    design: Design
    columns: Float

    @classmethod
    def of(
        cls, empty: LinearModel, matrix: Values, rows: Fold, anchor: Index | None, moving: Bools
    ) -> Bench:
        """Make the design of rows and their features float32[n, f]."""
        chosen = empty.features.features
        categorical = [k for k, feature in enumerate(chosen) if feature.kind == "category"]
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        design = Design.of(matrix, categorical, rows.weight)
        return cls(empty, rows, anchor, moving, weight, design, design.apply(matrix))

    def fits(self, ways: Sequence[Way], check: Values, stop: Stop) -> Iterator[_Fit]:
        """Yield for each way its model and that model's raw scores of other rows.

        ``check`` are the features of those rows, float32[m, f]. Fits of numbers take no time to
        speak of; of those of classes there is one at least, and no more after ``stop``.
        """
        columns = self.design.apply(check)
        for within in dict.fromkeys(way.within for way in ways):
            side = self._inside if within else _Side(self.columns, self.weight)
            design = self.design.take(self._still) if within else self.design
            there = columns[:, self._still] if within else columns
            for loss in dict.fromkeys(way.loss for way in ways if way.within == within):
                wanted = [w.penalty for w in ways if (w.within, w.loss) == (within, loss)]
                for slopes, intercepts in self._path(side, loss, within, wanted, stop):
                    model = replace(self.empty, design=design, slopes=slopes, intercepts=intercepts)
                    yield model, model.score(there)

    @cached_property
    def _still(self) -> Index:
        """The columns of features that are no clocks."""
        return np.flatnonzero(~self.moving[self.design.source])

    @cached_property
    def _inside(self) -> _Side:
        """The still columns less their means at each anchor."""
        columns = self.columns[:, self._still]
        if self.anchor is None:
            raise AssertionError("rows without anchors have no levels")
        _, which = np.unique(self.anchor, return_inverse=True)
        order = np.argsort(which, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
            weight, here = self.weight[rows], columns[rows]
            columns[rows] = here - (weight @ here) / weight.sum()
        return _Side(columns, self.weight)

    def _path(
        self, side: _Side, loss: str | None, within: bool, penalties: list[float], stop: Stop
    ) -> Iterator[Weights]:
        empty, label, weight = self.empty, self.rows.label, self.weight
        strengths = [float(weight.sum()) * penalty for penalty in penalties]
        if empty.classes is not None:
            code, outputs = empty.classes.encode(label), empty.classes.outputs
            return fit_softmax(side.columns, code, weight, outputs, strengths, stop)
        if loss is None:
            return fit_logistic(side.columns, label, weight, strengths, stop)
        size = max(float(np.abs(label).max(initial=0.0)), 1e-300)
        goal = label / size
        if within and self.anchor is not None:
            goal -= common_levels(goal, self.anchor, weight, "mean" if loss == "mse" else "median")
        fit = fit_squares if loss == "mse" else fit_absolute
        path = fit(side.columns, goal, weight, strengths, side.squares)
        return ((slopes * size, intercepts * size) for slopes, intercepts in path)


_Fit = tuple[LinearModel, Float]


@dataclass(frozen=True)
class _Side:
    """Columns float64[n, d] of weighted rows, and their squares when they are asked for."""

    columns: Float
    weight: Float

    @cached_property
    def squares(self) -> Squares:
        return Squares.of(self.columns, self.weight)
