"""A shop whose customers buy by taste and habit, with products that come and go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.schema import Link, Stype
from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.folds import Folds, make_folds
from relcast.learners.learner import Settings, Work
from relcast.learners.plan import ModelPlan
from relcast.pql import check
from relcast.pql.ast import CheckedQuery
from relcast.relations import Relations, build
from relcast.snapshots import Snapshot, SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import TablePlan, make_training_table

DAY = 86_400 * 10**9
START = pd.Timestamp("2022-01-01")
NEXT = (
    "PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 5 "
    "FOR EACH customers.customer_id"
)
DEAR = (
    "PREDICT LIST_DISTINCT(orders.product_id WHERE orders.price > 10, 0, 30, days) RANK TOP 5 "
    "FOR EACH customers.customer_id"
)
KINDS = "PREDICT LIST_DISTINCT(orders.kind, 0, 30, days) RANK TOP 3 FOR EACH customers.customer_id"
TAGS = "PREDICT customers.tags RANK TOP 3 FOR EACH customers.customer_id"

Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class World:
    """A snapshot with its arrays, and the frames that it was made of."""

    frames: Frames
    snapshot: Snapshot
    relations: Relations

    def query(self, text: str = NEXT) -> CheckedQuery:
        return check(text, self.snapshot.graph)

    def folds(self, text: str = NEXT, regime: Any = "rolling", **plan: Any) -> Folds:
        query = self.query(text)
        plan = plan or {"split": "ApproxDateOffsetSplit([0.6, 0.2, 0.2])"}
        made = TablePlan(**(plan if query.temporal else {}))
        table = make_training_table(self.snapshot, self.relations, query, made)
        return make_folds(table.examples, query, regime)

    def work(self, folds: Folds, text: str = NEXT, threads: int = 1, **plan: Any) -> Work:
        query = self.query(text)
        anchor = folds.train.asked.anchor
        until = None if anchor is None else int(anchor.max())
        budget = ModelPlan(run_mode="debug", **plan).budget()
        return Work(
            relations=self.relations,
            query=query,
            target=folds.target,
            train=folds.train,
            valid=folds.validation,
            features=FeatureSet.generate(self.relations, query, budget=60, until=until),
            settings=Settings(budget, "map@10", 0, threads, Deadline()),
            report=lambda *_: None,
        )


def shop(
    customers: int = 120, products: int = 40, days: int = 360, seed: int = 0, *, timed: bool = True
) -> Frames:
    """Make a shop: everyone likes one kind, some products are liked by all, habits repeat."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, products)
    fame = rng.gamma(0.7, 1.0, products) + 0.05
    taste = rng.integers(0, 4, customers)
    rows: list[tuple[int, int, int]] = []
    last: dict[int, list[int]] = {}
    for second in np.sort(rng.integers(0, days * 86_400, customers * days // 15)).tolist():
        who = int(rng.integers(0, customers))
        weight = fame * np.where(kind == taste[who], 12.0, 1.0)
        what = int(rng.choice(products, p=weight / weight.sum()))
        if who in last and rng.random() < 0.4:
            what = last[who][-1]
        last.setdefault(who, []).append(what)
        rows.append((who, what, second))
    who, what, second = (np.array(part) for part in zip(*rows, strict=True))
    added = np.where(rng.random(products) < 0.8, -30, rng.integers(0, days, products))
    there = second >= added[what] * 86_400
    who, what, second = who[there], what[there], second[there]
    words = np.array(["red", "green", "blue", "white"])
    frames = {
        "customers": pd.DataFrame(
            {
                "customer_id": [f"c{i:04d}" for i in range(customers)],
                "country": rng.choice(["DE", "FR", "PT"], customers),
                "hint": words[np.where(rng.random(customers) < 0.7, taste, 0)],
            }
        ),
        "products": pd.DataFrame(
            {
                "product_id": 100 + np.arange(products),
                "kind": words[kind],
                "weight": rng.random(products).round(3),
                "added": START + pd.to_timedelta(added, unit="D"),
                "gone": pd.to_datetime(
                    np.where(rng.random(products) < 0.1, "2022-09-01", None), format="%Y-%m-%d"
                ),
            }
        ),
        "orders": pd.DataFrame(
            {
                "order_id": np.arange(len(who)),
                "customer_id": [f"c{i:04d}" for i in who],
                "product_id": 100 + what,
                "kind": words[kind[what]],
                "price": (5 + 10 * rng.random(len(who))).round(2),
                "at": START + pd.to_timedelta(second, unit="s"),
            }
        ),
    }
    if not timed:
        frames["orders"] = frames["orders"].drop(columns="at")
        frames["products"] = frames["products"].drop(columns=["added", "gone"])
    return frames


def tagged(customers: int = 300, seed: int = 0) -> Frames:
    """Make customers whose tags follow their country; nothing has a time."""
    rng = np.random.default_rng(seed)
    country = rng.integers(0, 3, customers)
    own = np.array([["a", "b"], ["c", "d"], ["e", "f"]])
    tags = [
        sorted({*own[c][rng.random(2) < 0.8].tolist(), *rng.choice(list("abcdefgh"), 1).tolist()})
        for c in country
    ]
    return {
        "customers": pd.DataFrame(
            {
                "customer_id": np.arange(customers),
                "country": np.array(["DE", "FR", "PT"])[country],
                "tags": tags,
            }
        )
    }


def make(folder: Path, frames: Frames) -> World:
    """Copy frames into a store and link them."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), data / f"{name}.parquet")
    source, store = LocalDirectory(data), SnapshotStore(folder / "store")
    stypes = {
        "customer_id": Stype.ID,
        "product_id": Stype.ID,
        "order_id": Stype.ID,
        "kind": Stype.categorical,
        "country": Stype.categorical,
        "hint": Stype.categorical,
        "tags": Stype.multicategorical,
    }
    keys = {"customers": "customer_id", "products": "product_id", "orders": "order_id"}
    times = {"orders": "at", "products": "added"}
    specs = []
    for name, frame in frames.items():
        time = times.get(name)
        specs.append(
            TableSpec(
                name,
                primary_key=keys[name],
                time_column=time if time in frame.columns else None,
                end_time_column="gone" if "gone" in frame.columns else None,
                stypes={c: s for c, s in stypes.items() if c in frame.columns},
            )
        )
    tables = [store.ingest_table(source, spec.name, spec) for spec in specs]
    links = []
    if "orders" in frames:
        links = [
            Link("orders", "customer_id", "customers"),
            Link("orders", "product_id", "products"),
        ]
    snapshot = store.combine(tables, links)
    return World(frames, snapshot, build(snapshot))
