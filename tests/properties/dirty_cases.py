"""The dirty cases: what each spoils, and what the ingest must count for it."""

from __future__ import annotations

from dataclasses import replace

from relcast.core.schema import Dtype, Link
from tests.properties.dirty_spoils import (
    CHILD_ENDS,
    CUSTOMER_ENDS,
    Case,
    again,
    at,
    cells,
    column,
    each,
    ended,
    epoch,
    file,
    keys,
    labels,
    lines,
    link,
    million,
    mixed,
    of_kind,
    orders_csv,
    parquet,
    referrers,
    renamed,
    rows,
    tags,
    two_valued,
    unsized,
    where,
)
from tests.properties.dirty_tables import (
    CUSTOMERS,
    ORDERS,
    PRODUCTS,
    TASKS,
    asked,
    edited,
    inferred,
    told,
)

__all__ = ["CASES", "HEAVY", "Case"]

_A_TENTH = ORDERS // 10
_ALL = {"orders": ORDERS, "likes": 150}

CASES: dict[str, Case] = {
    "clean": Case("nothing", lambda shop: shop, fit=("binary", "regression", "multiclass")),
    # -- keys -------------------------------------------------------------------------------------
    "duplicate entity keys": Case(
        "3 customers stand there twice, with other values the second time",
        again("customers", 3, age=1.0, region="west"),
        dropped={"customers": {"duplicate_key": 3}},
        fit=("binary",),
    ),
    "one entity key": Case(
        "all customers have the key 1",
        cells("customers", "customer_id", lambda *_: 1),
        dropped={"customers": {"duplicate_key": CUSTOMERS - 1}},
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
        warns=("customers: 59 of 60 rows are left out",),
    ),
    "duplicate fact keys": Case(
        "every second order has the key of the one before",
        cells("orders", "order_id", lambda k, v: v - k % 2),
        dropped={"orders": {"duplicate_key": ORDERS // 2}},
        warns=("orders: 500 of 1,000 rows are left out",),
    ),
    "one fact key": Case(
        "all orders have one key",
        cells("orders", "order_id", lambda *_: 5),
        dropped={"orders": {"duplicate_key": ORDERS - 1}},
        warns=("orders: 999 of 1,000 rows are left out",),
    ),
    "null entity keys": Case(
        "5 customers have no key",
        cells("customers", "customer_id", lambda k, v: None if k < 5 else v),
        dropped={"customers": {"null_key": 5}},
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
        warns=("customers: 5 of 60 rows are left out",),
    ),
    "no entity keys": Case(
        "no customer has a key", cells("customers", "customer_id", lambda *_: None)
    ),
    "null fact keys": Case(
        "a tenth of the orders have no key",
        cells("orders", "order_id", lambda k, v: None if k % 10 == 3 else v),
        dropped={"orders": {"null_key": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "composite key": Case(
        "customers are told apart by region and number together, and the number is given as key",
        cells("customers", "customer_id", lambda k, v: (v - 1) % 20 + 1),
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
        keys(str, ("customers", "customer_id")),
        fit=("binary",),
    ),
    "keys with leading zeros": Case(
        "the customers' keys are `001`, `002`, …; those of orders and likes are numbers",
        keys(lambda v: f"{v:03}", ("customers", "customer_id")),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "whole floats as keys": Case(
        "keys of orders and likes are 1.0, 2.0, …, some missing, as pandas makes them",
        each(
            keys(float, *CHILD_ENDS),
            cells("orders", "customer_id", lambda k, v: None if k % 10 == 0 else v),
        ),
        null={"orders.customer_id": _A_TENTH},
    ),
    "numbers with blanks": Case(
        "keys of orders and likes are texts with a blank before the number",
        keys(lambda v: f" {v}", *CHILD_ENDS),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "emoji keys": Case(
        "all keys of customers are texts with emoji, quotes and accents",
        keys(lambda v: f"\U0001f600é'\"{v}", *CUSTOMER_ENDS),
        fit=("regression",),
    ),
    "keys beyond 64 bits": Case("keys of customers are whole numbers above 2⁶³", unsized),
    "fractions as keys": Case(
        "keys of customers are 1.5, 2.5, …, everywhere alike",
        keys(lambda v: v + 0.5, *CUSTOMER_ENDS),
    ),
    # -- foreign keys -----------------------------------------------------------------------------
    "dangling 0.1 %": Case(
        "one order of a thousand names no customer",
        cells("orders", "customer_id", lambda k, v: 999 if k == 500 else v),
        dangling={"orders.customer_id": 1},
    ),
    "dangling 10 %": Case(
        "a tenth of orders and likes name no customer, another tenth of orders no product",
        each(
            cells("orders", "customer_id", lambda k, v: 999 if k % 10 == 0 else v),
            cells("orders", "product_id", lambda k, v: 999 if k % 10 == 1 else v),
            cells("likes", "customer_id", lambda k, v: 999 if k % 10 == 0 else v),
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
        each(
            keys(lambda v: v + 5000, *CHILD_ENDS),
            keys(lambda v: v + 5000, ("orders", "product_id"), ("likes", "product_id")),
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
        keys(lambda v: v + 5000, ("orders", "product_id"), ("likes", "product_id")),
        dangling={"orders.product_id": ORDERS, "likes.product_id": 150},
    ),
    "null foreign keys": Case(
        "a third of the orders have no customer",
        cells("orders", "customer_id", lambda k, v: None if k % 3 == 0 else v),
        null={"orders.customer_id": 334},
    ),
    "no foreign keys": Case(
        "orders and likes have no customer at all",
        each(*(cells(t, "customer_id", lambda *_: None) for t in _ALL)),
        null={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "self-reference": Case(
        "customers point to customers: one to itself, two to each other",
        referrers,
        null={"customers.referrer_id": 7},
        fit=("binary",),
    ),
    "cycle of links": Case(
        "customers have a favourite product, products a best customer",
        each(
            column("customers", "favourite", [k % PRODUCTS + 1 for k in range(CUSTOMERS)]),
            column("products", "best", [k % CUSTOMERS + 1 for k in range(PRODUCTS)]),
            link(Link("customers", "favourite", "products"), Link("products", "best", "customers")),
        ),
        fit=("regression",),
    ),
    "two links": Case(
        "orders and likes point to customers twice: who pays, and for whom",
        each(
            column("orders", "friend_id", [k % CUSTOMERS + 1 for k in range(ORDERS)]),
            column("likes", "friend_id", [k % CUSTOMERS + 1 for k in range(150)]),
            link(Link("orders", "friend_id", "customers"), Link("likes", "friend_id", "customers")),
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
        lines,
        dangling={"lines.order_id": 150},
        null={"lines.order_id": 150},
        fit=("binary", "regression"),
    ),
    # -- values -----------------------------------------------------------------------------------
    "NaN": Case(
        "a fifth of the amounts and ages are NaN",
        each(
            cells("orders", "amount", lambda k, v: float("nan") if k % 5 == 0 else v),
            cells("customers", "age", lambda k, v: float("nan") if k % 5 == 0 else v),
        ),
        fit=("regression",),
    ),
    "infinities": Case(
        "20 amounts are ±inf",
        cells(
            "orders",
            "amount",
            lambda k, v: [float("inf"), -float("inf")][k % 2] if k % 100 in (0, 51) else v,
        ),
        unreadable={"orders": {"amount": 20}},
        fit=("regression",),
    ),
    "1e308": Case(
        "every second amount is 1e308, so that sums are beyond what a float holds",
        cells("orders", "amount", lambda k, v: 1e308 if k % 2 else v),
        fit=("binary",),
    ),
    "no value": Case(
        "amount and kind are empty throughout",
        each(cells("orders", "amount", lambda *_: None), cells("orders", "kind", lambda *_: None)),
    ),
    "constant": Case(
        "amount, kind and age are the same in every row",
        each(
            cells("orders", "amount", lambda *_: 1.5),
            of_kind("tea"),
            cells("customers", "age", lambda *_: 30.0),
        ),
    ),
    "one class": Case(
        "the condition is false and the class the same for all",
        each(
            of_kind("tea"),
            lambda shop: asked(shop, binary=TASKS["binary"].replace("> 1", "> 1000")),
        ),
    ),
    "a class only in test": Case(
        "`cake` is ordered in the last 10 days only",
        cells("orders", "kind", lambda k, v: "cake" if k > 930 else "tea" if v == "cake" else v),
        fit=("multiclass",),
    ),
    "a value per row": Case(
        "every order is of a kind of its own",
        cells("orders", "kind", lambda k, _: f"kind {k} of all"),
    ),
    "mixed types": Case(
        "amounts are numbers, but every tenth is a word, so that the column is text",
        cells("orders", "amount", lambda k, v: "much" if k % 10 == 0 else v),
    ),
    "mixed types, read as numbers": Case(
        "the same, and the user says that amounts are numbers",
        each(
            cells("orders", "amount", lambda k, v: "much" if k % 10 == 0 else v),
            lambda shop: told(shop, "orders", dtypes={"amount": Dtype.float64}),
        ),
        unreadable={"orders": {"amount": _A_TENTH}},
        warns=("orders.amount: 100 of 1,000 values cannot be read as float64",),
    ),
    "numbers as text": Case(
        "amounts are written `12,50`",
        cells("orders", "amount", lambda _, v: str(v).replace(".", ",") + " "),
    ),
    "emoji": Case(
        "kinds and regions are emoji, with line breaks, quotes and commas inside",
        each(
            cells("orders", "kind", lambda _, v: f'\U0001f375"{v}",\né'),
            cells("customers", "region", lambda _, v: f"\U0001f30d\u202e{v}"),
        ),
        fit=("multiclass",),
    ),
    "NUL in CSV": Case(
        "kinds in the CSV file hold the character U+0000",
        cells("orders", "kind", lambda _, v: f"{v}\u0000"),
    ),
    "NUL in Parquet": Case(
        "regions in the Parquet file hold the character U+0000",
        cells("customers", "region", lambda _, v: f"\u0000{v}\u0000"),
        fit=("binary",),
    ),
    "odd names": Case("columns are named `kind ☕` and `a mount`", renamed, fit=("regression",)),
    "huge texts": Case(
        "10 kinds are texts of 200,000 characters",
        cells("orders", "kind", lambda k, v: str(v) * 50_000 if k % 100 == 0 else v),
    ),
    "two-valued text": Case(
        "binary and multiclass ask for a column that is `home` or `pro`",
        two_valued,
        fit=("binary",),
    ),
    # -- lists ------------------------------------------------------------------------------------
    "lists with nulls": Case(
        "every second list of tags holds an element without value",
        tags(lambda k, v: v if v is None or k % 2 else [None, *v, None]),
    ),
    "empty lists": Case(
        "every third list of tags is empty", tags(lambda k, v: [] if k % 3 == 0 else v)
    ),
    "only empty lists": Case("all lists of tags are empty", tags(lambda *_: [])),
    "no lists": Case("no customer has a list of tags", tags(lambda *_: None)),
    "repeats in lists": Case(
        "every list of tags holds its elements twice", tags(lambda _, v: v and [*v, *v])
    ),
    "lists as text": Case(
        "tags are texts, their elements joined by bars",
        column("customers", "tags", []),  # replaced below
    ),
    "nested lists": Case(
        "tags are lists of lists", tags(lambda _, v: None if v is None else [[t] for t in v])
    ),
    # -- times ------------------------------------------------------------------------------------
    "mixed zones": Case(
        "times of orders end in Z, +02:00 or -0500, or have no zone",
        cells(
            "orders",
            "ordered_at",
            lambda k, v: v.isoformat() + ("Z", "+02:00", "-0500", "")[k % 4],
        ),
        fit=("binary",),
    ),
    "years 1600 and 9999": Case(
        "10 orders are of 1600, 10 of 9999",
        cells(
            "orders",
            "ordered_at",
            lambda k, v: v.replace(year=(1600, 9999)[k % 2]) if k % 100 in (0, 51) else v,
        ),
        dropped={"orders": {"unreadable_time": 20}},
    ),
    "epochs in s": Case("times of orders are seconds since 1970", epoch(1)),
    "epochs in ms": Case("times of orders are milliseconds since 1970", epoch(10**3)),
    "epochs in µs": Case("times of orders are microseconds since 1970", epoch(10**6)),
    "epochs in ns": Case("times of orders are nanoseconds since 1970", epoch(10**9)),
    "epochs of two units": Case(
        "times of orders are seconds since 1970, every tenth milliseconds",
        cells(
            "orders", "ordered_at", lambda k, v: int(v.timestamp()) * (1000 if k % 10 == 0 else 1)
        ),
        dropped={"orders": {"unreadable_time": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "a far future": Case(
        "one order is of 2099",
        cells("orders", "ordered_at", lambda k, v: v.replace(year=2099) if k == 999 else v),
        warns=("orders: 1 row is later than",),
    ),
    "null times": Case(
        "a tenth of the orders have no time",
        cells("orders", "ordered_at", lambda k, v: None if k % 10 == 7 else v),
        dropped={"orders": {"null_time": _A_TENTH}},
        warns=("orders: 100 of 1,000 rows are left out",),
    ),
    "no times": Case("no order has a time", cells("orders", "ordered_at", lambda *_: None)),
    "odd times": Case(
        "3 % of the times are `soon`",
        cells("orders", "ordered_at", lambda k, v: "soon" if k % 100 < 3 else v.isoformat(" ")),
        dropped={"orders": {"unreadable_time": 30}},
    ),
    "duplicate times": Case(
        "all orders of 10 days are at one moment",
        cells("orders", "ordered_at", lambda _, v: at((v - at(0)).days // 10 * 10)),
        fit=("multiclass",),
    ),
    "one moment": Case(
        "all orders are at one moment", cells("orders", "ordered_at", lambda *_: at(60))
    ),
    "two moments": Case(
        "orders are at two moments, 100 days apart",
        cells("orders", "ordered_at", lambda k, _: at(100 * (k % 2))),
    ),
    "no order of rows": Case("the orders' rows are mixed", lambda shop: mixed(shop, "orders")),
    "ends before beginnings": Case(
        "orders end a year before they begin, and WHERE asks for those of the last month", ended
    ),
    # -- tables -----------------------------------------------------------------------------------
    "no customers": Case(
        "the table of customers has no rows",
        rows("customers", lambda _: False),
        dangling={"orders.customer_id": ORDERS, "likes.customer_id": 150},
    ),
    "no facts": Case(
        "the tables of orders and likes have no rows",
        each(rows("orders", lambda _: False), rows("likes", lambda _: False)),
    ),
    "no items": Case(
        "the table of products has no rows",
        rows("products", lambda _: False),
        dangling={"orders.product_id": ORDERS, "likes.product_id": 150},
    ),
    "one fact": Case(
        "one order and one like",
        each(rows("orders", lambda k: k == 0), rows("likes", lambda k: k == 0)),
    ),
    "one customer": Case(
        "one customer",
        rows("customers", lambda k: k == 0),
        dangling={"orders.customer_id": -1, "likes.customer_id": -1},
    ),
    "idle customers": Case(
        "half of the customers are named by no order and no like",
        keys(lambda v: (v - 1) % 30 + 1, *CHILD_ENDS),
    ),
    "WHERE drops everything": Case(
        "every query has a WHERE that holds for nobody",
        where("COUNT(orders.*, -30, 0, days) > 5000", "customers.age > 5000"),
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
        each(inferred, again("customers", 2)),
    ),
    # -- files ------------------------------------------------------------------------------------
    "0 bytes": Case("the file of orders is empty", file("orders.csv", lambda _: b"")),
    "a broken line": Case(
        "a line of orders has two fields too many",
        file("orders.csv", lambda s: orders_csv(s).encode() + b"1,2,3,2024-01-01,5,tea,x,y\n"),
    ),
    "no UTF-8": Case(
        "orders are written in Latin-1",
        file("orders.csv", lambda s: orders_csv(s).replace("coffee", "café").encode("latin-1")),
    ),
    "half a file": Case(
        "the Parquet file of customers ends in the middle",
        file("customers.parquet", lambda s: (b := parquet(s, "customers"))[: len(b) // 2]),
    ),
    "no file": Case(
        "the file of orders is not there", lambda shop: replace(shop, files={"orders.txt": b"x"})
    ),
    "one name in two cases": Case(
        "orders have the columns `amount` and `Amount`",
        column("orders", "Amount", [1.0] * ORDERS),
    ),
    "a column is gone": Case(
        "orders have no amount",
        lambda shop: edited(
            shop, "orders", lambda c: {k: v for k, v in c.items() if k != "amount"}
        ),
    ),
}


CASES["lists as text"] = replace(CASES["lists as text"], spoil=labels)


HEAVY: dict[str, Case] = {
    "10⁶ categories": Case("a million orders, each of a kind of its own", million),
}
