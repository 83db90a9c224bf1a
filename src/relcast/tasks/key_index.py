"""Dense rows by key, as an array, where keys are whole numbers that lie close together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from relcast.core.schema import Link
from relcast.tasks import kernels
from relcast.tasks.scan import Session
from relcast.tasks.sql import present

__all__ = ["KeyIndex"]

# Signed types and those that fit in 64 signed bits.
_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
)
_SPARSE = 8
_FEW = 4096


@dataclass(frozen=True)
class KeyIndex:
    """The rows of one table.

    Attributes:
        first: The key of the array's second place.
        rows: int32: the dense row of each key from ``first`` on, -1 where there is none; the first
            place and the last stand for keys beyond.
    """

    first: int
    rows: npt.NDArray[np.int32]

    @classmethod
    def of(cls, session: Session, table: str) -> KeyIndex | None:
        """Return the index of a table; None where its keys are no such numbers, or not unique."""
        scan = session.scan(table)
        key = scan.table.primary_key
        if key is None or scan.types[key] not in _WHOLE:
            return None
        raw = scan.raw(key, "own")
        found = session.fetch(
            exp.select(
                exp.cast(raw, "BIGINT").as_("key", quoted=True),
                scan.row("own").as_("row", quoted=True),
            )
            .from_(scan.relation("own"))
            .where(present(raw))
        )
        keys, row = (found.column(name).to_numpy() for name in ("key", "row"))
        if len(keys) == 0:
            return None
        first, last = int(keys.min()), int(keys.max())
        if last - first > _SPARSE * len(keys) + _FEW:
            return None
        rows = np.full(last - first + 3, -1, dtype=np.int32)
        rows[keys - first + 1] = row
        if np.count_nonzero(rows >= 0) < len(keys):
            return None
        return cls(first, rows)

    @staticmethod
    def reads(session: Session, link: Link) -> bool:
        """Return whether a foreign key is one of the whole numbers that an index knows."""
        return session.scan(link.table).types[link.foreign_key] in _WHOLE

    def find(self, keys: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Return the dense row of each key, -1 for a key of no row."""
        found = np.empty(len(keys), dtype=np.int32)
        self.write(keys, found)
        return found

    def write(self, keys: npt.NDArray[Any], found: npt.NDArray[np.int32]) -> int:
        """Write what ``find`` returns, and return how many keys have a row."""
        whole = keys.astype(np.int64, copy=False)
        return int(kernels.find_rows(whole, self.first, self.rows, found))
