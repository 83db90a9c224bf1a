"""The shop that tests of labels look at: customers, purchases, articles, by day from one anchor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from relcast.core.schema import Dtype, Link, Stype
from relcast.pql import CheckedQuery, check
from relcast.snapshots import Snapshot
from relcast.tasks import examples_at, population
from relcast.tasks.examples import Examples, Lists
from tests.tasks.worlds import KINDS, World, WorldTable

KINDS.setdefault("words", (Dtype.string, Stype.multicategorical, pa.string()))
DAY0 = pd.Timestamp("2023-01-01")
A = DAY0 + pd.Timedelta(days=100)
"""The anchor of most tests; times are given in days from it."""


def at(*days: float | None) -> list[Any]:
    return [None if d is None else A + pd.Timedelta(days=d) for d in days]


def table(
    columns: Mapping[str, str],
    rows: list[tuple[Any, ...]],
    key: str | None = None,
    time: str | None = None,
    end: str | None = None,
) -> WorldTable:
    frame = pd.DataFrame(
        {c: pd.Series([row[n] for row in rows], dtype=object) for n, c in enumerate(columns)}
    )
    return WorldTable(dict(columns), frame, key, time, end)


def shop(
    purchases: list[tuple[Any, ...]],
    *,
    articles: list[tuple[Any, ...]] | None = None,
    customers: list[tuple[Any, ...]] | None = None,
) -> World:
    """Customers 1, 2, 3, their purchases (id, customer, day, article, amount, kind, gift), articles.

    Articles are (id, colour, since, until), in days.
    """
    bought = [(i, c, at(day)[0], *rest) for i, c, day, *rest in purchases]
    sold = articles or [(30, "red", None, None), (10, "blue", None, None), (20, "red", None, None)]
    lives = any(a[2] is not None or a[3] is not None for a in sold)
    return World(
        {
            "customers": table(
                {"id": "key", "age": "int"}, customers or [(1, 30), (2, None), (3, 50)], "id"
            ),
            "articles": table(
                {"id": "key", "colour": "category", "since": "time", "until": "time"},
                [(i, colour, *at(since, until)) for i, colour, since, until in sold],
                "id",
                "since" if lives else None,
                "until" if lives else None,
            ),
            "purchases": table(
                {"id": "key", "customer": "key", "time": "time", "article": "key",
                 "amount": "number", "kind": "category", "gift": "bool"},
                bought, "id", "time",
            ),
        },
        (Link("purchases", "customer", "customers"), Link("purchases", "article", "articles")),
    )  # fmt: skip


def buy(
    i: int,
    customer: int | None,
    day: float,
    article: int | None = 10,
    amount: float | None = 1.0,
    kind: str | None = "a",
    *,
    gift: bool | None = False,
) -> tuple[Any, ...]:
    return (i, customer, day, article, amount, kind, gift)


def opened(world: World, root: Path, text: str) -> tuple[Snapshot, CheckedQuery]:
    snapshot = world.snapshot(root)
    return snapshot, check(text, snapshot.graph)


def label(world: World, root: Path, text: str) -> tuple[Examples, dict[str, int]]:
    snapshot, query = opened(world, root, text)
    return examples_at(snapshot, query, [A.value] if query.temporal else None)


def values(world: World, root: Path, text: str) -> dict[int, Any]:
    """The target by entity row: a number, a row of a forecast, or the class of an index."""
    found, _ = label(world, root, text)
    if found.lists is not None:
        return dict(zip(found.entity.tolist(), unpacked(found.lists, found.classes), strict=True))
    assert found.target is not None
    return dict(zip(found.entity.tolist(), found.target.tolist(), strict=True))


def unpacked(lists: Lists, classes: tuple[Any, ...] | None = None) -> list[list[Any]]:
    rows = [
        lists.values[lists.offsets[i] : lists.offsets[i + 1]].tolist() for i in range(len(lists))
    ]
    return rows if classes is None else [[classes[v] for v in row] for row in rows]


def holds(world: World, root: Path, where: str) -> list[int]:
    """The entity rows for which a WHERE clause holds."""
    text = f"PREDICT COUNT(purchases.*, 0, 1) FOR EACH customers.id WHERE {where}"
    snapshot, query = opened(world, root, text)
    return population(snapshot, query, A.value).tolist()
