"""Equal training tables: relcast's labels, and those of its statement in another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.properties.label_cases import draw
from tests.tasks.warehouse.comparison import answered, arrow_tables, differences, expected, tamed

CHUNK = 10


def compare(engine: Any, seed: int, root: Path) -> int:
    """Compare one random case; returns the number of labels."""
    drawn = draw(seed)
    case, query = tamed(drawn.case), drawn.query
    anchors = [a.value for a in case.anchors] if query.temporal else None
    want = expected(case.world.snapshot(root), query, anchors)
    got = answered(engine, case.world, arrow_tables(case.world, root), query, anchors)
    wrong = differences(got, want)
    assert not wrong, f"{drawn.place}: {wrong[:5]}"
    return len(want)


@pytest.mark.parametrize("chunk", range(60 // CHUNK))
def test_random_queries_give_equal_tables(engine: Any, chunk: int, tmp_path: Path) -> None:
    seeds = range(chunk * CHUNK, (chunk + 1) * CHUNK)
    assert sum(compare(engine, seed, tmp_path) for seed in seeds) > 2 * CHUNK
