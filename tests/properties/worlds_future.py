"""Databases in which something can be learned, and the same databases with another future.

Small enough that a model is fitted in a fraction of a second, and full of what tempts a model to
look ahead: parents that appear after the rows that point to them, rows that end, times written in
advance, categories and numbers that come up later only, rows exactly at the anchor and one
nanosecond after it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from relcast.core.schema import Graph, Link
from relcast.pql import CheckedQuery, check
from tests.relations.databases import EPOCH, Database, moments

DAYS = 80
KEYS = {"id": "int", "sid": "str"}

REGRESSION = (
    "SUM(events.amount, 0, 5, days)",
    "MEDIAN(events.amount WHERE events.units BETWEEN 0 AND 40, 0, 8, days)",
    "SUM(parts.weight, 0, 6, days)",
    "AVG(events.amount WHERE events.kind != 'w1', 0, 8, days)",
    "SUM(events.amount, 0, 6, days) / COUNT(events.*, 0, 6, days) - 3",
    "MAX(events.units, 0, 6, days)",
    "STDDEV(events.amount, 0, 9, days)",
    "COUNT(events.* WHERE groups.sort != 'w2', 0, 7, days)",
    "COUNT_DISTINCT(events.kind, 0, 1, weeks)",
    "LAST(events.amount, 0, 9, days)",
    "COUNT(parts.* WHERE parts.label = 'w0', 0, 5, days) + COUNT(visits.*, 0, 5, days) * 2",
    "SUM(visits.length, 0, 5, days)",
)
BINARY = (
    "COUNT(events.*, 0, 4, days) > 1",
    "LIST_DISTINCT(events.kind, 0, 7, days) CONTAINS 'w0'",
    "SUM(events.amount, 0, 6, days) BETWEEN 5 AND 60",
    "COUNT(parts.*, 0, 6, days) > 0",
    "LAST(events.kind, 0, 7, days) = 'w0'",
    "COUNT(visits.*, 0, 5, days) = 0 OR MAX(events.units, 0, 8, days) > 3",
    "SUM(events.amount, 0, 6, days) - SUM(events.units, 0, 6, days) > 4",
    "COUNT(events.* WHERE groups.weight > 0, 0, 5, days) > 0",
    "LAST(events.flag, 0, 6, days)",
    "MAX(events.amount, 0, 5, days) IS NULL",
)
MULTICLASS = (
    "LAST(events.kind, 0, 7, days)",
    "FIRST(events.kind WHERE events.units > 0, 0, 9, days)",
    "LAST(parts.label, 0, 8, days)",
    "LAST(visits.place, 0, 8, days)",
    "FIRST(events.code, 0, 6, days)",
)
FORECASTS = (
    "SUM(events.amount, 0, 4, days) FORECAST 3 TIMEFRAMES",
    "COUNT(events.*, 0, 5, days) FORECAST 2 TIMEFRAMES",
    "MEDIAN(events.amount, 0, 9, days) FORECAST 2 TIMEFRAMES",
    "COUNT(parts.*, 0, 5, days) FORECAST 2 TIMEFRAMES",
    "SUM(events.units, 0, 4, days) - COUNT(events.*, 0, 4, days) FORECAST 2 TIMEFRAMES",
)
MULTILABEL = (
    "LIST_DISTINCT(events.kind, 0, 7, days) CLASSIFY",
    "LIST_DISTINCT(events.sku, 0, 8, days) CLASSIFY",
    "LIST_DISTINCT(parts.label, 0, 8, days) CLASSIFY",
    "LIST_DISTINCT(events.code WHERE events.units > 1, 0, 6, days) CLASSIFY",
)
RANKING = (
    "LIST_DISTINCT(visits.place, 0, 7, days) RANK TOP 2",
    "LIST_DISTINCT(events.kind WHERE events.amount > 1, 0, 6, days) RANK TOP 2",
    "LIST_DISTINCT(parts.label, 0, 9, days) RANK TOP 3",
)
LINKS = (
    "LIST_DISTINCT(events.sku, 0, 6, days) RANK TOP 3",
    "LIST_DISTINCT(events.group_key, 0, 5, days) RANK TOP 2",
    "LIST_DISTINCT(events.sku WHERE events.kind != 'w2', 0, 8, days) RANK TOP 4",
)
TASKS = (REGRESSION, BINARY, MULTICLASS, FORECASTS, MULTILABEL, RANKING, LINKS)
"""The temporal targets, by task type; of eight neighbouring seeds the eighth is static."""

STATIC = (
    "PREDICT LIST_DISTINCT(likes.sku) RANK TOP 3 FOR EACH entities.id",
    "PREDICT entities.tags RANK TOP 2 FOR EACH entities.id",
    "PREDICT LIST_DISTINCT(likes.sku) RANK TOP 2 FOR EACH entities.id WHERE entities.size > 1",
    "PREDICT entities.tags CLASSIFY FOR EACH entities.id",
    "PREDICT entities.color FOR EACH entities.id WHERE entities.size > 1",
    "PREDICT entities.size FOR EACH entities.id",
)
POPULATIONS = (
    "",
    " WHERE COUNT(events.*, -15, 0, days) > 0",
    " WHERE SUM(events.amount, -12, 0, days) > 0 OR entities.size > 4",
    " WHERE COUNT(events.* WHERE products.price > 8, -INF, 0, days) < 9",
    " WHERE groups.sort != 'w1' OR COUNT(visits.*, -9, 0, days) < 3",
    " WHERE COUNT(parts.*, -20, 0, days) < 2 OR LIST_DISTINCT(parts.label, -9, 0) CONTAINS 'w1'",
    " WHERE MEDIAN(events.amount, -20, 0, days) + 1 BETWEEN -5 AND 50 OR entities.size IS NULL",
)


def is_static(seed: int) -> bool:
    """Tell whether a seed's query is static."""
    return seed % 8 == 7


def draw_world(seed: int, words: str = "", *, loose: bool = False) -> Database:
    """Draw entities with habits that last, so that their past tells of their future.

    ``words`` is the query's text. Where it asks for parts there are some. Where the target does,
    or lists products, their rows come after (or before) those that they hang on: the language
    looks at no time between a target's row and its entity, so that a label is settled only then.
    ``loose`` leaves that out, for features, which are known only when all of their rows are.
    """
    target = "" if loose else words.partition(" FOR EACH")[0]
    rng = np.random.default_rng([seed, 71])
    db = Database({}, {})
    n = int(rng.integers(12, 25))
    rate = rng.gamma(2.0, 0.12, n) + 0.06
    size = rate * 20 + rng.normal(0, 1, n)
    entities = {
        "id": np.arange(n) * 3 + 1,
        "size": _holes(rng, size),
        "color": _words(rng, n, 4),
        "group_key": np.array([f"g{k}" for k in rng.integers(0, 4, n)], dtype=object),
        "friend": rng.choice(np.arange(n) * 3 + 1, n),
    }
    kinds = {
        "id": "id",
        "size": "number",
        "color": "category",
        "group_key": "sid",
        "friend": "id",
    }
    if rng.random() < 0.6:
        entities["born"] = moments(rng.integers(-30, DAYS + 10, n).clip(0).astype(float))
        kinds["born"] = "time"
        db.times["entities"] = "born"
    if rng.random() < 0.5:
        gone = np.where(rng.random(n) < 0.6, np.nan, rng.integers(30, DAYS + 30, n))
        entities["gone"] = moments(gone)
        kinds["gone"] = "time"
        db.ends["entities"] = "gone"
    _put(db, "entities", entities, kinds, "id")

    groups = {
        "key": np.array([f"g{k}" for k in range(4)], dtype=object),
        "weight": rng.normal(0, 1, 4),
        "sort": np.array(["w0", "w1", "w2", "w0"], dtype=object),
    }
    _put(db, "groups", groups, {"key": "sid", "weight": "number", "sort": "category"}, "key")

    p = int(rng.integers(3, 8))
    products = {
        "sku": np.arange(p) + 50,
        "price": _holes(rng, rng.gamma(2, 5, p)),
        "brand": _words(rng, p, 3),
        "since": moments(
            rng.integers(-60, 0 if ".sku" in target else DAYS, p).clip(0).astype(float)
        ),
    }
    kinds = {"sku": "id", "price": "number", "brand": "category", "since": "time"}
    db.times["products"] = "since"
    if rng.random() < 0.4:
        gone = np.where(rng.random(p) < 0.5, np.nan, rng.integers(30, DAYS + 20, p))
        products["until"] = moments(gone)
        kinds["until"] = "time"
        db.ends["products"] = "until"
    _put(db, "products", products, kinds, "sku")

    owner = np.repeat(np.arange(n), rng.poisson(rate * DAYS))
    m = len(owner)
    taste = rng.integers(0, 3, n)
    kind = np.where(rng.random(m) < 0.7, taste[owner], rng.integers(0, 4, m))
    at = moments(rng.integers(0, DAYS * 4, m) / 4)
    events = {
        "event_id": rng.permutation(m) + 100,
        "entity_id": _references(rng, owner * 3 + 1),
        "sku": _references(rng, rng.integers(50, 50 + p, m)),
        "group_key": np.array([f"g{k}" for k in rng.integers(0, 5, m)], dtype=object),
        "at": at,
        "amount": _holes(rng, np.round(size[owner] + rng.normal(0, 2, m), 2)),
        "units": _holes(rng, rng.poisson(rate[owner] * 5).astype(float)),
        "kind": np.array([None if k == 3 else f"w{k}" for k in kind], dtype=object),
        "code": pd.array(taste[owner] + rng.integers(0, 2, m), dtype="Int64"),
        "flag": np.array([None if u < 0.1 else bool(u < 0.5) for u in rng.random(m)], dtype=object),
        "settled": at
        + moments(rng.integers(0, 60, m) / 4).astype("timedelta64[ns]")
        - EPOCH.astype("timedelta64[ns]"),
    }
    kinds = {
        "event_id": "id",
        "entity_id": "id",
        "sku": "id",
        "group_key": "sid",
        "at": "time",
        "amount": "number",
        "units": "number",
        "kind": "category",
        "code": "code",
        "flag": "bool",
        "settled": "time",
    }
    if rng.random() < 0.3:
        events["void"] = moments(np.where(rng.random(m) < 0.7, np.nan, rng.integers(0, 120, m)))
        kinds["void"] = "time"
        db.ends["events"] = "void"
    db.times["events"] = "at"
    keyed = rng.random() < 0.8 or "parts." in words
    _put(db, "events", events, kinds, "event_id" if keyed else None)

    v = int(rng.integers(60, 160))
    owner = rng.choice(n, v, p=rate / rate.sum())
    visits = {
        "entity_id": _references(rng, owner * 3 + 1),
        "on": moments(rng.integers(0, DAYS * 2, v) / 2),
        "length": np.round(rng.gamma(2, 3, v), 1),
        "place": np.array([f"p{k}" for k in (taste[owner] + (rng.random(v) < 0.3)) % 3], object),
    }
    kinds = {"entity_id": "id", "on": "time", "length": "number", "place": "category"}
    db.times["visits"] = "on"
    _put(db, "visits", visits, kinds, None)

    links = [
        Link("events", "entity_id", "entities"),
        Link("events", "sku", "products"),
        Link("events", "group_key", "groups"),
        Link("visits", "entity_id", "entities"),
        Link("entities", "group_key", "groups"),
    ]
    if rng.random() < 0.3:
        links.append(Link("entities", "friend", "entities"))
    if keyed and (rng.random() < 0.5 or "parts." in words):
        k = int(rng.integers(50, 200)) * (2 if "parts." in words else 1)
        above = rng.integers(0, m, k)
        parts = {
            "event_id": _references(rng, np.asarray(events["event_id"])[above]),
            "weight": _holes(rng, rng.gamma(2, 3, k)),
            "label": _words(rng, k, 4),
        }
        kinds = {"event_id": "id", "weight": "number", "label": "category"}
        if rng.random() < 0.5 or "parts." in words:
            parts["on"] = moments(rng.integers(0, DAYS * 2, k) / 2)
            if "parts." in target:
                parts["on"] = at[above] + np.timedelta64(6, "h") * rng.integers(0, 9, k)
            kinds["on"] = "time"
            db.times["parts"] = "on"
        _put(db, "parts", parts, kinds, None)
        links.append(Link("parts", "event_id", "events"))
    db.links = tuple(links)
    return db


def draw_text(seed: int) -> str:
    """Return a temporal query; eight neighbouring seeds have the seven task types, and a static."""
    targets = TASKS[seed % 8]
    target = targets[(seed // 8) % len(targets)]
    population = POPULATIONS[(seed // 5) % len(POPULATIONS)]
    return f"PREDICT {target} FOR EACH entities.id{population}"


def draw_query(graph: Graph, seed: int) -> CheckedQuery:
    """Return the query of a seed."""
    return check(draw_text(seed), graph)


def draw_still_world(seed: int) -> tuple[Database, str]:
    """Draw a world without time, and a static query."""
    rng = np.random.default_rng([seed, 74])
    db = Database({}, {})
    n, p, k = int(rng.integers(25, 45)), int(rng.integers(3, 9)), int(rng.integers(40, 120))
    tags = [None if u < 0.2 else list(rng.permutation(_TAGS)[: int(u * 5)]) for u in rng.random(n)]
    entities = {
        "id": np.arange(n) * 3 + 1,
        "size": _holes(rng, rng.normal(3, 2, n)),
        "color": _words(rng, n, 3),
        "tags": pd.Series(tags, dtype=object),
    }
    kinds = {"id": "id", "size": "number", "color": "category", "tags": "labels"}
    _put(db, "entities", entities, kinds, "id")
    products = {"sku": np.arange(p) + 50, "brand": _words(rng, p, 3)}
    _put(db, "products", products, {"sku": "id", "brand": "category"}, "sku")
    likes = {
        "entity_id": _references(rng, rng.integers(0, n, k) * 3 + 1),
        "sku": _references(rng, rng.integers(50, 50 + p, k)),
    }
    _put(db, "likes", likes, {"entity_id": "id", "sku": "id"}, None)
    db.links = (Link("likes", "entity_id", "entities"), Link("likes", "sku", "products"))
    return db, STATIC[(seed // 8) % len(STATIC)]


_TAGS = np.array(["red", "green", "blue", "grey"], dtype=object)


def other_strangers(db: Database, seed: int) -> tuple[Database, set[int]]:
    """Change, delete and add rows of some entities; return the keys of the others.

    Where nothing has a time, later is what is not about an entity.
    """
    rng = np.random.default_rng([seed, 75])
    entities, likes = db.frames["entities"], db.frames["likes"]
    mine = set(entities["id"][rng.random(len(entities)) < 0.5])
    strange = entities[~entities["id"].isin(mine)].copy()
    strange["size"] = rng.normal(0, 100, len(strange))
    strange["color"] = _words(rng, len(strange), 9)
    order = rng.permutation(len(strange))
    strange["tags"] = strange["tags"].to_numpy()[order]
    strange = strange[rng.random(len(strange)) < 0.8]
    known = entities[entities["id"].isin(mine)]
    mixed = _between(known, strange, rng)
    theirs = likes[likes["entity_id"].isin(mine)]
    others = likes[~likes["entity_id"].isin(mine)].copy()
    others["sku"] = rng.permutation(others["sku"].to_numpy())
    frames = {
        **db.frames,
        "entities": mixed,
        "likes": _between(theirs, others[rng.random(len(others)) < 0.7], rng),
    }
    return Database(frames, db.kinds, db.keys, db.times, db.ends, db.links), mine


def draw_anchor(db: Database, table: str, seed: int) -> int:
    """Return a moment inside the data, ns: on a row of ``table``, beside one, or anywhere."""
    rng = np.random.default_rng([seed, 72])
    times = db.frames[table][db.times[table]].to_numpy().astype("datetime64[ns]").astype(np.int64)
    inside = np.sort(times)[int(0.55 * len(times)) : int(0.85 * len(times))]
    return int(rng.choice(inside)) + int(rng.choice([0, 0, 1, -1, 3_600 * 10**9]))


def other_future(db: Database, anchor: int, seed: int, *, keep: str | None = None) -> Database:
    """Change, delete and add rows later than the anchor, and ends of rows that come later.

    Rows known at the anchor keep their values and their order among each other; later rows come to
    stand anywhere between them. ``keep`` names a table whose latest row keeps its time, so that
    its data ends where it did.
    """
    rng = np.random.default_rng([seed, 73])
    keys = {
        name: list(db.frames[name][key].to_numpy())
        for name, key in db.keys.items()
        if key is not None
    }
    frames = {}
    for name, frame in db.frames.items():
        time = db.times.get(name)
        moment = pd.Timestamp(anchor)
        late = frame[time] > moment if time else pd.Series(data=False, index=frame.index)
        past, future = frame[~late].copy(), frame[late]
        end = db.ends.get(name)
        if end is not None:
            open_ = (past[end].isna() | (past[end] > moment)).to_numpy()
            past.loc[open_, end] = _later(rng, anchor, int(open_.sum()), missing=0.4)
        if time is None:
            frames[name] = past.reset_index(drop=True)
            continue
        luck = rng.random(len(future))
        changed = future[luck < 0.5]
        same = future[(luck >= 0.5) & (luck < 0.65)]  # the others are deleted
        added = frame.sample(
            int(rng.integers(0, 2 + len(frame) // 3)), replace=True, random_state=seed
        )
        changed = _wild(db, name, changed, anchor, keys, rng)
        added = _wild(db, name, added, anchor, keys, rng)
        key = db.keys.get(name)
        if key is not None:
            start = 1_000_000
            added[key] = (
                np.arange(start, start + len(added))
                if db.kinds[name][key] == "id"
                else [f"new{k}" for k in range(len(added))]
            )
        later = pd.concat([part for part in (same, changed, added) if len(part)] or [same])
        if name == keep and len(future):
            last = future.sort_values(time).tail(1)
            lasting = _wild(db, name, last, anchor, keys, rng)
            lasting[time] = last[time].to_numpy()
            beyond = later[time] < last[time].iloc[0]
            later = pd.concat([later[beyond & ~later.index.isin(last.index)], lasting])
        frames[name] = _between(past, later, rng)
    return Database(frames, db.kinds, db.keys, db.times, db.ends, db.links)


def _between(past: pd.DataFrame, later: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Put later rows anywhere between the known ones, which stay in their order."""
    if not len(later):
        return past.reset_index(drop=True)
    if not len(past):
        return later.reset_index(drop=True)
    place = np.concatenate([np.arange(len(past)), rng.uniform(-1, len(past), len(later))])
    joined = pd.concat([past, later], ignore_index=True)
    return joined.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def _wild(
    db: Database,
    name: str,
    rows: pd.DataFrame,
    anchor: int,
    keys: dict[str, list[object]],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the rows with other values, parents and times later than the anchor."""
    rows = rows.copy()
    n = len(rows)
    parents = {link.foreign_key: link.to for link in db.links if link.table == name}
    for column, kind in db.kinds[name].items():
        if column == db.keys.get(name):
            continue
        if column == db.times.get(name):
            rows[column] = _later(rng, anchor, n)
        elif column == db.ends.get(name):
            rows[column] = _later(rng, anchor, n, missing=0.5)
        elif column in parents:
            pool = np.array([*keys[parents[column]], None], dtype=object)
            rows[column] = pool[rng.integers(0, len(pool), n)]
        elif kind == "number":
            wild = np.array([1e300, -1e300, np.inf, -np.inf, np.nan, 1e-300, -7e11, 0.1, 3.0])
            rows[column] = np.where(
                rng.random(n) < 0.5, wild[rng.integers(0, len(wild), n)], rng.normal(0, 1e4, n)
            )
        elif kind == "category":
            words = np.array(["", "A", "never seen", "w0", "w1", "zz", "ü", "p1", None], object)
            rows[column] = words[rng.integers(0, len(words), n)]
        elif kind == "code":
            rows[column] = pd.array(rng.integers(-9, 9, n), dtype="Int64")
        elif kind == "bool":
            rows[column] = np.array([None, True, False], object)[rng.integers(0, 3, n)]
        elif kind == "time":
            rows[column] = moments(rng.uniform(-3000, 3000, n))
    return rows


def _later(rng: np.random.Generator, anchor: int, n: int, *, missing: float = 0.0) -> np.ndarray:
    """Draw times later than the anchor, some by a nanosecond, some by years."""
    hours = 3_600 * 10**9
    ahead = np.where(rng.random(n) < 0.15, 1, rng.integers(1, 24 * DAYS, n) * hours)
    ahead = np.where(rng.random(n) < 0.03, 24 * 4_000 * hours, ahead)
    found = (anchor + ahead).astype("datetime64[ns]")
    found[rng.random(n) < missing] = np.datetime64("NaT")
    return found


def _put(
    db: Database, name: str, columns: dict[str, object], kinds: dict[str, str], key: str | None
) -> None:
    db.frames[name] = pd.DataFrame(columns)
    db.kinds[name] = kinds
    db.keys[name] = key


def _holes(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(values)) < 0.1, np.nan, values)


def _words(rng: np.random.Generator, n: int, distinct: int) -> np.ndarray:
    drawn = rng.integers(0, distinct + 1, n)
    return np.array([None if w == distinct else f"w{w}" for w in drawn], dtype=object)


def _references(rng: np.random.Generator, keys: np.ndarray) -> np.ndarray:
    """Make a few keys null and a few dangling."""
    drawn = np.asarray(keys).astype(object)
    luck = rng.random(len(drawn))
    drawn[luck < 0.03] = None
    drawn[(luck >= 0.03) & (luck < 0.06)] = 999_999
    return drawn
