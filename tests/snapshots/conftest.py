"""Small databases on disk, copied into a store."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory


class Place:
    """A directory of tables and a store beside it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "data"
        self.folder.mkdir()
        self.store = SnapshotStore(root / "store")
        self.source = LocalDirectory(self.folder)

    def put(self, name, columns):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, self.folder / f"{name}.parquet")

    def text(self, name, text):
        (self.folder / f"{name}.csv").write_text(text)

    def ingest(self, name, **spec):
        return self.store.ingest_table(self.source, name, TableSpec(name, **spec))

    def rows(self, snapshot):
        return pq.read_table(snapshot.path)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)
