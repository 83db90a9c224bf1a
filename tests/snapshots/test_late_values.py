"""Columns that come later than their rows are proposed with evidence, and nothing is applied."""

import numpy as np
import pandas as pd
import pytest

from relcast.core.delays import Delay
from relcast.core.errors import SchemaError
from relcast.core.schema import Graph
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory

BEGIN = pd.Timestamp("2024-01-01")


def copied(tmp_path, frame, **said):
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "t.parquet")
    store = SnapshotStore(tmp_path / "store", clock=lambda: pd.Timestamp("2030-01-01", tz="UTC"))
    return store.ingest_table(LocalDirectory(folder), "t", TableSpec("t", "id", "at", **said))


@pytest.fixture
def frame():
    """A thousand orders, ten a day: rated after five days, paid by most after two."""
    rng = np.random.default_rng(0)
    n = 1000
    at = BEGIN + pd.to_timedelta(np.arange(n) // 10, unit="D")
    now = at[-1]
    paid = at + pd.Timedelta(days=2)
    open_ = (paid > now) | (rng.random(n) < 0.1)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "at": at,
            "paid": pd.Series(paid).where(~open_),
            "sum": np.where(open_, np.nan, rng.normal(10, 1, n)),
            "rating": np.where(at + pd.Timedelta(days=5) > now, np.nan, rng.integers(1, 6, n)),
            "note": np.where(rng.random(n) < 0.2, None, "x"),
            "size": rng.normal(0, 1, n),
        }
    )


def test_columns_that_come_late_are_proposed(tmp_path, frame):
    report = copied(tmp_path, frame).report
    found = {p.column: p for p in report.late}
    assert set(found) == {"paid", "sum", "rating"}
    assert found["sum"].known_at == "paid"
    assert "exactly where paid is" in found["sum"].reason
    assert found["rating"].known_at is None
    assert "20 of the newest 20 rows" in found["rating"].reason
    told = " ".join(report.warnings)
    assert "known_at={'t.sum': 'paid'}" in told
    assert "mutable=['t.rating']" in told
    assert report.from_json(report.to_json()) == report


def test_nothing_is_applied(tmp_path, frame):
    table = copied(tmp_path, frame).table
    assert not any(table.is_late(c.name) or c.mutable for c in table.columns)
    assert Graph({"t": table}).to_json()["tables"][0]["columns"][3] == {
        "name": "sum", "dtype": "float64", "stype": "numerical"
    }  # fmt: skip


def test_what_was_said_is_not_proposed_again(tmp_path, frame):
    said = {"known_at": {"sum": "paid"}, "known_after": {"rating": Delay.of("5 days")}}
    assert copied(tmp_path, frame, **said).report.late == ()
    other = tmp_path / "other"
    other.mkdir()
    left = {p.column for p in copied(other, frame, mutable=("sum", "rating")).report.late}
    assert left == {"paid"}


def test_holes_of_another_kind_are_left_alone(tmp_path, frame):
    """A table copied long after its last row, values missing here and there, a column that ended."""
    rng = np.random.default_rng(1)
    frame["sum"] = np.where(rng.random(1000) < 0.3, np.nan, 1.0)
    frame["paid"] = frame["at"] + pd.Timedelta(days=2)
    frame["rating"] = np.where(np.arange(1000) > 500, np.nan, 3.0)
    assert copied(tmp_path, frame).report.late == ()


def test_a_column_is_named_that_is_not_there(tmp_path, frame):
    for said in ({"known_at": {"sum": "payed"}}, {"known_after": {"summ": Delay.of("1 day")}}):
        with pytest.raises(SchemaError) as error:
            copied(tmp_path, frame, **said)
        assert error.value.code == "schema.unknown_column"
