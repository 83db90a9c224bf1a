"""Text tables: how they are written is sniffed, types hold for all rows, faults name their line."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest
import zstandard

from relcast.core.errors import SourceError
from relcast.sources import LocalDirectory


def rows(source, name):
    return pa.Table.from_batches(list(source.read(name)), schema=source.schema(name)).to_pylist()


def put(folder, name, text):
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(data)
    return LocalDirectory(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'id,name,at\n1,"a, b",2024-01-02\n2,c,2024-01-03\n'),
        ("t.csv", "id;name;at\r\n1;a, b;2024-01-02\r\n2;c;2024-01-03\r\n"),
        ("t.csv", "id|name|at\n1|a, b|2024-01-02\n2|c|2024-01-03"),
        ("t.tsv", "id\tname\tat\n1\ta, b\t2024-01-02\n2\tc\t2024-01-03\n"),
        ("t.csv", '\ufeffid,name,at\n1,"a, b",2024-01-02\n2,c,2024-01-03\n'),
    ],
)  # fmt: skip
def test_delimiter_header_and_mark_are_found(tmp_path, name, text):
    source = put(tmp_path, name, text)
    assert source.schema("t").types == [pa.int64(), pa.string(), pa.date32()]
    assert [r["name"] for r in rows(source, "t")] == ["a, b", "c"]
    assert rows(source, "t")[0]["id"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed(tmp_path, pack):
    suffix = "gz" if pack is gzip.compress else "zst"
    source = put(tmp_path, f"t.csv.{suffix}", pack(b"a,b\n1,x\n2,y\n"))
    assert source.list_tables() == ["t"]
    assert rows(source, "t") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_types_hold_for_all_rows_not_for_the_first_ones(tmp_path):
    """A column is what all its values are: one late odd value widens it, and loses nothing."""
    body = "".join(f"{i},{i},{i},{i}\n" for i in range(5000))
    source = put(tmp_path, "t.csv", "whole,number,text,late\n" + body + "5000,1.5,x,\n")
    assert source.schema("t").types == [pa.int64(), pa.float64(), pa.string(), pa.int64()]
    last = rows(source, "t")[-1]
    assert last == {"whole": 5000, "number": 1.5, "text": "x", "late": None}


def test_a_column_that_is_empty_at_first_gets_the_type_of_its_values(tmp_path):
    body = "".join(f"{i},\n" for i in range(3000))
    source = put(tmp_path, "t.csv", "a,b\n" + body + "1,2.5\n")
    assert source.schema("t").types == [pa.int64(), pa.float64()]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "9223372036854775807"], pa.int64()),
        (["1", "12345678901234567890123"], pa.string()),  # identifiers stay apart
        (["1.5", "12345678901234567890123"], pa.float64()),
        (["+5", "-6"], pa.float64()),
        (["1.5", "1e-3", ".5"], pa.float64()),
        (["007", "123"], pa.string()),  # codes keep their zeros
        (["true", "FALSE"], pa.bool_()),
        (["2024-01-01", "2024-12-31"], pa.date32()),
        (["2024-01-01", "2024-01-01 10:00"], pa.timestamp("us")),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"], pa.timestamp("us")),
        (["2024-02-30", "2024-02-28"], pa.string()),
        (["10:30", "11:30"], pa.string()),
        (["1_000", "2"], pa.string()),
        (["1.5", "x"], pa.string()),
    ],
)
def test_types(tmp_path, values, kind):
    source = put(tmp_path, "t.csv", "v,w\n" + "".join(f"{v},1\n" for v in values))
    assert source.schema("t").field("v").type == kind


def test_offsets_are_brought_to_utc(tmp_path):
    source = put(tmp_path, "t.csv", "v,w\n2024-01-01T10:00:00+02:00,1\n2024-01-01T10:00:00Z,1\n")
    assert [r["v"].isoformat() for r in rows(source, "t")] == [
        "2024-01-01T08:00:00", "2024-01-01T10:00:00",
    ]  # fmt: skip


def test_missing_words_are_missing_and_quoted_ones_are_text(tmp_path):
    text = 'n,s\nNA,NA\n1,"NA"\n,\n2,""\nNULL,NULL\n3,x\n'
    source = put(tmp_path, "t.csv", text)
    assert source.schema("t").types == [pa.int64(), pa.string()]
    found = rows(source, "t")
    assert [r["n"] for r in found] == [None, 1, None, 2, None, 3]
    assert [r["s"] for r in found] == [None, "NA", None, None, None, "x"]


def test_a_file_without_header(tmp_path):
    source = put(tmp_path, "t.csv", "1,a,2024-01-01\n2,b,2024-01-02\n")
    assert source.schema("t").names == ["column0", "column1", "column2"]
    assert len(rows(source, "t")) == 2


def test_order_is_kept_over_many_rows(tmp_path):
    source = put(tmp_path, "t.csv", "a,b\n" + "".join(f"{i},x\n" for i in range(300_000)))
    assert [r for b in source.read("t") for r in b.column(0).to_pylist()] == list(range(300_000))


def test_hostile_names_of_columns_and_files(tmp_path):
    folder = tmp_path / "a[1]*? 'x'; DROP"
    folder.mkdir()
    source = put(folder, "t'; --.csv", '"a""b\'; DROP TABLE x",\u00e9\U0001f600\n1,2\n')
    assert source.schema("t'; --").names == ["a\"b'; DROP TABLE x", "\u00e9\U0001f600"]
    assert rows(source, "t'; --") == [{"a\"b'; DROP TABLE x": 1, "\u00e9\U0001f600": 2}]


@pytest.mark.parametrize("where", ["schema", "read", "preview"])
@pytest.mark.parametrize(
    ("bad", "line", "found"),
    [("3,4,5", 4, "3 fields where the header has 2"), ("3", 4, "1 fields"), ('3,"x', 4, "quote")],
)
def test_a_broken_row_is_told_with_file_and_line(tmp_path, bad, line, found, where):
    source = put(tmp_path, "orders.csv", f"a,b\n1,2\n2,3\n{bad}\n4,5\n")
    ask = {
        "schema": lambda: source.schema("orders"),
        "read": lambda: list(source.read("orders")),
        "preview": lambda: source.preview("orders", 100),
    }
    with pytest.raises(SourceError) as told:
        ask[where]()
    assert told.value.code == "source.broken_row"
    assert f"orders.csv, line {line}" in told.value.message
    assert found in told.value.message
    assert str(tmp_path) not in told.value.message
    assert told.value.hint


def test_a_broken_row_far_below_is_told_with_its_line(tmp_path):
    body = "".join(f"{i},x\n" for i in range(200_000))
    source = put(tmp_path, "t.csv", "a,b\n" + body + "1,2,3\n")
    with pytest.raises(SourceError, match=r"t\.csv, line 200002"):
        list(source.read("t"))


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("t.csv", b"", "source.empty"),
        ("t.csv", b"\n\n", "source.empty"),
        ("t.csv", b"a,b\n1,\xff\n", "source.encoding"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "source.encoding"),
        ("t.csv", b"a,b\n\0,1\n", "source.encoding"),
        ("t.csv", b"a,a\n1,2\n", "source.duplicate_column"),
        ("t.csv.gz", b"a,b\n1,2\n", "source.unreadable"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9, mtime=0)[:-10], "source.unreadable"),
        ("t.csv.zst", b"a,b\n1,2\n", "source.unreadable"),
        ("t.parquet", b"", "source.empty"),
        ("t.parquet", b"PAR1 nothing", "source.truncated"),
    ],
    ids=lambda value: None if isinstance(value, str) else "data",  # gzip writes the time of day
)  # fmt: skip
def test_unreadable_files_have_one_outcome_each(tmp_path, name, data, code):
    source = put(tmp_path, name, data)
    with pytest.raises(SourceError) as told:
        list(source.read("t"))
    assert told.value.code == code
    assert name in told.value.message
    assert told.value.hint


def test_bytes_that_are_not_utf8_far_below_are_told_with_their_line(tmp_path):
    source = put(tmp_path, "t.csv", b"a,b\n" + b"1,2\n" * 200_000 + b"1,\xe4\n")
    with pytest.raises(SourceError) as told:
        source.schema("t")
    assert told.value.code == "source.encoding"
    assert "200002" in told.value.message


def test_a_header_alone_is_a_table_without_rows(tmp_path):
    source = put(tmp_path, "t.csv", "a,b\n")
    assert source.schema("t").names == ["a", "b"]
    assert rows(source, "t") == []
    assert source.preview("t", 5).num_rows == 0


def test_parts_of_a_directory_are_one_table(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "b.csv").write_text("a,b\n3,x\n")
    (tmp_path / "t" / "a.csv").write_text("a,b\n1,y\n2,z\n")
    (tmp_path / "t" / "_SUCCESS").write_text("")
    assert [r["a"] for r in rows(LocalDirectory(tmp_path), "t")] == [1, 2, 3]
    (tmp_path / "t" / "c.csv").write_text("a,c\n3,x\n")
    with pytest.raises(SourceError) as told:
        LocalDirectory(tmp_path).schema("t")
    assert told.value.code == "source.parts_differ"
    assert "c.csv" in told.value.message


def test_numbers_of_one_csv_column_survive_quotes_all_over(tmp_path):
    source = put(tmp_path, "t.csv", '"a","b"\n"1","x"\n"","y"\n"3","z"\n')
    assert [r["a"] for r in rows(source, "t")] == [1, None, 3]


def test_one_column(tmp_path):
    source = put(tmp_path, "t.csv", "id\n1\n2\n")
    assert rows(source, "t") == [{"id": 1}, {"id": 2}]
