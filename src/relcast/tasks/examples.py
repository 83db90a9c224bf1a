"""Examples: which entity, as of when, with which target; and a query's labels before the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Encoded", "Examples", "Lists"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[Any] | slice
"""Places, a mask, or a slice with both ends and no step."""


@dataclass(frozen=True)
class Lists:
    """n lists of whole numbers, end to end.

    Attributes:
        offsets: int64[n + 1], ascending from 0; list i is ``values[offsets[i]:offsets[i + 1]]``.
        values: int64[m]; within a list distinct, in order of first appearance.
    """

    offsets: Integers
    values: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """int64[n], the number of values of each list."""
        return np.diff(self.offsets)

    def take(self, rows: Rows) -> Lists:
        """Return the lists at these places, or where this mask holds; of a slice views."""
        if isinstance(rows, slice):
            offsets = self.offsets[rows.start : rows.stop + 1]
            return Lists(offsets - offsets[0], self.values[offsets[0] : offsets[-1]])
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        lengths = self.lengths[places]
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Lists(offsets, self.values[np.repeat(self.offsets[places], lengths) + inside])


@dataclass(frozen=True)
class Encoded:
    """Targets as examples hold them; the attributes are those of ``Examples``.

    Attributes:
        target: float64[n], for forecasting float64[n, h]; None where the target is a list.
        classes: What indices mean; None where the target or the lists are no indices of classes.
        lists: n lists; None where the target is no list.
    """

    target: Floats | None = None
    classes: tuple[Any, ...] | None = None
    lists: Lists | None = None


@dataclass(frozen=True)
class Examples:
    """The rows of a training table, as arrays of length n.

    Attributes:
        entity: int64[n], dense rows of the entity table.
        anchor: int64[n] ns UTC; None for a static query.
        target: float64[n]: 0 or 1, a number, or the index of a class; for forecasting
            float64[n, h], window by window; None when unknown, and where the target is a list.
        weight: float64[n]; None weighs all alike.
        split: int8[n], 0 train, 1 val, 2 test; None when not split.
        classes: The classes in ascending order, for multiclass and multilabel targets and for
            binary ones that are a column with two values; None otherwise.
        lists: Targets that are lists: indices into ``classes`` (multilabel), or dense rows of the
            table that ``query.items`` leads to (links); None otherwise.
    """

    entity: Integers
    anchor: Integers | None = None
    target: Floats | None = None
    weight: Floats | None = None
    split: npt.NDArray[np.int8] | None = None
    classes: tuple[Any, ...] | None = None
    lists: Lists | None = None

    def __len__(self) -> int:
        return len(self.entity)

    def take(self, rows: Rows) -> Examples:
        """Return the rows at these places, or where this mask holds; of a slice views."""
        return Examples(
            entity=self.entity[rows],
            anchor=None if self.anchor is None else self.anchor[rows],
            target=None if self.target is None else self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            split=None if self.split is None else self.split[rows],
            classes=self.classes,
            lists=None if self.lists is None else self.lists.take(rows),
        )
