"""Uploads in parts: nothing is seen until all is there, and names cannot lead anywhere else."""

from __future__ import annotations

import io
import os
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.errors import Conflict, InvalidRequest, NotFound, RelcastError, SourceError
from relcast.sources import UploadArea


@pytest.fixture
def area(tmp_path):
    return UploadArea(tmp_path / "uploads")


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def send(area, name, data, fmt="parquet", parts=1):
    size = -(-len(data) // parts)
    upload = area.start(name, fmt, parts)
    done = [
        (n + 1, area.write_part(upload, n + 1, [data[n * size : (n + 1) * size]]))
        for n in range(parts)
    ]
    area.complete(upload, name, done)


def column(area, name, of="a"):
    return [v for batch in area.read(name) for v in batch.column(of).to_pylist()]


def test_a_file_in_parts(area):
    send(area, "t", parquet(a=list(range(1000))), parts=3)
    assert area.list_tables() == ["t"]
    assert column(area, "t") == list(range(1000))
    assert not list((area.root / "pending").iterdir())


def test_text_in_parts_cut_within_a_line(area):
    send(area, "t", b"a,b\n1,x\n2,y\n", fmt="csv", parts=5)
    assert column(area, "t", "b") == ["x", "y"]


def test_parts_may_come_in_any_order_and_twice(area):
    data = parquet(a=[1, 2, 3])
    upload = area.start("t", "parquet", 2)
    second = area.write_part(upload, 2, [data[20:]])
    area.write_part(upload, 1, [b"wrong"])
    first = area.write_part(upload, 1, [data[:10], data[10:20]])
    assert first.startswith('"')
    assert first.endswith('"')
    area.complete(upload, "t", [(2, second), (1, first)])
    assert column(area, "t") == [1, 2, 3]


def test_nothing_is_seen_before_completion(area):
    upload = area.start("t", "parquet", 1)
    area.write_part(upload, 1, [parquet(a=[1])])
    assert area.list_tables() == []
    with pytest.raises(NotFound):
        area.schema("t")


def test_replacing_and_deleting(area):
    send(area, "t", parquet(a=[1]))
    before = area.fingerprint("t")
    send(area, "t", parquet(a=[2]))
    assert column(area, "t") == [2]
    assert area.fingerprint("t") != before
    send(area, "t", b"a\n7\n", fmt="csv")
    assert column(area, "t") == [7]
    area.delete("t")
    assert area.list_tables() == []
    assert not list((area.root / "files").iterdir())
    with pytest.raises(NotFound):
        area.delete("t")


def test_partitions_are_one_table(area):
    send(area, "t.parquet/part_0002.parquet", parquet(a=[3, 4]))
    send(area, "t.parquet/part_0001.parquet", parquet(a=[1, 2]))
    assert area.list_tables() == ["t"]
    assert column(area, "t") == [1, 2, 3, 4]
    send(area, "t.parquet/part_0001.parquet", parquet(a=[9]))
    assert column(area, "t") == [9, 3, 4]
    send(area, "t", parquet(a=[5]))
    assert column(area, "t") == [5]
    send(area, "t.parquet/part_0001.parquet", parquet(a=[6]))
    assert column(area, "t") == [6]
    area.delete("t")
    assert area.list_tables() == []


def test_what_does_not_fit_is_refused_and_the_table_stays(area):
    send(area, "t", parquet(a=[1]))
    upload = area.start("t", "parquet", 2)
    first = area.write_part(upload, 1, [b"PAR1"])
    with pytest.raises(SourceError) as told:
        area.complete(upload, "t", [(1, first)])
    assert told.value.code == "source.bad_part"
    second = area.write_part(upload, 2, [b"no parquet"])
    with pytest.raises(SourceError) as told:
        area.complete(upload, "t", [(1, first), (2, '"0"')])
    assert told.value.code == "source.bad_part"
    with pytest.raises(Conflict):
        area.complete(upload, "u", [(1, first), (2, second)])
    with pytest.raises(SourceError) as told:
        area.complete(upload, "t", [(1, first), (2, second.strip('"'))])
    assert told.value.code == "source.truncated"
    assert "t.parquet" in told.value.message
    assert str(area.root) not in told.value.message
    assert column(area, "t") == [1]


@pytest.mark.parametrize("number", [0, -1, 3, 10**9])
def test_parts_have_numbers_from_one(area, number):
    upload = area.start("t", "parquet", 2)
    with pytest.raises(InvalidRequest):
        area.write_part(upload, number, [b"x"])


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_there_are_at_most_a_thousand_parts(area, count):
    with pytest.raises(InvalidRequest):
        area.start("t", "parquet", count)


WORDS = [
    "..",
    ".",
    "/",
    "\\",
    "%2e%2e",
    "~",
    "\0",
    "\n",
    "C:",
    "//",
    " ",
    "\u2025",
    "$HOME",
    "|x",
    "\u202e",
]
HOSTILE = sorted(
    {a + b + c for a in ["", *WORDS] for b in ["etc/passwd", "t", ""] for c in ["", *WORDS]}
    | {"../" * n + "x" for n in range(1, 12)}
    | {"t.parquet/" + "../" * n + "p.parquet" for n in range(1, 12)}
    | {"t.parquet/a/b.parquet", "a.parquet/..", "..parquet/..", "x" * 300, ".t", "-t", "t..u"}
)  # fmt: skip


def test_hostile_names_never_reach_the_disk(area, tmp_path):
    """300 and more ways to write another place: refused, and nothing is written outside."""
    (tmp_path / "passwd").write_text("secret")
    before = {p for p in tmp_path.rglob("*") if area.root not in p.parents}
    assert len(HOSTILE) >= 300
    legal, odd = 0, []
    for name in HOSTILE:
        for attempt in (
            lambda name=name: send(area, name, parquet(a=[1])),
            lambda name=name: area.delete(name),
            lambda name=name: list(area.read(name)),
            lambda name=name: area.write_part(name, 1, [b"x"]),
            lambda name=name: area.complete(name, name, []),
        ):
            try:
                attempt()
            except RelcastError as error:
                odd += [name] * (error.status not in (404, 409, 422))
            else:
                legal += 1
    assert {p for p in tmp_path.rglob("*") if area.root not in p.parents} == before
    assert (tmp_path / "passwd").read_text() == "secret"
    assert not odd
    assert legal <= 6  # the plain name `t`, three ways


def test_links_planted_in_the_area_are_not_followed(area, tmp_path):
    send(area, "t", parquet(a=[1]))
    (tmp_path / "secret.parquet").write_bytes(parquet(a=[42]))
    stored = next((area.root / "files").rglob("*.parquet"))
    stored.unlink()
    stored.symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(RelcastError) as told:
        list(area.read("t"))
    assert told.value.code == "source.outside_roots"


def test_readers_see_the_old_table_or_the_new_one(area):
    send(area, "t", parquet(a=[0] * 1000))
    stop = threading.Event()
    seen, wrong = set(), []

    def read():
        while not stop.is_set():
            try:
                values = set(column(area, "t"))
            except SourceError:
                continue  # replaced while it was read: told, not mixed
            seen.update(values)
            if len(values) != 1:
                wrong.append(values)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(1, 30):
        send(area, "t", parquet(a=[i] * 1000))
    stop.set()
    reader.join()
    assert not wrong
    assert column(area, "t") == [29] * 1000


def test_stale_uploads_are_swept(area):
    upload = area.start("t", "parquet", 1)
    os.utime(area.root / "pending" / upload, (0, 0))
    area.start("u", "parquet", 1)
    with pytest.raises(NotFound) as told:
        area.write_part(upload, 1, [b"x"])
    assert told.value.code == "source.unknown_upload"
