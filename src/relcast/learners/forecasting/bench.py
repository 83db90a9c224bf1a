"""The means of one training of a forecast: what is read, how trees are fed, what decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import boosting
from relcast.learners.forecasting.frames import Frame
from relcast.learners.forecasting.model import ForecastModel, Member
from relcast.learners.forecasting.past import Rule
from relcast.learners.forecasting.preparing import is_squared
from relcast.learners.forecasting.reader import Batch
from relcast.learners.learner import Report, Settings
from relcast.learners.metrics import metrics_of
from relcast.learners.protocol import Fold, Target
from relcast.learners.search import Search

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["NOTHING", "Bench", "Way"]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

NOTHING = Rule("nothing")


@dataclass(frozen=True, slots=True)
class Way:
    """A way to make a member: what trees are asked for, and whether each step has its own."""

    frame: Frame
    alone: bool = False


@dataclass(frozen=True)
class Bench:
    """The means of one training.

    Attributes:
        relations: The snapshot's arrays.
        model: A model without members: what is read and what is predicted.
        rules: The simple forecasts that answers may be away from.
        bases: Of them, the one that is best on training rows, and the one that is best on the rows
            that decide where that is another.
        scale: The size of the target.
        settings: Budget, metric, seed, threads, deadline.
        report: Where trials report to.
        validation: How many of the rows that decide are of the validation split; they come first.
    """

    relations: Relations
    model: ForecastModel
    rules: tuple[Rule, ...]
    bases: tuple[Rule, ...]
    scale: float
    settings: Settings
    report: Report
    validation: int

    @property
    def target(self) -> Target:
        return self.model.target

    def frame(self, base: Rule, *, relative: bool) -> Frame:
        return Frame(base, relative, 1.0 if relative else self.scale)

    def read(self, fold: Fold) -> Batch:
        """Read a fold, with what every rule says."""
        rules = (*self.rules, NOTHING)
        return self.model.reader.read(self.relations, fold.asked, rules, self.settings.threads)

    def proposals(self, rows: int, rate: float) -> Search:
        """Return the settings of trees to try, for so many rows."""
        return Search(TaskType.REGRESSION, self.settings.metric, rows, 1, rate, self.settings.seed)

    def parts(
        self, way: Way, ground: Batch, train: Fold, check: Batch, valid: Fold
    ) -> Iterator[tuple[int | None, tuple[boosting.Data, boosting.Data]]]:
        """Yield training and validation data: of all steps, or of one step after another."""
        frame = way.frame
        for step in range(self.target.horizon) if way.alone else (None,):
            matrix = ground.matrix(relative=frame.relative, step=step)
            held = check.matrix(relative=frame.relative, step=step)
            data = self.data(frame, matrix, ground, train, step)
            yield step, (data, self.data(frame, held, check, valid, step, data))

    def data(
        self,
        frame: Frame,
        matrix: Values,
        batch: Batch,
        fold: Fold,
        step: int | None,
        reference: boosting.Data | None = None,
    ) -> boosting.Data:
        """Return a fold as trees are to learn it: of one step, or of all."""
        base = batch.bases.get(frame.base)
        if base is None:
            base = np.zeros(fold.label.shape)
        label = frame.encode(fold.label, base, batch.level)
        weight = np.ones(len(fold)) if fold.weight is None else fold.weight
        if frame.relative:
            unit = batch.level / self.model.reader.least
            weight = weight * (unit**2 if is_squared(self.settings.metric) else unit)
            weight = weight / weight.mean()
        plain = fold.weight is None and not frame.relative
        weights = np.repeat(weight[:, None], label.shape[1], axis=1)
        rows = slice(None) if step is None else (slice(None), step)
        return boosting.make_data(
            np.ascontiguousarray(matrix),
            label[rows].ravel(),
            None if plain else weights[rows].ravel(),
            self.model.reader.categorical,
            self.settings.threads,
            reference,
        )

    def said(self, member: Member, batch: Batch) -> Float:
        """Return what a member says of what was read, float64[n, h]."""
        alone = replace(self.model, members=(replace(member, weight=1.0),))
        return alone.floored(alone.answers(batch, self.settings.threads))

    def measure(self, said: Float, valid: Fold) -> float:
        """Return the tune metric over all steps of all examples."""
        name = self.settings.metric
        metrics = metrics_of(TaskType.REGRESSION, valid.label.ravel(), said.ravel())
        return metrics.compute((name,))[name]
