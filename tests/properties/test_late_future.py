"""D1 for values that are known later than their rows: what is not known yet changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcast.core.delays import Delay
from relcast.relations import NEVER, TableArrays
from relcast.tasks import examples_at, frame_of
from tests.properties.future import (
    Case,
    Side,
    fitted,
    moved_features,
    moved_population,
    moved_predictions,
)
from tests.properties.worlds_future import (
    draw_anchor,
    draw_text,
    draw_world,
    is_static,
    other_future,
)
from tests.relations.databases import Database

DAY = 86_400 * 10**9
LATE: dict[str, dict[str, dict[str, object]]] = {
    "events": {
        "amount": {"known_at": "settled"},
        "units": {"known_after": Delay.of("36 hours")},
        "kind": {"known_at": "settled", "known_after": Delay.of("1 day")},
        "flag": {"known_at": "settled"},
    },
    "visits": {"place": {"known_after": Delay.of("length hours")}},
    "products": {"price": {"known_after": Delay.of("3 days")}},
}
SEEDS = [seed for seed in range(64) if not is_static(seed)]


def late(db: Database) -> Database:
    return replace(db, late={name: dict(said) for name, said in LATE.items()})


def known(db: Database, table: str, column: str) -> pd.Series:
    """Say by pandas when values are known, NaT where they never are."""
    frame, time = db.frames[table], db.times[table]
    said = db.late[table].get(column)
    if said is None:
        if column == "settled":
            return frame["settled"].where(frame["settled"] >= frame[time], frame[time])
        return frame[time] + pd.to_timedelta(frame["length"], unit="h")
    base = frame[time] if "known_at" not in said else frame[said["known_at"]]
    delay = said.get("known_after")
    if isinstance(delay, Delay) and delay.column is not None:
        base = base + pd.to_timedelta(frame[delay.column], unit="h")
    elif isinstance(delay, Delay):
        base = base + pd.Timedelta(delay.nanoseconds, unit="ns")
    return base.where(~(base < frame[time]), frame[time])


def other_values(db: Database, anchor: int, seed: int) -> Database:
    """Change every value that is not known at the anchor; what says so stays later than it."""
    rng = np.random.default_rng([seed, 91])
    moment = pd.Timestamp(anchor)
    frames = {name: frame.copy() for name, frame in db.frames.items()}
    for table, column in (
        ("events", "amount"), ("events", "units"), ("events", "kind"), ("events", "flag"),
        ("visits", "place"), ("products", "price"),
    ):  # fmt: skip
        when = known(db, table, column)
        rows = np.flatnonzero((~(when <= moment)).to_numpy())
        values = frames[table][column].to_numpy(dtype=object, copy=True)
        values[rows] = _wild(rng, column, len(rows))
        frames[table][column] = pd.Series(values, index=frames[table].index).astype(
            db.frames[table][column].dtype
        )
    events, visits = frames["events"], frames["visits"]
    open_ = (~(known(db, "events", "settled") <= moment)).to_numpy()
    later = anchor + rng.integers(1, 40 * DAY, len(events))
    events["settled"] = events["settled"].where(~open_, pd.Series(later).astype("datetime64[ns]"))
    open_ = (~(known(db, "visits", "length") <= moment)).to_numpy()
    visits["length"] = visits["length"] + np.where(open_, rng.integers(1, 99, len(visits)), 0)
    return replace(db, frames=frames)


def _wild(rng: np.random.Generator, column: str, n: int) -> list[object]:
    if column in ("kind", "place"):
        return [str(w) for w in rng.choice(["w0", "w1", "p1", "never seen", "zz"], n)]
    if column == "flag":
        return [bool(b) for b in rng.integers(0, 2, n)]
    return [float(x) for x in rng.normal(0, 1e4, n).round(1)]


def draw(seed: int, root: Path, *, rows: bool = True) -> Case:
    """Draw a world, its other values and (``rows``) its other rows, and the moment between."""
    text = draw_text(seed)
    db = late(draw_world(seed, text))
    anchor = draw_anchor(db, "events", seed)
    here = Side.of(db, seed, root)
    other = other_values(db, anchor, seed)
    if rows:
        other = replace(other_future(other, anchor, seed), late=db.late)
    there = Side.of(other, seed, root)
    return Case(here, there, anchor, anchor, anchor, here.population(anchor))


@pytest.mark.parametrize("seed", SEEDS[:14])
def test_what_is_not_known_yet_changes_no_population_and_no_feature(seed: int, tmp_path: Path):
    case = draw(seed, tmp_path)
    assert moved_population(case) == []
    assert moved_features(case) == []


@pytest.mark.parametrize("seed", SEEDS[14:24])
def test_what_is_not_known_yet_changes_no_settled_label(seed: int, tmp_path: Path):
    case = draw(seed, tmp_path, rows=False)
    sides = (case.here, case.there)
    frame = max((frame_of(s.query, s.relations) for s in sides), key=lambda f: f.wait)
    newest = int(frame.latest_complete(case.anchor))
    anchors = newest - np.arange(11, -1, -1, dtype=np.int64) * DAY
    assert (frame.settled_spans(anchors)[1] <= case.anchor).all()
    found = []
    for side in sides:
        rows, _ = examples_at(side.snapshot, side.query, anchors)
        keys = side.relations.table("entities").keys().take(rows.entity).to_pylist()
        said = range(len(rows)) if rows.target is None else rows.target.tolist()
        if rows.lists is not None:
            cells = [
                rows.lists.values[slice(*ends)].tolist() for ends in pairwise(rows.lists.offsets)
            ]
            said = [[rows.classes[k] if rows.classes else k for k in cell] for cell in cells]
        elif rows.classes is not None:
            said = [rows.classes[int(k)] for k in said]
        found.append(dict(zip(zip(keys, rows.anchor.tolist(), strict=True), said, strict=True)))
    assert len(found[0]) > 20
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_not_known_yet_changes_no_prediction(seed: int, tmp_path: Path):
    case = draw(seed, tmp_path)
    frame = frame_of(case.here.query, case.here.relations)
    newest = int(case.here.relations.table("events").time.max())
    model = fitted(case.here, frame.latest_complete(newest), publish=False)
    assert moved_predictions(case, model, "of everything") == []


def test_a_planted_leak_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With values that are known with their rows the same comparison fails."""
    cases = [draw(seed, tmp_path, rows=False) for seed in SEEDS[:3]]
    assert [moved_features(case) for case in cases] == [[], [], []]
    monkeypatch.setattr(TableArrays, "value_known", lambda self, name: None)
    assert all(moved_features(case) for case in cases)


def test_the_moment_itself_counts_as_known(tmp_path: Path):
    db = late(draw_world(3, draw_text(3)))
    side = Side.of(db, 3, tmp_path)
    for table, columns in {**LATE, "events": {**LATE["events"], "settled": {}}}.items():
        for column in columns:
            found = side.relations.value_known(table, column)
            assert found is not None
            wanted = known(db, table, column)
            missing = wanted.isna().to_numpy()
            assert (found[missing] == NEVER).all()
            # A part of a nanosecond counts as a whole one: never too early.
            late_by = found[~missing] - wanted[~missing].astype("datetime64[ns]").astype(np.int64)
            assert late_by.isin([0, 1]).all(), (table, column)
