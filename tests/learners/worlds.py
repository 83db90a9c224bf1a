"""A small shop, generated: customers with habits, their orders, and the products in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.schema import Dtype, Link, Stype
from relcast.learners import FittedModel, ModelPlan, fit
from relcast.pql import check
from relcast.relations import Relations, build
from relcast.snapshots import Snapshot, SnapshotStore, TableSpec
from relcast.sources import LocalDirectory
from relcast.tasks import TablePlan, TrainingTable, make_training_table

DAY = 86_400 * 10**9
REGRESSION = "PREDICT SUM(orders.price, 0, 30, days) FOR EACH customers.customer_id"
BINARY = (
    "PREDICT COUNT(orders.*, 0, 30, days) > 1 FOR EACH customers.customer_id "
    "WHERE COUNT(orders.*, -90, 0, days) > 0"
)
MULTICLASS = "PREDICT FIRST(orders.kind, 0, 30, days) FOR EACH customers.customer_id"
STATIC = "PREDICT customers.age FOR EACH customers.customer_id"
STATIC_CLASS = "PREDICT customers.segment FOR EACH customers.customer_id"
QUERIES = {
    "regression": REGRESSION,
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "static": STATIC,
    "static_class": STATIC_CLASS,
}
QUICK = ModelPlan(
    run_mode="debug",
    threads=1,
    bootstrap_resamples=50,
    learners=("trees", "forecast", "multilabel", "ranking"),
)
"""One learner for each task; ``test_mixture`` lets all that suit take part."""


@dataclass(frozen=True)
class World:
    """A snapshot with its arrays, and models that were fitted on it, by query and plan."""

    snapshot: Snapshot
    relations: Relations
    models: dict[tuple[str, ModelPlan], FittedModel]

    def table(self, query: str) -> TrainingTable:
        return make_training_table(
            self.snapshot, self.relations, check(query, self.snapshot.graph), TablePlan()
        )

    def fit(self, query: str, plan: ModelPlan = QUICK) -> FittedModel:
        if (query, plan) not in self.models:
            checked = check(query, self.snapshot.graph)
            self.models[query, plan] = fit(self.relations, checked, self.table(query), plan)
        return self.models[query, plan]


def make_world(folder: Path, *, customers: int = 400, days: int = 360, seed: int = 0) -> World:
    """Write the shop, copy it into a store and link it."""
    write_shop(folder / "data", customers=customers, days=days, seed=seed)
    return read_shop(folder)


def read_shop(folder: Path, age: Dtype = Dtype.float64) -> World:
    """Copy what stands in ``<folder>/data`` into a store; ``age`` is how that column is read."""
    source = LocalDirectory(folder / "data")
    store = SnapshotStore(folder / "store")
    kinds = {"customer_id": Stype.ID, "product_id": Stype.ID, "kind": Stype.categorical}
    specs = [
        TableSpec(
            "customers",
            primary_key="customer_id",
            time_column=None,
            dtypes={"age": age},
            stypes={
                "customer_id": Stype.ID,
                "segment": Stype.categorical,
                "country": Stype.categorical,
                "age": Stype.categorical if age is Dtype.string else Stype.numerical,
            },
        ),
        TableSpec("orders", primary_key="order_id", time_column="at", stypes=kinds),
        TableSpec("products", primary_key="product_id", time_column=None),
    ]
    tables = [store.ingest_table(source, spec.name, spec) for spec in specs]
    links = [
        Link("orders", "customer_id", "customers"),
        Link("orders", "product_id", "products"),
    ]
    snapshot = store.combine(tables, links)
    return World(snapshot, build(snapshot), {})


def write_shop(folder: Path, *, customers: int, days: int, seed: int) -> None:
    """Write Parquet: rate, taste and budget persist; some customers leave, some change their taste.

    So the recent past tells more than the whole past, which is what a baseline cannot know.
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(["tea", "coffee", "cocoa", "water"])
    rate = rng.gamma(1.5, 0.06, customers)
    taste = rng.integers(0, 4, customers)
    other_taste = rng.integers(0, 4, customers)
    budget = rng.lognormal(2.0, 0.6, customers)
    owner = np.repeat(np.arange(customers), rng.poisson(rate * days))
    at = np.sort(rng.integers(0, days * 86_400, len(owner)))
    owner = rng.permutation(owner)
    leaves = rng.uniform(0.1, 1.6, customers) * days * 86_400
    stays = at < leaves[owner]
    owner, at = owner[stays], at[stays]
    n = len(owner)
    turned = at > (rng.uniform(0.2, 1.5, customers) * days * 86_400)[owner]
    own_taste = rng.random(n) < 0.65
    liked = np.where(turned, other_taste[owner], taste[owner])
    kind = np.where(own_taste, liked, rng.integers(0, 4, n))
    age = np.where(
        rng.random(customers) < 0.9, 20 + 10 * taste + rng.normal(0, 3, customers), np.nan
    )
    segment = np.array(["small", "middle", "large"])[np.digitize(rate, [0.05, 0.11])]
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "customers": {
            "customer_id": pa.array([f"c{i:05d}" for i in range(customers)]),
            "age": pa.array(age, from_pandas=True),
            "segment": pa.array(segment),
            "country": pa.array(rng.choice(["DE", "FR", "PT"], customers)),
        },
        "orders": {
            "order_id": pa.array(np.arange(n)),
            "customer_id": pa.array([f"c{i:05d}" for i in owner]),
            "product_id": pa.array(rng.integers(0, 20, n)),
            "kind": pa.array(kinds[kind]),
            "price": pa.array(np.round(budget[owner] * rng.lognormal(0, 0.3, n), 2)),
            "at": pa.array((at + 1_600_000_000).astype("datetime64[s]")),
        },
        "products": {
            "product_id": pa.array(np.arange(20)),
            "weight": pa.array(rng.random(20)),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
