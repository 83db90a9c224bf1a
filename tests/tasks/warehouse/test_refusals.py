"""What label_sql refuses, by code: what would be wrong or ambiguous is never written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from relcast.core.errors import UserError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check
from relcast.tasks.warehouse import DIALECTS, label_sql

JANUARY = datetime(2024, 1, 31, tzinfo=UTC)
COUNT = "PREDICT COUNT(orders.*, 0, 30) FOR EACH users.id"
KEY = Column("id", Dtype.int64, Stype.ID)


def graph(*columns: Column, keyed: bool = True) -> Graph:
    orders = Table(
        "orders",
        (KEY, Column("user", Dtype.int64, Stype.ID), Column("time", Dtype.date, Stype.timestamp),
         Column("amount", Dtype.float64, Stype.numerical), *columns),
        primary_key="id" if keyed else None, time_column="time",
    )  # fmt: skip
    users = Table("users", (KEY, Column("age", Dtype.int64, Stype.numerical)), primary_key="id")
    return Graph({"users": users, "orders": orders}, (Link("orders", "user", "users"),))


def write(text: str = COUNT, within: Graph | None = None, **options: Any) -> str:
    schema = within or graph()
    given = {"anchors": [JANUARY], "dialect": "postgres", **options}
    return label_sql(check(text, schema), schema, given.pop("anchors"), **given)


LONG = Column("x" * 64, Dtype.float64, Stype.numerical)
VARIABLE = Column("${spark.app.name}", Dtype.float64, Stype.numerical)
SPAN = Column("span", Dtype.timedelta, Stype.numerical)
FIRST = "PREDICT FIRST(orders.amount, 0, 30) FOR EACH users.id"
REFUSED: dict[str, tuple[str, Callable[[], str]]] = {
    "dialect": ("task.unknown_dialect", lambda: write(dialect="postgresql")),
    "no_anchors": ("task.anchors_required", lambda: write(anchors=None)),
    "empty_anchors": ("task.anchors_required", lambda: write(anchors=[])),
    "static": ("task.not_temporal", lambda: write("PREDICT users.age FOR EACH users.id")),
    "many": (
        "task.too_many_anchors",
        lambda: write(anchors=np.arange(10_001, dtype=np.int64) * 1000),
    ),
    "nanoseconds": (
        "task.dialect_cannot_hold_nanoseconds",
        lambda: write(anchors=[1_706_659_200_000_000_001]),
    ),
    "unknown_table": ("task.unknown_table", lambda: write(tables={"order": "shop.orders"})),
    "unknown_row_order": ("task.unknown_table", lambda: write(row_order={"order": "n"})),
    "long_name": (
        "task.dialect_cannot_name",
        lambda: write(f"PREDICT SUM(orders.{LONG.name}, 0, 30) FOR EACH users.id", graph(LONG)),
    ),
    "nul_in_name": (
        "task.dialect_cannot_name", lambda: write(tables={"orders": ("shop", "or\0ders")})
    ),
    "variable": (
        "task.dialect_cannot_name",
        lambda: write(
            f"PREDICT SUM(orders.`{VARIABLE.name}`, 0, 30) FOR EACH users.id", graph(VARIABLE),
            dialect="spark",
        ),
    ),
    "duration": (
        "task.dialect_cannot_read",
        lambda: write("PREDICT SUM(orders.span, 0, 30) FOR EACH users.id", graph(SPAN)),
    ),
    "order": ("task.dialect_cannot_order", lambda: write(FIRST, graph(keyed=False))),
}  # fmt: skip
NO_TABLES = [
    "", " ", "a.b.c.d", "orders; DROP TABLE users", "(SELECT 1)", "orders AS o", "orders o", "f(x)",
    "orders, users", "orders JOIN users", "orders -- x", "orders WHERE TRUE", "'orders'", "1", "a..b",
    'orders" AS "x', "VALUES (1)", "orders TABLESAMPLE (1)", "LATERAL x", "UNNEST(x)", "*", "orders\0",
    (), ("a", "b", "c", "d"), ("",), ("shop", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    code, attempt = REFUSED[case]
    with pytest.raises(UserError) as refused:
        attempt()
    assert refused.value.code == code
    assert refused.value.hint


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", NO_TABLES, ids=range(len(NO_TABLES)))
def test_what_is_no_name_of_a_table(name: Any, dialect: str) -> None:
    with pytest.raises(UserError) as refused:
        write(tables={"orders": name}, dialect=dialect)
    assert refused.value.code in {"task.invalid_table_name", "task.dialect_cannot_name"}


def test_a_column_that_numbers_the_rows_mends_a_missing_key() -> None:
    assert '"source"."line no"' in write(FIRST, graph(keyed=False), row_order={"orders": "line no"})


def test_what_needs_no_order_needs_no_key() -> None:
    assert "SUM" in write("PREDICT SUM(orders.amount, 0, 30) FOR EACH users.id", graph(keyed=False))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Shop.Orders", "FROM Shop.Orders AS"),
        ('"Shop".orders', 'FROM "Shop".orders AS'),
        ('lake."Sales ""x""".orders', 'FROM lake."Sales ""x""".orders AS'),
        (("Shop", "Orders"), 'FROM "Shop"."Orders" AS'),
        (["a.b", 'c"d'], 'FROM "a.b"."c""d" AS'),
    ],
    ids=range(5),
)
def test_how_a_table_is_named(name: Any, written: str) -> None:
    assert written in write(tables={"orders": name})


@pytest.mark.parametrize("dialect", ["spark", "databricks", "bigquery"])
def test_names_in_backquotes(dialect: str) -> None:
    text = write(tables={"orders": "`my-project`.shop.`the ``orders`"} if dialect != "bigquery"
                 else {"orders": "`my-project`.shop.`the orders`"}, dialect=dialect)  # fmt: skip
    assert "FROM `my-project`.shop.`the " in text
