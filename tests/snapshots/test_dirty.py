# ruff: noqa: DTZ001 - naive times are what is tested
"""Dirty tables: each fault has one outcome, and every row or value that is lost is counted."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.errors import SchemaError, SourceError
from relcast.core.schema import Dtype, Stype
from relcast.snapshots import TableSpec, infer_table


def at(day, hour=0):
    return dt.datetime(2024, 1, day, hour)


def test_rows_are_dropped_by_reason_and_counted(place):
    place.put("t", {
        "id": [1, None, 2, 2, 3, 1, 4],
        "when": pa.array([at(1), at(2), None, at(4), dt.datetime(1600, 1, 1), at(6), at(7)], pa.timestamp("us")),
        "x": [1, 2, 3, 4, 5, 6, 7],
    })  # fmt: skip
    t = place.ingest("t", primary_key="id", time_column="when")
    assert t.report.rows_read == 7
    assert t.report.rows_kept == 3
    assert t.report.dropped == {
        "null_key": 1,
        "null_time": 1,
        "unreadable_time": 1,
        "duplicate_key": 1,
    }
    # Row 3 (key 2) stays: the earlier row with that key has no time and is dropped.
    assert place.rows(t).column("x").to_pylist() == [1, 4, 7]


@pytest.mark.parametrize("seed", range(5))
def test_dropping_equals_a_slow_recomputation(place, seed):
    chance = np.random.default_rng(seed)
    n = 30_000
    frame = pd.DataFrame({"id": chance.integers(0, n * 2, n), "x": np.arange(n)})
    frame["id"] = frame["id"].astype("Int64").mask(chance.random(n) < 0.05)
    moments = pd.Series(
        pd.Timestamp("2020-01-01") + pd.to_timedelta(chance.integers(0, 10**6, n), "s")
    )
    frame["at"] = moments.mask(chance.random(n) < 0.05)
    place.put("t", pa.Table.from_pandas(frame, preserve_index=False))
    t = place.ingest("t", primary_key="id", time_column="at")
    slow = frame.dropna(subset=["id"])
    no_key = n - len(slow)
    slow, before = slow.dropna(subset=["at"]), len(slow)
    no_time = before - len(slow)
    slow, before = slow.drop_duplicates("id"), len(slow)
    assert t.report.dropped == {
        "null_key": no_key,
        "null_time": no_time,
        "duplicate_key": before - len(slow),
    }
    assert place.rows(t).column("x").to_pylist() == slow["x"].tolist()


def test_text_keys_and_float_keys(place):
    place.put("t", {"code": ["a", "b", "a", None, " ", "A"], "x": range(6)})
    t = place.ingest("t", primary_key="code")
    assert place.rows(t).column("code").to_pylist() == ["a", "b", "A"]
    assert t.report.dropped == {"null_key": 2, "duplicate_key": 1}
    place.put("f", {"user_id": [1.0, float("nan"), 2.0, 1.0], "x": range(4)})
    f = place.ingest("f", primary_key="user_id")
    assert place.rows(f).column("user_id").to_pylist() == [1, 2]
    assert f.table.column("user_id").dtype is Dtype.int64


def test_values_that_cannot_be_read_are_missing_and_counted(place):
    place.text("t", "id,n,b,d\n1,5,yes,2024-01-01\n2,1.5,true,never\n3,x,maybe,2024-02-30\n4,,0,\n")
    t = place.ingest(
        "t",
        dtypes={"n": Dtype.int64, "b": Dtype.bool, "d": Dtype.time},
        primary_key="id",
        time_column=None,
    )
    rows = place.rows(t)
    assert rows.column("n").to_pylist() == [5, None, None, None]
    assert rows.column("d").null_count == 3
    assert t.report.unreadable == {"n": 2, "b": 1, "d": 2}
    assert t.report.rows_kept == 4


def test_infinities_and_nan(place):
    place.put("t", {"id": [1, 2, 3, 4], "x": [np.inf, -np.inf, np.nan, 1e308]})
    t = place.ingest("t")
    assert place.rows(t).column("x").to_pylist() == [None, None, None, 1e308]
    assert t.report.unreadable == {"x": 2}
    assert t.statistics_of("x").maximum == 1e308


def test_years_that_nanoseconds_cannot_hold(place):
    """1677 to 2262 is readable; 1600 and 9999 are not, and a row's end at 9999 is no end."""
    times = [
        dt.datetime(1600, 1, 1),
        dt.datetime(9999, 12, 31),
        dt.datetime(1678, 1, 1),
        dt.datetime(2262, 4, 11),
    ]
    place.put("t", {
        "id": [1, 2, 3, 4],
        "start": pa.array([at(1)] * 4, pa.timestamp("ms")),
        "until": pa.array(times, pa.timestamp("us")),
    })  # fmt: skip
    t = place.ingest("t", time_column="start", end_time_column="until")
    assert t.report.rows_kept == 4
    assert t.report.unreadable == {"until": 2}
    assert place.rows(t).column("until").null_count == 2
    dropped = place.ingest("t", time_column="until").report.dropped
    assert dropped == {"unreadable_time": 2}


def test_years_in_text(place):
    place.text("t", "id,at\n1,1600-01-01\n2,9999-12-31\n3,2024-01-01\n")
    t = place.ingest("t", time_column="at")
    assert t.report.dropped == {"unreadable_time": 2}
    assert t.statistics_of("at").first == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize(("unit", "per"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_epochs_in_every_unit_by_name_and_range(place, unit, per):
    place.put(
        "t", {"id": [1, 2], "created_at": [1_700_000_000 * per, 1_700_000_001 * per], "n": [1, 2]}
    )
    t = place.ingest("t")
    assert t.table.time_column == "created_at"
    assert place.rows(t).column("created_at").cast(pa.int64()).to_pylist() == [
        1_700_000_000 * 10**9, 1_700_000_001 * 10**9,
    ]  # fmt: skip


def test_numbers_become_times_only_by_name_and_range_or_when_asked(place):
    place.put("t", {"id": [1, 2], "amount": [1_700_000_000, 1_700_000_001], "date_code": [1, 2]})
    t = place.ingest("t")
    assert t.table.column("amount").dtype is Dtype.int64
    assert t.table.column("date_code").dtype is Dtype.int64
    asked = place.ingest("t", dtypes={"amount": Dtype.time})
    assert asked.statistics_of("amount").first == "2023-11-14T22:13:20Z"
    with pytest.raises(SchemaError) as told:
        place.ingest("t", time_column="date_code")
    assert told.value.code == "schema.bad_dtype"
    assert "date_code" in told.value.message


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["2024-01-02T10:00:00+02:00", "2024-01-03T00:00:00Z"], "2024-01-02T08:00:00Z"),
        (["12/31/2023", "01/02/2024"], "2023-12-31T00:00:00Z"),
        (["31/12/2023", "01/02/2024"], "2023-12-31T00:00:00Z"),
        (["31.12.2023 10:30", "01.02.2024 00:00"], "2023-12-31T10:30:00Z"),
        (["20231231", "20240102"], "2023-12-31T00:00:00Z"),
        (["Dec 31, 2023", "Jan 02, 2024"], "2023-12-31T00:00:00Z"),
    ],
)
def test_times_in_text(place, values, first):
    place.put("t", {"id": [1, 2], "order_date": values})
    t = place.ingest("t")
    assert t.table.column("order_date").dtype.is_time
    assert t.statistics_of("order_date").first == first


def test_a_few_unreadable_times_in_text_are_dropped_and_told(place):
    values = [f"2024-01-{1 + i % 28:02}" for i in range(99)] + ["soon"]
    place.put("t", {"id": list(range(100)), "event_time": values})
    t = place.ingest("t")
    assert t.table.time_column == "event_time"
    assert t.report.dropped == {"unreadable_time": 1}
    assert "1 values cannot be read" in str(t.reasons["columns"])


def test_an_empty_table_has_one_outcome(place):
    place.text("t", "id,name,created_at\n")
    t = place.ingest("t")
    assert (t.rows, t.report.rows_read, t.table.primary_key) == (0, 0, "id")
    assert place.rows(t).num_rows == 0
    assert place.rows(t).column_names == ["id", "name", "created_at"]
    assert t.statistics_of("id").count == 0
    place.put("u", {"id": pa.array([], pa.int64()), "t_id": pa.array([], pa.int64())})
    u = place.ingest("u")
    snapshot = place.store.combine([t, u])
    assert all(link.children == 0 for link in snapshot.links)
    (place.folder / "v.csv").write_bytes(b"")
    with pytest.raises(SourceError) as told:
        place.ingest("v")
    assert told.value.code == "source.empty"


def test_one_row_and_constant_and_all_null(place):
    place.put("t", {"id": [7], "x": [1.5], "c": ["same"], "n": pa.nulls(1), "at": [at(1)]})
    t = place.ingest("t")
    assert (t.table.primary_key, t.rows) == ("id", 1)
    assert t.statistics_of("n").nulls == 1
    assert t.statistics_of("x").histogram == ()


def test_every_row_dropped_is_an_error_that_says_why(place):
    place.put("t", {"id": pa.array([None, None], pa.int64()), "x": [1, 2]})
    with pytest.raises(SchemaError) as told:
        place.ingest("t", primary_key="id")
    assert told.value.code == "schema.no_rows_left"
    assert "2 by null_key" in told.value.message
    assert list((place.store.root / "tables").iterdir()) == []


HOSTILE = [
    "a\"b'; DROP TABLE raw; --",
    "",
    " ",
    "c0",
    "rowid",
    "raw",
    "key",
    "select",
    "é\U0001f600",
    "a\nb",
    "x" * 500,
    "%s{}",
    "$1",
    "\\",
]


def test_hostile_names_round_trip(place):
    place.put("t", {name: list(range(3)) for name in HOSTILE})
    t = place.ingest("t", primary_key=HOSTILE[0])
    assert [c.name for c in t.table.columns] == HOSTILE
    assert place.rows(t).column_names == HOSTILE
    assert place.store.open_table(t.id).table == t.table
    snapshot = place.store.combine([t])
    assert snapshot.graph.table("t").primary_key == HOSTILE[0]


def test_names_equal_but_for_case_are_refused_unless_one_is_left_out(place):
    place.put("t", {"Id": [1], "ID": [2], "x": [3]})
    with pytest.raises(SourceError) as told:
        place.ingest("t")
    assert told.value.code == "source.duplicate_column"
    assert place.ingest("t", columns=["ID", "x"], primary_key="ID").rows == 1


def test_columns_and_unknown_ones(place):
    place.put("t", {"id": [1], "x": [3], "y": [4]})
    t = place.ingest("t", columns=["y"], primary_key="id")
    assert [c.name for c in t.table.columns] == ["y", "id"]
    for spec in ({"columns": ["z"]}, {"primary_key": "z"}, {"dtypes": {"z": Dtype.int64}}):
        with pytest.raises(SchemaError) as told:
            place.ingest("t", **spec)
        assert told.value.code == "schema.unknown_column"


ODD = {
    "uint": (pa.array([1, None, 3], pa.uint32()), Dtype.int64, [1, None, 3]),
    "huge": (pa.array([2**64 - 1, 1, None], pa.uint64()), Dtype.string, ["18446744073709551615", "1", None]),
    "nullable": (pa.array([1, None, 3], pa.int64()), Dtype.int64, [1, None, 3]),
    "large": (pa.array(["a", None, "b"], pa.large_string()), Dtype.string, ["a", None, "b"]),
    "view": (pa.array(["a", None, "b"]).dictionary_encode(), Dtype.string, ["a", None, "b"]),
    "null": (pa.nulls(3), Dtype.string, [None] * 3),
    "list": (pa.array([["a"], None, []]), Dtype.stringlist, [["a"], None, []]),
    "ints": (pa.array([[1, 2], None, []], pa.large_list(pa.int16())), Dtype.intlist, [[1, 2], None, []]),
    "vector": (pa.array([[1.5, 2], None, [0, 0]], pa.list_(pa.float32(), 2)), Dtype.floatlist, [[1.5, 2.0], None, [0.0, 0.0]]),
    "decimal": (pa.array([1, None, 3], pa.decimal128(12, 2)), Dtype.float64, [1.0, None, 3.0]),
    "number": (pa.array([1, None, 3], pa.decimal128(38, 0)), Dtype.int64, [1, None, 3]),
    "half": (pa.array([1.5, None, 3], pa.float16()), Dtype.float32, [1.5, None, 3.0]),
    "span": (pa.array([dt.timedelta(minutes=1), None, dt.timedelta(0)], pa.duration("us")), Dtype.timedelta, [60.0, None, 0.0]),
    "clock": (pa.array([dt.time(1), None, dt.time(0)], pa.time64("us")), Dtype.timedelta, [3600.0, None, 0.0]),
    "uuid": (pa.array([b"\1" * 16, None, b"\2" * 16], pa.binary(16)), Dtype.string, ["01" * 16, None, "02" * 16]),
    "bytes": (pa.array([b"x", None, b""]), Dtype.binary, [True, None, True]),
    "struct": (pa.array([{"a": 1}, None, {"a": 2}]), Dtype.unsupported, [True, None, True]),
    "map": (pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())), Dtype.unsupported, [True, None, True]),
    "nested": (pa.array([[{"a": 1}], None, []]), Dtype.unsupported, [True, None, True]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_odd_types(place, kind):
    values, dtype, expected = ODD[kind]
    place.put("t", {"v": values})
    t = place.ingest("t", primary_key=None)
    assert t.table.column("v").dtype is dtype
    assert place.rows(t).column("v").to_pylist() == expected
    assert t.statistics_of("v").nulls == expected.count(None)
    assert not t.report.unreadable
    if dtype in (Dtype.binary, Dtype.unsupported):
        assert t.table.column("v").stype is Stype.unsupported
    again = place.store.ingest_table(place.source, "t", TableSpec.of(t.table))
    assert place.rows(again).equals(place.rows(t))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_zones_become_utc(place, unit):
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    place.put("t", {"id": [1], "at": pa.array([moment], pa.timestamp(unit, tz="Europe/Berlin"))})
    t = place.ingest("t")
    assert place.rows(t).column("at").type == pa.timestamp("ns")
    assert t.statistics_of("at").first == "2024-07-01T10:00:00Z"


def test_dates_are_dates(place):
    place.put("t", {"id": [1], "day": pa.array([dt.date(2024, 7, 1)])})
    t = place.ingest("t")
    assert t.table.column("day").dtype is Dtype.date
    assert t.table.column("day").stype is Stype.timestamp
    assert place.rows(t).column("day").type == pa.timestamp("ns")


def test_infer_table_keeps_what_is_asked(place):
    place.text("t", "id,zip,score\n1,10115,5\n2,80331,6\n")
    asked = TableSpec(
        "t", primary_key=None, stypes={"zip": Stype.categorical}, dtypes={"score": Dtype.float64}
    )
    proposal = infer_table(place.source, "t", asked)
    assert proposal.table.primary_key is None
    assert proposal.table.column("zip").stype is Stype.categorical
    assert proposal.table.column("score").dtype is Dtype.float64
    assert proposal.to_json()["columns"][2]["dtype_reason"] == "asked for"
    with pytest.raises(SchemaError) as told:
        infer_table(place.source, "t", TableSpec("t", dtypes={"zip": Dtype.stringlist}))
    assert told.value.code == "schema.bad_dtype"


def test_a_timestamp_by_meaning_is_read_as_time_whatever_its_dtype(place):
    """A string column that the user calls a timestamp: meaning weighs more than storage."""
    place.put("t", {"id": [1, 2], "when": ["2024-01-01", "2024-01-02"], "n": ["1.5", "x"]})
    t = place.ingest(
        "t",
        dtypes={"when": Dtype.string, "n": Dtype.string},
        stypes={"when": Stype.timestamp, "n": Stype.numerical},
    )
    assert t.table.column("when").dtype is Dtype.time
    assert place.rows(t).column("n").to_pylist() == [1.5, None]
    assert t.report.unreadable == {"n": 1}


def test_dates_that_could_be_read_two_ways_say_so(place):
    place.put("t", {"id": [1, 2], "day": ["03/04/2024", "05/06/2024"]})
    t = place.ingest("t")
    assert t.statistics_of("day").first == "2024-03-04T00:00:00Z"
    assert "would also be %d/%m/%Y" in t.reasons["columns"][1]["dtype_reason"]


@pytest.mark.parametrize("year", [1600, 9999])
def test_a_column_of_times_that_no_clock_holds_is_named_with_its_table(place, year):
    """The sentence used to say that the values are no times, and not whose."""
    when = pa.array([dt.datetime(year, 1, 1)] * 3, pa.timestamp("us"))
    place.put("visits", {"id": [1, 2, 3], "when": when})
    with pytest.raises(SchemaError) as caught:
        place.ingest("visits", primary_key="id", dtypes={"when": Dtype.time})
    assert caught.value.code == "schema.bad_dtype"
    assert "Table 'visits'" in caught.value.message
    assert "every time of column 'when' is before 1677-09-22" in caught.value.message.lower()
    assert caught.value.hint
