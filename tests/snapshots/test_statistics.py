"""Statistics and link health equal what pandas counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.schema import Link


def test_numbers(place):
    values = np.random.default_rng(0).gamma(2, 10, 5000)
    values[::10] = np.nan
    place.put("t", {"id": np.arange(5000), "x": values})
    found, frame = place.ingest("t").statistics_of("x"), pd.Series(values)
    assert (found.count, found.nulls, found.null_share) == (5000, 500, 0.1)
    assert found.distinct == frame.nunique()
    assert found.minimum == frame.min()
    assert found.maximum == frame.max()
    assert found.mean == pytest.approx(frame.mean())
    assert found.deviation == pytest.approx(frame.std())
    assert found.quantiles["0.25"] == pytest.approx(frame.quantile(0.25))
    assert list(found.histogram) == np.histogram(frame.dropna(), bins=20)[0].tolist()


def test_categories_and_text(place):
    words = ["red"] * 30 + ["blue"] * 20 + ["green"] * 5 + [None] * 5
    place.put("t", {"id": range(60), "color": words})
    found = place.ingest("t").statistics_of("color")
    assert found.top == (("red", 30), ("blue", 20), ("green", 5))
    assert (found.distinct, found.nulls) == (3, 5)
    assert found.mean_length == pytest.approx(np.mean([len(w) for w in words if w]))


def test_times_and_json(place):
    place.text("t", "id,at\n1,2024-01-01 10:00:00.5\n2,2024-03-01\n")
    t = place.ingest("t")
    found = t.statistics_of("at")
    assert (found.first, found.last) == ("2024-01-01T10:00:00.5Z", "2024-03-01T00:00:00Z")
    assert type(found).from_json(found.to_json()) == found
    assert type(t.report).from_json(t.report.to_json()) == t.report


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["int", "text", "float"])
def test_link_health_equals_a_slow_recomputation(place, seed, kind):
    chance = np.random.default_rng(seed)
    parents = chance.permutation(400)[:300]
    child = pd.Series(chance.choice(400, 2000, p=chance.dirichlet(np.full(400, 0.3)))).astype(
        "Int64"
    )
    child = child.mask(chance.random(2000) < 0.1)
    keys, foreign = pa.array(parents), pa.Array.from_pandas(child)
    if kind == "text":
        keys, foreign = keys.cast(pa.string()), foreign.cast(pa.string())
    if kind == "float":
        foreign = foreign.cast(pa.float64())
    place.put("parents", {"parent_id": keys})
    place.put("children", {"parent_id": foreign})
    tables = [place.ingest("parents"), place.ingest("children", primary_key=None)]
    (health,) = place.store.combine(tables, [Link("children", "parent_id", "parents")]).links
    matched = child.isin(parents) & child.notna()
    fan = child[matched].value_counts().reindex(parents, fill_value=0)
    assert health.null == child.isna().sum()
    assert health.matched == matched.sum()
    assert health.dangling == 2000 - health.null - health.matched
    assert health.match_rate == pytest.approx(matched.sum() / child.notna().sum())
    assert health.parents_matched == (fan > 0).sum()
    assert health.parent_match_rate == pytest.approx((fan > 0).mean())
    assert health.fan_out_max == fan.max()
    assert health.fan_out_mean == pytest.approx(fan.mean())
    assert health.fan_out_p99 == np.sort(fan)[int(np.ceil(0.99 * len(fan))) - 1]
    assert not health.ambiguous


def test_whole_and_partial_dangling(place):
    place.put("parents", {"parent_id": [1, 2]})
    place.put("children", {"parent_id": [8, 9, 9]})
    tables = [place.ingest("parents"), place.ingest("children", primary_key=None)]
    (health,) = place.store.combine(tables, [Link("children", "parent_id", "parents")]).links
    assert (health.dangling, health.dangling_share, health.match_rate) == (3, 1.0, 0.0)
    assert (health.fan_out_max, health.fan_out_p99) == (0, 0.0)


def test_two_links_to_one_table_are_ambiguous(place):
    place.put("airports", {"code": ["AAA", "BBB"]})
    place.put("flights", {"origin": ["AAA"], "dest": ["BBB"]})
    tables = [
        place.ingest("airports", primary_key="code"),
        place.ingest("flights", primary_key=None),
    ]
    links = [Link("flights", "origin", "airports"), Link("flights", "dest", "airports")]
    assert all(h.ambiguous for h in place.store.combine(tables, links).links)
