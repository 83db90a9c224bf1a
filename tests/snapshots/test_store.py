"""Copies are named by content, made once, whole or not at all, and keep the source's order."""

from __future__ import annotations

import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import NotFound, SchemaError, SourceError
from relcast.core.schema import Dtype, Link, Stype
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory


def files(store):
    return sorted(str(p) for p in (store.root / "tables").rglob("*.parquet"))


def test_rel_f1_end_to_end(shared_data, tmp_path):
    source = LocalDirectory(shared_data / "rel-f1" / "db")
    store = SnapshotStore(tmp_path)
    tables = [store.ingest_table(source, name, TableSpec(name)) for name in source.list_tables()]
    snapshot = store.combine(tables)
    assert sum(t.rows for t in tables) == 96_725
    assert len(snapshot.links) == 13
    assert all(link.match_rate == 1 for link in snapshot.links)
    assert not any(t.report.dropped for t in tables)
    copied = pq.read_table(snapshot.tables["results"].path)
    given = pq.read_table(shared_data / "rel-f1" / "db" / "results.parquet")
    assert copied.column("resultId").to_pylist() == given.column("resultId").to_pylist()
    assert copied.column("date").type == pa.timestamp("ns")
    assert copied.column("date").cast(pa.timestamp("us")) == given.column("date")
    again = store.open(snapshot.id)
    assert again == snapshot
    assert again.graph.table("results").column("raceId").stype is Stype.ID


def test_an_unchanged_source_is_the_same_version_and_copies_nothing(place, monkeypatch):
    place.put("t", {"id": [1, 2], "x": [1.0, 2.0]})
    first = place.ingest("t")
    stamp = first.path.stat().st_mtime_ns
    monkeypatch.setattr(type(place.source), "read", None)
    monkeypatch.setattr(type(place.source), "digest", None)
    assert place.ingest("t") == first
    monkeypatch.undo()
    # Touched only: the digest says that it is the same, and nothing is read as a table.
    os.utime(place.folder / "t.parquet")
    monkeypatch.setattr(type(place.source), "read", None)
    assert place.ingest("t") == first
    monkeypatch.undo()
    assert first.path.stat().st_mtime_ns == stamp
    assert len(files(place.store)) == 1


def test_other_content_or_another_spec_is_another_version(place):
    place.put("t", {"id": [1, 2], "x": [1, 2]})
    first = place.ingest("t")
    assert place.ingest("t", dtypes={"x": Dtype.string}).id != first.id
    place.put("t", {"id": [1, 3], "x": [1, 2]})
    second = place.ingest("t")
    assert second.id != first.id
    assert second.id.split("@")[0] == first.id.split("@")[0]
    assert place.rows(place.store.open_table(first.id)).column("id").to_pylist() == [1, 2]
    assert place.rows(second).column("id").to_pylist() == [1, 3]


def test_a_spec_of_the_described_table_copies_the_same(place):
    place.text("t", "id,when,n\n1,2024-01-01,5\n2,2024-01-02,\n")
    first = place.ingest("t")
    spec = TableSpec.of(first.table)
    assert TableSpec.from_json(spec.to_json()) == spec
    second = place.store.ingest_table(place.source, "t", spec)
    assert second.table == first.table
    assert place.rows(second).equals(place.rows(first))


def test_order_and_index(place):
    n = 200_000
    keys = np.random.default_rng(0).permutation(n)
    place.put("t", {"id": keys, "x": keys * 2})
    t = place.ingest("t")
    assert place.rows(t).column("id").to_numpy().tolist() == keys.tolist()


def test_a_source_that_changes_while_it_is_copied_leaves_nothing(place, monkeypatch):
    place.put("t", {"id": list(range(1000))})
    read = type(place.source).read

    def meddle(self, name):
        yield from read(self, name)
        os.utime(place.folder / "t.parquet", ns=(1, 1))

    monkeypatch.setattr(type(place.source), "read", meddle)
    with pytest.raises(SourceError) as told:
        place.ingest("t")
    assert told.value.code == "source.changed"
    assert files(place.store) == []
    assert list((place.store.root / "staging").iterdir()) == []
    monkeypatch.undo()
    assert place.ingest("t").rows == 1000


def test_errors_of_the_source_come_through_and_leave_nothing(place):
    place.text("t", "a,b\n1,2\n3\n")
    with pytest.raises(SourceError, match=r"t\.csv, line 3"):
        place.ingest("t")
    assert list((place.store.root / "staging").iterdir()) == []
    with pytest.raises(NotFound):
        place.ingest("u")


def test_two_that_copy_the_same_at_once_agree(place):
    place.put("t", {"id": list(range(20_000))})
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(place.ingest("t").id)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(files(place.store)) == 1
    assert list((place.store.root / "staging").iterdir()) == []


@pytest.mark.parametrize(
    "bad", ["../x", "table-0", "snapshot-" + "0" * 24, "", "table-x@../..", "/etc"]
)
def test_unknown_ids(place, bad):
    for ask in (place.store.open, place.store.open_table):
        with pytest.raises(NotFound) as told:
            ask(bad)
        assert told.value.code == "snapshot.unknown"


def test_combine_checks_its_links(place):
    place.put("a", {"id": [1]})
    place.put("b", {"a_id": [1], "x": [0.5]})
    a, b = place.ingest("a"), place.ingest("b", primary_key=None)
    with pytest.raises(SchemaError) as told:
        place.store.combine([a, b], [Link("b", "nothing", "a")])
    assert told.value.code == "schema.unknown_column"
    with pytest.raises(SchemaError) as told:
        place.store.combine([a, b], [Link("a", "id", "b")])
    assert told.value.code == "schema.link_without_key"
    with pytest.raises(SchemaError) as told:
        place.store.combine([a, a])
    assert told.value.code == "schema.duplicate_table"
    same = Link("b", "a_id", "a")
    assert len(place.store.combine([a, b], [same, same]).links) == 1
    assert place.store.combine([a, b], []).links == ()


def test_progress_is_told(place):
    from relcast.core.progress import Silent

    seen = []

    class Listener(Silent):
        def stage(self, name, total=None, unit=""):
            seen.append(name)
            return self

        def update(self, done=None, total=None, unit=None, detail=None):
            seen.append(done)

    place.put("t", {"id": list(range(10))})
    place.store.ingest_table(place.source, "t", TableSpec("t"), Listener())
    assert seen[0] == "Ingestion"
    assert seen[-1] == 10


def test_what_a_killed_process_left_is_swept_after_a_day(place):
    for name, age in (("old", 0), ("new", None)):
        left = place.store.root / "staging" / name
        left.mkdir()
        if age is not None:
            os.utime(left, (age, age))
    SnapshotStore(place.store.root)
    assert [p.name for p in (place.store.root / "staging").iterdir()] == ["new"]
