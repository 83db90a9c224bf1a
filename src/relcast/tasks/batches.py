"""How much is labelled in one pass, so that memory is bounded.

A pass takes some anchors, or a part of the entities at one. Its weight is what the engine keeps:
an example for each window, and for aggregations that keep something of every row (lists, medians)
the rows in all windows. Windows that overlap multiply those, so they are counted beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from relcast.tasks.offsets import Times
from relcast.tasks.scan import Session
from relcast.tasks.sql import column, double

__all__ = ["Batch", "Histogram", "batches", "count_by_time"]

Weights = npt.NDArray[np.int64]
_BINS = 4096


class Batch(NamedTuple):
    """Anchors and entities of one pass."""

    anchors: range
    entities: range


@dataclass(frozen=True)
class Histogram:
    """How many rows of a fact there are up to a time.

    Attributes:
        begin: The earliest time, ns.
        width: Of a bin, ns.
        total: int64[bins + 1]; ``total[i]`` rows stand before bin i.
    """

    begin: float
    width: float
    total: npt.NDArray[np.int64]

    def between(self, low: Times, high: Times) -> npt.NDArray[np.int64]:
        """Return at least how many rows have a time in each ``(low, high]``."""
        last = len(self.total) - 1
        first = np.clip((low - self.begin) // self.width, 0, last).astype(np.int64)
        stop = np.clip((high - self.begin) // self.width + 1, 0, last).astype(np.int64)
        rows: npt.NDArray[np.int64] = np.maximum(self.total[stop] - self.total[first], 0)
        return rows


def count_by_time(session: Session, table: str) -> Histogram:
    """Count the staged rows of a fact in equal bins of time."""
    time, source = exp.cast(column("time", table), "DOUBLE"), exp.to_table(table)
    ends = session.fetch(
        exp.select(exp.Min(this=time).as_("begin"), exp.Max(this=time.copy()).as_("end")).from_(
            source
        )
    ).to_pylist()[0]
    if ends["begin"] is None:
        return Histogram(0.0, 1.0, np.zeros(2, dtype=np.int64))
    begin, width = ends["begin"], (ends["end"] - ends["begin"]) / _BINS + 1.0
    place = exp.Floor(
        this=exp.Div(
            this=exp.paren(exp.Sub(this=time.copy(), expression=double(repr(begin)))),
            expression=double(repr(width)),
        )
    )
    rows = session.fetch(
        exp.select(
            exp.cast(place, "BIGINT").as_("bin"),
            exp.cast(exp.Count(this=exp.Star()), "BIGINT").as_("rows"),
        )
        .from_(source.copy())
        .group_by(place.copy())
    )
    counts = np.zeros(_BINS + 1, dtype=np.int64)
    np.add.at(counts, rows.column("bin").to_numpy(), rows.column("rows").to_numpy())
    return Histogram(begin, width, np.concatenate([[0], np.cumsum(counts)]))


def batches(weights: Weights, rows: int, most: int) -> Iterator[Batch]:
    """Divide anchors of some weights into passes of at most ``most``, in order.

    An anchor that weighs more alone is divided by its entities, ``rows`` of them.
    """
    everybody = range(rows)
    first, sum_ = 0, 0
    for place, weight in enumerate(weights.tolist()):
        if place > first and sum_ + weight > most:
            yield Batch(range(first, place), everybody)
            first, sum_ = place, 0
        if weight > most and rows > 1:
            parts = min(rows, -(-weight // most))
            edges = np.linspace(0, rows, parts + 1).astype(np.int64).tolist()
            for start, stop in pairwise(edges):
                yield Batch(range(place, place + 1), range(start, stop))
            first = place + 1
        else:
            sum_ += weight
    if first < len(weights):
        yield Batch(range(first, len(weights)), everybody)
