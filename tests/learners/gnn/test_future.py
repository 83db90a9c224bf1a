"""Nothing later than what an example may see moves a weight or a prediction."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra gnn is not installed")

from relcast.core.schema import TaskType
from relcast.learners import gnn
from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.learner import Settings, Work
from relcast.learners.metrics import default_tune_metric
from relcast.learners.protocol import Asked, Fold, Target
from relcast.relations import build
from tests.learners.features.cases import examples, query_for
from tests.learners.gnn.works import DEBUG, states
from tests.relations.databases import EPOCH, change_future, permuted, random_database

ANCHOR = EPOCH + np.timedelta64(50, "D")
UNTIL = int((EPOCH + np.timedelta64(35, "D")).astype(np.int64))


def trained(db, seed, tmp_path):
    """Train on made-up labels of days 20 and 35, and predict day 50."""
    relations = build(db.snapshot(tmp_path))
    query = query_for(relations.graph, seed)
    target = Target(
        query.task_type,
        ("x", "y", "z") if query.task_type is TaskType.MULTICLASS_CLASSIFICATION else None,
    )

    def fold(*days):
        rows, anchors, keys = examples(relations, db, days)
        draws = np.array(
            [zlib.crc32(f"{k}-{a}".encode()) % 3 for k, a in zip(keys, anchors, strict=True)]
        )
        binary = target.task_type is TaskType.BINARY_CLASSIFICATION
        label = np.minimum(draws, 1) if binary else draws
        return Fold(Asked.rolling(rows, anchors), label.astype(np.float64), None)

    train, valid = fold(20, 35), fold(50)
    if not len(train) or not len(valid):
        return None
    work = Work(
        relations,
        query,
        target,
        train,
        valid,
        FeatureSet.generate(relations, query, budget=20, until=UNTIL),
        Settings(DEBUG, default_tune_metric(target.task_type), seed, 1, Deadline()),
        lambda *_: None,
    )
    model = gnn.train(work).model
    return model, model.predict(relations, valid.asked, threads=1)


@pytest.mark.parametrize("seed", range(24))
def test_rows_after_the_anchor_change_nothing(seed, tmp_path):
    db = random_database(seed)
    one = trained(db, seed, tmp_path)
    if one is None:
        pytest.skip("nobody is there yet")
    for other in (change_future(db, ANCHOR, seed), permuted(db, seed)):
        two = trained(other, seed, tmp_path)
        assert one[0].codes == two[0].codes
        first, second = states(one[0]), states(two[0])
        assert all(np.array_equal(first[k], second[k]) for k in first)
        assert np.array_equal(one[1], two[1])


@pytest.mark.parametrize("seed", [2, 7])
def test_rows_before_the_anchor_do_matter(seed, tmp_path):
    db = random_database(seed)
    one = trained(db, seed, tmp_path)
    other = random_database(seed)
    past = (other.frames["events"]["at"] <= ANCHOR).to_numpy()
    other.frames["events"].loc[past, "amount"] *= -3.0
    two = trained(other, seed, tmp_path)
    assert not np.array_equal(one[1], two[1])


@pytest.mark.parametrize("seed", range(8))
def test_frozen_examples_see_nothing_after_their_split_began(seed, tmp_path):
    db = random_database(seed)
    one = trained(db, seed, tmp_path)
    if one is None:
        pytest.skip("nobody is there yet")
    said = []
    for version in (db, change_future(db, EPOCH + np.timedelta64(35, "D"), seed)):
        relations = build(version.snapshot(tmp_path))
        rows, known, _ = examples(relations, version, (35,))
        asked = Asked(rows, known + 15 * 86_400 * 10**9, known)
        said.append(one[0].predict(relations, asked, threads=1))
    assert np.array_equal(*said)
