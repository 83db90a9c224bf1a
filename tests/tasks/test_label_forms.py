"""Lists and forecasts as targets, on small worlds worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from relcast.core.schema import Link
from relcast.tasks import examples_at
from tests.tasks.label_shop import (
    A,
    buy,
    holds,
    label,
    opened,
    shop,
    table,
    unpacked,
    values,
)
from tests.tasks.worlds import World

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
