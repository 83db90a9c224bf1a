"""What spoils a clean shop: one thing wrong at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from relcast.core.schema import Link, Stype
from tests.properties.dirty_tables import (
    CUSTOMERS,
    ORDERS,
    PRODUCTS,
    TASKS,
    Shop,
    asked,
    edited,
    told,
)

__all__ = [
    "CHILD_ENDS",
    "CUSTOMER_ENDS",
    "Case",
    "again",
    "at",
    "cells",
    "column",
    "each",
    "ended",
    "epoch",
    "file",
    "keys",
    "labels",
    "lines",
    "link",
    "million",
    "mixed",
    "of_kind",
    "orders_csv",
    "parquet",
    "referrers",
    "renamed",
    "rows",
    "tags",
    "two_valued",
    "unsized",
    "where",
]

Columns = dict[str, Any]
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Case:
    """One thing wrong.

    Attributes:
        what: What is wrong, as the documented table says it.
        spoil: Makes the shop of the clean one.
        dropped: Rows that an ingest must drop, by table and reason; other tables lose none.
        unreadable: Values that it must miss, by table and column.
        dangling, null: Child rows per link (``orders.customer_id``); others have none.
        fit: Tasks that a model is fitted for, too.
        warns: Words of warnings that an ingest must give.
    """

    what: str
    spoil: Callable[[Shop], Shop]
    dropped: Counts = field(default_factory=dict)
    unreadable: Counts = field(default_factory=dict)
    dangling: Mapping[str, int] = field(default_factory=dict)
    null: Mapping[str, int] = field(default_factory=dict)
    fit: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()


def cells(table: str, column: str, change: Callable[[int, Any], Any]) -> Callable[[Shop], Shop]:
    """Change a column cell by cell, given row and value."""

    def one(columns: Columns) -> Columns:
        return {**columns, column: [change(k, v) for k, v in enumerate(columns[column])]}

    return lambda shop: edited(shop, table, one)


def column(table: str, column: str, values: Any) -> Callable[[Shop], Shop]:
    return lambda shop: edited(shop, table, lambda columns: {**columns, column: values})


def rows(table: str, keep: Callable[[int], bool]) -> Callable[[Shop], Shop]:
    def some(columns: Columns) -> Columns:
        return {c: [v for k, v in enumerate(vs) if keep(k)] for c, vs in columns.items()}

    return lambda shop: edited(shop, table, some)


def again(table: str, rows: int, **other: Any) -> Callable[[Shop], Shop]:
    """Append the first rows once more, with other values."""

    def more(columns: Columns) -> Columns:
        return {
            c: [*vs, *([other[c]] * rows if c in other else vs[:rows])] for c, vs in columns.items()
        }

    return lambda shop: edited(shop, table, more)


def each(*steps: Callable[[Shop], Shop]) -> Callable[[Shop], Shop]:
    def all_of(shop: Shop) -> Shop:
        for step in steps:
            shop = step(shop)
        return shop

    return all_of


def keys(to: Callable[[int], Any], *ends: tuple[str, str]) -> Callable[[Shop], Shop]:
    return each(*(cells(t, c, lambda _, v: None if v is None else to(v)) for t, c in ends))


CUSTOMER_ENDS = (("customers", "customer_id"), ("orders", "customer_id"), ("likes", "customer_id"))
CHILD_ENDS = CUSTOMER_ENDS[1:]


def epoch(per: int) -> Callable[[Shop], Shop]:
    return cells("orders", "ordered_at", lambda _, v: int(v.timestamp() * 1) * per)


def link(*links: Link) -> Callable[[Shop], Shop]:
    return lambda shop: replace(shop, links=(*(shop.links or ()), *links))


def where(condition: str, static: str) -> Callable[[Shop], Shop]:
    """Add a WHERE to every task; static ones get theirs."""
    tasks = {
        name: f"{text} WHERE {static if name in ('ranking', 'static link') else condition}"
        for name, text in TASKS.items()
    }
    return lambda shop: replace(shop, tasks=tasks)


def of_kind(constant: str) -> Callable[[Shop], Shop]:
    return cells("orders", "kind", lambda _, v: constant)


def lines(shop: Shop) -> Shop:
    """Add lines below the orders; tasks aggregate them over two links, half of them broken."""
    rng = np.random.default_rng(11)
    order = rng.integers(10_000, 10_000 + ORDERS, 1500).astype(object)
    order[::10], order[1::10] = None, 99_999
    stamps = shop.tables["orders"].column("ordered_at").to_numpy()
    lines = pa.table(
        {
            "order_id": pa.array(list(order), pa.int64()),
            "sold_at": pa.array(rng.choice(stamps, 1500)),
            "amount": np.round(rng.gamma(2.0, 3.0, 1500), 2),
            "kind": np.array(["red", "blue"], object)[rng.integers(0, 2, 1500)],
            "product_id": rng.integers(1, PRODUCTS + 1, 1500),
        }
    )
    tasks = {
        name: text if name in ("ranking", "static link") else text.replace("orders.", "lines.")
        for name, text in TASKS.items()
    }
    links = (Link("lines", "order_id", "orders"), Link("lines", "product_id", "products"))
    shop = replace(shop, tables={**shop.tables, "lines": lines}, tasks=tasks)
    shop = replace(shop, links=(*(shop.links or ()), *links))
    return told(shop, "lines", primary_key=None, time_column="sold_at")


def referrers(shop: Shop) -> Shop:
    """Customers who were brought by customers: one by itself, two by each other."""
    brought = [1, 3, 2, *([None] * 7), *(k % CUSTOMERS + 1 for k in range(10, CUSTOMERS))]
    shop = column("customers", "referrer_id", pa.array(brought, pa.int64()))(shop)
    return link(Link("customers", "referrer_id", "customers"))(shop)


def file(name: str, content: Callable[[Shop], bytes]) -> Callable[[Shop], Shop]:
    return lambda shop: replace(shop, files={**shop.files, name: content(shop)})


def orders_csv(shop: Shop) -> str:
    from tests.properties.dirty_tables import _csv

    return _csv(shop.tables["orders"])


def parquet(shop: Shop, name: str) -> bytes:
    import io

    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(shop.tables[name], out)
    return out.getvalue()


def ended(shop: Shop) -> Shop:
    """Orders that end before they begin, which no anchor ever sees alive."""
    shop = column("orders", "ends", [f"2023-01-{1 + k % 28:02}" for k in range(ORDERS)])(shop)
    shop = told(shop, "orders", end_time_column="ends")
    return where("COUNT(orders.*, -30, 0, days) > 0", "customers.age > 0")(shop)


def two_valued(shop: Shop) -> Shop:
    def say(columns: Columns) -> Columns:
        segment = [None if k % 12 == 5 else ("pro" if k % 3 else "home") for k in range(CUSTOMERS)]
        return {**columns, "segment": segment}

    shop = edited(shop, "customers", say)
    text = "PREDICT customers.segment FOR EACH customers.customer_id"
    return asked(shop, binary=text, multiclass=text)


def tags(change: Callable[[int, Any], Any]) -> Callable[[Shop], Shop]:
    return cells("customers", "tags", change)


def renamed(shop: Shop) -> Shop:
    """Give columns names that only quotes can hold."""
    table = shop.tables["orders"]
    names = [
        "kind ☕" if c == "kind" else "a mount" if c == "amount" else c for c in table.column_names
    ]
    shop = replace(shop, tables={**shop.tables, "orders": table.rename_columns(names)})
    tasks = {
        name: text.replace("orders.kind", "orders.`kind ☕`").replace(
            "orders.amount", "orders.`a mount`"
        )
        for name, text in shop.tasks.items()
    }
    return replace(shop, tasks=tasks)


def unsized(shop: Shop) -> Shop:
    big = 2**63 + 5
    return each(keys(lambda v: str(big + int(v)), *CUSTOMER_ENDS))(shop)


def at(day: int, minute: int = 0) -> Any:
    import datetime as dt

    return dt.datetime(2024, 1, 1) + dt.timedelta(days=day, minutes=minute)  # noqa: DTZ001


def mixed(shop: Shop, name: str) -> Shop:
    order = np.random.default_rng(3).permutation(shop.tables[name].num_rows)
    return replace(shop, tables={**shop.tables, name: shop.tables[name].take(pa.array(order))})


def labels(shop: Shop) -> Shop:
    tags = shop.tables["customers"].column("tags").to_pylist()
    texts = pa.array([None if v is None else "|".join(v) for v in tags])
    return column("customers", "tags", texts)(shop)


def million(shop: Shop) -> Shop:
    """Give the orders a million rows, each of a kind of its own."""
    n = 1_000_000
    rng = np.random.default_rng(5)
    orders = pa.table(
        {
            "order_id": np.arange(n),
            "customer_id": rng.integers(1, CUSTOMERS + 1, n),
            "product_id": rng.integers(1, PRODUCTS + 1, n),
            "ordered_at": pa.array(
                np.datetime64("2024-01-01", "us")
                + rng.integers(0, 120 * 86_400, n) * np.timedelta64(1, "s")
            ),
            "amount": np.round(rng.gamma(3.0, 4.0, n), 2),
            "kind": np.char.add("kind ", np.arange(n).astype(str)),
        }
    )
    shop = replace(shop, tables={**shop.tables, "orders": orders}, text=frozenset({"products"}))
    return told(shop, "orders", stypes={"kind": Stype.categorical})
