"""Features equal a slow recomputation in plain pandas, and say what they are."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import ModelError
from relcast.core.schema import Link
from relcast.learners.features import FeatureSet
from relcast.pql import check
from relcast.relations import build
from tests.learners.features.cases import examples
from tests.relations.databases import EPOCH, Database, moments, random_database

DAYS = (20, 50, 80)


def _known(frame, anchor):
    """Rows known and not over at the anchor, in the order that ties are broken."""
    frame = frame[frame["at"] <= anchor]
    if "void" in frame:
        frame = frame[frame["void"].isna() | (frame["void"] > anchor)]
    return frame.sort_values(["at", "event_id"])


def _expected(recipe, mine, anchor):
    """Recompute a recipe over one entity's known events."""
    values = mine[recipe.value.column] if recipe.value.column else pd.Series(1.0, index=mine.index)
    ages = anchor - mine["at"]
    inside = ages < np.timedelta64(recipe.width, "ns") if recipe.width >= 0 else ages.notna()
    match recipe.family, recipe.measure:
        case "numbers", "sum" | "mean" | "min" | "max" as measure:
            return getattr(values[inside].astype(float), measure)()
        case "numbers", "std":
            return values[inside].astype(float).std(ddof=0)
        case "numbers", "trend":
            other = ages < np.timedelta64(recipe.other, "ns") if recipe.other >= 0 else ages.notna()
            return values[inside].astype(float).mean() - values[other].astype(float).mean()
        case "recent", "last":
            return values.dropna().astype(float).tail(recipe.other).mean()
        case "recent", "fade":
            kept = values.dropna().astype(float).to_numpy()[::-1]
            weights = 0.5 ** (np.arange(len(kept)) / recipe.other)
            return (kept * weights).sum() / weights.sum() if len(kept) else np.nan
        case "codes", "share":
            kept = values[inside].dropna()
            words = kept.map(lambda v: str(v).lower() if isinstance(v, bool) else str(v))
            return (words == recipe.word).mean()
        case "codes", "distinct":
            return values[inside].nunique()
        case "codes", "run":
            kept = values.dropna().tolist()[::-1]
            return next((k for k, v in enumerate(kept) if v != kept[0]), len(kept)) or np.nan
        case "timing", "count":
            return int(inside.sum())
        case "timing", "since last":
            return ages.min() / np.timedelta64(1, "D")
        case "timing", "since first":
            return ages.max() / np.timedelta64(1, "D")
        case "timing", "mean gap":
            return mine["at"].diff().mean() / np.timedelta64(1, "D")
        case "timing", "last gap":
            return mine["at"].diff().iloc[-1] / np.timedelta64(1, "D") if len(mine) else np.nan
    return None


@pytest.mark.parametrize("seed", [0, 2, 6, 9])
def test_windows_over_the_entitys_events(seed, tmp_path):
    db = random_database(seed)
    if db.keys["events"] is None:
        pytest.skip("the slow recomputation orders ties by key")
    relations = build(db.snapshot(tmp_path))
    query = check("PREDICT SUM(events.amount, 0, 7, days) FOR EACH entities.id", relations.graph)
    features = FeatureSet.generate(relations, query, budget=2000)
    stream = ((), (Link("events", "entity_id", "entities"),))
    rows, anchors, keys = examples(relations, db, DAYS)
    values = features.compute(relations, rows, anchors).values
    checked = 0
    events = db.frames["events"]
    pasts = [
        _known(events[events.entity_id == key], np.datetime64(int(a), "ns"))
        for key, a in zip(keys, anchors, strict=True)
    ]
    for k, feature in enumerate(features.features):
        recipe = feature.recipe
        if recipe.stream is None or (recipe.stream.seed, recipe.stream.down) != stream:
            continue
        if recipe.value is None or recipe.value.kind != "own" or recipe.stream.by is not None:
            continue
        for i, key in enumerate(keys):
            anchor = np.datetime64(int(anchors[i]), "ns")
            expected = _expected(recipe, pasts[i], anchor)
            if expected is not None:
                checked += 1
                assert values[i, k] == pytest.approx(expected, rel=1e-5, abs=1e-4, nan_ok=True), (
                    feature.name,
                    key,
                    anchor,
                )
    assert checked > 100 or len(keys) < 5


@pytest.mark.parametrize("seed", range(6))
def test_past_labels_are_labels(seed, tmp_path):
    db = random_database(seed)
    relations = build(db.snapshot(tmp_path))
    text = "PREDICT SUM(events.amount WHERE events.units > 1, 0, 7, days) > 5 FOR EACH entities.id"
    features = FeatureSet.generate(relations, check(text, relations.graph), budget=2000)
    names = [f.name for f in features.features]
    rows, anchors, keys = examples(relations, db, DAYS)
    values = features.compute(relations, rows, anchors).values
    week = np.timedelta64(7, "D")
    for k in range(2):
        back = "the last 7 days" if k == 0 else "the 7 days before the last 7 days"
        column = next(
            i
            for i, n in enumerate(names)
            if n.startswith("sum of events.amount") and n.endswith(back)
        )
        truth = names.index(f"target was true in {back}")
        for i, key in enumerate(keys):
            anchor = np.datetime64(int(anchors[i]), "ns")
            frame = db.frames["events"]
            mine = frame[(frame.entity_id == key) & (frame["at"] <= anchor)]
            begun = mine["at"].min()
            if "void" in mine:
                mine = mine[mine["void"].isna() | (mine["void"] > anchor)]
            end = anchor - k * week
            inside = mine[(mine["at"] > end - week) & (mine["at"] <= end) & (mine["units"] > 1)]
            expected = inside["amount"].sum() if begun <= end else np.nan
            assert values[i, column] == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)
            said = np.nan if np.isnan(expected) else float(expected > 5)
            assert values[i, truth] == pytest.approx(said, nan_ok=True)


def _shop() -> Database:
    """Two customers, three shops that changed hands, orders, and a row that shows the future."""
    db = Database(
        {
            "customers": pd.DataFrame(
                {
                    "id": [1, 2],
                    "name": ["ann", "bob"],
                    "segment": ["a", "b"],
                    "income": [10.0, 20.0],
                    "churned": [True, False],
                    "score": [0.1, 0.9],
                }
            ),
            "shops": pd.DataFrame({"shop": ["x", "y"], "opened": moments(np.array([0.0, 30.0]))}),
            "orders": pd.DataFrame(
                {
                    "order": [1, 2, 3, 4],
                    "customer": [1, 1, 1, 2],
                    "shop": ["x", "y", "x", "y"],
                    "day": moments(np.array([10.0, 20.0, 40.0, 40.0])),
                    "amount": [1.0, 2.0, 4.0, 8.0],
                }
            ),
        },
        {
            "customers": {
                "id": "id",
                "name": "text",
                "segment": "category",
                "income": "number",
                "churned": "bool",
                "score": "number",
            },
            "shops": {"shop": "sid", "opened": "time"},
            "orders": {
                "order": "id",
                "customer": "id",
                "shop": "sid",
                "day": "time",
                "amount": "number",
            },
        },
        {"customers": "id", "shops": "shop", "orders": "order"},
        {"shops": "opened", "orders": "day"},
    )
    db.links = (Link("orders", "customer", "customers"), Link("orders", "shop", "shops"))
    return db


def test_the_surroundings_of_the_latest_event(tmp_path):
    relations = build(_shop().snapshot(tmp_path))
    query = check("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.id", relations.graph)
    features = FeatureSet.generate(relations, query, budget=2000)
    names = [f.name for f in features.features]
    anchor = int((EPOCH + np.timedelta64(45, "D")).astype(np.int64))
    rows = relations.table("customers").key_index([1, 2])
    values = features.compute(relations, rows, np.full(2, anchor)).values
    name = "mean of orders.amount over all time, of the shop of the last orders row"
    np.testing.assert_allclose(values[:, names.index(name)], [2.5, 5.0])
    # On day 25 shop y has not opened: the order of day 20 is known, its shop is not.
    early = np.full(2, int((EPOCH + np.timedelta64(25, "D")).astype(np.int64)))
    values = features.compute(relations, rows, early).values
    assert np.isnan(values[:, names.index(name)]).all()


def test_a_static_target_and_its_sources_are_no_inputs(tmp_path):
    relations = build(_shop().snapshot(tmp_path))
    text = "PREDICT customers.churned = TRUE AND customers.score > 0.5 FOR EACH customers.id"
    features = FeatureSet.generate(relations, check(text, relations.graph), budget=2000)
    read = {
        (f.recipe.value.table, f.recipe.value.column) for f in features.features if f.recipe.value
    }
    assert ("customers", "income") in read
    assert ("customers", "segment") in read
    assert ("orders", "amount") in read
    assert not read & {("customers", "churned"), ("customers", "score")}
    keys = {"id", "order", "customer", "shop"}
    assert not {c for _, c in read} & keys
    matrix = features.compute(relations, np.array([0, 1]), None)
    total = next(
        k for k, f in enumerate(features.features) if f.name == "sum of orders.amount over all time"
    )
    np.testing.assert_array_equal(matrix.values[:, total], [7.0, 8.0])
    with pytest.raises(ModelError) as error:
        features.compute(relations, np.array([0, 1]), np.array([0, 0]))
    assert error.value.code == "features.schema"


def test_names_are_unique_readable_and_cut_by_the_budget(tmp_path):
    relations = build(random_database(3).snapshot(tmp_path))
    query = check("PREDICT AVG(events.amount, 0, 30, days) FOR EACH entities.id", relations.graph)
    whole = FeatureSet.generate(relations, query, budget=5000).features
    names = [f.name for f in whole]
    assert len(set(names)) == len(names)
    assert FeatureSet.generate(relations, query, budget=40).features == whole[:40]
    assert "mean of events.amount over the last 30 days" in names
    assert "days since the last events row" in names
    assert any(re.fullmatch(r"share of events\.kind = 'w\d' over .*", n) for n in names)
    labels = {f.window for f in whole if f.recipe.family == "numbers"}
    assert {"the last 30 days", "all time"} <= labels
    assert all(relations.table(f.table) for f in whole)


def test_categories_are_by_value(tmp_path):
    """The same words under other codes are the same features; unseen words are missing."""
    relations = build(_shop().snapshot(tmp_path))
    query = check("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.id", relations.graph)
    features = FeatureSet.generate(relations, query)
    place = next(k for k, f in enumerate(features.features) if f.name == "customers.segment")
    assert features.features[place].categories == ("a", "b")
    later = _shop()
    later.frames["customers"]["segment"] = ["b", "0new"]
    other = build(later.snapshot(tmp_path))
    anchors = np.full(2, int(EPOCH.astype(np.int64)))
    found = features.compute(other, np.array([0, 1]), anchors).values[:, place]
    np.testing.assert_array_equal(found, [1.0, np.nan])


def test_damaged_json_is_refused():
    with pytest.raises(ModelError) as error:
        FeatureSet.from_json({"format": 1, "features": [{}]})
    assert error.value.code == "features.unreadable"
