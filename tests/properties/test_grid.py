"""Labels on arrays equal those of SQL alone: drawn worlds and queries, whatever the memory.

Both sides are compared with an independent oracle elsewhere; here is what only differs between
them: passes, rows that do not fit in memory, entities a few at a time, keys looked up or joined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relcast.tasks.grid import Grid
from relcast.tasks.labels import Labeller
from relcast.tasks.scan import open_session
from relcast.tasks.targets import are_numbers, collect, encode
from tests.properties.label_cases import Drawn, draw

SEEDS = 180
CHUNK = 30


def found(drawn: Drawn, root: Path, *, arrays: bool, batch: int, threads: int = 1) -> list[Any]:
    """The kept examples with their targets, and what was dropped."""
    snapshot = drawn.case.world.snapshot(root)
    with open_session(snapshot, threads=threads) as session:
        labeller = Labeller(session, drawn.query, batch=batch, arrays=arrays)
        # Plain numbers are put where they stay; SQL's come together as Arrow arrays.
        kept = collect(labeller.grid(drawn.moments), plain=arrays and are_numbers(drawn.query))
        encoded = encode(drawn.query, kept)
    target = None if encoded.target is None else encoded.target.tolist()
    return [
        kept.entity.tolist(),
        kept.anchor.tolist(),
        target,
        encoded.classes,
        dict(kept.dropped),
        kept.considered,
    ]


def takes(drawn: Drawn, root: Path) -> bool:
    """Whether arrays evaluate the query at all."""
    with open_session(drawn.case.world.snapshot(root)) as session:
        sql = Labeller(session, drawn.query).sql
        return Grid.of(session, sql, memory=10**8) is not None


@pytest.mark.parametrize("chunk", range(SEEDS // CHUNK))
def test_arrays_give_the_labels_of_sql(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    for seed in range(30_000 + chunk * CHUNK, 30_000 + (chunk + 1) * CHUNK):
        drawn = draw(seed)
        if not drawn.query.temporal or not takes(drawn, tmp_path):
            continue
        taken += 1
        want = found(drawn, tmp_path, arrays=False, batch=2_000_000)
        assert found(drawn, tmp_path, arrays=True, batch=2_000_000) == want, drawn
        # Passes of a few cells, so that an anchor's entities come in parts.
        assert found(drawn, tmp_path, arrays=True, batch=3, threads=2) == want, drawn
        with monkeypatch.context() as little:  # no rows are held, a few are read at a time
            little.setattr("relcast.tasks.timed_rows.ROW_BYTES", 2**40)
            assert found(drawn, tmp_path, arrays=True, batch=50) == want, drawn
        with monkeypatch.context() as joined:  # SQL joins the entities
            joined.setattr("relcast.tasks.key_index.KeyIndex.of", lambda *_: None)
            assert found(drawn, tmp_path, arrays=True, batch=50) == want, drawn
    assert taken >= 2  # the others have no time, or clauses that are left to SQL


def test_a_key_beyond_the_index_names_nobody() -> None:
    from relcast.tasks.key_index import KeyIndex

    index = KeyIndex(5, np.array([-1, 0, -1, 1, -1], dtype=np.int32))
    ends = np.iinfo(np.int64)
    keys = np.array([5, 6, 7, 8, 4, ends.min, ends.max, 0], dtype=np.int64)
    assert index.find(keys).tolist() == [0, -1, 1, -1, -1, -1, -1, -1]
