"""Queries and examples on random databases, for the tests of this folder."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relcast.core.schema import Graph
from relcast.pql import check
from relcast.pql.ast import CheckedQuery
from relcast.relations import Relations
from tests.relations.databases import EPOCH, Database

TARGETS = (
    "COUNT(events.*, 0, 10, days)",
    "SUM(events.amount, 0, 7, days)",
    "AVG(events.amount WHERE events.kind = 'w1', 0, 1, months)",
    "COUNT_DISTINCT(events.kind, 0, 3, weeks)",
    "MAX(events.units WHERE events.settled IS NOT NULL, 0, 15, days)",
    "COUNT(events.* WHERE events.units > 2, 0, 5, days) = 0",
    "LAST(events.kind, 0, 20, days) = 'w0'",
    "LAST(events.kind, 0, 20, days)",
    "FIRST(events.amount, 0, 20, days) > 8 AND NOT COUNT(events.*, 0, 10, days) > 3",
)


def query_for(graph: Graph, seed: int) -> CheckedQuery:
    """Return a temporal query over the random database's schema."""
    targets = list(TARGETS)
    if any(link.table == "events" and link.to == "groups" for link in graph.links):
        targets.append("COUNT(events.* WHERE groups.sort = 'w1', 0, 10, days) > 0")
        targets.append("AVG(events.amount WHERE groups.weight > 0, 0, 10, days)")
    return check(f"PREDICT {targets[seed % len(targets)]} FOR EACH entities.id", graph)


def examples(
    relations: Relations, db: Database, days: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return rows, anchors and keys of every entity that is there at each anchor."""
    rows, anchors, keys = [], [], []
    frame = db.frames["entities"]
    for day in days:
        anchor = EPOCH + np.timedelta64(day, "D")
        here = np.ones(len(frame), dtype=bool)
        if db.times.get("entities"):
            here &= (frame["born"] <= anchor).to_numpy()
        if db.ends.get("entities"):
            here &= (frame["gone"].isna() | (frame["gone"] > anchor)).to_numpy()
        found = sorted(frame["id"][here])
        keys += found
        rows.append(
            relations.table("entities").key_index(pd.array(found, dtype="int64").to_numpy())
        )
        anchors.append(np.full(len(found), anchor.astype(np.int64)))
    return np.concatenate(rows), np.concatenate(anchors), keys


def same(left: np.ndarray, right: np.ndarray, names: list[str]) -> None:
    """Assert that two matrices are equal bit by bit, naming the features that are not."""
    assert left.shape == right.shape
    differs = (left.view(np.uint32) != right.view(np.uint32)) & ~(np.isnan(left) & np.isnan(right))
    places = np.flatnonzero(differs.any(axis=0))
    shown = [
        (names[k], left[differs[:, k], k][:3], right[differs[:, k], k][:3]) for k in places[:5]
    ]
    assert not len(places), shown
