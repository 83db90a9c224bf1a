"""How popular items were as of a moment, and which were the most popular."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relcast.learners.ranking import counting
from relcast.learners.ranking.links import Links
from relcast.relations import NEVER, NOT_A_TIME

__all__ = ["Popularity"]

Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Popularity:
    """Items' links known at one moment.

    Attributes:
        count: int64[items] links, in the window or ever.
        latest: int64[items] ns of the newest of them, ``NOT_A_TIME`` without one.
    """

    count: Index
    latest: Index

    @classmethod
    def at(cls, links: Links, known: int, width: int = -1) -> Popularity:
        """Count the links in ``(known - width, known]``; a width of -1 counts them all."""
        side = links.by_item
        count = np.zeros(links.items, dtype=np.int64)
        latest = np.zeros(links.items, dtype=np.int64)
        low = NOT_A_TIME if width < 0 or known == NEVER else known - width
        counting.popularity(side.indptr, side.time, side.over, known, low, count, latest)
        return cls(count, latest)

    def order(self, allowed: Bools, most: int) -> Index:
        """Return the ``most`` most popular of the allowed items, best first.

        Ties go to the item with the newest link, then to the smaller row.
        """
        rows = np.flatnonzero(allowed)
        count = self.count[rows]
        if len(rows) > 2 * most:
            bound = np.partition(count, len(count) - most)[len(count) - most]
            chosen = count >= bound
            rows, count = rows[chosen], count[chosen]
        order = np.lexsort((rows, ~self.latest[rows], -count))
        return rows[order][:most]
