"""Past labels of every form of target are what the language says, window by window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relcast.core.schema import Link
from relcast.learners.features import FeatureSet
from relcast.learners.features.columns import target_columns
from relcast.pql import check
from relcast.relations import build, events_below
from relcast.tasks import evaluate_target
from tests.properties.worlds_future import DAYS, draw_still_world, draw_world
from tests.relations.databases import DAY, EPOCH

FORMS = (
    "MEDIAN(events.amount, 0, 9, days)",
    "STDDEV(events.amount WHERE events.kind != 'w1', 0, 9, days)",
    "SUM(events.amount, 0, 6, days) / COUNT(events.*, 0, 6, days) - 3",
    "SUM(events.amount, 0, 6, days) BETWEEN 5 AND 60",
    "MEDIAN(events.units, 0, 6, days) NOT BETWEEN 2 AND 9",
    "LIST_DISTINCT(events.kind, 0, 7, days) CONTAINS 'w0'",
    "NOT LIST_DISTINCT(events.code, 0, 7, days) NOT CONTAINS 1",
    "LIST_DISTINCT(events.sku, 0, 7, days) CONTAINS 51",
    "SUM(parts.weight, 0, 6, days)",
    "MIN(parts.weight, 0, 9, days)",
    "COUNT(parts.* WHERE parts.label BETWEEN 'w0' AND 'w1', 0, 5, days) > 0",
    "COUNT(parts.*, 0, 5, days) - COUNT(visits.*, 0, 5, days) * 2",
    "MAX(events.amount, 0, 5, days) IS NULL",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loose", [False, True])
def test_past_labels_are_the_target_as_it_was_known(form: str, loose: bool, tmp_path: Path) -> None:
    text = f"PREDICT {form} FOR EACH entities.id"
    compared = 0
    for seed in range(2):
        db = draw_world(seed, text, loose=loose)
        snapshot = db.snapshot(tmp_path / str(seed))
        relations, query = build(snapshot), check(text, snapshot.graph)
        made = FeatureSet.generate(relations, query, budget=2000)
        days = np.arange(20, DAYS, 12)
        anchors = np.repeat(EPOCH.astype(np.int64) + days * DAY, 12)
        entity = np.tile(np.arange(12), len(days)).astype(np.int64)
        values = made.compute(relations, entity, anchors).values
        for k in range(3):
            column = _whole(made, k)
            expected = evaluate_target(snapshot, query, entity, anchors, windows_back=k + 1)
            begun = ~np.isnan(values[:, column])
            # Nothing is said of windows before an entity's first row; of others, what is right.
            same = np.isclose(values[:, column], expected, rtol=1e-5, atol=1e-5)
            assert same[begun].all(), (seed, k)
            late = anchors >= EPOCH.astype(np.int64) + 50 * DAY
            missed = ~np.isnan(expected) & ~begun & late & (k == 0)
            assert missed.mean() < 0.2
            compared += int(begun.sum())
    assert compared > 60


def _whole(made: FeatureSet, k: int) -> int:
    measure = "value"
    if made.target is not None and made.target.condition is not None:
        measure = "truth"
    elif made.target is not None and made.target.formula is not None:
        measure = "formula"
    return next(
        number
        for number, feature in enumerate(made.features)
        if feature.recipe.family == "past"
        and (feature.recipe.measure, feature.recipe.other) == (measure, k)
    )


def test_a_set_of_every_form_survives_json(tmp_path: Path) -> None:
    text = f"PREDICT {FORMS[11]} FOR EACH entities.id"
    snapshot = draw_world(0, text).snapshot(tmp_path)
    relations = build(snapshot)
    for form in FORMS:
        query = check(f"PREDICT {form} FOR EACH entities.id", snapshot.graph)
        made = FeatureSet.generate(relations, query, budget=300)
        assert FeatureSet.from_json(made.to_json()) == made
        assert len({feature.name for feature in made.features}) == len(made.features)


def test_a_chain_of_three_links_is_one_grouping(tmp_path: Path) -> None:
    """Groups over entities and events to parts: every part that reaches a group, once."""
    text = "PREDICT SUM(parts.weight, 0, 6, days) FOR EACH entities.id"
    db = draw_world(1, text, loose=True)
    relations = build(db.snapshot(tmp_path))
    down = (
        Link("entities", "group_key", "groups"),
        Link("events", "entity_id", "entities"),
        Link("parts", "event_id", "events"),
    )
    parts, events, entities = (db.frames[name] for name in ("parts", "events", "entities"))
    joined = (
        parts.reset_index(names="row")
        .merge(events[["event_id", "entity_id", "at"]], on="event_id")
        .merge(entities[["id", "group_key"]], left_on="entity_id", right_on="id")
    )
    for own in (False, True):
        found = events_below(relations, down, by_own_time=own)
        group = np.repeat(np.arange(len(found.indptr) - 1), np.diff(found.indptr))
        keys = db.frames["groups"]["key"].to_numpy()[group]
        pairs = sorted(zip(keys, found.rows.tolist(), strict=True))
        assert pairs == sorted(zip(joined["group_key"], joined["row"], strict=True))
        for owner in range(len(found.indptr) - 1):
            part = slice(found.indptr[owner], found.indptr[owner + 1])
            assert (np.diff(found.time[part]) >= 0).all()
    assert found.known.max() > found.time.max() - 90 * DAY
    assert (found.known > found.time).any()


def test_what_a_static_list_is_made_of_is_no_feature(tmp_path: Path) -> None:
    db, text = draw_still_world(7)
    snapshot = db.snapshot(tmp_path)
    query = check(text, snapshot.graph)
    assert query.items == Link("likes", "sku", "products")
    made = FeatureSet.generate(build(snapshot), query, budget=500)
    assert made.features
    assert not [f.name for f in made.features if f.table in ("likes", "products")]


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("entities.tags RANK TOP 2", {("entities", "tags")}),
        ("entities.size > 3 AND groups.weight > 0", {("entities", "size"), ("groups", "weight")}),
        ("entities.size BETWEEN 1 AND 4", {("entities", "size")}),
    ],
)
def test_what_a_static_target_is_computed_from_is_no_feature(
    target: str, columns: set[tuple[str, str]], tmp_path: Path
) -> None:
    db = draw_still_world(7)[0] if "tags" in target else draw_world(0)
    snapshot = db.snapshot(tmp_path)
    query = check(f"PREDICT {target} FOR EACH entities.id", snapshot.graph)
    assert target_columns(query.query.target) == columns
    made = FeatureSet.generate(build(snapshot), query, budget=3000)
    assert not [f.name for f in made.features if (f.table, f.column) in columns]
