"""Nothing later than the anchor moves a feature, nor does anything that carries no meaning."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from relcast.learners.features import FeatureSet
from relcast.relations import build
from tests.learners.features.cases import examples, query_for, same
from tests.relations.databases import EPOCH, change_future, permuted, random_database, shifted

SEEDS = range(200)
LONG = range(200, 5000)
ANCHOR = EPOCH + np.timedelta64(50, "D")


def _matrix(db, tmp_path, seed, days, features=None, until=ANCHOR, budget=2000):
    relations = build(db.snapshot(tmp_path))
    query = query_for(relations.graph, seed)
    moment = None if until is None else int(until.astype(np.int64))
    made = FeatureSet.generate(relations, query, budget=budget, until=moment)
    rows, anchors, keys = examples(relations, db, days)
    chosen = features or made
    return made, chosen.compute(relations, rows, anchors).values, keys


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_after_the_anchor_change_nothing(seed, tmp_path):
    db = random_database(seed)
    other = change_future(db, ANCHOR, seed)
    made, values, keys = _matrix(db, tmp_path, seed, (20, 35, 50))
    again, changed, keys2 = _matrix(other, tmp_path, seed, (20, 35, 50))
    assert keys == keys2
    assert again.to_json() == made.to_json()
    same(values, changed, [f.name for f in made.features])


@pytest.mark.long
def test_rows_after_the_anchor_change_nothing_at_length(tmp_path):
    for seed in LONG:
        root = tmp_path / str(seed)
        test_rows_after_the_anchor_change_nothing(seed, root)
        shutil.rmtree(root)


@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_rows_changes_nothing(seed, tmp_path):
    db = random_database(seed)
    made, values, _ = _matrix(db, tmp_path, seed, (20, 50))
    again, changed, _ = _matrix(permuted(db, seed), tmp_path, seed, (20, 50))
    assert again.to_json() == made.to_json()
    same(values, changed, [f.name for f in made.features])


@pytest.mark.parametrize("seed", range(15))
def test_moving_all_times_changes_the_calendar_only(seed, tmp_path):
    db = random_database(seed)
    made, values, _ = _matrix(db, tmp_path, seed, (50,))
    moved = shifted(db, 400)
    relations = build(moved.snapshot(tmp_path))
    rows, anchors, _ = examples(relations, moved, (450,))
    parts = ("calendar", "own", "past")  # months differ in length, and a column's month is a part
    fixed = [k for k, f in enumerate(made.features) if f.recipe.family not in parts]
    names = [made.features[k].name for k in fixed]
    chosen = made.select(fixed)
    same(values[:, fixed], chosen.compute(relations, rows, anchors).values, names)


@pytest.mark.parametrize("seed", range(20))
def test_batches_threads_and_pruning_give_the_same_bits(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    made = FeatureSet.generate(relations, query_for(relations.graph, seed), budget=2000)
    names = [f.name for f in made.features]
    rows, anchors, _ = examples(relations, db, (20, 35, 50, 80))
    whole = made.compute(relations, rows, anchors).values
    same(whole, made.compute(relations, rows, anchors, threads=3).values, names)
    order = np.random.default_rng(seed).permutation(len(rows))
    same(whole[order], made.compute(relations, rows[order], anchors[order]).values, names)
    for k in range(0, len(rows), 7):
        one = made.compute(relations, rows[k : k + 1], anchors[k : k + 1]).values
        same(whole[k : k + 1], one, names)
    some = np.arange(len(names))[::-3]
    back = FeatureSet.from_json(json.loads(json.dumps(made.select(some).to_json())))
    assert back == made.select(some)
    same(whole[:, some], back.compute(relations, rows, anchors).values, [names[k] for k in some])


def test_a_changed_past_moves_features(tmp_path):
    """The perturbation tests would also pass on constants: the past must matter."""
    db = random_database(7)
    made, values, _ = _matrix(db, tmp_path, 1, (50,))
    other = random_database(7)
    past = (other.frames["events"]["at"] <= ANCHOR).to_numpy()
    assert past.any()
    other.frames["events"].loc[past, "amount"] += 1.0
    _, changed, _ = _matrix(other, tmp_path, 1, (50,), features=made)
    moved = (values != changed) & ~(np.isnan(values) & np.isnan(changed))
    names = [f.name for f, m in zip(made.features, moved.any(axis=0), strict=True) if m]
    assert any("events.amount" in name for name in names)


@pytest.mark.parametrize("seed", range(12))
def test_frozen_examples_see_what_is_known_and_the_calendar_of_their_anchor(seed, tmp_path):
    """As of ``known`` everything is what it was then; ages and the calendar go on to the anchor."""
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    made = FeatureSet.generate(relations, query_for(relations.graph, seed), budget=2000)
    rows, known, _ = examples(relations, db, (20, 35))
    anchors = known + 3 * 365 * 86_400 * 10**9 // 7
    frozen = made.compute(relations, rows, anchors, known=known).values
    then = made.compute(relations, rows, known).values
    later = made.compute(relations, rows, anchors).values
    clock = [f.recipe.family == "calendar" for f in made.features]
    aged = [f.recipe.measure == "age" for f in made.features]
    names = [f.name for f in made.features]
    gap = names.index("days from what is known to the anchor")
    np.testing.assert_allclose(frozen[:, gap], 3 * 365 / 7, rtol=1e-6)
    assert (then[:, gap] == 0).all()
    for k in range(len(names)):
        if k == gap:
            continue
        if clock[k]:
            same(frozen[:, [k]], later[:, [k]], [names[k]])
        elif aged[k]:
            np.testing.assert_allclose(frozen[:, k], then[:, k] + 3 * 365 / 7, rtol=1e-4)
        else:
            same(frozen[:, [k]], then[:, [k]], [names[k]])
    moved = made.compute(relations, rows, known, known=anchors).values
    same(moved, then, names)
