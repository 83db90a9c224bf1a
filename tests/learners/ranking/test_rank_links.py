"""Links, popularity and pair aggregates equal what a slow reading of the rows gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcast.learners.protocol import Asked, Target
from relcast.learners.ranking import counting, question_of, walking
from relcast.learners.ranking.links import Links
from relcast.learners.ranking.pairs import sides
from relcast.learners.ranking.vectors import learn
from relcast.relations import NOT_A_TIME
from tests.learners.ranking.worlds import DAY, DEAR, KINDS, NEXT, START, World, make, shop

DAYS = (40, 133, 250, 340)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("shop"), shop())


def moment(day: float) -> int:
    return int((START + pd.Timedelta(days=day)).value)


def links_of(world: World, text: str = NEXT) -> Links:
    query = world.query(text)
    classes = ("blue", "green", "red", "white") if query.items is None else None
    items = None if query.items is None else query.items.to
    target = Target(query.task_type, classes, items=items, top=5)
    return question_of(world.relations, query, target, []).scene(world.relations).links


def rows_known(world: World, day: float, text: str = NEXT) -> pd.DataFrame:
    """Return the orders known on a day, by a plain reading, oldest first."""
    orders = world.frames["orders"].sort_values(["at", "order_id"])
    orders = orders[orders["at"] <= pd.Timestamp(moment(day))]
    if text == DEAR:
        orders = orders[orders["price"] > 10]
    if text != KINDS:
        products = world.frames["products"].set_index("product_id")
        gone = orders["product_id"].map(products["gone"])
        orders = orders[gone.isna() | (gone > pd.Timestamp(moment(day)))]
    return orders


@pytest.mark.parametrize("text", [NEXT, DEAR, KINDS], ids=["all", "filtered", "classes"])
@pytest.mark.parametrize("width", [-1, 30])
@pytest.mark.parametrize("day", DAYS)
def test_popularity_equals_a_count(world: World, text: str, width: int, day: int) -> None:
    links = links_of(world, text)
    count, latest = np.zeros(links.items, np.int64), np.zeros(links.items, np.int64)
    low = NOT_A_TIME if width < 0 else moment(day - width)
    side = links.by_item
    counting.popularity(side.indptr, side.time, side.over, moment(day), low, count, latest)
    rows = rows_known(world, day, text)
    if width > 0:
        rows = rows[rows["at"] > pd.Timestamp(low)]
    if text == KINDS:
        want = rows["kind"].value_counts().reindex(["blue", "green", "red", "white"], fill_value=0)
        newest = rows.groupby("kind")["at"].max().reindex(want.index)
    else:
        keys = world.frames["products"]["product_id"]
        want = rows["product_id"].value_counts().reindex(keys, fill_value=0)
        newest = rows.groupby("product_id")["at"].max().reindex(keys)
    assert count.tolist() == want.tolist()
    assert sum(count) > 10
    found = [None if t == NOT_A_TIME else pd.Timestamp(t) for t in latest.tolist()]
    assert found == [None if pd.isna(t) else t for t in newest]


def test_an_entitys_own_links(world: World) -> None:
    links, day = links_of(world), 300.0
    widths = np.array([30 * DAY, 90 * DAY], dtype=np.int64)
    back = np.array([[200 * DAY, 150 * DAY]], dtype=np.int64)
    entity = np.arange(links.entities, dtype=np.int64)
    known = np.full(len(entity), moment(day))
    indptr = np.arange(len(entity) + 1, dtype=np.int64) * links.items
    item = np.tile(np.arange(links.items), len(entity))
    out = np.empty((len(item), 10))
    side = links.by_entity
    counting.item_history(
        side.indptr, side.other, side.time, side.over, entity, known, known + 2 * DAY, indptr,
        item, links.items, widths, back, out,
    )  # fmt: skip
    rows = rows_known(world, day)
    names = world.frames["customers"]["customer_id"].tolist()
    keys = world.frames["products"]["product_id"].tolist()
    anchor = pd.Timestamp(moment(day + 2))
    checked = 0
    for e, name in enumerate(names):
        mine = rows[rows["customer_id"] == name]
        places: dict[int, int] = {}
        for key in mine["product_id"].tolist()[::-1]:
            places.setdefault(key, len(places) + 1)
        for j, key in enumerate(keys):
            got = out[e * links.items + j]
            same = mine[mine["product_id"] == key]["at"]
            assert got[0] == len(same)
            if not len(same):
                assert np.isnan(got[2:6]).all()
                assert (got[[1, 6, 7, 8, 9]] == 0).all()
                continue
            checked += 1
            ages = (anchor - same) / pd.Timedelta(days=1)
            assert got[1] == pytest.approx(len(same) / len(mine))
            assert got[2] == pytest.approx(ages.min())
            assert got[3] == pytest.approx(ages.max())
            if len(same) > 1:
                assert got[4] == pytest.approx((ages.max() - ages.min()) / (len(same) - 1))
            assert got[5] == places[key]
            assert got[6] == (same == mine["at"].max()).sum()
            since = anchor - pd.Timedelta(days=2)
            assert got[7] == (same > since - pd.Timedelta(days=30)).sum()
            assert got[8] == (same > since - pd.Timedelta(days=90)).sum()
            inside = (same > anchor - pd.Timedelta(days=200)) & (
                same <= anchor - pd.Timedelta(days=150)
            )
            assert got[9] == inside.sum()
    assert checked > 100


def test_a_walk_finds_what_others_with_the_same_items_have(world: World) -> None:
    links, day = links_of(world), 200.0
    rows = rows_known(world, day)
    keys = world.frames["products"]["product_id"].tolist()
    names = world.frames["customers"]["customer_id"].tolist()
    reach = np.array([1000, 100_000, 100_000], dtype=np.int64)
    entity = np.arange(12, dtype=np.int64)
    indptr = np.arange(len(entity) + 1, dtype=np.int64) * links.items
    item = np.tile(np.arange(links.items), len(entity))
    out = np.empty((len(item), 4))
    walking.walk_pairs(
        *sides(links),
        entity,
        entity,
        np.full(12, moment(day)),
        indptr,
        item,
        links.items,
        reach,
        out,
    )
    want = np.zeros_like(out)
    place = {key: j for j, key in enumerate(keys)}
    by_customer = dict(list(rows.groupby("customer_id")))
    by_item = dict(list(rows.groupby("product_id")))
    for e in entity.tolist():
        mine = by_customer.get(names[e])
        if mine is None:
            continue
        for _, own in mine.iterrows():
            shared = by_item[own["product_id"]]
            for _, link in shared.iterrows():
                if link["customer_id"] == names[e]:
                    continue
                theirs = by_customer[link["customer_id"]]
                weight = 1.0 / (len(shared) * np.sqrt(_links_of(world, links, link, day)))
                for _, there in theirs.iterrows():
                    if there["product_id"] == own["product_id"]:
                        continue
                    row = e * links.items + place[there["product_id"]]
                    want[row, 0] += weight
                    want[row, 1] += weight * (there["at"] == link["at"])
                    want[row, 2] += weight * (there["at"] > link["at"])
                    want[row, 3] += weight * (own["at"] == mine["at"].max())
    # The walkers of an item are counted with those that are over by now.
    ours, theirs = out.reshape(12, -1, 4), want.reshape(12, -1, 4)
    assert (ours > 0).sum() > 100
    assert ((ours > 0) == (theirs > 0)).all()
    assert np.allclose(ours, theirs, rtol=1e-9)


def _links_of(world: World, links: Links, link: pd.Series, day: float) -> int:
    """Return how many links a walker has by then, those of products that are gone included."""
    orders = world.frames["orders"]
    mine = orders[(orders["customer_id"] == link["customer_id"])]
    return int((mine["at"] <= pd.Timestamp(moment(day))).sum())


def test_what_came_before(world: World) -> None:
    links = links_of(world)
    side = links.by_entity
    want = np.full(len(links.entity), -1)
    for place in range(len(links.entity)):
        e = links.entity[place]
        mine = slice(side.indptr[e], side.indptr[e + 1])
        earlier = side.time[mine] < links.time[place]
        if earlier.any():
            newest = side.time[mine][earlier].max()
            want[place] = side.other[mine][side.time[mine] == newest][0]
    assert (links.before == want).all()
    assert (want >= 0).mean() > 0.5


def test_vectors_are_the_leading_factors(world: World) -> None:
    links = links_of(world)
    until = moment(200)
    found = learn(links, until, 8, seed=0)
    seen = links.time <= until
    seen &= links.over > until
    dense = np.zeros((links.entities, links.items))
    np.add.at(dense, (links.entity[seen], links.item[seen]), 1.0)
    weight = np.where(dense > 0, 1.0 + np.log(np.maximum(dense, 1.0)), 0.0)
    scale = np.sqrt(np.maximum(weight.sum(1), 1e-9))[:, None] * np.sqrt(
        np.maximum(weight.sum(0), 1e-9)
    )
    _, sizes, right = np.linalg.svd(weight / scale)
    gram = found.vectors.astype(float) @ found.vectors.T.astype(float)
    wanted = (right[:3].T * (sizes[:3] / sizes[0])) @ right[:3]
    few = learn(links, until, 3, seed=0).vectors.astype(float)
    assert np.allclose(few @ few.T, wanted, atol=0.05)
    assert np.linalg.matrix_rank(gram, tol=1e-6) == 8
    assert (learn(links, until, 8, seed=0).vectors == found.vectors).all()


def test_asked_entities_keep_their_order(world: World, tmp_path: Path) -> None:
    """A question's scene is read once per snapshot, and again for another one."""
    folds = world.folds()
    question = question_of(world.relations, world.query(), folds.target, [])
    assert question.scene(world.relations) is question.scene(world.relations)
    other = make(tmp_path, shop(customers=30))
    assert question.scene(other.relations).links.entities == 30
    assert len(Asked.rolling(np.arange(2), None)) == 2
