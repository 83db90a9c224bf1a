"""Rankers at their edges: copies, nothing to learn from, long lists, weights, what is overwritten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.core.schema import Link, Stype
from relcast.learners.explaining.copies import with_copies
from relcast.learners.protocol import Asked, Fold
from relcast.learners.ranking import baselines, train
from relcast.learners.ranking.candidates import Quota
from relcast.learners.ranking.content import labels_of
from relcast.learners.ranking.gathering import gather
from relcast.learners.ranking.model import RankModel
from relcast.learners.ranking.popular import Popularity
from relcast.pql import check
from relcast.relations import build
from relcast.snapshots import SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from tests.learners.ranking.worlds import KINDS, NEXT, World, make, shop

STATIC = "PREDICT LIST_DISTINCT(orders.product_id) RANK TOP 5 FOR EACH customers.customer_id"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("edges"), shop(customers=60, days=300))


def rivals(world: World, text: str) -> list[Any]:
    folds = world.folds(text)
    return baselines(world.relations, world.query(text), folds, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [NEXT, KINDS, STATIC], ids=["links", "classes", "static"])
def test_a_copy_that_lacks_nothing_is_ranked_as_the_entity_is(
    world: World, text: str, tmp_path: Path
) -> None:
    """Forty copies of one entity are no popularity: nobody else has bought anything by them."""
    own = make(tmp_path, shop(customers=60, timed=False)) if text == STATIC else world
    folds = own.folds(text)
    fold = folds.train if text == STATIC else folds.test  # who is remembered, and who is not
    model = train(own.work(folds, text)).model
    for ranker in (model, *rivals(own, text)):
        for place in (0, len(fold) // 2):
            asked = fold.asked.take(slice(place, place + 1))
            entity = int(asked.entity[0])
            relations, copies = with_copies(own.relations, "customers", entity, [{}] * 40)
            again = Asked(copies[7:8], asked.anchor, asked.known)
            before = ranker.rank(own.relations, asked, k=20, threads=1)
            after = ranker.rank(relations, again, k=20, threads=1)
            assert after.items.tolist() == before.items.tolist()
            assert np.array_equal(after.scores, before.scores, equal_nan=True)


def test_where_no_candidate_ever_came_true_popularity_ranks(tmp_path: Path) -> None:
    """Every order is of a product that nobody had, of so many that none is proposed."""
    frames = shop(customers=30, days=200)
    orders, many = frames["orders"], 20_000
    frames["products"] = pd.DataFrame({"product_id": np.arange(many), "kind": "x", "weight": 1.0})
    orders["product_id"] = many - 1 - np.arange(len(orders))
    world = make(tmp_path, frames)
    trained = train(world.work(world.folds()))
    assert trained.report["training_pairs"] == 0
    assert trained.report["candidate_recall"] == 0.0
    assert trained.trials == ()
    asked = world.folds().test.asked
    ranked = trained.model.rank(world.relations, asked, k=5)
    assert (ranked.items >= 0).all()
    assert np.isfinite(ranked.scores).all()


def test_trials_are_measured_as_far_down_as_the_metric_looks(world: World) -> None:
    """All forty products are candidates, so that forty places hold whatever came true."""
    folds = world.folds()
    work = world.work(folds)
    work = replace(work, settings=replace(work.settings, metric="recall@40"))
    for trial in train(work).trials:
        assert trial.validation == 1.0


def test_weights_stay_with_the_rows_that_are_kept(world: World) -> None:
    folds = world.folds()
    train_fold = folds.train
    weight = np.random.default_rng(3).random(len(train_fold)) + 0.5
    model = train(world.work(folds)).model
    bare = RankModel("bare", model.question, model.plan, Quota(), model.vectors)
    fold = Fold(train_fold.asked, train_fold.label, weight, train_fold.lists)
    of = dict(zip(zip(*_names(train_fold.asked), strict=True), weight.tolist(), strict=True))
    for sample in (True, False):
        rows = gather(bare, world.relations, fold, 3000, sample=sample, seed=0, threads=1)
        assert 0 < len(rows.fold) < len(fold)
        assert rows.fold.weight is not None
        names = zip(*_names(rows.fold.asked), strict=True)
        assert rows.fold.weight.tolist() == [of[name] for name in names]


def _names(asked: Asked) -> tuple[list[int], list[int]]:
    assert asked.anchor is not None
    return asked.entity.tolist(), asked.anchor.tolist()


def test_own_past_puts_the_items_in_order_once_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    honest = Popularity.order
    monkeypatch.setattr(Popularity, "order", lambda *a: calls.append(1) or honest(*a))
    own = rivals(world, NEXT)[-1]
    assert own.name == "own past"
    asked = world.folds().test.asked
    assert asked.known is not None
    own.rank(world.relations, asked, k=10)
    assert len(calls) == len(np.unique(asked.known)) < len(asked)


@pytest.mark.parametrize("mutable", [False, True])
def test_a_key_that_is_overwritten_is_no_label(mutable: bool, tmp_path: Path) -> None:
    frames = shop(customers=20, days=90)
    frames["customers"]["region_id"] = np.arange(20) % 3
    frames["regions"] = pd.DataFrame({"region_id": np.arange(3), "climate": ["a", "b", "a"]})
    data = tmp_path / "data"
    data.mkdir()
    for name, frame in frames.items():
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), data / f"{name}.parquet")
    source, store = LocalDirectory(data), SnapshotStore(tmp_path / "store")
    specs = [
        TableSpec("customers", primary_key="customer_id", time_column=None,
                  stypes={"region_id": Stype.ID, "country": Stype.categorical}, mutable=("region_id",) if mutable else ()),
        TableSpec("regions", primary_key="region_id", time_column=None,
                  stypes={"climate": Stype.categorical}),
        TableSpec("products", primary_key="product_id", time_column="added"),
        TableSpec("orders", primary_key="order_id", time_column="at"),
    ]  # fmt: skip
    links = [
        Link("orders", "customer_id", "customers"),
        Link("orders", "product_id", "products"),
        Link("customers", "region_id", "regions"),
    ]
    snapshot = store.combine([store.ingest_table(source, s.name, s) for s in specs], links)
    relations = build(snapshot)
    found = labels_of(relations, check(NEXT, snapshot.graph), "customers", None)
    texts = {label.text for label in found}
    assert "customers.country" in texts
    assert ("customers.region_id" in texts) != mutable
    assert ("regions.climate" in texts) != mutable
