"""From when a value is known: by a time, a delay, a duration in the row; never before its row."""

import numpy as np
import pandas as pd
import pytest

from relcast.core.delays import Delay
from relcast.relations import NEVER, build, longest_wait
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory

HOUR = 3_600 * 10**9
BEGIN = pd.Timestamp("2024-01-01")


def relations(tmp_path, frame, **said):
    folder = tmp_path / "files"
    folder.mkdir()
    frame.to_parquet(folder / "t.parquet")
    store = SnapshotStore(tmp_path / "store")
    spec = TableSpec("t", primary_key="id", time_column="at", **said)
    return build(store.combine([store.ingest_table(LocalDirectory(folder), "t", spec)]))


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5],
            "at": BEGIN + pd.to_timedelta([0, 1, 2, 3, 10], unit="h"),
            "done": [BEGIN + pd.Timedelta(hours=h) for h in (5, 0, 4, 30)] + [pd.NaT],
            "hours": [2.0, -3.0, np.nan, np.inf, 0.25],
            "took": pd.to_timedelta([90, 0, None, 1, 2], unit="m"),
            "value": [1.0, 2.0, 3.0, 4.0, 5.0],
            "word": ["a", None, "b", "c", "d"],
        }
    )


def hours(known):
    """Return hours since the beginning; None is never."""
    return [None if k == NEVER else (k - BEGIN.value) / HOUR for k in known.tolist()]


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"known_at": {"value": "done"}}, [5, 1, 4, 30, None]),
        ({"known_after": {"value": Delay.of("6 hours")}}, [6, 7, 8, 9, 16]),
        ({"known_after": {"value": Delay.of("hours hours")}}, [2, 1, None, None, 10.25]),
        ({"known_after": {"value": Delay.of("took")}}, [1.5, 1, None, 3 + 1 / 60, 10 + 2 / 60]),
        (
            {"known_at": {"value": "done"}, "known_after": {"value": Delay.of("1 hour")}},
            [6, 1, 5, 31, None],
        ),
    ],
)
def test_a_value_is_known_from(tmp_path, frame, said, known):
    found = relations(tmp_path, frame, **said)
    assert hours(found.value_known("t", "value")) == pytest.approx(known)
    assert found.value_known("t", "word") is None


def test_a_delay_may_be_a_code_or_stand_in_the_column_itself(tmp_path, frame):
    frame["days"] = [1, 2, 1, 2, 1]
    said = {"known_after": {"days": Delay.of("days hours")}}
    found = relations(tmp_path, frame, **said)
    assert hours(found.value_known("t", "days")) == [1, 3, 3, 5, 11]


def test_the_longest_wait_is_that_of_values_that_were_known_by_the_end(tmp_path, frame):
    found = relations(tmp_path, frame, known_at={"value": "done", "word": "done"})
    # The value of row 4 becomes known 20 hours after the last row: nothing was known of it.
    assert longest_wait(found.table("t"), "value") == 5 * HOUR
    assert longest_wait(found.table("t"), "word") == 5 * HOUR
    assert longest_wait(found.table("t"), "hours") == 0
    frame.loc[0, "word"] = None
    other = tmp_path / "other"
    other.mkdir()
    found = relations(other, frame, known_at={"value": "done", "word": "done"})
    assert longest_wait(found.table("t"), "word") == 2 * HOUR


def test_what_is_known_later_orders_no_rows(tmp_path, frame):
    """Rows of one time without a key stand in an order that no later value changes."""
    orders = []
    for number, value in enumerate((1.0, 1e9)):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = frame.assign(at=BEGIN, value=[value, 2.0, 3.0, value, 5.0]).drop(columns="id")
        rows.to_parquet(folder / "t.parquet")
        store = SnapshotStore(folder / "store")
        spec = TableSpec("t", None, "at", known_at={"value": "done"})
        snapshot = store.combine([store.ingest_table(LocalDirectory(folder), "t", spec)])
        orders.append(build(snapshot).table("t").order.tolist())
    assert orders[0] == orders[1]


def test_what_nobody_says_changes_no_version():
    plain = TableSpec("t", "id", "at").to_json()
    assert set(plain) == {"name", "dtypes", "stypes", "columns", "primary_key", "time_column"}
    said = TableSpec("t", known_after={"v": Delay.of("1 day")}, mutable=("w",))
    assert TableSpec.from_json(said.to_json()) == said
