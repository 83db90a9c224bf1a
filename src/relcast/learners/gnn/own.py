"""The seeds' own features as the network reads them: ranks made normal, with a flag for missing.

Needs no torch. Fitted on training rows: each number becomes the normal quantile of its rank among
them, which no unit and no outlier can spoil.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["OwnFeatures"]

Values = npt.NDArray[np.float32]
_KNOTS = 65


@dataclass(frozen=True)
class OwnFeatures:
    """How the columns of a feature matrix are read.

    Attributes:
        knots: float32[numbers, 65] quantiles of each number among training rows.
        numbers: Which columns are numbers.
        categories: Which columns are categories, and how many each has.
    """

    knots: npt.NDArray[np.float32]
    numbers: tuple[int, ...]
    categories: tuple[tuple[int, int], ...]

    @classmethod
    def fit(cls, values: Values, sizes: list[int | None]) -> OwnFeatures:
        """Fit on training rows float32[n, f]; ``sizes`` says how many values a category has."""
        numbers = tuple(k for k, size in enumerate(sizes) if size is None)
        knots = np.zeros((len(numbers), _KNOTS), dtype=np.float32)
        for place, column in enumerate(numbers):
            there = values[:, column]
            there = there[np.isfinite(there)].astype(np.float64)
            if len(there):
                knots[place] = np.quantile(there, np.linspace(0, 1, _KNOTS))
        categories = tuple((k, size) for k, size in enumerate(sizes) if size is not None)
        return cls(knots, numbers, categories)

    @property
    def channels(self) -> int:
        """Numbers per row: two a number, and one that says that there is a row."""
        return 1 + 2 * len(self.numbers)

    @property
    def places(self) -> int:
        """Embeddings; the first of each category is that of a missing or new value."""
        return sum(size + 1 for _, size in self.categories)

    def apply(self, values: Values) -> tuple[Values, npt.NDArray[np.int32]]:
        """Return float32[n, channels] and int32[n, categories]."""
        from scipy.special import ndtri

        n = len(values)
        found = np.zeros((n, self.channels), dtype=np.float32)
        found[:, 0] = 1.0
        level = ndtri(np.linspace(0.01, 0.99, _KNOTS))
        for place, column in enumerate(self.numbers):
            x = values[:, column]
            missing = ~np.isfinite(x)
            knots = self.knots[place]
            if knots[0] < knots[-1]:
                # Equal knots: from the left and from the right, and the mean of the two.
                inside = np.where(missing, knots[0], x)
                low = np.interp(inside, knots, level)
                high = -np.interp(-inside, -knots[::-1], level)
                found[:, 1 + 2 * place] = np.where(missing, 0.0, (low + high) / 2)
            found[:, 2 + 2 * place] = missing
        places = np.zeros((n, len(self.categories)), dtype=np.int32)
        base = 0
        for k, (column, size) in enumerate(self.categories):
            x = values[:, column]
            good = np.isfinite(x) & (x >= 0) & (x < size)
            places[:, k] = base + np.where(good, np.where(good, x, 0) + 1, 0).astype(np.int32)
            base += size + 1
        return found, places

    def to_json(self) -> dict[str, Any]:
        return {"numbers": list(self.numbers), "categories": [list(c) for c in self.categories]}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any], knots: npt.NDArray[Any]) -> OwnFeatures:
        numbers = tuple(int(k) for k in obj["numbers"])
        if knots.dtype != np.float32 or knots.shape != (len(numbers), _KNOTS):
            raise ValueError("the quantiles do not fit the features")
        return cls(knots, numbers, tuple((int(k), int(n)) for k, n in obj["categories"]))
