"""What learners are given, and what they give back.

A learner is fitted, predicts, explains itself, and is packed into numbers and JSON for a bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeGuard, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType

if TYPE_CHECKING:
    from relcast.relations import Relations
    from relcast.tasks import Lists

__all__ = [
    "Asked",
    "Contributions",
    "Fold",
    "Packed",
    "Parted",
    "Predictor",
    "Quantiles",
    "Ranked",
    "Ranker",
    "Reason",
    "Said",
    "Target",
    "ask",
    "is_ranker",
    "taken",
]

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
        task_type: The task.
        classes: Of a multiclass or multilabel task, in the order of their indices.
        horizon: Windows ahead that a forecast has; 1 for other tasks.
        items: Of a link prediction, the table whose rows are predicted; else None.
        top: Of a ranking or link prediction, how many the query asks for; else None.
    """

    task_type: TaskType
    classes: tuple[Any, ...] | None = None
    horizon: int = 1
    items: str | None = None
    top: int | None = None

    @property
    def width(self) -> int:
        """Values per example: classes (multiclass, multilabel), windows (forecasting), else 1."""
        return len(self.classes) if self.classes is not None else self.horizon


@dataclass(frozen=True, slots=True)
class Fold:
    """The examples of one split.

    Attributes:
        asked: What is asked, n examples.
        label: float64[n]: 0 or 1, a number, or the index of a class; float64[n, horizon] for
            forecasting; float64[n, 0] where the target is a list.
        weight: float64[n]; None weighs all alike.
        lists: n lists: indices of classes (multilabel) or dense rows of the item table (links);
            None where the target is no list.
    """

    asked: Asked
    label: Float
    weight: Float | None
    lists: Lists | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Index, weight: Float | None) -> Fold:
        """Return the chosen examples with new weights."""
        lists = None if self.lists is None else self.lists.take(rows)
        return Fold(self.asked.take(rows), self.label[rows], weight, lists)

    @classmethod
    def joined(cls, parts: Sequence[Fold]) -> Fold:
        """Return the examples of several folds of one task, one after another."""
        from relcast.tasks import Lists

        asked = [part.asked for part in parts]
        weight = None
        if any(part.weight is not None for part in parts):
            weight = np.concatenate(
                [np.ones(len(p)) if p.weight is None else p.weight for p in parts]
            )
        lists = [part.lists for part in parts if part.lists is not None]
        whole = None
        if lists:
            ends = np.cumsum(np.concatenate([each.lengths for each in lists]), dtype=np.int64)
            values = np.concatenate([each.values for each in lists])
            whole = Lists(np.append(np.int64(0), ends), values)
        return cls(
            Asked(
                np.concatenate([each.entity for each in asked]),
                _all_or_none([each.anchor for each in asked]),
                _all_or_none([each.known for each in asked]),
            ),
            np.concatenate([part.label for part in parts]),
            weight,
            whole,
        )


def _all_or_none(parts: Sequence[Index | None]) -> Index | None:
    given = [part for part in parts if part is not None]
    return np.concatenate(given) if len(given) == len(parts) else None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best items of n entities, best first.

    Attributes:
        items: int64[n, k] dense rows of the item table, or indices of classes; -1 fills a row up
            that has fewer.
        scores: float64[n, k], descending in each row; NaN where the item is -1.
    """

    items: Index
    scores: Float

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: Index | slice) -> Ranked:
        """Return the chosen rows."""
        return Ranked(self.items[rows], self.scores[rows])


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
        raw: float64[n] raw score of the output that is explained.
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
        """Return probabilities or values: float64[n], or float64[n, width] (see ``Target``)."""

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the ``top`` strongest reasons of each row.

        ``output`` int64[n] chooses the column of ``predict`` that is explained (a class, a label, a
        step of a forecast); None: the best class, the first step. Nothing where there is one.
        """

    def pack(self) -> Packed:
        """Return what a bundle needs to build it again."""


@runtime_checkable
class Quantiles(Protocol):
    """A predictor of numbers that can also say how sure it is."""

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        """Return float64[n, levels], or float64[n, horizon, levels], ascending in levels."""


@runtime_checkable
class Parted(Protocol):
    """A predictor of many numbers an example that can say them some examples at a time."""

    def predict_parts(
        self, relations: Relations, asked: Asked, *, threads: int
    ) -> Iterator[tuple[slice, Float]]:
        """Yield what ``predict`` returns, in order, each part with its places."""


class Ranker(Protocol):
    """A fitted learner of a ranking: it orders items instead of giving values."""

    @property
    def name(self) -> str:
        """The name that the leaderboard shows."""

    def rank(
        self,
        relations: Relations,
        asked: Asked,
        *,
        k: int,
        among: Index | None = None,
        threads: int,
    ) -> Ranked:
        """Return the ``k`` best of all items, or of ``among`` (int64, dense rows)."""

    def explain_items(
        self, relations: Relations, asked: Asked, items: Index, *, top: int, threads: int
    ) -> Contributions:
        """Return the ``top`` strongest reasons of each (example, item) pair, items int64[n]."""

    def pack(self) -> Packed:
        """Return what a bundle needs to build it again."""


Said = Float | Ranked
"""What a fitted learner says of n examples."""


def is_ranker(model: Predictor | Ranker) -> TypeGuard[Ranker]:
    """Tell a learner of a ranking from one that gives values."""
    return hasattr(model, "rank")


def ask(
    model: Predictor | Ranker, relations: Relations, asked: Asked, *, k: int, threads: int
) -> Said:
    """Return what a learner says of examples; ``k`` is how long the lists of a ranking are."""
    if is_ranker(model):
        return model.rank(relations, asked, k=k, threads=threads)
    return cast("Predictor", model).predict(relations, asked, threads=threads)


def taken(said: Said, rows: Index) -> Said:
    """Return what was said of the chosen examples."""
    return said.take(rows) if isinstance(said, Ranked) else said[rows]
