"""What the network reads of each row, and when."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.delays import Delay
from relcast.core.errors import ModelError
from relcast.core.schema import Graph, Link
from relcast.learners.features.columns import unusable
from relcast.learners.gnn import words
from relcast.learners.gnn.codes import ColumnCode, TableCode, bucket_of, fit_codes
from relcast.learners.gnn.inputs import Inputs
from relcast.learners.gnn.own import OwnFeatures
from relcast.learners.gnn.walks import Sampler
from relcast.pql import check
from relcast.relations import build
from tests.relations.databases import DAY, EPOCH, Database, moments

ZERO = int(EPOCH.astype(np.int64))
AT = ZERO + 50 * DAY
QUERY = "PREDICT COUNT(visits.*, 0, 10, days) FOR EACH people.id"


def database():
    n = 40
    db = Database({}, {})
    db.frames["people"] = pd.DataFrame(
        {"id": np.arange(4), "age": [30.0, 40.0, np.nan, 50.0], "land": ["a", "b", None, "a"]}
    )
    db.kinds["people"] = {"id": "id", "age": "number", "land": "category"}
    db.frames["visits"] = pd.DataFrame(
        {
            "who": np.arange(n) % 4,
            "at": moments(np.arange(n) * 2.0),
            "cost": np.arange(n, dtype=float),
            "mood": [f"m{k % 3}" for k in range(n)],
            "said": ["Good morning good", None, "ümlaut, x1", "!"] * 10,
            "tags": [["a", "b"], [], None, ["b"]] * 10,
            "due": moments(np.arange(n) * 2.0 + 5),
            "flat": np.ones(n),
        }
    )
    db.kinds["visits"] = {
        "who": "id",
        "at": "time",
        "cost": "number",
        "mood": "category",
        "said": "text",
        "tags": "labels",
        "due": "time",
        "flat": "number",
    }
    db.keys["people"] = "id"
    db.times["visits"] = "at"
    db.links = (Link("visits", "who", "people"),)
    return db


def with_columns(relations, table, **changes):
    """Return relations whose columns say something else of when they are known."""
    arrays = relations.tables[table]
    columns = tuple(
        replace(c, **changes[c.name]) if c.name in changes else c for c in arrays.table.columns
    )
    schema = replace(arrays.table, columns=columns)
    graph = Graph({**relations.graph.tables, table: schema}, relations.graph.links)
    tables = {**relations.tables, table: replace(arrays, table=schema)}
    return replace(relations, graph=graph, tables=tables)


def fitted(relations, query=QUERY, until=AT):
    checked = check(query, relations.graph)
    return fit_codes(
        relations,
        checked,
        ["people", "visits"],
        until=until,
        unit=10 * DAY,
        closed=unusable(relations.graph, checked),
    )


def read(relations, codes, cutoffs=(AT, AT - 20 * DAY)):
    seeds = np.zeros(len(cutoffs), dtype=np.int64)
    moments_ = None if cutoffs[0] is None else np.array(cutoffs)
    sample = Sampler(relations).sample("people", seeds, moments_, (100,))
    return sample, Inputs(relations, codes).of(sample, moments_)


def test_columns_are_fitted_on_what_was_known(tmp_path):
    relations = build(database().snapshot(tmp_path))
    people, visits = fitted(relations)
    assert [c.column for c in people.columns] == ["age", "land"]
    assert [c.column for c in visits.columns] == ["at", "cost", "mood", "said", "tags", "due"]
    cost = visits.columns[1]
    known = database().frames["visits"]["cost"][:26]  # day 50 and before
    assert cost.centre == known.median()
    spread = (known.quantile(0.75) - known.quantile(0.25)) / 1.349
    assert cost.scale == pytest.approx(spread)
    assert people.columns[1].words == ("a", "b")
    assert [TableCode.from_json(c.to_json()) for c in (people, visits)] == [people, visits]


def test_rows_are_read_as_their_seed_sees_them(tmp_path):
    relations = build(database().snapshot(tmp_path))
    codes = fitted(relations)
    sample, inputs = read(relations, codes)
    visits = inputs["visits"]
    frame = database().frames["visits"].iloc[sample.rows["visits"]]
    cutoff = np.array([AT, AT - 20 * DAY])[sample.owner["visits"]]
    gap = (cutoff - frame["at"].astype("int64").to_numpy()) / (10 * DAY)
    assert (gap >= 0).all()
    assert (visits.numbers[:, 0] == 1).all()
    assert np.allclose(visits.numbers[:, 1], np.log1p(gap) / 3, atol=1e-6)
    assert np.allclose(visits.numbers[:, 3], np.exp(-gap / 2), atol=1e-6)
    at = 7 + 8  # after the row's own ages and the columns of ``at``
    code = codes[1].columns[1]
    assert np.allclose(
        visits.numbers[:, at], np.arcsinh((frame["cost"] - code.centre) / code.scale), atol=1e-6
    )
    due = (cutoff - frame["due"].astype("int64").to_numpy()) / (10 * DAY)
    ahead = due < 0  # nobody said when it is written: it is not read before it has come
    assert ahead.any()
    assert not ahead.all()
    assert (visits.numbers[ahead][:, -8:] == [0] * 7 + [1]).all()
    there = visits.numbers[~ahead]
    assert np.allclose(there[:, -2], np.log1p(due[~ahead]) / 3, atol=1e-6)
    assert (there[:, -1] == 0).all()
    mood = codes[1].columns[2]
    assert visits.places[:, 0].tolist() == [1 + mood.words.index(w) for w in frame["mood"]]


def test_a_late_value_is_missing_until_it_is_known(tmp_path):
    plain = build(database().snapshot(tmp_path))
    late = {"known_after": Delay.of("25 days")}
    relations = with_columns(plain, "visits", cost=late, mood=late, said=late, due=late)
    codes = fitted(plain)
    sample, inputs = read(relations, codes)
    _, before = read(plain, codes)
    cutoff = np.array([AT, AT - 20 * DAY])[sample.owner["visits"]]
    time = relations.tables["visits"].time[sample.rows["visits"]]
    unknown = time + 25 * DAY > cutoff
    assert unknown.any()
    assert not unknown.all()
    visits, full = inputs["visits"], before["visits"]
    assert np.array_equal(visits.numbers[~unknown], full.numbers[~unknown])
    assert np.array_equal(visits.numbers[:, :15], full.numbers[:, :15])
    assert (visits.numbers[unknown][:, 15:17] == [0, 1]).all()
    assert (visits.numbers[unknown][:, 17:25] == [0] * 7 + [1]).all()
    mood = codes[1].columns[0].places + codes[1].columns[1].places
    assert (visits.places[unknown] == mood).all()
    n = len(unknown)
    lengths, whole = np.diff(visits.ends), np.diff(full.ends)
    assert (lengths[:n][unknown] == 0).all()
    assert np.array_equal(lengths[:n][~unknown], whole[:n][~unknown])
    assert np.array_equal(lengths[n:], whole[n:])  # the tags are known with their rows
    known = relations.value_known("visits", "cost") <= AT
    centre = fitted(relations)[1].columns[1].centre
    assert centre == database().frames["visits"]["cost"][known].median()


def test_columns_overwritten_in_place_are_not_read_of_the_past(tmp_path):
    relations = with_columns(build(database().snapshot(tmp_path)), "people", land={"mutable": True})
    assert [c.column for c in fitted(relations)[0].columns] == ["age"]
    static = fitted(relations, "PREDICT people.age FOR EACH people.id", until=None)
    assert [c.column for c in static[0].columns] == ["land"]


def test_a_seed_whose_row_is_not_there_yet_has_no_columns(tmp_path):
    db = database()
    db.frames["people"]["born"] = moments(np.array([60.0, 0, 0, 0]))
    db.kinds["people"]["born"] = "time"
    db.times["people"] = "born"
    relations = build(db.snapshot(tmp_path))
    codes = fitted(relations)
    _, inputs = read(relations, codes, (AT, AT + 20 * DAY))
    people = inputs["people"]
    assert (people.numbers[0] == 0).all()
    assert people.numbers[1, 0] == 1
    assert people.places[0, 0] == 0
    assert people.places[1, 0] > 0


def test_without_a_cut_off_distances_are_to_the_newest_row(tmp_path):
    relations = build(database().snapshot(tmp_path))
    codes = fitted(relations, "PREDICT people.age FOR EACH people.id", until=None)
    assert codes[1].moment == ZERO + 78 * DAY
    sample, inputs = read(relations, codes, (None,))
    gap = (codes[1].moment - relations.tables["visits"].time[sample.rows["visits"]]) / (10 * DAY)
    assert np.allclose(inputs["visits"].numbers[:, 1], np.log1p(gap) / 3, atol=1e-6)


def test_a_few_rows_are_read_as_many_are(tmp_path):
    relations = build(database().snapshot(tmp_path))
    codes = fitted(relations)
    sample = Sampler(relations).sample("people", np.arange(4), np.full(4, AT), (5,))
    many = Inputs(relations, codes).of(sample, np.full(4, AT))
    few = Inputs(relations, codes, few=True).of(sample, np.full(4, AT))
    for name in many:
        for part in ("numbers", "places", "bags", "ends"):
            assert np.array_equal(getattr(many[name], part), getattr(few[name], part))


def test_a_column_of_another_kind_is_refused(tmp_path):
    relations = build(database().snapshot(tmp_path))
    codes = (TableCode("people", (ColumnCode("land", "number"),), DAY, 0, timed=False),)
    with pytest.raises(ModelError, match=r"people\.land as number, but it is category"):
        Inputs(relations, codes)


def test_words_and_pairs_of_texts():
    texts = pa.array(["Good morning", "good  MORNING!", None, "", "morning good", "é1 x"])
    values, ends = words.of_text(texts, 1000, 5)
    bags = [values[a:b].tolist() for a, b in pairwise(ends)]
    assert bags[0] == bags[1]
    assert [len(bag) for bag in bags] == [3, 3, 0, 0, 3, 3]
    assert set(bags[0][:2]) == {bags[4][0], bags[4][1]}
    assert bags[0][2] != bags[4][2]  # the order of a pair counts
    assert all(5 <= place < 1005 for bag in bags for place in bag)
    sliced, cut = words.of_text(texts.slice(4, 1), 1000, 5)
    assert sliced.tolist() == bags[4]
    assert cut.tolist() == [0, 3]
    long, _ = words.of_text(pa.array(["w " * 500]), 1000, 0)
    assert len(long) <= 66


def test_elements_of_lists_and_empty_bags():
    values, ends = words.of_lists(pa.array([["a", None, "b"], None, []]), 64, 3)
    assert ends.tolist() == [0, 2, 2, 2]
    assert values.tolist() == [3 + bucket_of("a", 64), 3 + bucket_of("b", 64)]
    kept, after = words.without(values, ends, np.array([True, False, False]))
    assert len(kept) == 0
    assert after.tolist() == [0, 0, 0, 0]
    again, order = words.take(values, ends, np.array([2, 0, 0]))
    assert order.tolist() == [0, 0, 2, 4]
    assert again.tolist() == values.tolist() * 2


def test_own_features_are_normal_quantiles_with_flags():
    rng = np.random.default_rng(0)
    values = np.stack(
        [rng.lognormal(0, 2, 5000), np.where(rng.random(5000) < 0.5, 0.0, 3.0), np.zeros(5000)], 1
    ).astype(np.float32)
    values[:100, 0] = np.nan
    own = OwnFeatures.fit(values, [None, None, 4])
    found, places = own.apply(values)
    assert found.shape == (5000, 5)
    assert (found[:, 0] == 1).all()
    assert (found[:100, 1] == 0).all()
    assert (found[:, 2] == np.isnan(values[:, 0])).all()
    order = np.argsort(values[100:, 0])
    assert (np.diff(found[100:, 1][order]) >= 0).all()
    assert abs(np.median(found[100:, 1])) < 0.05
    assert found[:, 3].max() == pytest.approx(-found[:, 3].min(), abs=0.1)
    strange = np.array([[np.inf, 9, 7], [1e30, -9, -1], [1, 1, 3]], dtype=np.float32)
    outside, places = own.apply(strange)
    assert np.isfinite(outside).all()
    assert places[:, 0].tolist() == [0, 0, 4]
    again = OwnFeatures.from_json(own.to_json(), own.knots)
    assert np.array_equal(again.apply(values)[0], found)
