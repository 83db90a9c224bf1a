"""One ridge regression for all classes at once, over an entity's features.

A single system of equations is solved for all classes (they share the features), so that thousands
of them cost little more than one. Numbers go in as their place among the training values, so that
outliers do no harm; categories as one column for each frequent one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.multilabel import kernels

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet

__all__ = ["Design", "solve"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_PLACES = 17
_FREQUENT = 20
_SHARE_OF_RIDGE = 0.02


@dataclass(frozen=True)
class Design:
    """How features become columns of the regression.

    Attributes:
        numbers: int64[a] features that are numbers.
        edges: float64[a, 17] their quantiles among training rows.
        categories: int64[b] feature of each column that stands for a category.
        codes: int64[b] the category.
        means: float64[1 + 2a + b] what is taken off each column.
    """

    numbers: Index
    edges: Float
    categories: Index
    codes: Index
    means: Float

    @classmethod
    def of(cls, features: FeatureSet, values: Values, most: int) -> Design:
        """Choose the columns from training rows float32[n, f]; the first features that vary."""
        numbers, edges, categories, codes = [], [], [], []
        columns = 0
        for place, feature in enumerate(features.features):
            if columns >= most:
                break
            there = values[:, place]
            there = there[~np.isnan(there)].astype(np.float64)
            if not len(there):
                continue
            if feature.kind == "category":
                found, count = np.unique(there.astype(np.int64), return_counts=True)
                frequent = found[np.lexsort((found, -count))][:_FREQUENT]
                if len(found) > 1:
                    categories += [place] * len(frequent)
                    codes += frequent.tolist()
                    columns += len(frequent)
            elif there.min() < there.max():
                numbers.append(place)
                edges.append(np.quantile(there, np.linspace(0, 1, _PLACES)))
                columns += 2
        bare = cls(
            np.array(numbers, dtype=np.int64),
            np.array(edges, dtype=np.float64).reshape(len(numbers), _PLACES),
            np.array(categories, dtype=np.int64),
            np.array(codes, dtype=np.int64),
            np.zeros(2 * len(numbers) + len(codes)),
        )
        means = bare.places(values).mean(axis=0)
        return cls(bare.numbers, bare.edges, bare.categories, bare.codes, means)

    def matrix(self, values: Values) -> Float:
        """Return the centred columns of features float32[n, f], float64[n, d]."""
        return self.places(values) - self.means

    def apply(self, values: Values, ridge: Float) -> Float:
        """Return what a regression float64[d, classes] says of features, float64[n, classes].

        The same bits in any batch.
        """
        out = np.tile(-(self.means @ ridge), (len(values), 1))
        kernels.add_product(self.places(values), ridge, out)
        return out

    def places(self, values: Values) -> Float:
        """Return float64[n, d]: places in [-1, 1] (0 for a missing one), gaps, categories."""
        n, a = len(values), len(self.numbers)
        out = np.zeros((n, 2 * a + len(self.codes)))
        grid = np.linspace(-1, 1, _PLACES)
        for k, place in enumerate(self.numbers.tolist()):
            column = values[:, place].astype(np.float64)
            missing = np.isnan(column)
            out[:, k] = np.where(missing, 0.0, np.interp(column, self.edges[k], grid))
            out[:, a + k] = missing
        for k, (place, code) in enumerate(
            zip(self.categories.tolist(), self.codes.tolist(), strict=True)
        ):
            out[:, 2 * a + k] = values[:, place] == code
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "design.numbers": self.numbers,
            "design.edges": self.edges,
            "design.categories": self.categories,
            "design.codes": self.codes,
            "design.means": self.means,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], features: int) -> Design:
        """Rebuild from ``arrays``; raises ``ValueError`` or ``KeyError`` when they do not fit."""
        found = {
            name: arrays[f"design.{name}"]
            for name in ("numbers", "edges", "categories", "codes", "means")
        }
        numbers, categories = found["numbers"], found["categories"]
        sound = (
            all(found[n].dtype == np.int64 for n in ("numbers", "categories", "codes"))
            and all(found[n].dtype == np.float64 for n in ("edges", "means"))
            and found["edges"].shape == (len(numbers), _PLACES)
            and found["codes"].shape == categories.shape
            and found["means"].shape == (2 * len(numbers) + len(categories),)
            and bool(((numbers >= 0) & (numbers < features)).all())
            and bool(((categories >= 0) & (categories < features)).all())
        )
        if not sound:
            raise ValueError("the columns of a regression do not fit the features")
        return cls(**found)


def solve(gram: Float, right: Float, rows: float) -> Float:
    """Return the weights float64[d, classes] of a ridge regression.

    The ridge is a fiftieth of the mean variance of a column, times the rows, and ten rows more.

    Args:
        gram: float64[d, d] of centred columns.
        right: float64[d, classes].
        rows: How many rows they are of.
    """
    d = len(gram)
    if d == 0:
        return np.zeros_like(right)
    ridge = _SHARE_OF_RIDGE * float(np.trace(gram)) / d + 10.0 * min(1.0, rows)
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(d), right), dtype=np.float64)
