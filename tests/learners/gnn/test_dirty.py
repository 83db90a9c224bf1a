"""Odd tables are no trouble: empty ones, huge numbers, all null, thousands of categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="the extra gnn is not installed")

from relcast.core.schema import Link
from relcast.learners import gnn
from relcast.learners.protocol import Asked, Fold, Target
from relcast.pql import check
from relcast.relations import build
from tests.learners.gnn.works import DEBUG
from tests.relations.databases import DAY, EPOCH, Database, moments

QUERY = "PREDICT SUM(visits.cost, 0, 10, days) FOR EACH people.id"
N = 60


def visits(rng, n):
    return pd.DataFrame(
        {
            "visit": np.arange(n),
            "who": rng.integers(0, N, n),
            "at": moments(rng.integers(0, 60, n).astype(float)),
            "cost": rng.normal(0, 1, n),
            "word": [f"w{k}" for k in range(n)],
            "said": np.array(["😀 naïve"] * n, dtype=object),
        }
    )


def database(case):
    rng = np.random.default_rng(0)
    db = Database({}, {})
    db.frames["people"] = pd.DataFrame({"id": np.arange(N), "age": rng.normal(40, 9, N)})
    db.kinds["people"] = {"id": "id", "age": "number"}
    db.frames["visits"] = visits(rng, 0 if case == "no rows" else 300)
    db.kinds["visits"] = {
        "visit": "id", "who": "id", "at": "time", "cost": "number", "word": "category",
        "said": "text",
    }  # fmt: skip
    db.keys = {"people": "id", "visits": "visit"}
    db.times["visits"] = "at"
    db.links = (Link("visits", "who", "people"),)
    frame = db.frames["visits"]
    if case == "huge":
        frame["cost"] = rng.choice([1e308, -1e308, np.inf, -np.inf, 5e-324], len(frame))
    elif case == "null":
        frame["cost"], frame["said"], frame["word"] = np.nan, None, None
    elif case == "dangling":
        frame["who"] = 10**6
    elif case == "no times":
        frame["at"] = np.datetime64("NaT", "ns")
    elif case == "far":
        frame["at"] = np.where(np.arange(len(frame)) % 2, "1700-01-01", "2250-01-01")
        frame["at"] = frame["at"].astype("datetime64[ns]")
    elif case == "cycle":
        db.frames["people"]["best"] = np.arange(N)[::-1]
        db.kinds["people"]["best"] = "id"
        db.links = (*db.links, Link("people", "best", "people"))
    return db


def fold(days, seed, huge=False):
    rng = np.random.default_rng(seed)
    rows = np.tile(np.arange(N), len(days))
    anchors = np.repeat(int(EPOCH.astype(np.int64)) + np.array(days) * DAY, N)
    label = rng.choice([1e150, -1e150, 0.0], len(rows)) if huge else rng.normal(0, 1, len(rows))
    return Fold(Asked.rolling(rows, anchors), label, None)


CASES = ["plain", "no rows", "huge", "null", "dangling", "no times", "far", "cycle"]


@pytest.mark.parametrize("case", CASES)
def test_a_network_is_trained_and_says_numbers(case, tmp_path):
    from relcast.learners.deadline import Deadline
    from relcast.learners.features import FeatureSet
    from relcast.learners.learner import Settings, Work

    relations = build(database(case).snapshot(tmp_path))
    query = check(QUERY, relations.graph)
    train, valid = fold((10, 20), 0, case == "huge"), fold((40,), 1, case == "huge")
    until = int(train.asked.anchor.max())
    work = Work(
        relations,
        query,
        Target(query.task_type),
        train,
        valid,
        FeatureSet.generate(relations, query, budget=30, until=until),
        Settings(DEBUG, "mae", 0, 1, Deadline()),
        lambda *_: None,
    )
    model = gnn.train(work).model
    said = model.predict(relations, valid.asked, threads=1)
    assert said.shape == (N,)
    assert np.isfinite(said).all()
    found = model.explain(relations, valid.asked.take(np.arange(3)), top=3, threads=1)
    total = found.base + found.rest + [sum(r["contribution"] for r in s) for s in found.reasons]
    assert np.allclose(total, found.raw, rtol=1e-6)
    later = Asked.rolling(np.arange(2), np.full(2, 9_000_000_000 * 10**9))
    assert np.isfinite(model.predict(relations, later, threads=1)).all()
