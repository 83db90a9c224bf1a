"""Equal training tables: relcast's labels, and those of its statement in another engine.

A failure names its seed, which draws the same world and query again.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from relcast.pql import CheckedQuery
from tests.properties.label_cases import draw
from tests.properties.label_worlds import Case
from tests.tasks.warehouse.comparison import answered, arrow_tables, differences, expected, tamed

CHUNK = 10
SEEDS = 60
TASKS = 8


class Prepared(NamedTuple):
    """A random case, its rows and relcast's labels: the same for every engine."""

    case: Case
    query: CheckedQuery
    anchors: list[int] | None
    tables: dict[str, pa.Table]
    want: dict[tuple[Any, int | None], Any]


@cache
def prepared(seed: int) -> Prepared:
    drawn = draw(seed)
    case, query = tamed(drawn.case), drawn.query
    anchors = [a.value for a in case.anchors] if query.temporal else None
    with tempfile.TemporaryDirectory(prefix="relcast-warehouse-") as folder:
        root = Path(folder)
        tables = arrow_tables(case.world, root)
        want = expected(case.world.snapshot(root), query, anchors)
    return Prepared(case, query, anchors, tables, want)


def compare(engine: Any, seed: int) -> int:
    """Compare one random case; returns the number of labels."""
    case, query, anchors, tables, want = prepared(seed)
    wrong = differences(answered(engine, case.world, tables, query, anchors), want)
    assert not wrong, f"seed {seed}: {case.text}: {wrong[:5]}"
    return len(want)


@pytest.mark.parametrize("chunk", range(SEEDS // CHUNK))
def test_random_queries_give_equal_tables(engine: Any, chunk: int) -> None:
    seeds = range(chunk * CHUNK, (chunk + 1) * CHUNK)
    assert sum(compare(engine, seed) for seed in seeds) > 2 * CHUNK


def test_the_random_queries_are_of_every_task_type() -> None:
    assert len({prepared(seed).query.task_type for seed in range(SEEDS)}) == TASKS


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(SEEDS // CHUNK, 60))
def test_random_queries_give_equal_tables_long(engine: Any, chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        compare(engine, seed)
        prepared.cache_clear()
