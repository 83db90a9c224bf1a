"""The labels of the training table as they became known, per entity: the memory of baselines.

A label is known when its window is complete, strictly: a label of anchor ``b`` counts at an anchor
``a`` only when ``b + end <= a``. Entities are held by key, because dense rows differ between
snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.learners import kernels
from relcast.learners.packing import pack_keys, unpack_keys

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.relations import Relations

__all__ = ["History", "Statistic"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Statistic = Literal["mean", "median", "last", "mode"]


@dataclass(frozen=True)
class History:
    """Labels by entity, each group in the order in which they became known.

    Attributes:
        table: The entity table.
        keys: Primary keys of the e entities.
        indptr: int64[e + 1] group bounds.
        known: int64[m] time from which each label is known, ns UTC, ascending in its group.
        label: float64[m].
    """

    table: str
    keys: pa.Array
    indptr: Index
    known: Index
    label: Float

    @classmethod
    def build(
        cls, relations: Relations, table: str, entity: Index, known: Index, label: Float
    ) -> History:
        """Group labels (n rows in any order) by entity."""
        import pyarrow as pa

        order = np.lexsort((label, known, entity))
        rows, counts = np.unique(entity, return_counts=True)
        return cls(
            table=table,
            keys=relations.table(table).keys().take(pa.array(rows)),
            indptr=np.append(0, np.cumsum(counts)).astype(np.int64),
            known=known[order],
            label=label[order],
        )

    def running(self, statistic: Statistic, classes: int) -> Float:
        """Return the statistic of each group up to and with each place, float64[m]."""
        if statistic == "last":
            return self.label
        out = np.empty(len(self.label))
        if statistic == "median":
            kernels.expanding_median(self.indptr, self.label, out)
        elif statistic == "mode":
            kernels.expanding_mode(self.indptr, self.label.astype(np.int64), classes, out)
        else:
            kernels.expanding_mean(self.indptr, self.label, out)
        return out

    def places(self, relations: Relations, entity: Index, until: Index) -> Index:
        """Return the place of each entity's newest label known at ``until``; -1 for none."""
        from relcast.relations import kernels as asof

        table = relations.table(self.table)
        group_of = np.full(table.rows, -1, dtype=np.int64)
        rows = table.key_index(self.keys)
        present = np.flatnonzero(rows >= 0)
        group_of[rows[present]] = present
        begin, end = np.empty((2, len(entity)), dtype=np.int64)
        always = np.full(len(entity), np.iinfo(np.int64).min, dtype=np.int64)
        asof.bounds(self.indptr, self.known, group_of[entity], always, until, begin, end)
        return np.where(end > begin, end - 1, -1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that hold all of it, for a bundle."""
        return {
            "history.indptr": self.indptr,
            "history.known": self.known,
            "history.label": self.label,
            **pack_keys("history.keys", self.keys),
        }

    @classmethod
    def of_arrays(cls, table: str, arrays: Mapping[str, npt.NDArray[Any]]) -> History:
        """Rebuild from ``arrays``; raises ``ValueError`` or ``KeyError`` when they do not fit."""
        keys = unpack_keys("history.keys", arrays)
        indptr, known, label = (arrays[f"history.{n}"] for n in ("indptr", "known", "label"))
        sound = (
            indptr.dtype == known.dtype == np.int64
            and label.dtype == np.float64
            and indptr.ndim == known.ndim == label.ndim == 1
            and len(indptr) == len(keys) + 1
            and indptr[0] == 0
            and indptr[-1] == len(known) == len(label)
            and bool((np.diff(indptr) >= 0).all())
        )
        if not sound:
            raise ValueError("the label history's arrays do not fit together")
        return cls(table, keys, indptr, known, label)
