"""Features as columns of a linear model: filled, clipped, flagged, one-hot, standardised.

A number gives its value, clipped to the 1 %-99 % range of the training rows with missing ones at
the median, and a flag of missingness; a category gives a column for each frequent code. Every
column is standardised, so that one penalty suits all and a contribution is zero for the mean row.
All statistics are of the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Design"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_VALUE, _MISSING, _CODE = 0, 1, 2
_TAIL = 1.0
_MOST_CODES = 30
_LEAST_ROWS = 10
_LARGEST = 1e12
_ROWS = 64


@dataclass(frozen=True)
class Design:
    """d columns made of the features of a matrix; every attribute has one entry per column.

    Attributes:
        source: int64[d] the feature that a column reads.
        kind: int64[d] 0 the value, 1 whether it is missing, 2 whether it is the category ``code``.
        code: float64[d] a category's index; 0 for other kinds.
        fill, low, high: float64[d] of kind 0: what a missing value becomes, and the clip's bounds.
        mean, scale: float64[d] of the column before it is standardised.
    """

    source: Index
    kind: Index
    code: Float
    fill: Float
    low: Float
    high: Float
    mean: Float
    scale: Float

    @classmethod
    def of(cls, values: Values, categorical: Sequence[int], weight: Float | None) -> Design:
        """Learn the columns from training rows float32[n, f]; constant ones are left out."""
        numbers = np.setdiff1d(np.arange(values.shape[1]), np.asarray(categorical, dtype=np.int64))
        rows: list[tuple[float, ...]] = []
        for source in numbers.tolist():
            there = values[:, source].astype(np.float64)
            there = np.clip(there[~np.isnan(there)], -_LARGEST, _LARGEST)
            if len(there):
                low, fill, high = np.percentile(there, [_TAIL, 50, 100 - _TAIL]).tolist()
                rows.append((source, _VALUE, 0.0, fill, low, high))
            if 0 < len(there) < len(values):
                rows.append((source, _MISSING, 0.0, 0.0, 0.0, 0.0))
        for source in categorical:
            column = values[:, source]
            codes, count = np.unique(column[~np.isnan(column)], return_counts=True)
            order = np.argsort(-count, kind="stable")[:_MOST_CODES]
            kept = np.sort(codes[order[count[order] >= _LEAST_ROWS]])
            rows.extend((source, _CODE, float(code), 0.0, 0.0, 0.0) for code in kept)
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        nothing = np.zeros(len(table))
        index = table[:, :2].astype(np.int64)
        code, fill, low, high = (np.ascontiguousarray(table[:, k]) for k in range(2, 6))
        raw = cls(index[:, 0], index[:, 1], code, fill, low, high, nothing, nothing + 1)
        columns = raw.apply(values)
        mean = np.average(columns, axis=0, weights=weight) if len(table) else nothing
        scale = columns.std(axis=0)
        varied = np.flatnonzero(scale > 1e-9 * np.maximum(1.0, np.abs(mean)))
        # Features of one stream share their missing rows: one flag for all of them is enough.
        seen: dict[bytes, int] = {}
        flags = varied[raw.kind[varied] == _MISSING]
        for column in flags.tolist():
            seen.setdefault((columns[:, column] > 0).tobytes(), column)
        again = np.setdiff1d(flags, np.array(sorted(seen.values()), dtype=np.int64))
        kept_columns = np.setdiff1d(varied, again)
        whole = Design(raw.source, raw.kind, raw.code, raw.fill, raw.low, raw.high, mean, scale)
        return whole.take(kept_columns)

    @classmethod
    def none(cls) -> Design:
        """Return no columns."""
        index, number = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(index, index, number, number, number, number, number, number)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, columns: Index) -> Design:
        """Return the design of some columns."""
        return Design(*(getattr(self, each.name)[columns] for each in fields(self)))

    def apply(self, values: Values) -> Float:
        """Return the columns of a matrix float32[n, f]: float64[n, d]."""
        out = np.empty((len(values), len(self)))
        read = (self.source, self.kind, self.code)
        bounds = (self.fill, self.low, self.high)
        _fill(values, *read, *bounds, self.mean, self.scale, out)
        return out

    def gathered(self, moved: Float, features: int) -> Float:
        """Add up float64[n, d] by the feature that each column reads: float64[n, features]."""
        out = np.zeros((len(moved), features))
        for place, source in enumerate(self.source.tolist()):
            out[:, source] += moved[:, place]
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns as arrays for a bundle."""
        return {f"design.{each.name}": getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], features: int) -> Design:
        """Read the arrays of ``arrays()``; raises ``ValueError`` when they do not fit."""
        parts = [arrays[f"design.{each.name}"] for each in fields(cls)]
        made = cls(*parts)
        whole = all(part.shape == made.source.shape and part.ndim == 1 for part in parts)
        typed = made.source.dtype == made.kind.dtype == np.int64 and all(
            part.dtype == np.float64 for part in parts[2:]
        )
        if not (whole and typed):
            raise ValueError("the columns of a linear model have the wrong shape")
        inside = ((made.source >= 0) & (made.source < features)).all()
        sane = all(np.isfinite(part).all() for part in parts[2:]) and (made.scale > 0).all()
        if not (inside and sane and np.isin(made.kind, (_VALUE, _MISSING, _CODE)).all()):
            raise ValueError("the columns of a linear model do not fit its features")
        return made


@njit(nogil=True, cache=True)
def _fill(
    values: Any,
    source: Any,
    kind: Any,
    code: Any,
    fill: Any,
    low: Any,
    high: Any,
    mean: Any,
    scale: Any,
    out: Any,
) -> None:
    """Write the columns of ``Design``, some rows at a time: ``values`` may stand by column."""
    for begin in range(0, len(values), _ROWS):
        end = min(begin + _ROWS, len(values))
        for place in range(len(source)):
            at = source[place]
            for row in range(begin, end):
                v: Any = np.float64(values[row, at])
                if kind[place] == _VALUE:
                    v = fill[place] if np.isnan(v) else min(max(v, low[place]), high[place])
                elif kind[place] == _MISSING:
                    v = 1.0 if np.isnan(v) else 0.0
                else:
                    v = 1.0 if v == code[place] else 0.0
                out[row, place] = (v - mean[place]) / scale[place]
