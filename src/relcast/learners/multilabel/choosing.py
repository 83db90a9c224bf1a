"""What models of classes are chosen by: the tune metric on validation rows, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.metrics import is_greater_better, metrics_of
from relcast.learners.protocol import Fold
from relcast.tasks import Lists

if TYPE_CHECKING:
    from relcast.learners.protocol import Target

__all__ = ["Yardstick", "most_rows"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_CELLS = 10_000_000
_MOST_CLASSES = 300


def most_rows(classes: int) -> int:
    """Return how many validation examples are scored against all classes at once."""
    return max(500, _CELLS // max(1, classes))


@dataclass(frozen=True)
class Yardstick:
    """Measures scores float64[n, classes] of validation examples.

    Attributes:
        target: The task.
        metric: The tune metric.
        fold: The examples.
        columns: int64[c] the classes that count: of a multilabel task, those that some example has,
            a seeded sample of them where they are many.
    """

    target: Target
    metric: str
    fold: Fold
    columns: Index

    @classmethod
    def of(cls, target: Target, metric: str, fold: Fold, seed: int) -> Yardstick:
        """Choose the classes that count."""
        if fold.lists is None:
            return cls(target, metric, fold, np.arange(target.width))
        there = np.unique(fold.lists.values)
        if not len(there):  # nothing came true: nothing can be told, but not by failing
            there = np.arange(target.width)
        if len(there) > _MOST_CLASSES:
            drawn = np.random.default_rng([seed, 47]).permutation(len(there))[:_MOST_CLASSES]
            there = there[np.sort(drawn)]
        return cls(target, metric, fold, there)

    def measure(self, raw: Float) -> float:
        """Return the metric; probabilities are the logistic function of the scores."""
        said = 1.0 / (1.0 + np.exp(-np.clip(raw, -50, 50)))
        if self.target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            return self._of(self.fold.label, said)
        return self._of(self._lists(), said[:, self.columns])

    def loss(self, raw: Float) -> float:
        """Return the metric, or less it: less is better."""
        value = self.measure(raw)
        return -value if is_greater_better(self.metric) else value

    def _of(self, truth: Float | Lists, said: Float) -> float:
        return metrics_of(self.target.task_type, truth, said).compute((self.metric,))[self.metric]

    def _lists(self) -> Lists:
        lists = self.fold.lists
        if lists is None:
            raise AssertionError("a multilabel task has lists")
        place = np.full(self.target.width, -1, dtype=np.int64)
        place[self.columns] = np.arange(len(self.columns))
        found = place[lists.values]
        kept = found >= 0
        running = np.append(0, np.cumsum(kept)).astype(np.int64)
        return Lists(running[lists.offsets], found[kept])
