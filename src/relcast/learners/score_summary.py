"""Figures of a batch of scores, gathered some examples at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType

if TYPE_CHECKING:
    from relcast.learners.scores import Scores

__all__ = ["ScoreSummary"]

_PLACES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class ScoreSummary:
    """How many rows there are, and how their scores are spread.

    Of classes it counts who gets which (of labels at one half), of rankings the items that are
    named; of numbers it keeps the values, for their mean and quantiles.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._classes: tuple[Any, ...] = ()
        self._count: npt.NDArray[Any] | None = None
        self._named: npt.NDArray[np.int64] | None = None
        self._k = 0
        self._values: list[npt.NDArray[np.float64]] = []

    def add(self, scores: Scores) -> None:
        """Take in some examples."""
        self._rows += len(scores)
        self._classes = scores.classes or ()
        if scores.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            best = scores.values.argmax(axis=1) if len(scores) else np.zeros(0, dtype=np.int64)
            self._counted(np.bincount(best, minlength=len(self._classes)))
        elif scores.task_type is TaskType.MULTILABEL_CLASSIFICATION:
            self._counted((scores.values >= 0.5).sum(axis=0))
        elif scores.items is not None:
            named = np.unique(scores.items[scores.items >= 0])
            self._named = named if self._named is None else np.union1d(self._named, named)
            self._k = int(scores.items.shape[1])
        else:
            self._values.append(scores.values)

    def _counted(self, count: npt.NDArray[Any]) -> None:
        self._count = count if self._count is None else self._count + count

    def to_json(self) -> dict[str, Any]:
        """Return the figures, JSON-ready."""
        if not self._rows:
            return {"rows": 0}
        found: dict[str, Any] = {"rows": self._rows}
        if self._count is not None:
            names = map(str, self._classes)
            found["predicted"] = dict(zip(names, self._count.tolist(), strict=True))
        elif self._named is not None:
            found |= {"items": len(self._named), "k": self._k}
        else:
            values = np.concatenate(self._values)
            at = np.quantile(values, _PLACES)
            found["mean"] = float(values.mean())
            found["quantiles"] = {str(p): float(v) for p, v in zip(_PLACES, at, strict=True)}
            if values.ndim == 2:
                found["steps"] = [float(v) for v in values.mean(axis=0)]
        return found
