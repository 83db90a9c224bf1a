"""Labels over several links, conditions on lists, any moment, and in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relcast.core.errors import TaskError
from relcast.core.schema import Link
from relcast.pql import check
from relcast.tasks import evaluate_target, examples_at
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.label_sql import LabelSql
from relcast.tasks.labels import Labeller
from relcast.tasks.moments import Moved, window_ends
from relcast.tasks.scan import open_session
from tests.tasks.label_shop import (
    A,
    at,
    buy,
    holds,
    opened,
    shop,
    table,
    unpacked,
    values,
)
from tests.tasks.worlds import World

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
