"""Small databases for tests: written by hand or drawn at random, as snapshots of Parquet files.

Random ones have 2 to 5 tables, links (self-references too), dangling and null keys, NULLs, duplicate
times, and events exactly on the anchor; tables without time or without key; end times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.ids import content_id
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.snapshots import IngestReport, Snapshot, TableSnapshot

DAY = 86_400 * 10**9
EPOCH = np.datetime64("2020-01-01", "ns")

_STYPES = {
    "number": (Dtype.float64, Stype.numerical),
    "int": (Dtype.int64, Stype.numerical),
    "bool": (Dtype.bool, Stype.categorical),
    "category": (Dtype.string, Stype.categorical),
    "code": (Dtype.int64, Stype.categorical),
    "time": (Dtype.time, Stype.timestamp),
    "date": (Dtype.date, Stype.timestamp),
    "id": (Dtype.int64, Stype.ID),
    "sid": (Dtype.string, Stype.ID),
    "text": (Dtype.string, Stype.text),
    "labels": (Dtype.stringlist, Stype.multicategorical),
}


@dataclass
class Database:
    """Frames with their schema; ``kinds`` names one of ``_STYPES`` per column."""

    frames: dict[str, pd.DataFrame]
    kinds: dict[str, dict[str, str]]
    keys: dict[str, str | None] = field(default_factory=dict)
    times: dict[str, str | None] = field(default_factory=dict)
    ends: dict[str, str | None] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    late: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)
    """By table and column, when values are known: ``known_at``, ``known_after``, ``mutable``."""

    def graph(self) -> Graph:
        tables = {
            name: Table(
                name=name,
                columns=tuple(
                    Column(c, *_STYPES[k], **self.late.get(name, {}).get(c, {}))
                    for c, k in kinds.items()
                ),
                primary_key=self.keys.get(name),
                time_column=self.times.get(name),
                end_time_column=self.ends.get(name),
            )
            for name, kinds in self.kinds.items()
        }
        return Graph(tables, self.links)

    def snapshot(self, root: Path) -> Snapshot:
        """Write the frames as Parquet under ``root``; the id follows from the content."""
        graph = self.graph()
        digest = {
            name: int(pd.util.hash_pandas_object(frame.astype(str), index=False).sum())
            for name, frame in self.frames.items()
        }
        first = {
            name: frame.astype(str).head(3).values.tolist() for name, frame in self.frames.items()
        }
        identity = content_id("snapshot", [graph.to_json(), digest, json.dumps(first)])
        path = root / identity
        path.mkdir(parents=True, exist_ok=True)
        files = {}
        for name, frame in self.frames.items():
            fields = [pa.field(c, _ARROW[k]) for c, k in self.kinds[name].items()]
            table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)
            pq.write_table(table, path / f"{name}.parquet")
            files[name] = TableSnapshot(
                id=f"table-{name}@{identity}",
                name=name,
                path=path / f"{name}.parquet",
                rows=len(frame),
                table=graph.table(name),
                report=IngestReport(len(frame), len(frame)),
                statistics=(),
                source_digest=identity,
            )
        return Snapshot(identity, path, graph, files, ())


_ARROW = {
    "number": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "category": pa.string(),
    "code": pa.int64(),
    "time": pa.timestamp("ns"),
    "date": pa.timestamp("ns"),
    "id": pa.int64(),
    "sid": pa.string(),
    "text": pa.string(),
    "labels": pa.list_(pa.string()),
}


def moments(days: np.ndarray) -> np.ndarray:
    """Turn days since 2020-01-01 (fractions allowed, NaN is missing) into timestamps."""
    whole = np.where(np.isnan(days), 0, days * 24).astype(np.int64) * np.timedelta64(3600, "s")
    stamps = EPOCH + whole.astype("timedelta64[ns]")
    stamps[np.isnan(days)] = np.datetime64("NaT")
    return stamps


def random_database(seed: int) -> Database:
    """Draw a database whose table ``entities`` has a child ``events`` with a time column ``at``.

    Times are whole or half days between day 0 and day 100, so that anchors on whole days meet
    events exactly.
    """
    rng = np.random.default_rng(seed)
    db = Database({}, {})
    n = int(rng.integers(1, 25))

    entities = {
        "id": np.arange(n) * 3 + 1,
        "size": _holes(rng, rng.normal(5, 3, n)),
        "color": _words(rng, n, 4),
    }
    kinds = {"id": "id", "size": "number", "color": "category"}
    if rng.random() < 0.5:
        entities["born"] = moments(rng.integers(0, 60, n).astype(float))
        kinds["born"] = "time"
        db.times["entities"] = "born"
        if rng.random() < 0.5:
            entities["gone"] = moments(
                np.where(rng.random(n) < 0.5, np.nan, rng.integers(30, 110, n))
            )
            kinds["gone"] = "time"
            db.ends["entities"] = "gone"
    _add(db, "entities", entities, kinds, "id")

    links = []
    g = int(rng.integers(1, 6))
    if rng.random() < 0.7:
        groups = {
            "key": np.array([f"g{k}" for k in range(g)]),
            "weight": _holes(rng, rng.normal(0, 1, g)),
            "sort": _words(rng, g, 3),
        }
        kinds = {"key": "sid", "weight": "number", "sort": "category"}
        if rng.random() < 0.4:
            groups["since"] = moments(rng.integers(0, 50, g).astype(float))
            kinds["since"] = "time"
            db.times["groups"] = "since"
        _add(db, "groups", groups, kinds, "key")
        if rng.random() < 0.6:
            keys = np.array(
                [f"g{k}" if k < g else None for k in rng.integers(0, g + 1, n)], dtype=object
            )
            db.frames["entities"]["group_key"] = keys
            db.kinds["entities"]["group_key"] = "sid"
            links.append(Link("entities", "group_key", "groups"))

    m = int(rng.integers(0, 200))
    events = {
        "event_id": rng.permutation(m) + 100,
        "entity_id": _references(rng, np.arange(n) * 3 + 1, m),
        "at": moments(rng.integers(0, 200, m) / 2),
        "amount": _holes(rng, np.round(rng.normal(10, 5, m), 2)),
        "units": _holes(rng, rng.integers(0, 5, m).astype(float)),
        "kind": _words(rng, m, 3),
        "flag": np.array([None if u < 0.1 else bool(u < 0.5) for u in rng.random(m)], dtype=object),
        "settled": moments(np.where(rng.random(m) < 0.3, np.nan, rng.integers(0, 100, m))),
    }
    kinds = {
        "event_id": "id",
        "entity_id": "id",
        "at": "time",
        "amount": "number",
        "units": "number",
        "kind": "category",
        "flag": "bool",
        "settled": "time",
    }
    if rng.random() < 0.3:
        events["void"] = moments(np.where(rng.random(m) < 0.6, np.nan, rng.integers(0, 120, m)))
        kinds["void"] = "time"
        db.ends["events"] = "void"
    if "groups" in db.frames and rng.random() < 0.8:
        events["group_key"] = np.array(
            [
                None if u < 0.1 else ("lost" if u < 0.15 else f"g{int(u * g)}")
                for u in rng.random(m)
            ],
            dtype=object,
        )
        kinds["group_key"] = "sid"
        links.append(Link("events", "group_key", "groups"))
    keyed = rng.random() < 0.8
    db.times["events"] = "at"
    _add(db, "events", events, kinds, "event_id" if keyed else None)
    links.append(Link("events", "entity_id", "entities"))

    if keyed and rng.random() < 0.6:
        k = int(rng.integers(0, 300))
        parts = {
            "event_id": _references(rng, events["event_id"], k),
            "price": _holes(rng, rng.gamma(2, 3, k)),
            "label": _words(rng, k, 5),
        }
        kinds = {"event_id": "id", "price": "number", "label": "category"}
        if rng.random() < 0.5:
            parts["on"] = moments(rng.integers(0, 200, k) / 2)
            kinds["on"] = "time"
            db.times["parts"] = "on"
        _add(db, "parts", parts, kinds, None)
        links.append(Link("parts", "event_id", "events"))
    if rng.random() < 0.3:
        friends = _references(rng, np.arange(n) * 3 + 1, n)
        db.frames["entities"]["friend"] = friends
        db.kinds["entities"]["friend"] = "id"
        links.append(Link("entities", "friend", "entities"))
    db.links = tuple(links)
    return db


def after(db: Database, table: str, anchor: np.datetime64) -> np.ndarray:
    """Return which rows of a table are later than the anchor (none without a time column)."""
    column = db.times.get(table)
    if column is None:
        return np.zeros(len(db.frames[table]), dtype=bool)
    return (db.frames[table][column] > anchor).to_numpy()


def change_future(db: Database, anchor: np.datetime64, seed: int) -> Database:
    """Change, delete and add rows later than the anchor; nothing else.

    Rows known at the anchor stay in their order; what points to a deleted row dangles as before in
    every row that is known.
    """
    rng = np.random.default_rng(seed)
    frames = {}
    for name, frame in db.frames.items():
        late = after(db, name, anchor)
        past, future = frame[~late], frame[late].copy()
        key, time = db.keys.get(name), db.times.get(name)
        for column, kind in db.kinds[name].items():
            if column not in (key, time) and len(future):
                pool = future[column].to_numpy().copy()
                rng.shuffle(pool)
                future[column] = pool * 1000 if kind == "number" else pool
        # An entity's rows keep their keys: what is asked about must still be there.
        future = future[rng.random(len(future)) < 0.7]
        extra = future.sample(frac=0.5, random_state=seed) if len(future) else future
        if len(extra) and time is not None:
            extra = extra.copy()
            if key is not None:
                extra[key] = (
                    np.arange(len(extra)) + 1_000_000
                    if db.kinds[name][key] == "id"
                    else [f"new{k}" for k in range(len(extra))]
                )
            extra[time] = extra[time] + np.timedelta64(1, "D")
        where = (
            rng.permutation(len(past) + len(future) + len(extra)) if rng.random() < 0.5 else None
        )
        joined = pd.concat(
            [part for part in (past, future, extra) if len(part)] or [past], ignore_index=True
        )
        frames[name] = joined if where is None else joined.iloc[where].reset_index(drop=True)
    return Database(frames, db.kinds, db.keys, db.times, db.ends, db.links)


def permuted(db: Database, seed: int) -> Database:
    """Return the same database with the rows of every table in another order."""
    frames = {
        name: frame.sample(frac=1.0, random_state=seed + k).reset_index(drop=True)
        for k, (name, frame) in enumerate(db.frames.items())
    }
    return Database(frames, db.kinds, db.keys, db.times, db.ends, db.links)


def shifted(db: Database, days: int) -> Database:
    """Return the same database with every time moved by whole days."""
    frames = {}
    for name, frame in db.frames.items():
        moved = frame.copy()
        for column, kind in db.kinds[name].items():
            if kind in ("time", "date"):
                moved[column] = moved[column] + np.timedelta64(days, "D")
        frames[name] = moved
    return Database(frames, db.kinds, db.keys, db.times, db.ends, db.links)


def _add(
    db: Database, name: str, columns: dict[str, np.ndarray], kinds: dict[str, str], key: str | None
) -> None:
    db.frames[name] = pd.DataFrame(columns)
    db.kinds[name] = kinds
    db.keys[name] = key


def _holes(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(values)) < 0.15, np.nan, values)


def _words(rng: np.random.Generator, n: int, distinct: int) -> np.ndarray:
    return np.array(
        [None if w == distinct else f"w{w}" for w in rng.integers(0, distinct + 1, n)], dtype=object
    )


def _references(rng: np.random.Generator, keys: np.ndarray, n: int) -> np.ndarray:
    """Draw foreign keys: some null, some dangling, the rest to the first half more often."""
    if len(keys) == 0:
        return np.full(n, None, dtype=object)
    drawn = keys[(len(keys) * rng.random(n) ** 2).astype(int)].astype(object)
    luck = rng.random(n)
    drawn[luck < 0.05] = None
    drawn[(luck >= 0.05) & (luck < 0.1)] = 999_999
    return drawn
