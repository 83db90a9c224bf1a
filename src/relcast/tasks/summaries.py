"""How targets are distributed: truth values, classes, numbers, windows of a forecast, lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from relcast.tasks import kernels
from relcast.tasks.examples import Examples, Floats, Integers, Rows

__all__ = ["Summariser", "TargetSummary"]

MOST_FREQUENT = 50
"""Values that a summary names, most frequent first."""

_HUGE = 1e150
_FEW = 10_000
_MAGNITUDE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """How targets are distributed; what does not apply to their kind is None.

    Attributes:
        rows: Number of rows.
        positives: How many are 1 (binary).
        classes: Rows of each class, by the class's text, most frequent first, 50 at most
            (multiclass).
        mean, std, low, median, high: Of the numbers (regression); of all windows' numbers
            (forecasting).
        windows: The mean of each window, in their order (forecasting).
        mean_length: Values of a row's list, on average (lists).
        empty: Rows whose list is empty (lists).
        distinct: Values that are in any list (lists).
        most_frequent: Pairs of a value's text and the rows that list it, most frequent first, 50 at
            most, of an anchor 5 (lists).
    """

    rows: int
    positives: int | None = None
    classes: Mapping[str, int] | None = None
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    windows: tuple[float, ...] | None = None
    mean_length: float | None = None
    empty: int | None = None
    distinct: int | None = None
    most_frequent: tuple[tuple[str, int], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what applies; ``most_frequent`` as ``{value, rows, share}``, the share of rows."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        if self.windows is not None:
            shown["windows"] = list(self.windows)
        if self.most_frequent is not None:
            shown["most_frequent"] = [
                {"value": value, "rows": rows, "share": rows / max(1, self.rows)}
                for value, rows in self.most_frequent
            ]
        return {name: value for name, value in shown.items() if value is not None}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TargetSummary:
        """Read what ``to_json`` returned; other keys are left alone."""
        found = {name: obj[name] for name in cls.__slots__ if name in obj}
        if "windows" in found:
            found["windows"] = tuple(found["windows"])
        if "most_frequent" in found:
            found["most_frequent"] = tuple((f["value"], f["rows"]) for f in found["most_frequent"])
        return cls(**found)


class Summariser:
    """Summaries of any rows of some examples.

    Args:
        examples: The rows.
        binary: Whether targets are truth values.
        item_keys: For links, the keys of the rows that lists name.
    """

    def __init__(
        self, examples: Examples, *, binary: bool, item_keys: pa.Array | None = None
    ) -> None:
        self._examples = examples
        self._binary = binary
        self._item_keys = item_keys

    def of(self, rows: Rows, most: int = MOST_FREQUENT) -> TargetSummary:
        """Summarise the rows at these places, or where this mask holds, naming so many values.

        Threads may ask at once.
        """
        lists, target = self._examples.lists, self._examples.target
        if lists is not None:
            return self._lists(rows, most)
        if target is None:
            return TargetSummary(len(self._examples.entity[rows]))
        found = target[rows]
        if self._binary:
            return TargetSummary(len(found), positives=int(np.count_nonzero(found == 1)))
        if self._examples.classes is not None:
            values, counts = counted(found.astype(np.int64))
            order = np.argsort(-counts, kind="stable")[:most]
            names = self._names(values[order])
            return TargetSummary(
                len(found), classes=dict(zip(names, counts[order].tolist(), strict=True))
            )
        return _numbers(found)

    def _lists(self, rows: Rows, most: int) -> TargetSummary:
        if self._examples.lists is None:
            return TargetSummary(0)
        found = self._examples.lists.take(rows)
        values, counts = counted(found.values)
        order = np.argsort(-counts, kind="stable")[:most]
        names = self._names(values[order])
        return TargetSummary(
            len(found),
            mean_length=len(found.values) / max(1, len(found)),
            empty=int((found.lengths == 0).sum()),
            distinct=len(values),
            most_frequent=tuple(zip(names, counts[order].tolist(), strict=True)),
        )

    def _names(self, values: Integers) -> list[str]:
        if self._examples.classes is not None:
            return [str(self._examples.classes[v]) for v in values.tolist()]
        if self._item_keys is not None:
            return [str(k) for k in self._item_keys.take(pa.array(values)).to_pylist()]
        return [str(v) for v in values.tolist()]


def counted(values: Integers) -> tuple[Integers, Integers]:
    """Return the distinct values, ascending, and how often each is there."""
    if len(values) and int(values.max()) <= 4 * len(values) + 1000:
        counts = np.bincount(values)
        found = np.flatnonzero(counts)
        return found, counts[found]
    found, counts = np.unique(values, return_counts=True)
    return found, counts.astype(np.int64)


def _numbers(target: Floats) -> TargetSummary:
    rows = len(target)
    if rows == 0:
        return TargetSummary(0)
    flat = np.ascontiguousarray(target).reshape(-1)
    # Squares and sums of values near the end of what floats hold would be infinite.
    low, high = float(flat.min()), float(flat.max())
    largest = max(-low, high)
    unit = largest if _HUGE < largest < np.inf else 1.0
    tame = flat if unit == 1.0 else flat / unit
    mean = tame.mean()
    spread = np.sqrt(kernels.squares(tame, 0, len(tame), mean) / len(tame))
    windows = None
    if target.ndim == 2:
        windows = tuple(float(m) * unit for m in tame.reshape(target.shape).mean(axis=0))
    return TargetSummary(
        rows,
        mean=float(mean) * unit,
        std=float(spread) * unit,
        low=low,
        median=_median(tame) * unit,
        high=high,
        windows=windows,
    )


def _median(values: Floats) -> float:
    """Return the median of finite values: of the bits that come first in order, then of the few."""
    if len(values) < _FEW:
        return float(np.median(values))
    bits = values.view(np.int64)
    counts = np.zeros((4, 2**16), dtype=np.int64)
    kernels.count_bits(bits, counts)
    bins = counts.sum(axis=0)
    behind = np.cumsum(bins)
    middle = np.array([(len(values) - 1) // 2, len(values) // 2])
    first, last = np.searchsorted(behind, middle, side="right").tolist()
    least, most = kernels.ends_of_bits(bits, first, last)
    if least == most:
        return float(np.array([least ^ ((least >> 63) & _MAGNITUDE)]).view(np.float64)[0])
    found = np.empty(int(bins[first : last + 1].sum()) + 1)
    kernels.take_bits(bits, first, last, found.view(np.int64))
    places = middle - (int(behind[first - 1]) if first else 0)
    return float(np.partition(found[:-1], places)[places].mean())
