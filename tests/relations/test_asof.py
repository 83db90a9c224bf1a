from __future__ import annotations

import numpy as np
import pytest

from relcast.core.schema import Link
from relcast.relations import build, known_slices, latest_known, rows_known
from tests.relations.databases import EPOCH, random_database

EVENTS = Link("events", "entity_id", "entities")


@pytest.mark.parametrize("seed", range(30))
def test_windows_are_open_on_the_left_and_closed_on_the_right(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    link, events = relations.link(EVENTS), db.frames["events"]
    keys = relations.table("entities").keys().to_pylist()
    for day in (0, 20, 50, 100):
        anchor = EPOCH + np.timedelta64(day, "D")
        start = anchor - np.timedelta64(10, "D")
        rows = np.arange(len(keys))
        until = np.full(len(keys), anchor.astype(np.int64))
        begin, end = known_slices(link, rows, until, np.full(len(keys), start.astype(np.int64)))
        for row, key in enumerate(keys):
            mine = events[events.entity_id == key]
            expected = mine[(mine["at"] > start) & (mine["at"] <= anchor)]
            assert sorted(link.child[begin[row] : end[row]]) == sorted(expected.index)


@pytest.mark.parametrize("seed", range(30))
def test_the_latest_known_child(seed, tmp_path):
    db = random_database(seed)
    if db.keys["events"] is None:
        pytest.skip("without a key ties follow the content")
    relations = build(db.snapshot(tmp_path))
    events, table = db.frames["events"], relations.table("events")
    keys = relations.table("entities").keys().to_pylist()
    anchor = EPOCH + np.timedelta64(50, "D")
    anchors = np.full(len(keys), anchor.astype(np.int64))
    found = latest_known(relations.link(EVENTS), table, np.arange(len(keys)), anchors)
    for row, key in enumerate(keys):
        mine = events[(events.entity_id == key) & (events["at"] <= anchor)]
        if "void" in mine:
            mine = mine[mine["void"].isna() | (mine["void"] > anchor)]
        ordered = mine.sort_values(["at", "event_id"])
        assert found[row] == (ordered.index[-1] if len(ordered) else -1)
    assert rows_known(table, found, anchors).tolist() == (found >= 0).tolist()
