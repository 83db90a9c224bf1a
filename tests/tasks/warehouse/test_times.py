"""Times of every type, whatever the session's time zone; both ends of a window; far years."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from relcast.pql import check
from relcast.tasks.warehouse import label_sql
from tests.tasks.warehouse.comparison import arrow_tables
from tests.tasks.warehouse.test_hostile import two_tables
from tests.tasks.worlds import World, WorldTable

# Hours that New York, the zone of the tests' sessions, skips or has twice; the year before 1970.
MOMENTS = [
    "2024-03-10 02:30", "2024-11-03 01:30", "1969-12-31 23:59:59.999999",
    "1901-01-01 00:00:00.000001", "2200-06-01 12:00:00.123456",
]  # fmt: skip


def ns(moment: str) -> int:
    return int(pd.Timestamp(moment).as_unit("ns").value)


def counted(engine: Any, world: World, tables: dict[str, pa.Table], anchors: list[int]) -> set[int]:
    """The anchors whose window (a, a + 1 second] holds the only row."""
    query = check("PREDICT COUNT(rows.*, 0, 1, seconds) FOR EACH users.n", world.graph())
    names = engine.load(tables)
    text = label_sql(query, world.graph(), anchors, dialect=engine.dialect, tables=names)
    return {row.anchor for row in engine.run(text) if row.target}


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_an_event_stands_at_its_microsecond(engine: Any, zone: str | None, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int")
    tables = arrow_tables(world, tmp_path)
    for moment in MOMENTS if zone is None else MOMENTS[:2]:
        when = pa.array([ns(moment) // 1000], pa.int64()).cast(pa.timestamp("us", zone))
        rows = tables["rows"].set_column(1, "when", when)
        at, second = ns(moment), 10**9
        anchors = [at - second - 1000, at - second, at - 1000, at, at + 1000]
        held = {at - second, at - 1000}
        assert counted(engine, world, {**tables, "rows": rows}, anchors) == held, moment


def test_a_date_is_its_first_moment_in_utc(engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int")
    tables = arrow_tables(world, tmp_path)
    rows = tables["rows"].set_column(1, "when", pa.array([date(2024, 3, 10)]))
    at = ns("2024-03-10")
    found = counted(engine, world, {**tables, "rows": rows}, [at - 10**9, at - 1000, at])
    assert found == {at - 10**9, at - 1000}


def test_years_beyond_nanoseconds_keep_their_order(engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int")
    users = pd.DataFrame({"n": [0, 1, 2], "until": pd.Series([None] * 3, dtype="M8[ns]")})
    life = WorldTable({"n": "key", "until": "time"}, users, "n", end="until")
    world = World({**world.tables, "users": life}, world.links)
    tables = arrow_tables(world, tmp_path)
    far = [date(9999, 12, 31), date(1, 1, 1), None]
    ends = pa.array(far, pa.date32()).cast(pa.timestamp("us"))
    tables["users"] = tables["users"].set_column(1, "until", ends)
    query = check("PREDICT COUNT(rows.*, 0, 30) FOR EACH users.n", world.graph())
    anchor = ns("2024-01-31")
    names = engine.load(tables)
    text = label_sql(query, world.graph(), [anchor], dialect=engine.dialect, tables=names)
    assert {row.entity: row.target for row in engine.run(text)} == {0: 1, 2: 0}


def test_duckdb_counts_nanoseconds(duckdb_engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int")
    tables = arrow_tables(world, tmp_path)
    at = ns("2024-03-10") + 7
    when = pa.array([at], pa.int64()).cast(pa.timestamp("ns"))
    rows = tables["rows"].set_column(1, "when", when)
    anchors = [at - 10**9 - 1, at - 10**9, at - 1, at]
    held = {at - 10**9, at - 1}
    assert counted(duckdb_engine, world, {**tables, "rows": rows}, anchors) == held


def test_anchors_are_times_or_nanoseconds_in_any_order(engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int")
    query = check("PREDICT COUNT(rows.*, 0, 30) FOR EACH users.n", world.graph())
    names = engine.load(arrow_tables(world, tmp_path))
    anchors = [datetime(2024, 1, 31, tzinfo=UTC), ns("2023-12-31"), datetime(2024, 1, 31)]  # noqa: DTZ001
    text = label_sql(query, world.graph(), anchors, dialect=engine.dialect, tables=names)
    found = {(row.anchor, row.target) for row in engine.run(text)}
    assert found == {(ns("2023-12-31"), 0), (ns("2024-01-31"), 1)}


def test_infinity_never_ends(postgres_engine: Any, tmp_path: Path) -> None:
    world = two_tables("users", "rows", {}, "int", rows=2)
    users = pd.DataFrame({"n": [0, 1], "until": pd.Series([None] * 2, dtype="M8[ns]")})
    life = WorldTable({"n": "key", "until": "time"}, users, "n", end="until")
    world = World({**world.tables, "users": life}, world.links)
    names = postgres_engine.load(arrow_tables(world, tmp_path))
    for key, end in ((0, "infinity"), (1, "-infinity")):
        postgres_engine.connection.execute(
            "UPDATE test.users SET until = %s::timestamp WHERE n = %s", (end, key)
        )
    query = check("PREDICT COUNT(rows.*, 0, 30) FOR EACH users.n", world.graph())
    text = label_sql(query, world.graph(), [ns("2024-01-31")], dialect="postgres", tables=names)
    assert {row.entity: row.target for row in postgres_engine.run(text)} == {0: 1}
