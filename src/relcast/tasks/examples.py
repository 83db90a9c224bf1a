"""Examples: which entity, as of when, with which target; and a query's labels before the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Examples"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """The rows of a training table, as arrays of length n.

    Attributes:
        entity: int64[n], dense rows of the entity table.
        anchor: int64[n] ns UTC; None for a static query.
        target: float64[n]: 0 or 1, a number, or the index of a class; None when unknown.
        weight: float64[n]; None weighs all alike.
        split: int8[n], 0 train, 1 val, 2 test; None when not split.
        classes: The classes in ascending order, for multiclass targets and for binary ones that are
            a column with two values; None otherwise.
    """

    entity: Integers
    anchor: Integers | None = None
    target: Floats | None = None
    weight: Floats | None = None
    split: npt.NDArray[np.int8] | None = None
    classes: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return len(self.entity)

    def take(self, rows: npt.NDArray[Any]) -> Examples:
        """Return the rows at these places, or where this mask holds."""
        return Examples(
            entity=self.entity[rows],
            anchor=None if self.anchor is None else self.anchor[rows],
            target=None if self.target is None else self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            split=None if self.split is None else self.split[rows],
            classes=self.classes,
        )
