"""Numbers at the edge of what engines hold: relcast's answer or an error, never another number."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from relcast.core.schema import Link
from relcast.pql import check
from tests.tasks.warehouse.comparison import answered, arrow_tables, differences, expected
from tests.tasks.warehouse.results import Row
from tests.tasks.warehouse.test_hostile import ANCHOR, TIME
from tests.tasks.worlds import World, WorldTable

INF = math.inf
VALUES = [
    [INF],
    [INF, -INF],
    [INF, 1.0, 2.0],
    [math.nan, 3.0],
    [-0.0],
    [0.1, 0.2],
    [2.5, -2.5],
    [1e-200],
]


def world_of(values: list[list[Any]], kind: str) -> World:
    """Each list belongs to an entity, its place."""
    owner = [n for n, held in enumerate(values) for _ in held]
    rows = pd.DataFrame(
        {
            "id": range(len(owner)),
            "owner": owner,
            "when": pd.Series([TIME] * len(owner), dtype="M8[ns]"),
            "x": pd.Series([v for held in values for v in held], dtype=object),
        }
    )
    kinds = {"id": "key", "owner": "key", "when": "time", "x": kind}
    users = pd.DataFrame({"n": range(len(values))})
    return World(
        {
            "users": WorldTable({"n": "key"}, users, "n"),
            "rows": WorldTable(kinds, rows, "id", "when"),
        },
        (Link("rows", "owner", "users"),),
    )


def both(engine: Any, world: World, text: str, root: Path) -> tuple[list[Row], dict[Any, Any]]:
    query = check(f"PREDICT {text} FOR EACH users.n", world.graph())
    want = expected(world.snapshot(root), query, [ANCHOR])
    return answered(engine, world, arrow_tables(world, root), query, [ANCHOR]), want


@pytest.mark.parametrize(
    "text",
    [
        "SUM(rows.x, 0, 30)", "SUM(rows.x, 0, 30) > 5", "AVG(rows.x, 0, 30) IS NULL",
        "MEDIAN(rows.x, 0, 30)", "MEDIAN(rows.x, 0, 30) > 5", "STDDEV(rows.x, 0, 30)",
        "MAX(rows.x, 0, 30) >= 0.3", "COUNT(rows.x WHERE rows.x > 0.15, 0, 30)",
        "COUNT_DISTINCT(rows.x, 0, 30)", "1 / SUM(rows.x, 0, 30)", "FIRST(rows.x, 0, 30) = 0",
    ],
)  # fmt: skip
def test_infinite_absent_and_tiny_numbers(engine: Any, text: str, tmp_path: Path) -> None:
    got, want = both(engine, world_of(VALUES, "raw"), text, tmp_path)
    assert want
    assert not differences(got, want)


def test_floats_of_32_bits_are_compared_as_such(engine: Any, tmp_path: Path) -> None:
    world = world_of([[0.1], [0.25]], "single")
    got, want = both(engine, world, "COUNT(rows.x WHERE rows.x = 0.1, 0, 30)", tmp_path)
    assert list(want.values()) == [1, 0]
    assert not differences(got, want)


def test_sums_of_long_integers_are_right_or_refused(engine: Any, tmp_path: Path) -> None:
    world = world_of([[2**62, 2**62, 2**62], [1, 2]], "int")
    try:
        got, want = both(engine, world, "SUM(rows.x, 0, 30)", tmp_path)
    except Exception as error:  # noqa: BLE001
        assert engine.dialect == "spark"
        assert "overflow" in str(error).casefold()  # noqa: PT017
    else:
        assert not differences(got, want)
