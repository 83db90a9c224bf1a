"""D8: one entity at one anchor has the same features alone, in any batch, whatever the task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relcast.learners.features import FeatureSet
from relcast.pql import check
from relcast.relations import build
from tests.learners.features.cases import same
from tests.properties.worlds_future import (
    DAYS,
    STATIC,
    TASKS,
    draw_anchor,
    draw_still_world,
    draw_text,
    draw_world,
    other_future,
)
from tests.relations.databases import DAY, EPOCH

TARGETS = [targets[k] for targets in TASKS for k in (0, -1)]


@pytest.mark.parametrize("target", TARGETS)
def test_a_temporal_task_scores_an_entity_as_it_trained_on_it(target: str, tmp_path: Path) -> None:
    text = f"PREDICT {target} FOR EACH entities.id"
    db = draw_world(3, text)
    snapshot = db.snapshot(tmp_path)
    relations, query = build(snapshot), check(text, snapshot.graph)
    made = FeatureSet.generate(relations, query, budget=3000)
    days = np.array([DAYS // 3, DAYS // 2, DAYS - 5])
    anchors = np.repeat(EPOCH.astype(np.int64) + days * DAY, 12)
    _parity(made, relations, np.tile(np.arange(12), 3).astype(np.int64), anchors)


@pytest.mark.parametrize("number", range(len(STATIC)))
def test_a_static_task_scores_an_entity_as_it_trained_on_it(number: int, tmp_path: Path) -> None:
    db, text = draw_still_world(8 * number)
    snapshot = db.snapshot(tmp_path)
    relations, query = build(snapshot), check(text, snapshot.graph)
    made = FeatureSet.generate(relations, query, budget=3000)
    assert made.features
    _parity(made, relations, np.arange(20, dtype=np.int64), None)


def _parity(made: FeatureSet, relations, rows: np.ndarray, anchors: np.ndarray | None) -> None:
    names = [f.name for f in made.features]
    assert len(set(names)) == len(names)
    whole = made.compute(relations, rows, anchors).values
    varied = [k for k in range(len(names)) if len(np.unique(whole[:, k])) > 1]
    assert varied

    def part(chosen: np.ndarray, **how: object) -> np.ndarray:
        when = None if anchors is None else anchors[chosen]
        return made.compute(relations, rows[chosen], when, **how).values  # type: ignore[arg-type]

    everyone = np.arange(len(rows))
    same(whole, part(everyone, threads=3), names)
    same(whole[::-1], part(everyone[::-1]), names)
    if anchors is not None:
        same(whole, part(everyone, known=anchors), names)
    for k in range(0, len(rows), 5):
        same(whole[k : k + 1], part(everyone[k : k + 1]), names)


@pytest.mark.parametrize("seed", [s for s in range(22) if s % 8 != 7])
def test_what_is_offered_follows_from_the_past(seed: int, tmp_path: Path) -> None:
    """On worlds with every form of target: neither names nor values depend on the future."""
    text = draw_text(seed)
    db = draw_world(seed, text)
    anchor = draw_anchor(db, "events", seed)
    sides = []
    for number, world in enumerate((db, other_future(db, anchor, seed))):
        snapshot = world.snapshot(tmp_path / str(number))
        relations, query = build(snapshot), check(text, snapshot.graph)
        made = FeatureSet.generate(relations, query, budget=5000, until=anchor)
        entities = relations.table("entities")
        keys = world.frames["entities"]["id"].to_numpy()
        born = np.zeros(len(keys)) if entities.time is None else entities.time
        keys = np.sort(keys[born <= anchor])
        rows = entities.key_index(keys).astype(np.int64)
        values = made.compute(relations, rows, np.full(len(rows), anchor)).values
        sides.append((made, keys, values))
    (made, keys, values), (again, others, changed) = sides
    assert [f.name for f in again.features] == [f.name for f in made.features]
    assert again.to_json() == made.to_json()
    both = np.intersect1d(keys, others)
    here, there = np.searchsorted(keys, both), np.searchsorted(others, both)
    same(values[here], changed[there], [f.name for f in made.features])
