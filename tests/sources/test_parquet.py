"""Parquet: files and parts; damage is told with file and row group."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import SourceError
from relcast.sources import LocalDirectory, LocalFile


def read(source, name):
    return pa.Table.from_batches(list(source.read(name)), schema=source.schema(name))


def test_a_file_and_parts(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "t.parquet")
    (tmp_path / "u.parquet").mkdir()
    pq.write_table(pa.table({"a": pa.array([1], pa.int32())}), tmp_path / "u.parquet" / "0.parquet")
    pq.write_table(pa.table({"a": pa.array([2], pa.int64())}), tmp_path / "u.parquet" / "1.parquet")
    source = LocalDirectory(tmp_path)
    assert source.list_tables() == ["t", "u"]
    assert read(source, "u").to_pydict() == {"a": [1, 2]}
    assert source.schema("u").field("a").type == pa.int64()
    assert source.preview("t", 1).to_pydict() == {"a": [1]}
    assert source.preview("t", 0).num_rows == 0
    assert LocalFile(tmp_path / "u.parquet").list_tables() == ["u"]


def test_parts_that_do_not_fit_are_told(tmp_path):
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t" / "0.parquet")
    pq.write_table(pa.table({"b": [1]}), tmp_path / "t" / "1.parquet")
    with pytest.raises(SourceError) as told:
        LocalDirectory(tmp_path).schema("t")
    assert told.value.code == "source.parts_differ"
    assert "1.parquet" in told.value.message


def test_a_file_cut_at_the_end_names_the_file(tmp_path):
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError) as told:
        LocalDirectory(tmp_path).schema("orders")
    assert told.value.code == "source.truncated"
    assert "orders.parquet" in told.value.message


def test_a_file_damaged_in_the_middle_names_file_and_row_group(tmp_path):
    path = tmp_path / "orders.parquet"
    table = pa.table({"a": [f"value {i}" for i in range(100_000)]})
    pq.write_table(table, path, row_group_size=25_000, use_dictionary=False, compression="zstd")
    data = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    data[place : place + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError) as told:
        list(LocalDirectory(tmp_path).read("orders"))
    assert told.value.code == "source.damaged"
    assert "orders.parquet" in told.value.message
    assert "row group 2 of 4" in told.value.message


def test_no_columns_is_empty(tmp_path):
    pq.write_table(pa.table({}), tmp_path / "t.parquet")
    with pytest.raises(SourceError) as told:
        LocalDirectory(tmp_path).schema("t")
    assert told.value.code == "source.empty"


def test_mutated_files_give_our_error_or_rows(tmp_path):
    """Any bytes flipped or cut: never an error of the library below, always the file's name."""
    import random

    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"a": list(range(500)), "s": ["x" * (i % 7) for i in range(500)]}), path
    )
    whole = path.read_bytes()
    chance = random.Random(7)
    failed = nameless = 0
    for _ in range(150):
        data = bytearray(whole)
        if chance.random() < 0.3:
            data = data[: chance.randrange(len(data))]
        # The footer alone: garbage in a page's header can ask Arrow for gigabytes, which is for
        # the memory cap of the child process to stop.
        for _ in range(chance.randrange(1, 5)):
            if len(data) > 700:
                data[chance.randrange(len(data) - 600, len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        try:
            list(LocalDirectory(tmp_path).read("t"))
        except SourceError as error:
            failed += "t.parquet" in error.message
            nameless += "t.parquet" not in error.message
    assert failed > 50
    assert nameless == 0
