from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.errors import SchemaError
from relcast.core.schema import Link
from relcast.relations import NOT_A_TIME, Relations, build
from tests.relations.databases import DAY, EPOCH, Database, moments, random_database


def _links_by_hand(db: Database, link: Link) -> dict[object, list[object]]:
    """Children of each parent key in order of (time, key), by plain pandas."""
    frame = db.frames[link.table]
    time, key = db.times.get(link.table), db.keys.get(link.table)
    by = [c for c in (time, key) if c]
    ordered = frame.sort_values(by, kind="stable") if by else frame
    parents = set(db.frames[link.to][db.keys[link.to]])
    known = ordered[ordered[link.foreign_key].isin(parents)]
    return {k: list(part.index) for k, part in known.groupby(link.foreign_key)}


@pytest.mark.parametrize("seed", range(40))
def test_links_equal_a_plain_grouping(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    for link, arrays in relations.links.items():
        keys = relations.tables[link.to].keys().to_pylist()
        if db.keys[link.table] is None:
            continue  # the order of ties follows the content: tested by permutation
        expected = _links_by_hand(db, link)
        for row, key in enumerate(keys):
            got = arrays.child[arrays.indptr[row] : arrays.indptr[row + 1]].tolist()
            assert got == expected.get(key, []), (link, key)
            assert all(arrays.parent[c] == row for c in got)
        linked = {c for children in expected.values() for c in children}
        dangling = [c for c in range(len(arrays.parent)) if c not in linked]
        assert all(arrays.parent[c] == -1 for c in dangling)
        if arrays.child_time is not None:
            times = relations.tables[link.table].time
            assert times is not None
            assert (arrays.child_time == times[arrays.child]).all()


def test_columns_hold_their_values(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "exact": [0.5, np.nan, 3.0],
            "fine": [0.1, 0.2, np.nan],
            "big": [2**40 + 1, 1, 2],
            "word": ["b", None, "a"],
            "code": [10, 9, None],
            "flag": [True, None, False],
            "when": moments(np.array([1.0, np.nan, 2.5])),
            "note": ["x", "y", None],
        }
    )
    kinds = {
        "id": "id",
        "exact": "number",
        "fine": "number",
        "big": "int",
        "word": "category",
        "code": "code",
        "flag": "bool",
        "when": "time",
        "note": "text",
    }
    relations = build(Database({"t": frame}, {"t": kinds}, {"t": "id"}).snapshot(tmp_path))
    table = relations.table("t")
    assert table.rows == 3
    exact, fine, big = (table.column(c).values for c in ("exact", "fine", "big"))
    assert exact.dtype == np.float32
    assert fine.dtype == np.float64
    assert big.dtype == np.float64
    assert big.tolist() == [2**40 + 1, 1, 2]
    np.testing.assert_array_equal(fine, [0.1, 0.2, np.nan])
    word = table.column("word")
    assert word.dictionary == ["a", "b"]
    assert word.values.tolist() == [1, -1, 0]
    code = table.column("code")
    np.testing.assert_array_equal(code.numbers(), [10, 9, np.nan])
    assert code.dictionary == ["10", "9"]
    np.testing.assert_array_equal(table.column("flag").numbers(), [1, np.nan, 0])
    first = int(EPOCH.astype(np.int64))
    assert table.column("when").values.tolist() == [first + DAY, NOT_A_TIME, first + 5 * DAY // 2]
    assert table.column("note").kind == "text"
    assert table.column("note").raw().to_pylist() == ["x", "y", None]
    with pytest.raises(SchemaError, match=r"fin.*Did you mean 'fine'") as error:
        table.column("fin")
    assert error.value.code == "schema.unknown_column"


def test_times_beyond_64_bits_keep_their_order(tmp_path):
    from relcast.relations import convert

    dates = pa.chunked_array(
        [pa.array([-135_000, 0, None, 2_932_896], pa.date32())]
    )  # 1600 .. 9999
    times = convert.times(dates)
    assert times[0] < times[1] < times[3]
    assert times[2] == NOT_A_TIME
    assert times[0] > NOT_A_TIME
    years = pa.chunked_array([pa.array([-(2**62), 2**62], pa.timestamp("s"))])
    assert convert.times(years)[0] < convert.times(years)[1]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (pa.array([5, 7, 9]), pa.array([7, None, 4, 9])),
        (pa.array([5, 7, 9], pa.int16()), pa.array([7.0, None, 4.0, 9.0])),
        (pa.array(["5", "7", "9"]), pa.array([7, None, 4, 9])),
        (pa.array([5, 7, 9]), pa.array(["7", None, "four", "9"])),
        (pa.array(["5", "7", "9"]), pa.array(["7", None, "4", "9"]).dictionary_encode()),
    ],
)
def test_keys_match_across_types(stored, asked):
    from relcast.relations import convert

    assert convert.match_keys(convert.key_array(asked), stored).tolist() == [1, -1, -1, 2]


def test_key_index_finds_rows(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    entities = relations.table("entities")
    keys = entities.keys()
    assert entities.key_index(keys).tolist() == list(range(entities.rows))
    assert entities.key_index([keys[0].as_py(), None, 10**9]).tolist() == [0, -1, -1]


def test_a_build_is_reused_and_two_builders_agree(tmp_path):
    snapshot = random_database(5).snapshot(tmp_path)
    seen: list[Relations] = []
    workers = [threading.Thread(target=lambda: seen.append(build(snapshot))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(seen) == 4
    builds = [p for p in snapshot.path.iterdir() if p.is_dir()]
    assert builds == [seen[0].path]  # no staging directory is left
    before = (builds[0] / "manifest.json").stat().st_mtime_ns
    again = build(snapshot)
    assert (builds[0] / "manifest.json").stat().st_mtime_ns == before
    assert again.tables.keys() == seen[0].tables.keys()


def test_a_failed_build_leaves_nothing(tmp_path):
    snapshot = random_database(5).snapshot(tmp_path)
    snapshot.tables["events"].path.write_bytes(b"PAR1 no longer a file")
    with pytest.raises(Exception):  # noqa: B017 - whichever error, nothing may stay
        build(snapshot)
    assert [p for p in snapshot.path.iterdir() if p.is_dir()] == []


def test_empty_tables_have_empty_arrays(tmp_path):
    db = random_database(1)
    db.frames = {name: frame.head(0) for name, frame in db.frames.items()}
    relations = build(db.snapshot(tmp_path))
    assert relations.table("events").rows == 0
    for arrays in relations.links.values():
        assert arrays.indptr.tolist() == [0]
        assert len(arrays.child) == 0


def test_when_a_row_ends_does_not_order_the_rows_of_one_moment(tmp_path):
    """An end is written later: rows without a key must not change places when it comes."""
    n = 40
    frame = pd.DataFrame({"owner": [1] * n, "at": moments(np.full(n, 5.0)), "size": np.arange(n)})
    orders = []
    for seed in (0, 1):
        until = moments(np.random.default_rng(seed).integers(20, 90, n).astype(float))
        db = Database(
            {"owners": pd.DataFrame({"id": [1]}), "events": frame.assign(until=until)},
            {
                "owners": {"id": "id"},
                "events": {"owner": "id", "at": "time", "size": "number", "until": "time"},
            },
            {"owners": "id", "events": None},
            {"events": "at"},
            {"events": "until"},
            (Link("events", "owner", "owners"),),
        )
        relations = build(db.snapshot(tmp_path))
        orders.append(np.array(relations.link(db.links[0]).child))
    assert orders[0].tolist() == orders[1].tolist()
    assert orders[0].tolist() != list(range(n))
