"""Every form of target and condition, on worlds small enough to say the answer by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relcast.core.errors import TaskError
from relcast.core.schema import Dtype, Link, Stype
from relcast.pql import CheckedQuery, check
from relcast.snapshots import Snapshot
from relcast.tasks import evaluate_target, examples_at, population
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.label_sql import LabelSql
from relcast.tasks.labels import Labeller, _rounded_once
from relcast.tasks.moments import Moved, window_ends
from relcast.tasks.scan import open_session
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


# -- lists ------------------------------------------------------------------------------------


def test_links_are_dense_rows_in_order_of_first_appearance(tmp_path: Path) -> None:
    world = shop(
        [
            buy(1, 1, 5, 20), buy(2, 1, 3, 10), buy(3, 1, 4, 20), buy(4, 1, 6, 30),
            buy(9, 2, 3, 20), buy(8, 2, 3, 30), buy(7, 2, 3, 99),  # a tie, and a dangling key
            buy(10, 3, 3, 99), buy(11, 3, 3, None), buy(12, None, 3, 10), buy(13, 1, 9, 10),
        ]
    )  # fmt: skip
    text = "PREDICT LIST_DISTINCT(purchases.article, 0, 7) RANK TOP 3 FOR EACH customers.id"
    found, dropped = label(world, tmp_path, text)
    assert found.classes is None
    assert found.target is None
    assert found.lists is not None
    # Articles stand in the order 30, 10, 20.
    assert found.entity.tolist() == [0, 1]
    assert unpacked(found.lists) == [[1, 2, 0], [0, 2]]
    assert dropped == {"target is NULL": 1}


def test_lists_of_categories_and_truth_values(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, kind="b"), buy(2, 1, 2, kind="a"), buy(3, 1, 3, kind="b"),
                  buy(4, 2, 1, kind=None), buy(5, 3, 1, kind="c", gift=True),
                  buy(6, 3, 2, kind="c", gift=None), buy(7, 3, 3, kind="c")])  # fmt: skip
    text = "PREDICT LIST_DISTINCT(purchases.{}, 0, 7) CLASSIFY FOR EACH customers.id"
    found, _ = label(world, tmp_path, text.format("kind"))
    assert found.classes == ("a", "b", "c")
    assert found.lists is not None
    assert unpacked(found.lists) == [[1, 0], [2]]
    assert values(world, tmp_path, text.format("gift")) == {
        0: [False],
        1: [False],
        2: [True, False],
    }


def test_classes_of_a_foreign_key_are_keys_of_rows(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, 30), buy(2, 1, 2, 99), buy(3, 1, 3, 10)])
    text = "PREDICT LIST_DISTINCT(purchases.article, 0, 7) CLASSIFY FOR EACH customers.id"
    found, dropped = label(world, tmp_path, text)
    assert found.classes == (10, 30)
    assert found.lists is not None
    assert unpacked(found.lists) == [[1, 0]]
    assert dropped == {"target is NULL": 2}


def test_keys_of_different_types_list_the_rows_that_they_name(tmp_path: Path) -> None:
    """Whole floats are written like integers; NaN names nothing, not even the key 'nan'."""
    world = shop([buy(i, 1, i, None) for i in range(1, 7)])
    world.tables["purchases"].columns["article"] = "raw"
    world.tables["purchases"].rows["article"] = [7.0, math.nan, 0.5, None, -3.0, 7.25]
    world.tables["articles"] = table(
        {"id": "text_key", "colour": "category"},
        [("nan", "x"), ("7", "x"), ("0.5", "x"), ("-3", "x"), ("7.0", "x")],
        "id",
    )
    text = "PREDICT LIST_DISTINCT(purchases.article, 0, 7) RANK TOP 3 FOR EACH customers.id"
    assert values(world, tmp_path, text) == {0: [1, 2, 3]}


def test_an_inner_filter_over_a_foreign_key_filters_lists(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, 30), buy(2, 1, 2, 10), buy(3, 1, 3, 20, 7.0)])
    text = (
        "PREDICT LIST_DISTINCT(purchases.article WHERE articles.colour = 'red' AND "
        "purchases.amount < 5, 0, 7) RANK TOP 3 FOR EACH customers.id"
    )
    assert values(world, tmp_path, text) == {0: [0]}


def static_links() -> World:
    return World(
        {
            "users": table({"id": "text_key"}, [("u1",), ("u2",), ("u3",)], "id"),
            "films": table({"id": "key"}, [(7,), (5,), (6,)], "id"),
            "likes": table(
                {"id": "key", "user": "text_key", "film": "key"},
                [(4, "u1", 5), (2, "u1", 6), (3, "u1", 5), (1, "u2", 99), (9, "u3", 7)], "id",
            ),
        },
        (Link("likes", "user", "users"), Link("likes", "film", "films")),
    )  # fmt: skip


def test_static_links_appear_by_primary_key(tmp_path: Path) -> None:
    text = "PREDICT LIST_DISTINCT(likes.film) RANK TOP 2 FOR EACH users.id"
    found, dropped = label(static_links(), tmp_path, text)
    assert found.anchor is None
    assert found.lists is not None
    assert found.entity.tolist() == [0, 2]
    assert unpacked(found.lists) == [[2, 1], [0]]
    assert dropped == {"target is NULL": 1}


def tagged() -> World:
    tags = [["b", "a", "b", None], [], None, [None], ["c"]]
    words = [" x; y|x ,  , z", "", None, " ;|", "y"]
    codes = [[3, 1], [2], None, [], [1, 1]]
    return World(
        {
            "films": table(
                {"id": "key", "tags": "tags", "codes": "codes", "words": "words", "studio": "key"},
                [(i, tags[i], codes[i], words[i], i % 2) for i in range(5)], "id",
            ),
            "studios": table({"id": "key", "genres": "tags"}, [(0, ["p", "q"]), (1, None)], "id"),
        },
        (Link("films", "studio", "studios"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("column", "want"),
    [
        ("films.tags", {0: ["b", "a"], 1: [], 3: [], 4: ["c"]}),
        ("films.words", {0: ["x", "y", "z"], 1: [], 3: [], 4: ["y"]}),
        ("films.codes", {0: [3, 1], 1: [2], 3: [], 4: [1]}),
        ("studios.genres", {0: ["p", "q"], 2: ["p", "q"], 4: ["p", "q"]}),
    ],
)
def test_columns_of_several_categories(
    column: str, want: dict[int, list[Any]], tmp_path: Path
) -> None:
    text = f"PREDICT {column} {{}} FOR EACH films.id"
    assert values(tagged(), tmp_path, text.format("CLASSIFY")) == want
    found, dropped = label(tagged(), tmp_path, text.format("RANK TOP 2"))
    assert found.entity.tolist() == [e for e, elements in want.items() if elements]
    empty = sum(not elements for elements in want.values())
    assert dropped.get("target list is empty, so it ranks nothing", 0) == empty
    assert dropped["target is NULL"] == 5 - len(want)


def test_a_where_clause_applies_to_static_lists(tmp_path: Path) -> None:
    text = "PREDICT films.tags CLASSIFY FOR EACH films.id WHERE films.id BETWEEN 1 AND 3"
    assert values(tagged(), tmp_path, text) == {1: [], 3: []}


# -- forecasts --------------------------------------------------------------------------------


def test_a_forecast_has_a_value_for_each_window(tmp_path: Path) -> None:
    world = shop([
        buy(1, 1, 2, amount=1.0), buy(2, 1, 2 + 1e-9, amount=2.0), buy(3, 1, 7, amount=4.0),
        buy(4, 1, 7.0001, amount=8.0), buy(5, 1, 17, amount=16.0), buy(6, 1, 17.0001, amount=32.0),
        buy(7, 2, 12, amount=64.0), buy(8, 1, -1, amount=128.0),
    ])  # fmt: skip
    text = "PREDICT SUM(purchases.amount, 2, 7) FORECAST 3 TIMEFRAMES FOR EACH customers.id"
    # (2, 7], (7, 12], (12, 17]
    assert values(world, tmp_path, text) == {
        0: [6.0, 8.0, 16.0], 1: [0.0, 64.0, 0.0], 2: [0.0, 0.0, 0.0],
    }  # fmt: skip


def test_a_forecast_of_one_window_keeps_its_axis(tmp_path: Path) -> None:
    text = "PREDICT COUNT(purchases.*, 0, 7) FORECAST 1 TIMEFRAMES FOR EACH customers.id"
    assert values(shop([buy(1, 2, 1)]), tmp_path, text) == {0: [0.0], 1: [1.0], 2: [0.0]}


def test_nan_in_a_file_with_statistics_is_null(tmp_path: Path) -> None:
    """A file's greatest value leaves NaN out, and so did an engine that compared with NaN."""
    world = shop([buy(1, 1, -1), buy(2, 1, -2)])
    bought = world.tables["purchases"]
    bought.columns["price"] = "raw"
    bought.rows["price"] = [math.nan, 2.0]
    assert holds(world, tmp_path, "SUM(purchases.price, -7, 0) = 2") == [0]
    assert holds(world, tmp_path, "COUNT(purchases.price, -7, 0) = 1") == [0]
    assert holds(
        world, tmp_path, "COUNT(purchases.* WHERE purchases.price IS NULL, -7, 0) = 1"
    ) == [0]
    assert holds(world, tmp_path, "COUNT(purchases.* WHERE purchases.price > 5, -7, 0) = 1") == []


def test_months_of_a_forecast_are_counted_from_the_anchor(tmp_path: Path) -> None:
    anchor = pd.Timestamp("2023-01-31")
    days = [(pd.Timestamp(t) - A).total_seconds() / 86_400
            for t in ("2023-02-28", "2023-03-01", "2023-03-31", "2023-04-01", "2023-04-30",
                      "2023-05-01")]  # fmt: skip
    world = shop([buy(i, 1, day) for i, day in enumerate(days)])
    text = "PREDICT COUNT(purchases.*, 0, 1, months) FORECAST 3 TIMEFRAMES FOR customers.id = 1"
    snapshot, query = opened(world, tmp_path, text)
    found, _ = examples_at(snapshot, query, [anchor.value])
    assert found.target is not None
    assert found.target[0].tolist() == [1.0, 2.0, 2.0]


def test_a_forecast_with_a_window_of_nothing_is_dropped(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=2.0), buy(2, 1, 8, amount=4.0), buy(3, 2, 1, amount=2.0),
                  buy(4, 3, 1, amount=2.0), buy(5, 3, 8, amount=math.inf)])  # fmt: skip
    text = "PREDICT AVG(purchases.amount, 0, 7) FORECAST 2 TIMEFRAMES FOR EACH customers.id"
    found, dropped = label(world, tmp_path, text)
    assert found.target is not None
    assert found.target.tolist() == [[2.0, 4.0]]
    assert dropped == {"target is NULL": 1, "target is not a finite number": 1}


def test_filters_of_a_forecast_look_from_the_anchor(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1), buy(2, 1, 8), buy(3, 2, 8), buy(4, 2, -1), buy(5, 1, -1)])
    text = (
        "PREDICT COUNT(purchases.*, 0, 7) FORECAST 2 TIMEFRAMES FOR EACH customers.id "
        "WHERE COUNT(purchases.*, -7, 0) = 1 ASSUMING COUNT(purchases.*, 0, 7) > 0"
    )
    found, dropped = label(world, tmp_path, text)
    assert found.target is not None
    assert found.target.tolist() == [[1.0, 1.0]]
    assert dropped == {"WHERE does not hold": 1, "ASSUMING does not hold": 1}


def test_a_forecast_of_arithmetic(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=6.0), buy(2, 1, 2, amount=2.0), buy(3, 1, 8, amount=5.0)])
    text = (
        "PREDICT SUM(purchases.amount, 0, 7) / COUNT(purchases.*, 0, 7) FORECAST 2 TIMEFRAMES "
        "FOR EACH customers.id"
    )
    found, dropped = label(world, tmp_path, text)
    assert found.target is not None
    assert found.target.tolist() == [[4.0, 5.0]]
    assert dropped == {"target is NULL": 2}


# -- medians and deviations -------------------------------------------------------------------


def test_median_and_deviation(tmp_path: Path) -> None:
    amounts = {1: [4.0, 1.0, 10.0, 2.0], 2: [3.0], 3: [0.1, 0.1, 0.1]}
    rows = [buy(c * 10 + i, c, 1 + i, amount=a) for c in amounts for i, a in enumerate(amounts[c])]
    world = shop(rows)
    text = "PREDICT {}(purchases.amount, 0, 7) FOR EACH customers.id"
    assert values(world, tmp_path, text.format("MEDIAN")) == {0: 3.0, 1: 3.0, 2: 0.1}
    deviations = values(world, tmp_path, text.format("STDDEV"))
    assert deviations == {0: pytest.approx(np.std(amounts[1], ddof=1), rel=1e-15), 2: 0.0}


def test_the_median_of_truth_values(tmp_path: Path) -> None:
    world = shop([buy(i, 1, 1 + i, gift=gift) for i, gift in enumerate([True, False, True, None])])
    text = "PREDICT MEDIAN(purchases.gift, 0, 7) FOR EACH customers.id"
    assert values(world, tmp_path, text) == {0: 1.0}


INF = math.inf


@pytest.mark.parametrize(
    ("amounts", "median", "deviation"),
    [
        ([INF, INF], INF, None),
        ([INF, -INF], None, None),
        ([-INF, 1.0, INF], 1.0, None),
        ([1.7e308, 1.7e308], 1.7e308, 0.0),
        ([-1.7e308, 1.7e308], 0.0, None),  # beyond what a float holds
        ([1e308, -1e307], 4.5e307, 7.778174593052023e307),
        ([1e-300, 3e-300], 2e-300, 1.4142135623730952e-300),
        ([5e-324], 5e-324, None),
        ([1e308, 1.0, 2.0], 2.0, 5.773502691896257e307),
        ([1e9 + 1, 1e9 + 2, 1e9 + 3], 1e9 + 2, 1.0),
    ],
)
def test_the_edges_of_floats(
    amounts: list[float], median: float | None, deviation: float | None, tmp_path: Path
) -> None:
    world = shop([
        *[buy(i, 1, 1, amount=a) for i, a in enumerate(amounts)],
        *[buy(100 + i, 2, 1, amount=a) for i, a in enumerate([1e308, 1e-320, 3.0, 3.0])],
    ])  # fmt: skip
    snapshot = world.snapshot(tmp_path)
    for kind, want in (("MEDIAN", median), ("STDDEV", deviation)):
        query = check(
            f"PREDICT {kind}(purchases.amount, 0, 7) FOR EACH customers.id", snapshot.graph
        )
        (got,) = evaluate_target(snapshot, query, [0], [A.value]).tolist()  # type: ignore[union-attr]
        assert (
            got == pytest.approx(want, rel=1e-15, abs=0)
            if want is not None
            else not math.isfinite(got)
        )


@pytest.mark.parametrize("kind", ["STDDEV", "MEDIAN", "AVG"])
def test_the_last_bit_depends_on_the_window_alone(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    amounts = (rng.normal(size=600) * 10.0 ** rng.integers(-8, 8, 600)).tolist()
    rows = [buy(i, 1 + i % 2, 1 + i / 100, amount=a) for i, a in enumerate(amounts)]
    text = f"PREDICT {kind}(purchases.amount, 0, 10) FOR EACH customers.id"
    found = values(shop(rows), tmp_path, text)
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    later = [
        buy(1000, 1, 50, amount=1e300),
        buy(1001, 2, 60, amount=INF),
        buy(1002, 1, 50, amount=1e-310),
    ]
    assert values(shop(shuffled + later), tmp_path, text) == found
    snapshot, query = opened(shop(later + shuffled), tmp_path, text)
    threads, _ = examples_at(snapshot, query, [A.value], threads=2)
    assert threads.target is not None
    assert dict(enumerate(threads.target.tolist())) == found


# -- arithmetic -------------------------------------------------------------------------------


HUGE = " * 1000000000000000000"


@pytest.mark.parametrize(
    ("formula", "want"),
    [
        ("{SUM} + 1", {0: 11.0, 1: 1.0, 2: 1.0}),
        ("{SUM} / {COUNT}", {0: 5.0}),
        ("{AVG} - {MIN}", {0: 1.0}),
        ("2 * {SUM} - {SUM} / 4", {0: 17.5, 1: 0.0, 2: 0.0}),
        ("({SUM} + 2) * ({COUNT} + 1)", {0: 36.0, 1: 2.0, 2: 2.0}),
        ("1 / (1 / {COUNT})", {0: 2.0}),
        ("{SUM} - 0.5 - 0.25", {0: 9.25, 1: -0.75, 2: -0.75}),
        ("{SUM}" + HUGE * 18, {1: 0.0, 2: 0.0}),
        ("1 / (({COUNT} + 1) * 100" + HUGE * 17 + ")", {1: 1e-308, 2: 1e-308}),
    ],
)
def test_arithmetic(formula: str, want: dict[int, float], tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=4.0), buy(2, 1, 2, amount=6.0)])
    parts = {k: f"{k}(purchases.amount, 0, 7)" for k in ("SUM", "AVG", "MIN", "COUNT")}
    text = f"PREDICT {formula.format(**parts)} FOR EACH customers.id"
    assert values(world, tmp_path, text) == pytest.approx(want, rel=1e-15)


def test_what_is_divided_by_an_infinite_aggregate_is_zero(tmp_path: Path) -> None:
    """An infinite aggregate has a value; a result that is infinite has none (found by seed 741)."""
    world = shop([buy(1, 1, 1, amount=INF), buy(2, 1, 2, amount=6.0), buy(3, 2, 1, amount=2.0)])
    total = "SUM(purchases.amount, 0, 7)"
    for formula, want in ((f"1 / {total}", {0: 0.0, 1: 0.5}), (f"1 / ({total} * 1)", {1: 0.5}),
                          (f"{total} - {total}", {1: 0.0, 2: 0.0})):  # fmt: skip
        assert values(world, tmp_path, f"PREDICT {formula} FOR EACH customers.id") == want


def test_arithmetic_in_conditions(tmp_path: Path) -> None:
    world = shop([buy(1, 1, -1, amount=4.0), buy(2, 1, -2, amount=6.0), buy(3, 2, -1, amount=9.0)])
    mean = "SUM(purchases.amount, -7, 0) / COUNT(purchases.*, -7, 0)"
    assert holds(world, tmp_path, f"{mean} > 5") == [1]
    assert holds(world, tmp_path, f"{mean} <= 5") == [0]
    assert holds(world, tmp_path, f"{mean} IS NULL") == [2]
    assert holds(world, tmp_path, f"NOT ({mean} > 5)") == [0, 2]
    assert holds(world, tmp_path, f"{mean} IN (5, 9)") == [0, 1]


def test_large_exact_sums_are_rounded_once(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1)], customers=[(1, 2**62 + 1), (2, 2**62 + 3), (3, None)])
    world.tables["bills"] = table(
        {"id": "key", "customer": "key", "time": "time", "cents": "int"},
        [(1, 1, *at(1), 2**62 + 1), (2, 1, *at(2), 2**62 + 513), (3, 1, *at(3), 2**53 + 1)],
        "id", "time",
    )  # fmt: skip
    world.links = (*world.links, Link("bills", "customer", "customers"))
    want = float(2**63 + 514 + 2**53 + 1)
    for target in (
        "SUM(bills.cents, 0, 7)",
        "SUM(bills.cents, 0, 7) * 1",
        "AVG(bills.cents, 0, 7) * 3",
    ):
        got = values(world, tmp_path, f"PREDICT {target} FOR EACH customers.id")[0]
        assert got == pytest.approx(want, rel=3e-16 if "AVG" in target else 0)


def test_sums_beyond_64_bits_are_rounded_once() -> None:
    rng = np.random.default_rng(0)
    whole = [int(rng.integers(2**62)) << int(s) for s in rng.integers(0, 50, 2000)]
    whole += [(1 << 64) + 2**11 + 1, -(2**80) - 2**27 - 1, None, 5]  # type: ignore[list-item]
    column = pa.array([None if v is None else Decimal(v) for v in whole], pa.decimal128(38, 0))
    got = _rounded_once(column).to_pylist()
    assert got == [None if v is None else float(v) for v in whole]
    assert _rounded_once(column[-2:]).to_pylist() == [None, 5.0]


def test_a_long_chain_of_arithmetic_stays_small(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, amount=2.0)])
    part = "SUM(purchases.amount, 0, 7)"
    text = f"PREDICT {' + '.join([part] * 30)} FOR EACH customers.id"
    assert values(world, tmp_path, text)[0] == 60.0


def test_divisors_in_divisors_are_refused_in_time(tmp_path: Path) -> None:
    part = "COUNT(purchases.*, 0, 7)"
    formula = part
    for _ in range(12):
        formula = f"1 / ({formula})"
    snapshot, query = opened(
        shop([buy(1, 1, 1)]), tmp_path, f"PREDICT {formula} FOR EACH customers.id"
    )
    with pytest.raises(TaskError) as caught:
        examples_at(snapshot, query, [A.value])
    assert caught.value.code == "task.too_many_divisors"


# -- between ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "want"),
    [
        ("customers.age BETWEEN 30 AND 50", [0, 2]),
        ("customers.age BETWEEN 30.5 AND 50.5", [2]),
        ("customers.age BETWEEN 29.5 AND 49.5", [0]),
        ("customers.age NOT BETWEEN 30 AND 40", [2]),
        ("NOT (customers.age BETWEEN 30 AND 40)", [1, 2]),
        ("SUM(purchases.amount, -7, 0) BETWEEN 1 AND 2", [0]),
        ("SUM(purchases.amount, -7, 0) NOT BETWEEN 1 AND 2", [1, 2]),
        ("AVG(purchases.amount, -7, 0) NOT BETWEEN 1 AND 2", [1]),
        (
            "COUNT(purchases.* WHERE purchases.time BETWEEN 2023-04-09 AND 2023-04-10, -9, 0) > 0",
            [0],
        ),
        ("LAST(purchases.kind, -7, 0) = 'a'", [0, 1]),
    ],
)
def test_between(test: str, want: list[int], tmp_path: Path) -> None:
    world = shop([buy(1, 1, -1, amount=2.0), buy(2, 2, -3, amount=2.5)])
    assert holds(world, tmp_path, test) == want


# -- several links ----------------------------------------------------------------------------


def chain() -> World:
    """Lines of baskets of visits of customers; the rows between have lives."""
    return World(
        {
            "customers": table({"id": "key"}, [(1,), (2,)], "id"),
            "visits": table(
                {"id": "key", "customer": "key", "begun": "time", "left": "time"},
                [(1, 1, *at(-5, None)), (2, 2, *at(-5, -1)), (3, 1, *at(2, None)),
                 (4, None, *at(-5, None))],
                "id", "begun", "left",
            ),
            "baskets": table(
                {"id": "key", "visit": "key", "opened": "time"},
                [(1, 1, *at(-4)), (2, 2, *at(-4)), (3, 3, *at(-4)), (4, 4, *at(-4)),
                 (5, 99, *at(-4)), (6, 1, *at(1))],
                "id", "opened",
            ),
            "lines": table(
                {"id": "key", "basket": "key", "time": "time", "price": "number"},
                [(n, n, *at(-1), float(2**n)) for n in range(1, 7)]
                + [(10 + n, n, *at(1.5), float(2**n)) for n in range(1, 7)] + [(20, 1, *at(-1), 0.5)],
                "id", "time",
            ),
        },
        (Link("lines", "basket", "baskets"), Link("baskets", "visit", "visits"),
         Link("visits", "customer", "customers")),
    )  # fmt: skip


def test_a_target_over_several_links_takes_every_row_between(tmp_path: Path) -> None:
    text = "PREDICT SUM(lines.price, 0, 7) FOR EACH customers.id"
    assert values(chain(), tmp_path, text) == {0: 2.0 + 8.0 + 64.0, 1: 4.0}


def test_a_filter_over_several_links_takes_rows_between_that_live(tmp_path: Path) -> None:
    text = "PREDICT COUNT(lines.*, 0, 7) FOR EACH customers.id WHERE SUM(lines.price, -7, 0) = {}"
    # Customer 1 has basket 1 only: visit 3 begins later, basket 6 opens later. Visit 2 has ended.
    assert set(values(chain(), tmp_path, text.format(2.5))) == {0}
    assert set(values(chain(), tmp_path, text.format(0))) == {1}


def test_a_row_between_of_unknown_time_is_never_known(tmp_path: Path) -> None:
    world = chain()
    world.tables["baskets"].rows.loc[0, "opened"] = None
    text = "PREDICT COUNT(lines.*, 0, 7) FOR EACH customers.id WHERE SUM(lines.price, -7, 0) = {}"
    assert set(values(world, tmp_path, text.format(0))) == {0, 1}


# -- conditions on lists ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "want"),
    [
        ("LIST_DISTINCT(purchases.kind, -7, 0) CONTAINS 'b'", [0]),
        ("LIST_DISTINCT(purchases.kind, -7, 0) NOT CONTAINS 'b'", [1]),
        ("NOT (LIST_DISTINCT(purchases.kind, -7, 0) CONTAINS 'b')", [1, 2]),
        ("LIST_DISTINCT(purchases.kind, -7, 0) IS NULL", [2]),
        ("LIST_DISTINCT(purchases.kind, -7, 0) IS NOT NULL", [0, 1]),
        ("LIST_DISTINCT(purchases.gift, -7, 0) CONTAINS TRUE", [1]),
        ("LIST_DISTINCT(purchases.article, -7, 0) CONTAINS 20", [1]),
        ("LIST_DISTINCT(purchases.article, -7, 0) CONTAINS 99", []),
        ("LIST_DISTINCT(purchases.article, -7, 0) NOT CONTAINS 10", [1]),
        ("LIST_DISTINCT(purchases.article, -7, 0) IS NULL", [2]),
        (
            (
                "LIST_DISTINCT(purchases.kind, -7, 0) CONTAINS 'a' AND "
                "LIST_DISTINCT(purchases.kind, -7, 0) NOT CONTAINS 'c'"
            ),
            [0],
        ),
    ],
)
def test_conditions_on_lists(test: str, want: list[int], tmp_path: Path) -> None:
    world = shop(
        [
            buy(1, 1, -1, kind="a"), buy(2, 1, -2, kind="b"), buy(3, 2, -1, 20, kind="c", gift=True),
            buy(4, 2, -2, 20, kind="a"), buy(5, 3, -2, 99, kind=None), buy(6, 3, 2, kind="b"),
        ]
    )  # fmt: skip
    assert holds(world, tmp_path, test) == want


def test_a_listed_row_that_does_not_live_is_not_listed_in_the_past(tmp_path: Path) -> None:
    world = shop(
        [buy(1, 1, -1, 10), buy(2, 2, -1, 20), buy(3, 3, -1, 30)],
        articles=[(10, "red", -50, None), (20, "red", 1, None), (30, "red", -50, 0)],
    )
    assert holds(world, tmp_path, "LIST_DISTINCT(purchases.article, -7, 0) IS NOT NULL") == [0]


def test_a_target_that_a_list_contains(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, kind="a"), buy(2, 1, 2, kind="b"), buy(3, 2, 1, kind="c")])
    text = "PREDICT LIST_DISTINCT(purchases.kind, 0, 7) CONTAINS 'b' FOR EACH customers.id"
    assert values(world, tmp_path, text) == {0: 1.0, 1: 0.0}


# -- any moment -------------------------------------------------------------------------------


def test_windows_moved_back_count_months_once() -> None:
    anchors = np.array([pd.Timestamp("2024-03-31").value], dtype=np.int64)
    (window,) = (a for a in [check_window()])
    low, high = window_ends(window, anchors, moved=Moved(1, window.unit))
    assert [pd.Timestamp(int(t[0])) for t in (low, high)] == [
        pd.Timestamp("2024-02-29"), pd.Timestamp("2024-03-31"),
    ]  # fmt: skip


def check_window() -> Any:
    world = shop([buy(1, 1, 1)])
    query = check("PREDICT COUNT(purchases.*, 0, 1, months) FOR EACH customers.id", world.graph())
    assert query.target_window is not None
    return query.target_window


def test_a_forecast_moved_back(tmp_path: Path) -> None:
    world = shop([buy(i, 1, day) for i, day in enumerate([-13, -6, -5, 1, 8, 9, 10])])
    text = "PREDICT COUNT(purchases.*, 0, 7) FORECAST 2 TIMEFRAMES FOR EACH customers.id"
    snapshot, query = opened(world, tmp_path, text)
    got = [
        evaluate_target(snapshot, query, [0, 1], [A.value] * 2, windows_back=k).tolist()  # type: ignore[union-attr]
        for k in (0, 1, 2)
    ]
    assert got == [[[1, 3], [0, 0]], [[2, 1], [0, 0]], [[1, 2], [0, 0]]]


def test_lists_of_any_moment(tmp_path: Path) -> None:
    world = shop([buy(1, 1, 1, 20), buy(2, 1, 2, 10), buy(3, 1, -1, 30, kind="z")])
    text = "PREDICT LIST_DISTINCT(purchases.{}, 0, 7) {} FOR EACH customers.id"
    snapshot, query = opened(world, tmp_path, text.format("article", "RANK TOP 2"))
    found = evaluate_target(snapshot, query, [1, 0, 0], [A.value] * 3)
    assert isinstance(found, Lists)
    assert unpacked(found) == [[], [2, 1], [2, 1]]
    moved = evaluate_target(snapshot, query, [0], [A.value], windows_back=1)
    assert isinstance(moved, Lists)
    assert unpacked(moved) == [[0]]
    kinds = check(text.format("kind", "CLASSIFY"), snapshot.graph)
    known = evaluate_target(snapshot, kinds, [0], [A.value], windows_back=1, classes=("a", "z"))
    assert isinstance(known, Lists)
    assert unpacked(known) == [[1]]
    with pytest.raises(TaskError) as caught:
        evaluate_target(snapshot, kinds, [0], [A.value])
    assert caught.value.code == "task.classes_needed"


def test_a_past_window_is_read_as_it_was_known(tmp_path: Path) -> None:
    world = shop(
        [buy(1, 1, -1, 10), buy(2, 1, -2, 20), buy(3, 1, 1, 20)],
        articles=[(10, "red", -50, None), (20, "red", 2, None)],
    )
    text = "PREDICT COUNT(purchases.* WHERE articles.colour = 'red', 0, 7) FOR EACH customers.id"
    snapshot, query = opened(world, tmp_path, text)
    ahead = evaluate_target(snapshot, query, [0], [A.value])
    past = evaluate_target(snapshot, query, [0], [A.value], windows_back=1)
    assert ahead.tolist() == [1.0]  # type: ignore[union-attr]
    assert past.tolist() == [1.0]  # type: ignore[union-attr]
    later = evaluate_target(snapshot, query, [0], [A.value + 2 * 86_400 * 10**9], windows_back=1)
    assert later.tolist() == [3.0]  # type: ignore[union-attr]


def test_each_window_of_a_forecast_moved_back_is_read_from_where_it_lies(tmp_path: Path) -> None:
    world = shop([buy(1, 1, -1, 20), buy(2, 1, 1, 20)], articles=[(20, "red", 2, None)])
    text = (
        "PREDICT COUNT(purchases.* WHERE NOT articles.colour = 'red', 0, 7) FORECAST 2 TIMEFRAMES "
        "FOR EACH customers.id"
    )
    snapshot, query = opened(world, tmp_path, text)
    # Behind the anchor the article is not known yet, so that it is not red; ahead it is.
    found = evaluate_target(snapshot, query, [0], [A.value], windows_back=1)
    assert found.tolist() == [[1.0, 0.0]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("LIST_DISTINCT(purchases.article, 0, 7) RANK TOP 2", None),
        ("LIST_DISTINCT(purchases.kind, 0, 7) CLASSIFY", None),
        ("COUNT(purchases.*, 0, 7) FORECAST 3 TIMEFRAMES", (0, 3)),
        ("COUNT(purchases.*, 0, 7)", (0,)),
    ],
)
def test_no_pairs_and_no_anchors_give_nothing(
    text: str, shape: tuple[int, ...] | None, tmp_path: Path
) -> None:
    snapshot, query = opened(
        shop([buy(1, 1, 1)]), tmp_path, f"PREDICT {text} FOR EACH customers.id"
    )
    found = evaluate_target(snapshot, query, [], [], classes=("a",) if "CLASSIFY" in text else None)
    examples, _ = examples_at(snapshot, query, [])
    if shape is None:
        assert isinstance(found, Lists)
        assert examples.lists is not None
        assert len(found) == len(examples.lists) == 0
    else:
        assert examples.target is not None
        assert found.shape == examples.target.shape == shape  # type: ignore[union-attr]


# -- memory -----------------------------------------------------------------------------------

MANY = [
    "PREDICT LIST_DISTINCT(purchases.article, 0, 30) RANK TOP 3 FOR EACH customers.id",
    "PREDICT LIST_DISTINCT(purchases.kind, 0, 30) CLASSIFY FOR EACH customers.id",
    "PREDICT SUM(purchases.amount, 0, 5) FORECAST 4 TIMEFRAMES FOR EACH customers.id",
    "PREDICT MEDIAN(purchases.amount, 0, 30) FOR EACH customers.id",
    (
        "PREDICT STDDEV(purchases.amount, 0, 30) > 1 FOR EACH customers.id "
        "WHERE LIST_DISTINCT(purchases.kind, -30, 0) CONTAINS 'b'"
    ),
]


def busy() -> World:
    rng = np.random.default_rng(3)
    rows = [
        buy(i, int(rng.integers(1, 41)), float(d), int(rng.choice([10, 20, 30, 99])),
            float(rng.normal()), str(rng.choice(list("abcd"))))
        for i, d in enumerate(rng.uniform(-60, 40, 1500))
    ]  # fmt: skip
    return shop(rows, customers=[(i, i) for i in range(1, 41)])


def same_examples(one: Examples, other: Examples) -> bool:
    pairs = [(one.entity, other.entity), (one.anchor, other.anchor), (one.target, other.target)]
    if one.lists is not None and other.lists is not None:
        pairs += [(one.lists.offsets, other.lists.offsets), (one.lists.values, other.lists.values)]
    alike = all(np.array_equal(a, b) for a, b in pairs if a is not None and b is not None)
    return alike and one.classes == other.classes and (one.lists is None) == (other.lists is None)


@pytest.mark.parametrize("text", MANY)
def test_batches_threads_and_parts_of_entities_change_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, query = opened(busy(), tmp_path, text)
    anchors = A.value + np.arange(-16, 5, 4) * 86_400 * 10**9
    whole, dropped = examples_at(snapshot, query, anchors)
    assert len(whole) > 100
    for batch in (17, 120):
        monkeypatch.setattr("relcast.tasks.labels.BATCH", batch)
        parts, again = examples_at(snapshot, query, anchors, threads=2)
        assert same_examples(whole, parts)
        assert dropped == again
    few = np.array([3, 17, 20])
    some, _ = examples_at(snapshot, query, anchors, among=few)
    assert same_examples(some, whole.take(np.isin(whole.entity, few)))


def test_a_batch_is_smaller_where_windows_hold_more(tmp_path: Path) -> None:
    snapshot, _ = opened(busy(), tmp_path, MANY[0])
    anchors = A.value + np.arange(-20, 5) * 86_400 * 10**9
    passes = []
    for target in ("MEDIAN(purchases.amount, 0, 1)", "MEDIAN(purchases.amount, 0, 30)",
                   "MEDIAN(purchases.amount, 0, 1) FORECAST 4 TIMEFRAMES"):  # fmt: skip
        query = check(f"PREDICT {target} FOR EACH customers.id", snapshot.graph)
        with open_session(snapshot) as session:
            labeller = Labeller(session, query, batch=1000)
            passes.append(sum(1 for _ in labeller.grid(anchors)))
    # 25 anchors of 40 customers, and 15 purchases a day
    assert passes == [2, 13, 7]


# -- the SQL ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", MANY)
def test_what_is_stored_can_be_listed_before_anything_runs(text: str, tmp_path: Path) -> None:
    snapshot, query = opened(busy(), tmp_path, text)
    with open_session(snapshot) as session:
        sql = LabelSql(session, query)
        stages = sql.stages
        statement = sql.labels().sql("duckdb")
        assert session.connection.sql("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
    assert [s.name for s in stages] == ["entities", *(f.name for f in sql.facts)]
    assert all(f'"{fact.name}"' in statement or fact.name in statement for fact in sql.facts)
    assert "UNNEST" not in statement
