"""What every set of metrics offers: one weighing of its rows, or many at once.

A whole number as weight means that many copies of the row, which is what the bootstrap needs: rows
are sorted once and weighed many times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Metrics", "ratios", "weighed"]

Float = npt.NDArray[np.float64]


class Metrics(ABC):
    """The metrics of one set of predictions, for any weights of its rows."""

    rows: int

    @abstractmethod
    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        """Return the named metrics under each of r weighings.

        Args:
            names: Metrics that the task knows.
            weights: float64[r, n], none negative.

        Returns:
            By name float64[r]; NaN where a metric is not defined.
        """

    def compute(self, names: Sequence[str], weight: Float | None = None) -> dict[str, float]:
        """Return the named metrics; ``weight`` float64[n] defaults to one for each row."""
        once = np.ones(self.rows) if weight is None else np.asarray(weight, dtype=np.float64)
        return {name: float(v[0]) for name, v in self.many(names, once[None, :]).items()}


def weighed(weights: Float, values: npt.NDArray[np.generic]) -> Float:
    """Return sum over n of ``weights`` float64[r, n] times ``values`` [n], float64[r].

    Without BLAS, whose order of additions may depend on the number of threads.
    """
    plain = values.astype(np.float64, copy=False)
    sums: Float = np.einsum("rn,n->r", weights, plain, optimize=False)
    return sums


def ratios(part: Float, whole: Float, otherwise: float = 0.0) -> Float:
    """Return part / whole, and ``otherwise`` where the whole is not positive."""
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)
