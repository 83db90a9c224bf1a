"""What the checker resolves, and the rules that need a graph of their own."""

# ruff: noqa: DTZ001 - dates of the language are naive UTC

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from relcast.core.errors import PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table, TaskType
from relcast.pql import check, parse, require_supported
from relcast.pql.ast import And, ColumnRef, Comparison, Not, Operator, Query
from tests.pql.golden import corpus_graph

EACH_USER = " FOR EACH users.user_id"


def codes(text: str, graph: Graph | None = None, **options) -> list[str]:
    with pytest.raises(PqlError) as caught:
        check(text, graph or corpus_graph(), **options)
    return [f.code for f in caught.value.faults]


def static_graph() -> Graph:
    """Buyers and wares without any time column."""
    key, name = Dtype.int, Dtype.string
    tables = [
        Table("buyers", (Column("id", key, Stype.ID), Column("k", name, Stype.categorical)), "id"),
        Table("wares", (Column("id", key, Stype.ID),), "id"),
        Table("bought", (Column("buyer", key, Stype.ID), Column("ware", key, Stype.ID)), None),
    ]
    links = (Link("bought", "buyer", "buyers"), Link("bought", "ware", "wares"))
    return Graph({t.name: t for t in tables}, links)


def test_links_hops_and_types_are_filled_in():
    checked = check(
        "PREDICT SUM(transactions.price WHERE articles.product_type_name = 'x' AND "
        "transactions.type = 'y', 0, 30) FOR EACH customers.customer_id "
        "WHERE regions.name = 'z' AND COUNT(transactions.*, -30, 0) > 0",
        corpus_graph(),
    )
    target = checked.query.target
    assert target.link == Link("transactions", "customer_id", "customers")
    assert (target.column.dtype, target.column.stype) == (Dtype.float, Stype.numerical)
    assert target.where.left.operand.hop == Link("transactions", "article_id", "articles")
    assert target.where.right.operand.hop is None
    assert checked.query.where.left.operand.hop == Link("customers", "region_id", "regions")
    assert checked.query.where.right.operand.link == target.link
    assert checked.query.where.right.operand.column.dtype is None
    assert checked.query.entity.dtype is Dtype.int
    assert checked.entity_table == "customers"
    assert checked.target_window.end == 30


def test_quoted_and_unquoted_dates_mean_the_same_for_a_time_column():
    trees = [
        check(f"PREDICT users.birthday > {date}{EACH_USER}", corpus_graph()).query
        for date in (
            "2024-02-27 10:00:00",
            "2024/02/27 10:00",
            "2024.02.27 10:00:00.000",
            "'2024-02-27 10:00:00'",
            "'2024-02-27T10:00:00'",
            "'2024-02-27T12:00:00+02:00'",
            '"2024-02-27T10:00:00Z"',
        )
    ]
    assert trees[0].target.constant == datetime(2024, 2, 27, 10)
    assert all(tree == trees[0] for tree in trees)


def test_an_aware_time_in_a_tree_made_by_hand_is_utc():
    tree = parse(f"PREDICT users.birthday > 2024-02-27{EACH_USER}")
    moment = datetime(2024, 2, 27, tzinfo=UTC)
    made = Query(Comparison(tree.target.operand, Operator.GT, moment), tree.entity)
    assert check(made, corpus_graph()).query == check(tree, corpus_graph()).query


def test_an_integer_column_may_meet_a_decimal():
    checked = check(f"PREDICT users.age > 40.5{EACH_USER}", corpus_graph())
    assert checked.query.target.constant == Decimal("40.5")


def test_two_known_categories_make_a_binary_target():
    text = f"PREDICT users.gender{EACH_USER}"
    plain = check(text, corpus_graph())
    counted = check(text, corpus_graph(), category_counts={("users", "gender"): 2})
    more = check(text, corpus_graph(), category_counts={("users", "gender"): 3})
    assert plain.task_type is TaskType.MULTICLASS_CLASSIFICATION
    assert counted.task_type is TaskType.BINARY_CLASSIFICATION
    assert more.task_type is TaskType.MULTICLASS_CLASSIFICATION


def test_links_without_time_need_a_graph_without_time():
    text = "PREDICT LIST_DISTINCT(bought.ware) RANK TOP 3 FOR EACH buyers.id"
    checked = check(text, static_graph())
    assert checked.task_type is TaskType.STATIC_LINK_PREDICTION
    assert not checked.temporal
    assert codes(f"{text} WHERE COUNT(bought.*) > 0", static_graph()) == [
        "pql.temporal_filter_in_static_query"
    ]
    assert codes(
        "PREDICT LIST_DISTINCT(bought.ware) CLASSIFY FOR EACH buyers.id", static_graph()
    ) == ["pql.table_without_time"]


def test_an_ambiguous_link_lists_the_links():
    with pytest.raises(PqlError) as caught:
        check("PREDICT AVG(flights.delay, 0, 7) FOR EACH airports.code", corpus_graph())
    message = caught.value.faults[0].message
    assert "flights.origin -> airports" in message
    assert "flights.destination -> airports" in message


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (
            "transactions.article_id FOR EACH transactions.id",
            "LIST_DISTINCT(transactions.article_id",
        ),
        (f"users.birthday{EACH_USER}", "users.birthday > 2024-01-01"),
        (f"users.about{EACH_USER}", "users.about CONTAINS 'word'"),
        (f"users.face{EACH_USER}", "column of its own"),
        (f"users.user_id{EACH_USER}", "another column"),
    ],
)
def test_a_refused_target_names_the_form_to_use(text, form):
    with pytest.raises(PqlError) as caught:
        check(f"PREDICT {text}", corpus_graph())
    assert form in caught.value.faults[0].hint


def test_a_known_part_of_a_larger_condition_is_no_fault():
    text = f"PREDICT users.age IS NULL OR users.age > 40{EACH_USER}"
    assert check(text, corpus_graph()).task_type is TaskType.BINARY_CLASSIFICATION


def test_list_conditions_can_be_trained():
    text = f"PREDICT LIST_DISTINCT(purchases.item_category, 0, 7) CONTAINS 'x'{EACH_USER}"
    checked = check(text, corpus_graph())
    assert checked.task_type is TaskType.BINARY_CLASSIFICATION
    assert require_supported(checked) is checked


def test_a_task_that_cannot_be_trained_yet_says_what_can():
    text = f"PREDICT SUM(orders.amount, 0, 7) FORECAST 4 TIMEFRAMES{EACH_USER}"
    with pytest.raises(PqlError) as caught:
        require_supported(check(text, corpus_graph()))
    assert caught.value.code == "pql.task_not_supported_yet"
    assert caught.value.status == 422
    assert "forecasting" in caught.value.message
    assert "regression" in caught.value.message
    assert caught.value.faults[0].position.column == 34


def test_the_filter_inside_a_target_may_use_the_entity_with_a_warning():
    text = f"PREDICT COUNT(orders.* WHERE users.country = 'US', 0, 7) > 0{EACH_USER}"
    warned = [w.code for w in check(text, corpus_graph()).warnings]
    assert "pql.target_filter_on_entity" in warned


def test_an_empty_graph_knows_nothing():
    assert codes(f"PREDICT users.age{EACH_USER}", Graph()) == ["pql.unknown_table"] * 2


def test_a_tree_made_by_hand_and_too_deep_is_refused_not_overflowed():
    leaf = Comparison(ColumnRef("users", "age"), Operator.EQ, 1)
    deep = leaf
    for i in range(50_000):
        deep = Not(deep) if i % 2 else And(leaf, deep)
    with pytest.raises(PqlError, match="nests"):
        check(Query(deep, ColumnRef("users", "user_id")), corpus_graph())
    while isinstance(deep, Not | And):  # taken apart by hand: freeing it recurses as well
        deep = deep.condition if isinstance(deep, Not) else deep.right
