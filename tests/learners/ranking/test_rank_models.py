"""Rankers: better than baselines where there is something to learn, and blind to the future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relcast.learners.folds import Folds
from relcast.learners.metrics import metrics_of
from relcast.learners.protocol import Asked, Fold, Packed, Ranked, Ranker
from relcast.learners.ranking import baselines, train, unpack
from relcast.learners.ranking.model import RankModel
from relcast.tasks import Lists
from tests.learners.ranking.worlds import (
    DAY,
    DEAR,
    KINDS,
    NEXT,
    START,
    TAGS,
    World,
    make,
    shop,
    tagged,
)

STATIC = "PREDICT LIST_DISTINCT(orders.product_id) RANK TOP 5 FOR EACH customers.customer_id"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("shop"), shop())


@pytest.fixture(scope="module")
def folds(world: World) -> Folds:
    return world.folds()


@pytest.fixture(scope="module")
def model(world: World, folds: Folds) -> RankModel:
    return train(world.work(folds)).model


def rivals(world: World, folds: Folds, text: str = NEXT) -> list[Any]:
    return baselines(world.relations, world.query(text), folds, None)  # type: ignore[arg-type]


def measure(world: World, ranker: Ranker, fold: Fold, text: str = NEXT, k: int = 10) -> float:
    ranked = ranker.rank(world.relations, fold.asked, k=k, threads=1)
    found = metrics_of(world.query(text).task_type, fold, ranked)
    return found.compute([f"map@{k}"])[f"map@{k}"]


def again(packed: Packed, folds: Folds) -> Ranker:
    """Return a ranker from its parts, by way of JSON."""
    import json

    config = json.loads(json.dumps(packed.config))
    arrays = {name: array.copy() for name, array in packed.arrays.items()}
    return unpack(config, arrays, dict(packed.texts), folds.target)


def same(one: Ranked, other: Ranked) -> bool:
    return bool((one.items == other.items).all()) and np.array_equal(
        one.scores, other.scores, equal_nan=True
    )


def test_it_beats_every_baseline(world: World, folds: Folds, model: RankModel) -> None:
    best = max(measure(world, b, folds.test) for b in rivals(world, folds))
    assert measure(world, model, folds.test) > 1.15 * best


def test_baselines_by_hand(world: World, folds: Folds) -> None:
    asked = folds.test.asked
    keys = world.frames["products"]["product_id"].to_numpy()
    products = world.frames["products"].set_index("product_id")
    names = world.frames["customers"]["customer_id"].to_numpy()
    found = {b.name: b.rank(world.relations, asked, k=5, threads=1) for b in rivals(world, folds)}
    assert set(found) == {"popularity", "recent popularity", "own past"}
    assert asked.known is not None
    for row in range(0, len(asked), 7):
        at = pd.Timestamp(int(asked.known[row]))
        orders = world.frames["orders"]
        there = products[(products["added"] <= at) & ~(products["gone"] <= at)].index
        rows = orders[(orders["at"] <= at) & orders["product_id"].isin(there)]
        recent = rows[rows["at"] > at - pd.Timedelta(days=30)]
        for name, of in (("popularity", rows), ("recent popularity", recent)):
            count = of["product_id"].value_counts().reindex(there, fill_value=0)
            got = [count[keys[j]] for j in found[name].items[row]]
            assert got == sorted(count.tolist(), reverse=True)[:5]
        mine = rows[rows["customer_id"] == names[asked.entity[row]]]["product_id"].value_counts()
        own = found["own past"]
        shown = [keys[j] for j in own.items[row]]
        assert (
            set(shown[: len(mine)]) == set(mine.index[mine >= mine.iloc[:5].min()]) or len(mine) > 5
        )
        counted = [mine.get(key, 0) for key in shown]
        assert counted == sorted(counted, reverse=True)
        assert len(set(shown)) == 5


def test_every_item_is_ranked_once(world: World, folds: Folds, model: RankModel) -> None:
    asked = folds.test.asked.take(slice(0, 9))
    assert asked.known is not None
    items = world.frames["products"]
    for ranker in (model, *rivals(world, folds)):
        whole = ranker.rank(world.relations, asked, k=len(items) + 3, threads=1)
        few = ranker.rank(world.relations, asked, k=7, threads=1)
        assert (whole.items[:, :7] == few.items).all()
        assert (np.diff(np.nan_to_num(whole.scores, nan=-1e9), axis=1) <= 0).all()
        for row in range(len(asked)):
            at = pd.Timestamp(int(asked.known[row]))
            there = (items["added"] <= at) & ~(items["gone"] <= at)
            shown = whole.items[row][whole.items[row] >= 0].tolist()
            assert sorted(shown) == np.flatnonzero(there).tolist()
            assert np.isnan(whole.scores[row][len(shown) :]).all()
            assert (whole.items[row][len(shown) :] == -1).all()


def test_candidates_leave_no_item_out(world: World, folds: Folds, model: RankModel) -> None:
    """With quotas smaller than the shop the tail follows by popularity, below every candidate."""
    small = replace(model.quota, every=0, own=3, walk=2, near=2, popular=2)
    narrow = replace(model, quota=small, _values=[])
    asked = folds.test.asked
    whole = narrow.rank(world.relations, asked, k=40, threads=1)
    full = model.rank(world.relations, asked, k=40, threads=1)
    assert (np.sort(whole.items, axis=1) == np.sort(full.items, axis=1)).all()
    assert (np.diff(np.nan_to_num(whole.scores, nan=-1e9), axis=1) <= 0).all()
    assert not same(whole, full)
    alone = [narrow.rank(world.relations, asked.take(slice(i, i + 1)), k=40) for i in range(5)]
    for row, ranked in enumerate(alone):
        assert (ranked.items[0] == whole.items[row]).all()
        assert np.array_equal(ranked.scores[0], whole.scores[row], equal_nan=True)


def test_among(world: World, folds: Folds, model: RankModel) -> None:
    asked = folds.test.asked.take(slice(0, 20))
    chosen = np.array([3, 3, 11, 25, 26, -1, 999])
    whole = model.rank(world.relations, asked, k=40, threads=1)
    for ranker in (model, *rivals(world, folds)):
        found = ranker.rank(world.relations, asked, k=6, among=chosen, threads=1)
        assert set(np.unique(found.items)) <= {-1, 3, 11, 25, 26}
        assert (found.items[:, 4:] == -1).all()
    for row in range(len(asked)):
        kept = [j for j in whole.items[row] if j in {3, 11, 25, 26}]
        found_row = model.rank(world.relations, asked.take(slice(row, row + 1)), k=4, among=chosen)
        assert found_row.items[0][: len(kept)].tolist() == kept
    every = model.rank(world.relations, asked, k=5, among=np.arange(40), threads=1)
    assert same(every, model.rank(world.relations, asked, k=5, threads=1))


def test_the_future_moves_nothing(
    world: World, folds: Folds, model: RankModel, tmp_path: Path
) -> None:
    """Facts and items later than what is known are changed, added and taken away."""
    assert folds.validation.asked.known is not None
    known = int(folds.validation.asked.known.max())
    at = pd.Timestamp(known)
    rng = np.random.default_rng(5)
    frames = {name: frame.copy() for name, frame in world.frames.items()}
    orders = frames["orders"]
    late = orders["at"] > at
    orders.loc[late, "product_id"] = rng.permutation(orders.loc[late, "product_id"].to_numpy())
    orders.loc[late, "price"] = 99.0
    frames["orders"] = orders[~late | (rng.random(len(orders)) < 0.6)]
    products = frames["products"]
    yet_to_come = products["added"] > at
    assert yet_to_come.any()
    products.loc[yet_to_come, "kind"] = "other"
    products.loc[yet_to_come, "weight"] = 7.0
    products.loc[products["gone"] > at, "gone"] = pd.Timestamp("2029-01-01")
    other = make(tmp_path, frames)
    asked = Asked.rolling(
        np.repeat(np.arange(120), 2), np.tile(np.array([known - 60 * DAY, known]), 120)
    )
    both = [*rivals(world, folds), model]
    for ranker in both:
        mine = ranker.rank(world.relations, asked, k=40, threads=1)
        assert same(mine, again(ranker.pack(), folds).rank(other.relations, asked, k=40, threads=1))
    # What was trained is the same as well, labels apart.
    assert folds.train.asked.known is not None
    retrained = train(replace(other.work(other.folds()), train=folds.train, valid=folds.validation))
    assert retrained.model.pack().texts == model.pack().texts
    assert same(
        retrained.model.rank(other.relations, asked, k=40),
        model.rank(world.relations, asked, k=40),
    )


def test_vectors_of_a_later_moment_are_not_used(
    world: World, folds: Folds, model: RankModel
) -> None:
    """An anchor before the training side's end reads vectors that were learned by then, or none."""
    moments = [v.until for v in model.vectors.sets]
    values = model.values(world.relations)
    asked = np.array([moments[0] - 1, moments[0], moments[1] - 1, moments[-1] + DAY])
    assert values.space(asked).tolist() == [-1, 0, 0, len(moments) - 1]


def test_threads_and_batches_change_no_bit(world: World, folds: Folds, model: RankModel) -> None:
    asked = folds.test.asked
    one = model.rank(world.relations, asked, k=12, threads=1)
    assert same(one, model.rank(world.relations, asked, k=12, threads=3))
    back = np.arange(len(asked))[::-1].copy()
    turned = model.rank(world.relations, asked.take(back), k=12, threads=2)
    assert same(one, Ranked(turned.items[back], turned.scores[back]))
    other = train(world.work(folds, threads=2)).model
    assert other.pack().texts == model.pack().texts


def test_cold_entities_and_new_items(world: World, folds: Folds, model: RankModel) -> None:
    """At the very beginning nobody has a past, and no item a link."""
    before = int((START - pd.Timedelta(days=1)).value)
    asked = Asked.rolling(np.arange(5), np.full(5, before))
    for ranker in (model, *rivals(world, folds)):
        found = ranker.rank(world.relations, asked, k=10, threads=1)
        assert (found.items >= 0).all()
        assert np.isfinite(found.scores).all()


def test_packed_and_unpacked(world: World, folds: Folds, model: RankModel) -> None:
    for ranker in (model, *rivals(world, folds)):
        packed = ranker.pack()
        assert packed.config["kind"] == "ranking"
        assert all(not array.dtype.hasobject for array in packed.arrays.values())
        copy = again(packed, folds)
        assert copy.name == ranker.name
        asked = folds.test.asked
        assert same(
            ranker.rank(world.relations, asked, k=9, threads=1),
            copy.rank(world.relations, asked, k=9, threads=1),
        )
        assert again(copy.pack(), folds).pack().config == packed.config


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.config.update(form="magic"),
        lambda p: p.config["quota"].update(own=-1),
        lambda p: p.config["members"][0].update(weight=-1.0),
        lambda p: p.config.update(members=[]),
        lambda p: p.arrays.pop("vectors"),
        lambda p: p.arrays.update(vectors=p.arrays["vectors"][:, :5]),
        lambda p: p.texts.update({"ranking-0.txt": "tree\nnothing"}),
        lambda p: p.config["plan"].pop("windows"),
    ],
    ids=["form", "quota", "weight", "members", "no-vectors", "shape", "text", "plan"],
)
def test_a_damaged_bundle_is_refused(folds: Folds, model: RankModel, damage: Any) -> None:
    import json

    packed = model.pack()
    broken = Packed(json.loads(json.dumps(packed.config)), dict(packed.arrays), dict(packed.texts))
    damage(broken)
    with pytest.raises((ValueError, KeyError)):
        unpack(broken.config, broken.arrays, broken.texts, folds.target)


def test_explanations_add_up(world: World, folds: Folds, model: RankModel) -> None:
    asked = folds.test.asked.take(slice(0, 30))
    ranked = model.rank(world.relations, asked, k=1, threads=1)
    for ranker in (model, *rivals(world, folds)):
        first = ranker.rank(world.relations, asked, k=1, threads=1)
        found = ranker.explain_items(world.relations, asked, first.items[:, 0], top=5, threads=1)
        total = found.base + found.rest
        total += [sum(r["contribution"] for r in row) for row in found.reasons]
        assert np.allclose(total, found.raw, atol=1e-9)
        assert np.allclose(found.raw, first.scores[:, 0], atol=1e-12)
        assert any(found.reasons)
    names = [trait.name for trait in model.plan.traits]
    assert len(set(names)) == len(names)
    assert (ranked.items >= 0).all()
    nothing = model.explain_items(
        world.relations, asked.take(slice(0, 0)), np.zeros(0, np.int64), top=3
    )
    assert len(nothing.raw) == 0


def test_shuffled_lists_teach_nothing(world: World, folds: Folds) -> None:
    """D6: with answers dealt out at random the model is no better than popularity."""
    rng = np.random.default_rng(2)

    def shuffled(fold: Fold) -> Fold:
        lists = fold.lists
        assert lists is not None
        values = rng.integers(0, 40, len(lists.values))
        return replace(fold, lists=Lists(lists.offsets, values))

    dealt = replace(
        folds,
        train=shuffled(folds.train),
        validation=shuffled(folds.validation),
        test=shuffled(folds.test),
    )
    blind = train(world.work(dealt)).model
    truth = [measure(world, b, dealt.test) for b in rivals(world, dealt)]
    assert measure(world, blind, dealt.test) < max(truth) + 0.05


def test_the_frozen_regime_trains_with_what_it_will_know(world: World) -> None:
    folds = world.folds(
        regime="frozen", split="ApproxDateOffsetSplit([0.5, 0.25, 0.25])", timeframe_step=15
    )
    asked = folds.test.asked
    assert asked.known is not None
    assert asked.anchor is not None
    assert (asked.known < asked.anchor).any()
    model = train(world.work(folds)).model
    assert model.plan.stale
    assert "days from what is known to the anchor" in {t.name for t in model.plan.traits}
    best = max(measure(world, b, folds.test) for b in rivals(world, folds))
    assert measure(world, model, folds.test) > best


@pytest.mark.parametrize("text", [DEAR, KINDS], ids=["filtered", "classes"])
def test_other_questions(world: World, text: str) -> None:
    folds = world.folds(text)
    model = train(world.work(folds, text)).model
    best = max(measure(world, b, folds.test, text, k=1) for b in rivals(world, folds, text))
    assert measure(world, model, folds.test, text, k=1) > 0.9 * best
    asked = folds.test.asked
    copy = again(model.pack(), folds)
    assert same(
        model.rank(world.relations, asked, k=6), copy.rank(world.relations, asked, k=6, threads=2)
    )
    found = model.explain_items(
        world.relations, asked, np.zeros(len(asked), dtype=np.int64), top=400
    )
    total = found.base + [sum(r["contribution"] for r in row) for row in found.reasons]
    assert np.allclose(total + found.rest, found.raw, atol=1e-9)


def test_static_links_do_not_read_their_answers(tmp_path: Path) -> None:
    """Rows of entities that are asked about are in the snapshot, and are not looked at."""
    frames = shop(customers=300, timed=False)
    world = make(tmp_path / "one", frames)
    folds = world.folds(STATIC)
    model = train(world.work(folds, STATIC)).model
    best = max(measure(world, b, folds.test, STATIC) for b in rivals(world, folds, STATIC))
    value = measure(world, model, folds.test, STATIC)
    assert value > 1.1 * best  # the hint tells the kind
    assert value < 0.9
    names = world.frames["customers"]["customer_id"].to_numpy()[folds.test.asked.entity]
    other = {**frames, "orders": frames["orders"].copy()}
    asked_about = other["orders"]["customer_id"].isin(names)
    other["orders"].loc[asked_about, "product_id"] = 100
    blind = make(tmp_path / "two", other)
    for ranker in (model, *rivals(world, folds, STATIC)):
        assert same(
            ranker.rank(world.relations, folds.test.asked, k=40, threads=1),
            again(ranker.pack(), folds).rank(blind.relations, folds.test.asked, k=40, threads=1),
        )


def test_tags_of_a_column(tmp_path: Path) -> None:
    world = make(tmp_path, tagged())
    folds = world.folds(TAGS)
    assert folds.target.classes == tuple("abcdefgh")
    model = train(world.work(folds, TAGS)).model
    best = max(measure(world, b, folds.test, TAGS, k=3) for b in rivals(world, folds, TAGS))
    assert measure(world, model, folds.test, TAGS, k=3) > 1.3 * best
    copy = again(model.pack(), folds)
    ranked = model.rank(world.relations, folds.test.asked, k=8)
    assert same(ranked, copy.rank(world.relations, folds.test.asked, k=8))
    assert (np.sort(ranked.items, axis=1) == np.arange(8)).all()


def test_the_refit_knows_validation_too(world: World, folds: Folds) -> None:
    trained = train(world.work(folds, refit_trainval=True))
    assert trained.report["refit"]
    assert trained.model.pack().texts != trained.validated.pack().texts
    assert folds.validation.asked.known is not None
    last = int(folds.validation.asked.known.max())
    assert trained.model.vectors.sets[-1].until == last
    assert trained.validated.vectors.sets[-1].until < last
