"""What follows what: how often each class came after each class that an entity had had before.

A first-order table of transitions, smoothed by how frequent classes are. Training rows are scored
by tables that their own entity's group had no part in (cross-fitting), so that what learns from the
scores sees them as they will be of new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.multilabel.memory import Remembered

__all__ = ["PROFILES", "Affinity", "latest", "profile"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_FADE = 0.85
_LATEST = 40
_SMOOTH = 2.0
_KEPT = 300
"""Classes that may follow a class, the most frequent ones."""


def latest(memory: Remembered, width: int) -> Any:
    """Return float64[n, classes] sparse: 1 at the latest class that each example had."""
    from scipy.sparse import csr_array

    rows = np.flatnonzero(np.diff(memory.indptr) > 0)
    classes = memory.classes[memory.indptr[rows]]
    shape = (len(memory.windows), width)
    return csr_array((np.ones(len(rows)), (rows, classes)), shape=shape)


def profile(memory: Remembered, width: int) -> Any:
    """Return float64[n, classes] sparse: what each example had, later classes weighing more.

    Rows add up to one, or to nothing for an example without a past.
    """
    from scipy.sparse import csr_array

    rank, rows = memory.rank, memory.rows
    weight = np.where(rank < _LATEST, _FADE ** rank.astype(np.float64), 0.0)
    # The own share of windows counts as well: what came often will come again.
    share = memory.numbers[:, 0] / np.maximum(memory.windows[rows], 1.0)
    weight = weight * (0.25 + share)
    total = np.bincount(rows, weights=weight, minlength=len(memory.windows))
    weight = weight / np.where(total > 0, total, 1.0)[rows]
    return csr_array((weight, memory.classes, memory.indptr), shape=(len(memory.windows), width))


PROFILES = (latest, profile)
"""What may come before: the latest class alone, or all that came before."""


@dataclass(frozen=True)
class Affinity:
    """A table of transitions as rates.

    Attributes:
        indptr: int64[classes + 1], by the class before.
        after: int64[e] classes after.
        rate: float64[e] how often, of all times that the class before was there.
        rest: float64[classes] the share of the class before that follows the frequencies.
    """

    indptr: Index
    after: Index
    rate: Float
    rest: Float

    @classmethod
    def of(cls, counts: Any, mass: Float) -> Affinity:
        """Make rates of counts (sparse float64[before, after]) and times float64[before]."""
        table = counts.tocsr()
        table.sum_duplicates()
        scale = 1.0 / (mass + _SMOOTH)
        keep = _largest(table, _KEPT)
        rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))[keep]
        indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=table.shape[0])))
        return cls(
            indptr.astype(np.int64),
            table.indices[keep].astype(np.int64),
            np.maximum(table.data[keep], 0.0) * scale[rows],
            _SMOOTH * scale,
        )

    def score(self, profiles: Any) -> tuple[Any, Float]:
        """Return how likely each class is to follow, of profiles (sparse, n rows).

        Sparse float64[n, classes], and float64[n], the share that follows the frequencies: the
        likelihood of a class is the first, plus the second times its frequency.
        """
        from scipy.sparse import csr_array

        width = len(self.rest)
        table = csr_array((self.rate, self.after, self.indptr), shape=(width, width))
        unknown = 1.0 - np.asarray(profiles.sum(axis=1)).ravel()
        rest = np.asarray(profiles @ self.rest).ravel() + np.maximum(unknown, 0.0)
        return (profiles @ table).tocoo(), rest

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that hold all of it, for a bundle."""
        return {
            f"{name}.indptr": self.indptr,
            f"{name}.after": self.after,
            f"{name}.rate": self.rate,
            f"{name}.rest": self.rest,
        }

    @classmethod
    def of_arrays(cls, name: str, arrays: Mapping[str, npt.NDArray[Any]], width: int) -> Affinity:
        """Rebuild from ``arrays``; raises ``ValueError`` or ``KeyError`` when they do not fit."""
        indptr, after, rate, rest = (
            arrays[f"{name}.{part}"] for part in ("indptr", "after", "rate", "rest")
        )
        sound = (
            indptr.dtype == after.dtype == np.int64
            and rate.dtype == rest.dtype == np.float64
            and indptr.shape == (width + 1,)
            and rest.shape == (width,)
            and after.shape == rate.shape
            and indptr[0] == 0
            and indptr[-1] == len(after)
            and bool((np.diff(indptr) >= 0).all())
            and bool(((after >= 0) & (after < width)).all())
        )
        if not sound:
            raise ValueError("the transitions between classes do not fit them")
        return cls(indptr, after, rate, rest)


def _largest(table: Any, most: int) -> Index:
    """Return the places of each row's largest values, in order, at most ``most`` of a row."""
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.lexsort((table.indices, -table.data, rows))
    rank = np.arange(len(order)) - np.repeat(table.indptr[:-1], np.diff(table.indptr))
    return np.sort(order[rank < most]).astype(np.int64)
