"""What a source is: named tables that can be listed, previewed, identified and read in batches.

A source knows nothing of keys, times or links; that is the business of ``relcast.snapshots``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

__all__ = ["Source", "SourceRef"]


@dataclass(frozen=True, slots=True, order=True)
class SourceRef:
    """Which source, and which of its tables, a graph's table comes from."""

    connector_id: str
    table: str

    def to_json(self) -> dict[str, Any]:
        return {"connector_id": self.connector_id, "table": self.table}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> SourceRef:
        return cls(obj["connector_id"], obj["table"])


@runtime_checkable
class Source(Protocol):
    """A place that tables come from.

    Every method that takes a table's name raises ``source.unknown_table`` (404), with a near name,
    when there is none, and ``source.*`` (422), naming file and place, when it cannot be read.
    """

    @property
    def kind(self) -> str:
        """One word: directory, file, upload."""

    def list_tables(self) -> list[str]:
        """Return the tables' names in alphabetical order."""

    def schema(self, name: str) -> pa.Schema:
        """Return the columns' names and types; for text files, as found over all rows."""

    def preview(self, name: str, rows: int) -> pa.Table:
        """Return the first ``rows`` rows."""

    def fingerprint(self, name: str) -> str:
        """Return a cheap mark (paths, sizes, times) that differs when the source has changed."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of the content, in hex; the same bytes give the same digest."""

    def read(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield all rows in the source's order."""
