"""A clean little shop in files, and what real data do to it: the cases of D7 (reliability.md).

A case takes the clean tables, spoils one thing, and says which rows and values an ingest must drop
for it. What then comes of each task type stands in docs/data.md, which the test reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.schema import Link
from relcast.snapshots import INFER, TableSpec

__all__ = ["CUSTOMERS", "DAYS", "ORDERS", "PRODUCTS", "TASKS", "Shop", "clean", "edited"]

CUSTOMERS, ORDERS, PRODUCTS, DAYS = 60, 1000, 12, 120
LIKES = 150
KINDS = np.array(["coffee", "tea", "cake"], dtype=object)
_TAGS = ("sport", "music", "food", "travel")

TASKS: dict[str, str] = {
    "binary": "PREDICT COUNT(orders.*, 0, 10, days) > 1 FOR EACH customers.customer_id",
    "regression": "PREDICT SUM(orders.amount, 0, 10, days) FOR EACH customers.customer_id",
    "multiclass": "PREDICT LAST(orders.kind, 0, 10, days) FOR EACH customers.customer_id",
    "forecasting": "PREDICT SUM(orders.amount, 0, 10, days) FORECAST 2 TIMEFRAMES"
    " FOR EACH customers.customer_id",
    "multilabel": "PREDICT LIST_DISTINCT(orders.kind, 0, 10, days) CLASSIFY"
    " FOR EACH customers.customer_id",
    "ranking": "PREDICT customers.tags RANK TOP 2 FOR EACH customers.customer_id",
    "temporal link": "PREDICT LIST_DISTINCT(orders.product_id, 0, 10, days) RANK TOP 3"
    " FOR EACH customers.customer_id",
    "static link": "PREDICT LIST_DISTINCT(likes.product_id) RANK TOP 3"
    " FOR EACH customers.customer_id",
}
"""A query of each task type, by the name of its column in the documented table."""

_LINKS = (
    Link("orders", "customer_id", "customers"),
    Link("orders", "product_id", "products"),
    Link("likes", "customer_id", "customers"),
    Link("likes", "product_id", "products"),
)
_KEYS = {"customers": "customer_id", "orders": "order_id", "products": "product_id", "likes": None}
_TIMES = {"orders": "ordered_at"}
_TEXT = frozenset({"orders", "products"})
"""Tables written as CSV; the others are Parquet."""


@dataclass(frozen=True)
class Shop:
    """Tables as files would hold them, what the user says of them, and what is asked.

    Attributes:
        tables: By name.
        text: Names of the tables that are written as CSV.
        files: Whole files by name, in place of a table's.
        specs: What the user says of each table; the rest is inferred.
        links: What the user says of links; None infers them.
        tasks: The query of each task type.
    """

    tables: Mapping[str, pa.Table]
    text: frozenset[str] = _TEXT
    files: Mapping[str, bytes] = field(default_factory=dict)
    specs: Mapping[str, TableSpec] = field(default_factory=dict)
    links: tuple[Link, ...] | None = _LINKS
    tasks: Mapping[str, str] = field(default_factory=lambda: TASKS)

    def write(self, folder: Path) -> None:
        """Write every table as a file of its own."""
        folder.mkdir(parents=True)
        replaced = {name.split(".")[0] for name in self.files}
        for name, table in self.tables.items():
            if name in replaced:
                continue
            if name in self.text:
                (folder / f"{name}.csv").write_text(_csv(table), encoding="utf-8")
            else:
                pq.write_table(table, folder / f"{name}.parquet")
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    def names(self, task: str) -> list[str]:
        """Return the tables of the graph that a task is asked of.

        Static links are asked of tables without time; orders are of no matter there.
        """
        skipped = {"static link": {"orders"}}.get(task, {"likes"})
        return [name for name in self.tables if name not in skipped]

    def spec(self, name: str) -> TableSpec:
        """Return what the user says of a table."""
        return self.specs.get(name, TableSpec(name))


def clean() -> Shop:
    """Return the shop with nothing wrong."""
    rng = np.random.default_rng(7)
    customer = np.arange(CUSTOMERS) + 1
    habit = rng.gamma(2.0, 1.0, CUSTOMERS)
    owner = rng.choice(CUSTOMERS, ORDERS, p=habit / habit.sum())
    minute = np.sort(rng.choice(DAYS * 1440, ORDERS, replace=False))
    taste = rng.integers(0, 3, CUSTOMERS)
    kind = np.where(rng.random(ORDERS) < 0.7, taste[owner], rng.integers(0, 3, ORDERS))
    tags = [
        None if k % 12 == 5 else [_TAGS[t] for t in np.flatnonzero(rng.random(4) < 0.4)] or ["food"]
        for k in range(CUSTOMERS)
    ]
    tables = {
        "customers": pa.table(
            {
                "customer_id": customer,
                "region": np.array(["north", "south", "east"], object)[taste],
                "age": rng.integers(18, 80, CUSTOMERS).astype(float),
                "tags": pa.array(tags, pa.list_(pa.string())),
            }
        ),
        "orders": pa.table(
            {
                "order_id": np.arange(ORDERS) + 10_000,
                "customer_id": customer[owner],
                "product_id": rng.integers(1, PRODUCTS + 1, ORDERS),
                "ordered_at": pa.array(
                    np.datetime64("2024-01-01", "us") + minute * np.timedelta64(60, "s")
                ),
                "amount": np.round(rng.gamma(3.0, 4.0, ORDERS), 2),
                "kind": KINDS[kind],
            }
        ),
        "products": pa.table(
            {
                "product_id": np.arange(PRODUCTS) + 1,
                "brand": np.array(["a", "b", "c"], object)[np.arange(PRODUCTS) % 3],
                "price": np.round(rng.gamma(3.0, 4.0, PRODUCTS), 2),
            }
        ),
        "likes": pa.table(
            {
                "customer_id": rng.choice(customer, LIKES),
                "product_id": rng.integers(1, PRODUCTS + 1, LIKES),
            }
        ),
    }
    specs = {
        name: TableSpec(name, primary_key=key, time_column=_TIMES.get(name))
        for name, key in _KEYS.items()
    }
    return Shop(tables, specs=specs)


def edited(
    shop: Shop, name: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> Shop:
    """Return the shop with one table changed; ``change`` gets its columns as Python lists."""
    table = shop.tables[name]
    columns: dict[str, Any] = {c: table.column(c).to_pylist() for c in table.column_names}
    columns = change(columns) or columns
    types = {f.name: f.type for f in table.schema}
    arrays = {c: _array(values, types.get(c)) for c, values in columns.items()}
    return replace(shop, tables={**shop.tables, name: pa.table(arrays)})


def _array(values: Any, before: pa.DataType | None) -> pa.Array:
    """Return values in the type that they have now; that of before where they do not tell."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and words
        return pa.array([None if v is None else str(v) for v in values])
    tells_nothing = pa.types.is_null(found.type) or found.type == pa.list_(pa.null())
    return found.cast(before) if tells_nothing and before is not None else found


def told(shop: Shop, name: str, **said: Any) -> Shop:
    """Return the shop with more said of a table."""
    return replace(shop, specs={**shop.specs, name: replace(shop.spec(name), **said)})


def inferred(shop: Shop) -> Shop:
    """Return the shop with nothing said: keys, times and links are found."""
    specs = {name: TableSpec(name, primary_key=INFER, time_column=INFER) for name in shop.tables}
    return replace(shop, specs=specs, links=None)


def asked(shop: Shop, **tasks: str) -> Shop:
    """Return the shop with other queries; names with ``_`` for the blank in a task's name."""
    named = {name.replace("_", " "): text for name, text in tasks.items()}
    return replace(shop, tasks={**shop.tasks, **named})


def _csv(table: pa.Table) -> str:
    """Write as most programs do: empty for a missing value, quotes where a comma asks for them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    columns = [[_cell(v) for v in table.column(c).to_pylist()] for c in table.column_names]
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "|".join(str(v) for v in value)
    return "" if value is None else value
