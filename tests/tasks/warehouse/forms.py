"""One small shop, every form of a query, and its labels worked out by hand."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from relcast.core.schema import Link
from tests.tasks.worlds import World, WorldTable

ANCHOR = pd.Timestamp("2024-01-31")


class Form(NamedTuple):
    """A query, and its labels by entity at the anchor; those that are not here are dropped."""

    text: str
    labels: dict[Any, Any]


def shop() -> World:
    """Three customers; an order stands on each end of the window (31 January, 1 March]."""
    customers = {
        "id": [1, 2, 3],
        "country": ["US", "CA", None],
        "tags": [["a", "b", "a"], [], None],
    }
    products = {"id": [10, 20], "kind": ["x", "y"]}
    orders = {
        "id": [1, 2, 3, 4, 5, 6, 7, 8],
        "customer": [1, 1, 1, 1, 2, 2, None, 2],
        "product": [10, 20, 10, 99, 20, 10, 10, None],
        "time": pd.to_datetime(
            ["2024-01-31", "2024-02-01", "2024-02-10", "2024-03-01", "2024-03-01 00:00:00.000001",
             "2024-01-15", "2024-02-05", "2024-02-20"], format="ISO8601",
        ).astype("M8[ns]"),
        "amount": [5.0, 2.0, 4.0, 9.0, 7.0, 1.5, 100.0, None],
        "kind": ["a", "b", "a", "c", "a", "b", "a", "b"],
        "paid": [True, False, True, None, True, True, True, False],
    }  # fmt: skip
    lines = {
        "id": [1, 2, 3, 4],
        "order": [2, 3, 8, 77],
        "time": pd.to_datetime(["2024-02-02", "2024-02-11", "2024-02-21", "2024-02-02"]).astype(
            "M8[ns]"
        ),
    }
    return World(
        {
            "customers": WorldTable(
                {"id": "key", "country": "category", "tags": "tags"}, _rows(customers), "id"
            ),
            "products": WorldTable({"id": "key", "kind": "category"}, _rows(products), "id"),
            "orders": WorldTable(
                {"id": "key", "customer": "key", "product": "key", "time": "time",
                 "amount": "number", "kind": "category", "paid": "bool"},
                _rows(orders), "id", "time",
            ),
            "lines": WorldTable(
                {"id": "key", "order": "key", "time": "time"}, _rows(lines), "id", "time"
            ),
        },
        (
            Link("orders", "customer", "customers"),
            Link("orders", "product", "products"),
            Link("lines", "order", "orders"),
        ),
    )  # fmt: skip


def library() -> World:
    """Readers and their loans, without a time: for static link prediction."""
    loans = {"id": [3, 1, 2, 4], "reader": [1, 1, 1, 2], "book": [8, 9, 8, 7]}
    return World(
        {
            "readers": WorldTable({"id": "key"}, _rows({"id": [1, 2]}), "id"),
            "books": WorldTable({"id": "key"}, _rows({"id": [8, 9]}), "id"),
            "loans": WorldTable({"id": "key", "reader": "key", "book": "key"}, _rows(loans), "id"),
        },
        (Link("loans", "reader", "readers"), Link("loans", "book", "books")),
    )


def _rows(columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({c: pd.Series(v, dtype=None if c == "time" else object)
                         for c, v in columns.items()})  # fmt: skip


_EACH = "FOR EACH customers.id"
FORMS = {
    "sum": Form(f"PREDICT SUM(orders.amount, 0, 30) {_EACH}", {1: 15, 2: 0, 3: 0}),
    "sum_of_truths": Form(f"PREDICT SUM(orders.paid, 0, 30) {_EACH}", {1: 1, 2: 0, 3: 0}),
    "avg": Form(f"PREDICT AVG(orders.amount, 0, 30) {_EACH}", {1: 5}),
    "min": Form(f"PREDICT MIN(orders.amount, 0, 30) {_EACH}", {1: 2}),
    "median": Form(f"PREDICT MEDIAN(orders.amount, 0, 30) {_EACH}", {1: 4}),
    "median_of_two": Form(f"PREDICT MEDIAN(orders.amount, 0, 15) {_EACH}", {1: 3}),
    "stddev": Form(f"PREDICT STDDEV(orders.amount, 0, 30) {_EACH}", {1: math.sqrt(13)}),
    "count": Form(f"PREDICT COUNT(orders.*, 0, 30) {_EACH}", {1: 3, 2: 1, 3: 0}),
    "count_distinct": Form(
        f"PREDICT COUNT_DISTINCT(orders.kind, 0, 30) {_EACH}", {1: 3, 2: 1, 3: 0}
    ),
    "first": Form(f"PREDICT FIRST(orders.kind, 0, 30) {_EACH}", {1: "b", 2: "b"}),
    "last": Form(f"PREDICT LAST(orders.kind, 0, 30) {_EACH}", {1: "c", 2: "b"}),
    "months": Form(f"PREDICT SUM(orders.amount, 0, 1, months) {_EACH}", {1: 6, 2: 0, 3: 0}),
    "arithmetic": Form(
        f"PREDICT SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30) {_EACH}", {1: 5, 2: 0}
    ),
    "between": Form(
        f"PREDICT SUM(orders.amount, 0, 30) BETWEEN 1 AND 15 {_EACH}",
        {1: True, 2: False, 3: False},
    ),
    "and_or_not": Form(
        "PREDICT (COUNT(orders.*, 0, 30) > 1 AND NOT SUM(orders.amount, 0, 30) = 0) "
        f"OR AVG(orders.amount, 0, 30) IS NULL {_EACH}",
        {1: True, 2: True, 3: True},
    ),
    "list_contains": Form(
        f"PREDICT LIST_DISTINCT(orders.kind, 0, 30) CONTAINS 'a' {_EACH}", {1: True, 2: False}
    ),
    "where_and_assuming": Form(
        f"PREDICT COUNT(orders.*, 0, 30) {_EACH} WHERE COUNT(orders.*, -30, 0) > 0 "
        "ASSUMING COUNT(orders.* WHERE orders.paid = TRUE, 0, 30) > 0",
        {1: 3},
    ),
    "inner_filter_over_a_key": Form(
        f"PREDICT SUM(orders.amount WHERE products.kind = 'x', 0, 30) {_EACH}", {1: 4, 2: 0, 3: 0}
    ),
    "multi_hop": Form(f"PREDICT COUNT(lines.*, 0, 30) {_EACH}", {1: 2, 2: 1, 3: 0}),
    "forecast": Form(
        f"PREDICT SUM(orders.amount, 0, 15) FORECAST 2 TIMEFRAMES {_EACH}",
        {1: [6, 9], 2: [0, 0], 3: [0, 0]},
    ),
    "forecast_of_what_can_be_absent": Form(
        f"PREDICT AVG(orders.amount, 0, 15) FORECAST 2 TIMEFRAMES {_EACH}", {1: [3, 9]}
    ),
    "multilabel": Form(
        f"PREDICT LIST_DISTINCT(orders.kind, 0, 30) CLASSIFY {_EACH}",
        {1: ["b", "a", "c"], 2: ["b"]},
    ),
    "links": Form(
        f"PREDICT LIST_DISTINCT(orders.product, 0, 30) RANK TOP 2 {_EACH}", {1: [20, 10]}
    ),
    "static_column": Form(f"PREDICT customers.country {_EACH}", {1: "US", 2: "CA"}),
    "static_condition": Form(f"PREDICT customers.country = 'US' {_EACH}", {1: True, 2: False}),
    "static_multilabel": Form(
        f"PREDICT customers.tags CLASSIFY {_EACH}", {1: ["a", "b"], 2: []}
    ),
    "static_ranking": Form(f"PREDICT customers.tags RANK TOP 2 {_EACH}", {1: ["a", "b"]}),
    "static_links": Form(
        "PREDICT LIST_DISTINCT(loans.book) RANK TOP 2 FOR EACH readers.id", {1: [9, 8]}
    ),
}  # fmt: skip


def world_of(name: str) -> World:
    return library() if name == "static_links" else shop()
