"""How far off a number may be: quantiles of validation residuals, by the size of the prediction.

Residuals are taken as validation left them, a split conformal interval without its correction for
few rows (Vovk et al., 2005): a band says what share of later rows fell below it, whatever the
model. Predictions are put into up to five bins, because large numbers err more than small ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Spread"]

Float = npt.NDArray[np.float64]

_LEVELS = np.arange(1, 100) / 100
_MOST_BINS = 5
_ROWS_PER_BIN = 100


@dataclass(frozen=True)
class Spread:
    """Residual quantiles by bin.

    Attributes:
        edges: float64[b - 1] ascending predictions between the bins.
        table: float64[b, 99] residuals at 1 %, 2 %, ... 99 %, ascending.
    """

    edges: Float
    table: Float

    @classmethod
    def of(cls, said: Float, label: Float) -> Spread:
        """Learn from predictions and labels of validation rows, float64[n] each."""
        bins = int(np.clip(len(said) // _ROWS_PER_BIN, 1, _MOST_BINS))
        edges = np.unique(np.quantile(said, np.arange(1, bins) / bins))
        place = np.searchsorted(edges, said, side="right")
        residual = label - said
        everything = np.quantile(residual, _LEVELS)
        table = np.tile(everything, (len(edges) + 1, 1))
        for number in np.unique(place).tolist():
            inside = residual[place == number]
            if len(inside) >= _ROWS_PER_BIN // 2:
                table[number] = np.quantile(inside, _LEVELS)
        return cls(edges, table)

    def around(self, said: Float, levels: Sequence[float]) -> Float:
        """Return quantiles float64[n, levels] of predictions; beyond 1 % and 99 % those of them."""
        place = np.searchsorted(self.edges, said, side="right")
        wanted = np.asarray(levels, dtype=np.float64)
        at = np.stack([np.interp(wanted, _LEVELS, row) for row in self.table])
        return np.asarray(said[:, None] + at[place])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tables as arrays for a bundle."""
        return {"spread.edges": self.edges, "spread.table": self.table}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Spread:
        """Read the arrays of ``arrays()``; raises ``ValueError`` when they do not fit."""
        edges, table = arrays["spread.edges"], arrays["spread.table"]
        fits = edges.ndim == 1 and table.shape == (len(edges) + 1, len(_LEVELS))
        if not (fits and edges.dtype == table.dtype == np.float64):
            raise ValueError("the spread of a model has the wrong shape")
        rising = (np.diff(edges) > 0).all() and (np.diff(table, axis=1) >= 0).all()
        if not (rising and np.isfinite(edges).all() and np.isfinite(table).all()):
            raise ValueError("the spread of a model does not increase")
        return cls(edges, table)
