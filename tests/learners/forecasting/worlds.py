"""Shops that sell every day: a rhythm of the week, or none at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
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
SALES = "PREDICT SUM(sales.amount, 0, 1, days) FORECAST 7 TIMEFRAMES FOR EACH shops.shop_id"
VISITS = "PREDICT COUNT(sales.*, 0, 1, days) FORECAST 5 TIMEFRAMES FOR EACH shops.shop_id"


@dataclass(frozen=True)
class World:
    """A snapshot with its arrays."""

    snapshot: Snapshot
    relations: Relations

    def query(self, text: str) -> CheckedQuery:
        return check(text, self.snapshot.graph)

    def folds(self, text: str, regime: str = "rolling", **plan: object) -> Folds:
        query = self.query(text)
        table = make_training_table(
            self.snapshot,
            self.relations,
            query,
            TablePlan(**plan),  # type: ignore[arg-type]
        )
        return make_folds(table.examples, table.query, regime)  # type: ignore[arg-type]

    def work(
        self, text: str, folds: Folds, *, threads: int = 1, candidates: int = 60, **plan: object
    ) -> Work:
        query = self.query(text)
        anchor = folds.train.asked.anchor
        until = None if anchor is None else int(anchor.max())
        features = FeatureSet.generate(self.relations, query, budget=candidates, until=until)
        options = ModelPlan(**{"run_mode": "debug", "threads": threads, **plan})  # type: ignore[arg-type]
        settings = Settings(
            budget=options.budget(),
            metric="mae",
            seed=0,
            threads=threads,
            deadline=Deadline(),
        )
        return Work(
            self.relations,
            query,
            folds.target,
            folds.train,
            folds.validation,
            features,
            settings,
            lambda *_: None,
        )


def weekly(folder: Path, *, shops: int = 60, days: int = 120, seed: int = 0) -> World:
    """Write shops with a rhythm of the week, a level that wanders, and days of their own noise."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(3.0, 0.8, shops)
    profile = rng.dirichlet(np.full(7, 3.0), shops) * 7
    wander = np.exp(np.cumsum(rng.normal(0, 0.05, (shops, days)), axis=1))
    noise = rng.lognormal(0, 0.35, (shops, days))
    amount = size[:, None] * profile[:, np.arange(days) % 7] * wander * noise
    return _write(folder, amount, rng)


def noise(folder: Path, *, shops: int = 60, days: int = 90, seed: int = 0) -> World:
    """Write shops whose days have nothing to do with each other, nor with the shop."""
    rng = np.random.default_rng(seed)
    return _write(folder, rng.lognormal(1.0, 0.5, (shops, days)), rng)


def _write(folder: Path, amount: np.ndarray, rng: np.random.Generator) -> World:
    shops, days = amount.shape
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    shop, day = np.divmod(np.arange(amount.size), days)
    at = 1_600_041_600 + day * 86_400 + rng.integers(-20_000, 20_000, amount.size)
    tables = {
        "shops": {
            "shop_id": pa.array(np.arange(shops)),
            "region": pa.array(rng.choice(["north", "south"], shops)),
        },
        "sales": {
            "sale_id": pa.array(np.arange(amount.size)),
            "shop_id": pa.array(shop),
            "amount": pa.array(amount.ravel()),
            "at": pa.array(at.astype("datetime64[s]")),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), data / f"{name}.parquet")
    return read(folder)


def read(folder: Path) -> World:
    """Copy what stands in ``<folder>/data`` into a store."""
    source, store = LocalDirectory(folder / "data"), SnapshotStore(folder / "store")
    specs = [
        TableSpec(
            "shops",
            primary_key="shop_id",
            time_column=None,
            stypes={"shop_id": Stype.ID, "region": Stype.categorical},
        ),
        TableSpec("sales", primary_key="sale_id", time_column="at", stypes={"shop_id": Stype.ID}),
    ]
    tables = [store.ingest_table(source, spec.name, spec) for spec in specs]
    snapshot = store.combine(tables, [Link("sales", "shop_id", "shops")])
    return World(snapshot, build(snapshot))


def with_metric(work: Work, metric: str) -> Work:
    return replace(work, settings=replace(work.settings, metric=metric))
