"""The dirty cases: what each spoils, and what the ingest must count for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from relcast.core.schema import Dtype, Link, Stype
from tests.properties.dirty_tables import (
    CUSTOMERS,
    ORDERS,
    PRODUCTS,
    TASKS,
    Shop,
    asked,
    edited,
    inferred,
    told,
)

__all__ = ["CASES", "HEAVY", "Case"]

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


def _cells(table: str, column: str, change: Callable[[int, Any], Any]) -> Callable[[Shop], Shop]:
    """Change a column cell by cell, given row and value."""

    def one(columns: Columns) -> Columns:
        return {**columns, column: [change(k, v) for k, v in enumerate(columns[column])]}

    return lambda shop: edited(shop, table, one)


def _column(table: str, column: str, values: Any) -> Callable[[Shop], Shop]:
    return lambda shop: edited(shop, table, lambda columns: {**columns, column: values})


def _rows(table: str, keep: Callable[[int], bool]) -> Callable[[Shop], Shop]:
    def some(columns: Columns) -> Columns:
        return {c: [v for k, v in enumerate(vs) if keep(k)] for c, vs in columns.items()}

    return lambda shop: edited(shop, table, some)


def _again(table: str, rows: int, **other: Any) -> Callable[[Shop], Shop]:
    """Append the first rows once more, with other values."""

    def more(columns: Columns) -> Columns:
        return {
            c: [*vs, *([other[c]] * rows if c in other else vs[:rows])] for c, vs in columns.items()
        }

    return lambda shop: edited(shop, table, more)


def _each(*steps: Callable[[Shop], Shop]) -> Callable[[Shop], Shop]:
    def all_of(shop: Shop) -> Shop:
        for step in steps:
            shop = step(shop)
        return shop

    return all_of


def _keys(to: Callable[[int], Any], *ends: tuple[str, str]) -> Callable[[Shop], Shop]:
    return _each(*(_cells(t, c, lambda _, v: None if v is None else to(v)) for t, c in ends))


_CUSTOMER_ENDS = (("customers", "customer_id"), ("orders", "customer_id"), ("likes", "customer_id"))
_CHILD_ENDS = _CUSTOMER_ENDS[1:]


def _epoch(per: int) -> Callable[[Shop], Shop]:
    return _cells("orders", "ordered_at", lambda _, v: int(v.timestamp() * 1) * per)


def _link(*links: Link) -> Callable[[Shop], Shop]:
    return lambda shop: replace(shop, links=(*(shop.links or ()), *links))


def _where(condition: str, static: str) -> Callable[[Shop], Shop]:
    """Add a WHERE to every task; static ones get theirs."""
    tasks = {
        name: f"{text} WHERE {static if name in ('ranking', 'static link') else condition}"
        for name, text in TASKS.items()
    }
    return lambda shop: replace(shop, tasks=tasks)


def _of_kind(constant: str) -> Callable[[Shop], Shop]:
    return _cells("orders", "kind", lambda _, v: constant)


def _lines(shop: Shop) -> Shop:
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


def _referrers(shop: Shop) -> Shop:
    """Customers who were brought by customers: one by itself, two by each other."""
    brought = [1, 3, 2, *([None] * 7), *(k % CUSTOMERS + 1 for k in range(10, CUSTOMERS))]
    shop = _column("customers", "referrer_id", pa.array(brought, pa.int64()))(shop)
    return _link(Link("customers", "referrer_id", "customers"))(shop)


def _file(name: str, content: Callable[[Shop], bytes]) -> Callable[[Shop], Shop]:
    return lambda shop: replace(shop, files={**shop.files, name: content(shop)})


def _orders_csv(shop: Shop) -> str:
    from tests.properties.dirty_tables import _csv

    return _csv(shop.tables["orders"])


def _parquet(shop: Shop, name: str) -> bytes:
    import io

    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(shop.tables[name], out)
    return out.getvalue()


def _ended(shop: Shop) -> Shop:
    """Orders that end before they begin, which no anchor ever sees alive."""
    shop = _column("orders", "ends", [f"2023-01-{1 + k % 28:02}" for k in range(ORDERS)])(shop)
    shop = told(shop, "orders", end_time_column="ends")
    return _where("COUNT(orders.*, -30, 0, days) > 0", "customers.age > 0")(shop)


def _two_valued(shop: Shop) -> Shop:
    def say(columns: Columns) -> Columns:
        segment = [None if k % 12 == 5 else ("pro" if k % 3 else "home") for k in range(CUSTOMERS)]
        return {**columns, "segment": segment}

    shop = edited(shop, "customers", say)
    text = "PREDICT customers.segment FOR EACH customers.customer_id"
    return asked(shop, binary=text, multiclass=text)


def _tags(change: Callable[[int, Any], Any]) -> Callable[[Shop], Shop]:
    return _cells("customers", "tags", change)


def _renamed(shop: Shop) -> Shop:
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


def _unsized(shop: Shop) -> Shop:
    big = 2**63 + 5
    return _each(_keys(lambda v: str(big + int(v)), *_CUSTOMER_ENDS))(shop)


def _at(day: int, minute: int = 0) -> Any:
    import datetime as dt

    return dt.datetime(2024, 1, 1) + dt.timedelta(days=day, minutes=minute)  # noqa: DTZ001


_A_TENTH = ORDERS // 10
_ALL = {"orders": ORDERS, "likes": 150}

CASES: dict[str, Case] = {
    "clean": Case("nothing", lambda shop: shop, fit=("binary", "regression", "multiclass")),
    # -- keys -------------------------------------------------------------------------------------
    "duplicate entity keys": Case(
        "3 customers stand there twice, with other values the second time",
        _again("customers", 3, age=1.0, region="west"),
        dropped={"customers": {"duplicate_key": 3}},
        fit=("binary",),
    ),
    "one entity key": Case(
        "all customers have the key 1",
        _cells("customers", "customer_id", lambda *_: 1),
        dropped={"customers": {"duplicate_key": CUSTOMERS - 1}},
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
        warns=("customers: 59 of 60 rows are left out",),
    ),
    "duplicate fact keys": Case(
        "every second order has the key of the one before",
        _cells("orders", "order_id", lambda k, v: v - k % 2),
        dropped={"orders": {"duplicate_key": ORDERS // 2}},
        warns=("orders: 500 of 1,000 rows are left out",),
    ),
    "one fact key": Case(
        "all orders have one key",
        _cells("orders", "order_id", lambda *_: 5),
        dropped={"orders": {"duplicate_key": ORDERS - 1}},
        warns=("orders: 999 of 1,000 rows are left out",),
    ),
    "null entity keys": Case(
        "5 customers have no key",
        _cells("customers", "customer_id", lambda k, v: None if k < 5 else v),
        dropped={"customers": {"null_key": 5}},
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
        warns=("customers: 5 of 60 rows are left out",),
    ),
    "no entity keys": Case(
        "no customer has a key", _cells("customers", "customer_id", lambda *_: None)
    ),
    "null fact keys": Case(
        "a tenth of the orders have no key",
        _cells("orders", "order_id", lambda k, v: None if k % 10 == 3 else v),
        dropped={"orders": {"null_key": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "composite key": Case(
        "customers are told apart by region and number together, and the number is given as key",
        _cells("customers", "customer_id", lambda k, v: (v - 1) % 20 + 1),
        dropped={"customers": {"duplicate_key": 40}},
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
        warns=("customers: 40 of 60 rows are left out",),
    ),
    "no key at all": Case(
        "nobody says which column is the customers' key",
        lambda shop: told(shop, "customers", primary_key=None),
    ),
    "text keys here, numbers there": Case(
        "the customers' keys are the texts `1`, `2`, …; those of orders and likes are numbers",
        _keys(str, ("customers", "customer_id")),
        fit=("binary",),
    ),
    "keys with leading zeros": Case(
        "the customers' keys are `001`, `002`, …; those of orders and likes are numbers",
        _keys(lambda v: f"{v:03}", ("customers", "customer_id")),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "whole floats as keys": Case(
        "keys of orders and likes are 1.0, 2.0, …, some missing, as pandas makes them",
        _each(
            _keys(float, *_CHILD_ENDS),
            _cells("orders", "customer_id", lambda k, v: None if k % 10 == 0 else v),
        ),
        null={"orders.customer_id": _A_TENTH},
    ),
    "numbers with blanks": Case(
        "keys of orders and likes are texts with a blank before the number",
        _keys(lambda v: f" {v}", *_CHILD_ENDS),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "emoji keys": Case(
        "all keys of customers are texts with emoji, quotes and accents",
        _keys(lambda v: f"\U0001f600é'\"{v}", *_CUSTOMER_ENDS),
        fit=("regression",),
    ),
    "keys beyond 64 bits": Case("keys of customers are whole numbers above 2⁶³", _unsized),
    "fractions as keys": Case(
        "keys of customers are 1.5, 2.5, …, everywhere alike",
        _keys(lambda v: v + 0.5, *_CUSTOMER_ENDS),
    ),
    # -- foreign keys -----------------------------------------------------------------------------
    "dangling 0.1 %": Case(
        "one order of a thousand names no customer",
        _cells("orders", "customer_id", lambda k, v: 999 if k == 500 else v),
        dangling={"orders.customer_id": 1},
    ),
    "dangling 10 %": Case(
        "a tenth of orders and likes name no customer, another tenth of orders no product",
        _each(
            _cells("orders", "customer_id", lambda k, v: 999 if k % 10 == 0 else v),
            _cells("orders", "product_id", lambda k, v: 999 if k % 10 == 1 else v),
            _cells("likes", "customer_id", lambda k, v: 999 if k % 10 == 0 else v),
        ),
        dangling={
            "orders.customer_id": _A_TENTH,
            "orders.product_id": _A_TENTH,
            "likes.customer_id": 15,
        },
        fit=("binary",),
    ),
    "dangling 100 %": Case(
        "no order and no like names a customer or product that there is",
        _each(
            _keys(lambda v: v + 5000, *_CHILD_ENDS),
            _keys(lambda v: v + 5000, ("orders", "product_id"), ("likes", "product_id")),
        ),
        dangling={
            "orders.customer_id": ORDERS,
            "orders.product_id": ORDERS,
            "likes.customer_id": 150,
            "likes.product_id": 150,
        },
    ),
    "items all dangling": Case(
        "orders and likes name customers, but no product that there is",
        _keys(lambda v: v + 5000, ("orders", "product_id"), ("likes", "product_id")),
        dangling={"orders.product_id": ORDERS, "likes.product_id": 150},
    ),
    "null foreign keys": Case(
        "a third of the orders have no customer",
        _cells("orders", "customer_id", lambda k, v: None if k % 3 == 0 else v),
        null={"orders.customer_id": 334},
    ),
    "no foreign keys": Case(
        "orders and likes have no customer at all",
        _each(*(_cells(t, "customer_id", lambda *_: None) for t in _ALL)),
        null={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "self-reference": Case(
        "customers point to customers: one to itself, two to each other",
        _referrers,
        null={"customers.referrer_id": 7},
        fit=("binary",),
    ),
    "cycle of links": Case(
        "customers have a favourite product, products a best customer",
        _each(
            _column("customers", "favourite", [k % PRODUCTS + 1 for k in range(CUSTOMERS)]),
            _column("products", "best", [k % CUSTOMERS + 1 for k in range(PRODUCTS)]),
            _link(
                Link("customers", "favourite", "products"), Link("products", "best", "customers")
            ),
        ),
        fit=("regression",),
    ),
    "two links": Case(
        "orders and likes point to customers twice: who pays, and for whom",
        _each(
            _column("orders", "friend_id", [k % CUSTOMERS + 1 for k in range(ORDERS)]),
            _column("likes", "friend_id", [k % CUSTOMERS + 1 for k in range(150)]),
            _link(
                Link("orders", "friend_id", "customers"), Link("likes", "friend_id", "customers")
            ),
        ),
    ),
    "no link": Case(
        "nobody says that orders and likes point to customers",
        lambda shop: replace(
            shop, links=tuple(x for x in shop.links or () if x.foreign_key != "customer_id")
        ),
    ),
    "broken chain": Case(
        "lines reach customers through orders, but a tenth have no order and a tenth an unknown one",
        _lines,
        dangling={"lines.order_id": 150},
        null={"lines.order_id": 150},
        fit=("binary", "regression"),
    ),
    # -- values -----------------------------------------------------------------------------------
    "NaN": Case(
        "a fifth of the amounts and ages are NaN",
        _each(
            _cells("orders", "amount", lambda k, v: float("nan") if k % 5 == 0 else v),
            _cells("customers", "age", lambda k, v: float("nan") if k % 5 == 0 else v),
        ),
        fit=("regression",),
    ),
    "infinities": Case(
        "20 amounts are ±inf",
        _cells(
            "orders",
            "amount",
            lambda k, v: [float("inf"), -float("inf")][k % 2] if k % 100 in (0, 51) else v,
        ),
        unreadable={"orders": {"amount": 20}},
        fit=("regression",),
    ),
    "1e308": Case(
        "every second amount is 1e308, so that sums are beyond what a float holds",
        _cells("orders", "amount", lambda k, v: 1e308 if k % 2 else v),
        fit=("binary",),
    ),
    "no value": Case(
        "amount and kind are empty throughout",
        _each(
            _cells("orders", "amount", lambda *_: None), _cells("orders", "kind", lambda *_: None)
        ),
    ),
    "constant": Case(
        "amount, kind and age are the same in every row",
        _each(
            _cells("orders", "amount", lambda *_: 1.5),
            _of_kind("tea"),
            _cells("customers", "age", lambda *_: 30.0),
        ),
    ),
    "one class": Case(
        "the condition is false and the class the same for all",
        _each(
            _of_kind("tea"),
            lambda shop: asked(shop, binary=TASKS["binary"].replace("> 1", "> 1000")),
        ),
    ),
    "a class only in test": Case(
        "`cake` is ordered in the last 10 days only",
        _cells("orders", "kind", lambda k, v: "cake" if k > 930 else "tea" if v == "cake" else v),
        fit=("multiclass",),
    ),
    "a value per row": Case(
        "every order is of a kind of its own",
        _cells("orders", "kind", lambda k, _: f"kind {k} of all"),
    ),
    "mixed types": Case(
        "amounts are numbers, but every tenth is a word, so that the column is text",
        _cells("orders", "amount", lambda k, v: "much" if k % 10 == 0 else v),
    ),
    "mixed types, read as numbers": Case(
        "the same, and the user says that amounts are numbers",
        _each(
            _cells("orders", "amount", lambda k, v: "much" if k % 10 == 0 else v),
            lambda shop: told(shop, "orders", dtypes={"amount": Dtype.float64}),
        ),
        unreadable={"orders": {"amount": _A_TENTH}},
        warns=("orders.amount: 100 of 1,000 values cannot be read as float64",),
    ),
    "numbers as text": Case(
        "amounts are written `12,50`",
        _cells("orders", "amount", lambda _, v: str(v).replace(".", ",") + " "),
    ),
    "emoji": Case(
        "kinds and regions are emoji, with line breaks, quotes and commas inside",
        _each(
            _cells("orders", "kind", lambda _, v: f'\U0001f375"{v}",\né'),
            _cells("customers", "region", lambda _, v: f"\U0001f30d\u202e{v}"),
        ),
        fit=("multiclass",),
    ),
    "NUL in CSV": Case(
        "kinds in the CSV file hold the character U+0000",
        _cells("orders", "kind", lambda _, v: f"{v}\u0000"),
    ),
    "NUL in Parquet": Case(
        "regions in the Parquet file hold the character U+0000",
        _cells("customers", "region", lambda _, v: f"\u0000{v}\u0000"),
        fit=("binary",),
    ),
    "odd names": Case("columns are named `kind ☕` and `a mount`", _renamed, fit=("regression",)),
    "huge texts": Case(
        "10 kinds are texts of 200,000 characters",
        _cells("orders", "kind", lambda k, v: str(v) * 50_000 if k % 100 == 0 else v),
    ),
    "two-valued text": Case(
        "binary and multiclass ask for a column that is `home` or `pro`",
        _two_valued,
        fit=("binary",),
    ),
    # -- lists ------------------------------------------------------------------------------------
    "lists with nulls": Case(
        "every second list of tags holds an element without value",
        _tags(lambda k, v: v if v is None or k % 2 else [None, *v, None]),
    ),
    "empty lists": Case(
        "every third list of tags is empty", _tags(lambda k, v: [] if k % 3 == 0 else v)
    ),
    "only empty lists": Case("all lists of tags are empty", _tags(lambda *_: [])),
    "no lists": Case("no customer has a list of tags", _tags(lambda *_: None)),
    "repeats in lists": Case(
        "every list of tags holds its elements twice", _tags(lambda _, v: v and [*v, *v])
    ),
    "lists as text": Case(
        "tags are texts, their elements joined by bars",
        _column("customers", "tags", []),  # replaced below
    ),
    "nested lists": Case(
        "tags are lists of lists", _tags(lambda _, v: None if v is None else [[t] for t in v])
    ),
    # -- times ------------------------------------------------------------------------------------
    "mixed zones": Case(
        "times of orders end in Z, +02:00 or -0500, or have no zone",
        _cells(
            "orders",
            "ordered_at",
            lambda k, v: v.isoformat() + ("Z", "+02:00", "-0500", "")[k % 4],
        ),
        fit=("binary",),
    ),
    "years 1600 and 9999": Case(
        "10 orders are of 1600, 10 of 9999",
        _cells(
            "orders",
            "ordered_at",
            lambda k, v: v.replace(year=(1600, 9999)[k % 2]) if k % 100 in (0, 51) else v,
        ),
        dropped={"orders": {"unreadable_time": 20}},
    ),
    "epochs in s": Case("times of orders are seconds since 1970", _epoch(1)),
    "epochs in ms": Case("times of orders are milliseconds since 1970", _epoch(10**3)),
    "epochs in µs": Case("times of orders are microseconds since 1970", _epoch(10**6)),
    "epochs in ns": Case("times of orders are nanoseconds since 1970", _epoch(10**9)),
    "epochs of two units": Case(
        "times of orders are seconds since 1970, every tenth milliseconds",
        _cells(
            "orders", "ordered_at", lambda k, v: int(v.timestamp()) * (1000 if k % 10 == 0 else 1)
        ),
        dropped={"orders": {"unreadable_time": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "a far future": Case(
        "one order is of 2099",
        _cells("orders", "ordered_at", lambda k, v: v.replace(year=2099) if k == 999 else v),
        warns=("orders: 1 row is later than",),
    ),
    "null times": Case(
        "a tenth of the orders have no time",
        _cells("orders", "ordered_at", lambda k, v: None if k % 10 == 7 else v),
        dropped={"orders": {"null_time": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "no times": Case("no order has a time", _cells("orders", "ordered_at", lambda *_: None)),
    "odd times": Case(
        "3 % of the times are `soon`",
        _cells("orders", "ordered_at", lambda k, v: "soon" if k % 100 < 3 else v.isoformat(" ")),
        dropped={"orders": {"unreadable_time": 30}},
    ),
    "duplicate times": Case(
        "all orders of 10 days are at one moment",
        _cells("orders", "ordered_at", lambda _, v: _at((v - _at(0)).days // 10 * 10)),
        fit=("multiclass",),
    ),
    "one moment": Case(
        "all orders are at one moment", _cells("orders", "ordered_at", lambda *_: _at(60))
    ),
    "two moments": Case(
        "orders are at two moments, 100 days apart",
        _cells("orders", "ordered_at", lambda k, _: _at(100 * (k % 2))),
    ),
    "no order of rows": Case("the orders' rows are mixed", lambda shop: _mixed(shop, "orders")),
    "ends before beginnings": Case(
        "orders end a year before they begin, and WHERE asks for those of the last month", _ended
    ),
    # -- tables -----------------------------------------------------------------------------------
    "no customers": Case(
        "the table of customers has no rows",
        _rows("customers", lambda _: False),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "no facts": Case(
        "the tables of orders and likes have no rows",
        _each(_rows("orders", lambda _: False), _rows("likes", lambda _: False)),
    ),
    "no items": Case(
        "the table of products has no rows",
        _rows("products", lambda _: False),
        dangling={"orders.product_id": ORDERS, "likes.product_id": 150},
    ),
    "one fact": Case(
        "one order and one like",
        _each(_rows("orders", lambda k: k == 0), _rows("likes", lambda k: k == 0)),
    ),
    "one customer": Case(
        "one customer",
        _rows("customers", lambda k: k == 0),
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
    ),
    "idle customers": Case(
        "half of the customers are named by no order and no like",
        _keys(lambda v: (v - 1) % 30 + 1, *_CHILD_ENDS),
    ),
    "WHERE drops everything": Case(
        "every query has a WHERE that holds for nobody",
        _where("COUNT(orders.*, -30, 0, days) > 5000", "customers.age > 5000"),
    ),
    "a window beyond the data": Case(
        "windows are of 400 days, the data of 120",
        lambda shop: replace(
            shop,
            tasks={n: t.replace("0, 10, days", "0, 400, days") for n, t in TASKS.items()},
        ),
    ),
    "nothing said": Case("keys, times and links are inferred", inferred, fit=("binary",)),
    "nothing said, 2 % double keys": Case(
        "the same, and one customer in fifty stands there twice",
        _each(inferred, _again("customers", 2)),
    ),
    # -- files ------------------------------------------------------------------------------------
    "0 bytes": Case("the file of orders is empty", _file("orders.csv", lambda _: b"")),
    "a broken line": Case(
        "a line of orders has two fields too many",
        _file("orders.csv", lambda s: _orders_csv(s).encode() + b"1,2,3,2024-01-01,5,tea,x,y\n"),
    ),
    "no UTF-8": Case(
        "orders are written in Latin-1",
        _file("orders.csv", lambda s: _orders_csv(s).replace("coffee", "café").encode("latin-1")),
    ),
    "half a file": Case(
        "the Parquet file of customers ends in the middle",
        _file("customers.parquet", lambda s: (b := _parquet(s, "customers"))[: len(b) // 2]),
    ),
    "no file": Case(
        "the file of orders is not there", lambda shop: replace(shop, files={"orders.txt": b"x"})
    ),
    "one name in two cases": Case(
        "orders have the columns `amount` and `Amount`",
        _column("orders", "Amount", [1.0] * ORDERS),
    ),
    "a column is gone": Case(
        "orders have no amount",
        lambda shop: edited(
            shop, "orders", lambda c: {k: v for k, v in c.items() if k != "amount"}
        ),
    ),
}


def _mixed(shop: Shop, name: str) -> Shop:
    order = np.random.default_rng(3).permutation(shop.tables[name].num_rows)
    return replace(shop, tables={**shop.tables, name: shop.tables[name].take(pa.array(order))})


def _labels(shop: Shop) -> Shop:
    tags = shop.tables["customers"].column("tags").to_pylist()
    texts = pa.array([None if v is None else "|".join(v) for v in tags])
    return _column("customers", "tags", texts)(shop)


CASES["lists as text"] = replace(CASES["lists as text"], spoil=_labels)


def _million(shop: Shop) -> Shop:
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


HEAVY: dict[str, Case] = {
    "10⁶ categories": Case("a million orders, each of a kind of its own", _million),
}
