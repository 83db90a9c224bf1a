"""What learners are given, and what they give back.

A learner is fitted, predicts, explains itself, and is packed into numbers and JSON for a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["Asked", "Contributions", "Packed", "Predictor", "Reason", "Target"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Asked:
    """Examples to score.

    Attributes:
        entity: int64[n] dense rows of the entity table.
        anchor: int64[n] ns UTC; None for a static task.
        known: int64[n] time up to which each example may see, at most its anchor; None for a
            static task. Equal to ``anchor`` unless the regime is frozen.
    """

    entity: Index
    anchor: Index | None
    known: Index | None

    @classmethod
    def rolling(cls, entity: Index, anchor: Index | None) -> Asked:
        """Build examples that see everything up to their own anchor."""
        return cls(entity, anchor, anchor)

    def take(self, rows: Index | slice) -> Asked:
        """Return the chosen examples."""
        return Asked(
            self.entity[rows],
            None if self.anchor is None else self.anchor[rows],
            None if self.known is None else self.known[rows],
        )

    def __len__(self) -> int:
        return len(self.entity)


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted.

    Attributes:
        task_type: Binary, multiclass or regression.
        classes: Of a multiclass task, in the order of their indices.
    """

    task_type: TaskType
    classes: tuple[Any, ...] | None = None

    @property
    def width(self) -> int:
        """Number of classes of a multiclass task; else 1."""
        return len(self.classes) if self.classes is not None else 1


class Reason(TypedDict):
    """One reason of a prediction.

    ``contribution`` is in the space of the model's raw score: log odds (binary), the score of the
    predicted class (multiclass), the target's unit (regression).
    """

    feature: str
    table: str
    column: str | None
    window: str | None
    value: float | str | None
    contribution: float


@dataclass(frozen=True, slots=True)
class Contributions:
    """How each feature moved each row's raw score.

    Attributes:
        raw: float64[n] raw score (of the predicted class, for multiclass).
        base: float64[n] raw score before any feature is known.
        reasons: Strongest first, by the size of the contribution.
        rest: float64[n] sum of the contributions that ``reasons`` leaves out, so that
            ``base + rest`` and the contributions add up to ``raw``.
    """

    raw: Float
    base: Float
    reasons: tuple[tuple[Reason, ...], ...]
    rest: Float


@dataclass(frozen=True, slots=True)
class Packed:
    """A learner as plain data: JSON, arrays, and texts by file name."""

    config: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    texts: Mapping[str, str]


class Predictor(Protocol):
    """A fitted learner."""

    @property
    def name(self) -> str:
        """The name that the leaderboard shows."""

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        """Return probabilities or values: float64[n], or float64[n, classes]."""

    def explain(
        self, relations: Relations, asked: Asked, *, top: int, threads: int
    ) -> Contributions:
        """Return the ``top`` strongest reasons of each row."""

    def pack(self) -> Packed:
        """Return what a bundle needs to build it again."""
