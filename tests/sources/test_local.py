"""Directories and files: which tables there are, what marks their version, what may be read."""

from __future__ import annotations

import os

import pytest

from relcast.core.errors import Forbidden, InvalidRequest, NotFound, SourceError
from relcast.sources import LocalDirectory, LocalFile, Source, open_source


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "data"
    place.mkdir()
    (place / "orders.csv").write_text("id,x\n1,2\n")
    (place / "customers.csv").write_text("id\n1\n")
    (place / ".hidden.csv").write_text("id\n1\n")
    (place / "notes.txt").write_text("id\n1\n")
    return place


def test_it_is_a_source(folder):
    source = LocalDirectory(folder)
    assert isinstance(source, Source)
    assert source.kind == "directory"
    assert source.list_tables() == ["customers", "orders"]


def test_a_missing_table_suggests_a_near_name(folder):
    with pytest.raises(NotFound) as told:
        LocalDirectory(folder).schema("order")
    assert told.value.code == "source.unknown_table"
    assert "'orders'" in told.value.hint


@pytest.mark.parametrize(
    "name", ["../data/orders", "/etc/passwd", "orders.csv", "", ".hidden", "a\0b"]
)
def test_names_are_looked_up_never_opened(folder, name):
    with pytest.raises(NotFound):
        list(LocalDirectory(folder).read(name))


def test_two_files_of_one_name_are_ambiguous(folder):
    (folder / "orders.tsv").write_text("id\tx\n1\t2\n")
    with pytest.raises(SourceError) as told:
        LocalDirectory(folder).schema("orders")
    assert told.value.code == "source.ambiguous_table"
    assert "orders.csv" in told.value.message
    assert "orders.tsv" in told.value.message


def test_roots_bound_what_may_be_read(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("id\n1\n")
    with pytest.raises(Forbidden) as told:
        LocalDirectory(outside, roots=[folder])
    assert told.value.code == "source.outside_roots"
    assert LocalDirectory(folder, roots=[tmp_path]).list_tables() == ["customers", "orders"]
    with pytest.raises(Forbidden):
        LocalDirectory(folder / ".." / "outside", roots=[folder])
    with pytest.raises(Forbidden):
        LocalFile(outside / "secret.csv", roots=[folder])
    with pytest.raises(Forbidden):
        LocalDirectory(folder, roots=[])


def test_symbolic_links_do_not_lead_out_of_the_roots(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("id\n1\n")
    (folder / "secret.csv").symlink_to(outside / "secret.csv")
    (folder / "all").symlink_to(outside)
    (folder / "parts").mkdir()
    (folder / "parts" / "p.csv").symlink_to(outside / "secret.csv")
    (folder / "broken.csv").symlink_to(outside / "nothing.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    assert LocalDirectory(folder, roots=[folder]).list_tables() == ["customers", "orders"]
    assert "secret" in LocalDirectory(folder).list_tables()


def test_fingerprint_and_digest(folder):
    source = LocalDirectory(folder)
    mark, content = source.fingerprint("orders"), source.digest("orders")
    assert (source.fingerprint("orders"), source.digest("orders")) == (mark, content)
    os.utime(folder / "orders.csv", ns=(1, 1))
    assert source.fingerprint("orders") != mark
    assert source.digest("orders") == content
    (folder / "orders.csv").write_text("id,x\n1,3\n")
    assert source.digest("orders") != content


def test_the_digest_is_of_content_not_of_place(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "renamed.csv").write_bytes((folder / "orders.csv").read_bytes())
    assert LocalDirectory(other).digest("renamed") == LocalDirectory(folder).digest("orders")


def test_a_file_that_changes_while_it_is_read_is_noticed(folder):
    path = folder / "orders.csv"
    path.write_text("id,x\n" + "1,2\n" * 100_000)
    source = LocalDirectory(folder)
    batches = source.read("orders")
    next(batches)
    with path.open("a") as file:
        file.write("2,3\n")
    with pytest.raises(SourceError) as told:
        list(batches)
    assert told.value.code == "source.changed"


def test_a_single_file(folder):
    source = LocalFile(folder / "orders.csv")
    assert (source.kind, source.list_tables()) == ("file", ["orders"])
    assert next(iter(source.read("orders"))).num_rows == 1
    with pytest.raises(NotFound):
        source.schema("customers")
    with pytest.raises(SourceError):
        LocalFile(folder / "notes.txt")
    with pytest.raises(SourceError):
        LocalFile(folder / "nothing.csv")
    with pytest.raises(SourceError):
        LocalDirectory(folder / "orders.csv")


def test_open_source(folder):
    assert open_source(folder).kind == "directory"
    assert open_source(folder / "orders.csv").kind == "file"


def test_a_preview_has_bounds(folder):
    with pytest.raises(InvalidRequest):
        LocalDirectory(folder).preview("orders", -1)
    with pytest.raises(InvalidRequest):
        LocalDirectory(folder).preview("orders", 10**9)


def test_the_public_names_are_what_they_are():
    import relcast.sources as room

    assert {
        "LocalDirectory",
        "LocalFile",
        "Source",
        "SourceRef",
        "UploadArea",
        "open_source",
    } <= set(room.__all__)
    assert all(hasattr(room, name) for name in room.__all__)
