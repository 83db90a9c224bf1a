"""What the checker resolves, and the rules that need a graph of their own."""

# ruff: noqa: DTZ001 - dates of the language are naive UTC

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from relcast.core.errors import PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table, TaskType
from relcast.pql import check, parse
from relcast.pql.ast import (
    And,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    Not,
    Operator,
    Query,
)
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


def chain_graph(*links: Link, tables: str = "abcdef") -> Graph:
    """Tables of a key ``id``, a time ``at`` and keys named by the links."""
    found = {}
    for name in tables:
        keys = dict.fromkeys(x.foreign_key for x in links if x.table == name)
        columns = [
            Column("id", Dtype.int, Stype.ID),
            Column("at", Dtype.time, Stype.timestamp),
            *(Column(key, Dtype.int, Stype.ID) for key in keys),
        ]
        found[name] = Table(name, tuple(columns), "id", "at")
    return Graph(found, links)


def path_of(graph: Graph, start: str = "a", end: str = "e") -> list[str]:
    """Return the keys of an aggregation's path, or the code and the words of its fault."""
    try:
        checked = check(f"PREDICT COUNT({start}.*, 0, 1) FOR EACH {end}.id", graph)
    except PqlError as error:
        return [error.code, error.faults[0].message, error.faults[0].hint]
    return [f"{x.table}.{x.foreign_key}" for x in checked.query.target.path]


AB, BC, CD, DE, EF = (
    Link("a", "b_id", "b"),
    Link("b", "c_id", "c"),
    Link("c", "d_id", "d"),
    Link("d", "e_id", "e"),
    Link("e", "f_id", "f"),
)


def test_a_chain_of_up_to_four_links_is_followed():
    graph = chain_graph(AB, BC, CD, DE, EF)
    assert path_of(graph, end="b") == ["a.b_id"]
    assert path_of(graph, end="c") == ["a.b_id", "b.c_id"]
    assert path_of(graph, end="e") == ["a.b_id", "b.c_id", "c.d_id", "d.e_id"]
    code, message, hint = path_of(graph, end="f")
    assert code == "pql.missing_foreign_key"
    assert message == "No foreign key leads from a to the entity table f"
    assert "a is 5 foreign keys away from f" in hint


def test_one_direct_foreign_key_wins_over_every_chain():
    assert path_of(chain_graph(AB, BC, CD, DE, Link("a", "e_id", "e"))) == ["a.e_id"]


def test_two_direct_foreign_keys_are_ambiguous_whatever_else_there_is():
    graph = chain_graph(AB, BC, CD, DE, Link("a", "e_id", "e"), Link("a", "e2_id", "e"))
    code, message, _ = path_of(graph)
    assert code == "pql.ambiguous_link"
    assert "a.e_id -> e, a.e2_id -> e" in message


def test_two_chains_are_ambiguous_and_listed_the_shorter_one_first():
    code, message, _ = path_of(chain_graph(AB, BC, CD, DE, Link("a", "d_id", "d")))
    assert code == "pql.ambiguous_link"
    assert message.endswith(
        "a leads to e over 2 chains of foreign keys: "
        "a.d_id -> d.e_id -> e; a.b_id -> b.c_id -> c.d_id -> d.e_id -> e"
    )


def test_a_longer_chain_than_four_makes_nothing_ambiguous():
    graph = chain_graph(AB, BC, CD, DE, EF, Link("b", "f_id", "f"))
    assert path_of(graph, end="f") == ["a.b_id", "b.f_id"]


def test_a_chain_visits_no_table_twice():
    graph = chain_graph(AB, Link("b", "a_id", "a"), Link("b", "b2_id", "b"), Link("b", "e_id", "e"))
    assert path_of(graph) == ["a.b_id", "b.e_id"]
    assert path_of(graph, start="a", end="a")[0] == "pql.missing_foreign_key"


def test_chains_go_from_child_to_parent_only():
    graph = chain_graph(AB, Link("e", "b_id", "b"))
    assert path_of(graph)[0] == "pql.missing_foreign_key"


def test_very_many_chains_are_counted_and_not_all_listed():
    links = [
        Link(one, f"{other}{i}", other)
        for one, other in ("ab", "bc", "cd", "de")
        for i in range(40)
    ]
    code, message, _ = path_of(chain_graph(*links))
    assert code == "pql.ambiguous_link"
    assert "over 100 or more chains" in message
    assert message.count(";") == 5
    assert message.endswith("…")


def test_the_columns_of_an_inner_filter_stand_on_the_aggregated_table():
    text = "PREDICT COUNT(returns.* WHERE orders.status = 'x', 0, 7) FOR EACH users.user_id"
    target = check(text, corpus_graph()).query.target
    assert [x.table for x in target.path] == ["returns", "orders"]
    assert target.link is None
    assert target.where.operand.hop == target.path[0]


def test_what_a_list_lists_is_filled_in():
    graph = corpus_graph()
    article = Link("transactions", "article_id", "articles")
    text = "LIST_DISTINCT(transactions.article_id, 0, 7)"
    each = " FOR EACH customers.customer_id"
    ranked = check(f"PREDICT {text} RANK TOP 3{each}", graph)
    assert ranked.items == ranked.query.target.items == article
    labels = check(f"PREDICT {text} CLASSIFY{each}", graph)
    assert labels.items is None
    assert labels.query.target.items == article
    condition = check(f"PREDICT {text} CONTAINS 5{each}", graph)
    assert condition.items is None
    assert condition.query.target.operand.items == article
    words = check(
        f"PREDICT LIST_DISTINCT(purchases.item_category, 0, 7) CLASSIFY{EACH_USER}", graph
    )
    assert words.query.target.items is None
    counted = check(f"PREDICT COUNT(transactions.article_id, 0, 7){each}", graph)
    assert counted.query.target.items is None


def test_the_plan_may_say_how_long_a_forecast_is():
    text = f"PREDICT SUM(orders.amount, 0, 7){EACH_USER}"
    plain = check(text, corpus_graph())
    checked = check(text, corpus_graph(), forecast_length=4)
    assert plain.forecast_length is None
    assert checked.forecast_length == 4
    assert checked.task_type is TaskType.FORECASTING
    assert checked.text == text
    assert (
        checked.query
        == check(
            f"PREDICT SUM(orders.amount, 0, 7) FORECAST 4 TIMEFRAMES{EACH_USER}", corpus_graph()
        ).query
    )
    other = f"PREDICT SUM(orders.amount, 0, 7) FORECAST 9 TIMEFRAMES{EACH_USER}"
    assert check(other, corpus_graph()).forecast_length == 9
    assert check(other, corpus_graph(), forecast_length=4).forecast_length == 4


@pytest.mark.parametrize(
    ("target", "length", "code"),
    [
        ("users.age", 3, "pql.forecast_needs_temporal"),
        ("COUNT(orders.*, 0, 7) > 1", 3, "pql.forecast_needs_number"),
        ("LIST_DISTINCT(orders.status, 0, 7) CLASSIFY", 3, "pql.forecast_needs_number"),
        ("COUNT(orders.*, 0, 7)", 0, "pql.syntax"),
        ("COUNT(orders.*, 0, 12, months)", 101, "pql.invalid_window"),
    ],
)
def test_a_length_that_does_not_fit_has_a_place(target, length, code):
    with pytest.raises(PqlError) as caught:
        check(f"PREDICT {target}{EACH_USER}", corpus_graph(), forecast_length=length)
    assert [f.code for f in caught.value.faults] == [code]
    assert caught.value.faults[0].position is not None


def test_both_ends_of_between_are_fitted_to_the_column():
    text = f"PREDICT users.birthday BETWEEN '1990-01-01T02:00+02:00' AND 2000-12-31{EACH_USER}"
    node = check(text, corpus_graph()).query.target
    assert node.constant == (datetime(1990, 1, 1), datetime(2000, 12, 31))
    same = f"PREDICT users.age BETWEEN 3 AND 3.0{EACH_USER}"
    assert check(same, corpus_graph()).query.target.constant == (3, 3)


def test_a_between_of_three_ends_can_only_be_made_by_hand():
    made = Query(
        Comparison(ColumnRef("users", "age"), Operator.BETWEEN, (1, 2, 3)),
        ColumnRef("users", "user_id"),
    )
    with pytest.raises(PqlError, match="two ends"):
        check(made, corpus_graph())


def test_numbers_alone_are_refused_in_a_tree_made_by_hand_as_well():
    alone = Arithmetic(ArithmeticOperator.ADD, 1, Decimal(2))
    entity = ColumnRef("users", "user_id")
    with pytest.raises(PqlError) as caught:
        check(Query(alone, entity, where=Comparison(alone, Operator.GT, 1)), corpus_graph())
    assert {f.code for f in caught.value.faults} == {"pql.nothing_to_predict", "pql.syntax"}


def test_arithmetic_is_resolved_on_both_sides():
    text = f"PREDICT 2 * (SUM(orders.amount, 0, 7) - COUNT(returns.*, 7, 14)) >= 1{EACH_USER}"
    node = check(text, corpus_graph()).query.target.operand
    inner = node.right
    assert inner.left.column.dtype is Dtype.float
    assert inner.left.link == Link("orders", "user_id", "users")
    assert len(inner.right.path) == 2
    assert node.left == 2


@pytest.mark.parametrize("kind", ["AVG", "MEDIAN", "STDDEV"])
@pytest.mark.parametrize("column", ["purchases.amount", "purchases.gift"])
def test_median_and_deviation_take_what_the_average_takes(kind, column):
    checked = check(f"PREDICT {kind}({column}, 0, 7){EACH_USER}", corpus_graph())
    assert checked.task_type is TaskType.REGRESSION
    above = check(f"PREDICT {kind}({column}, 0, 7) > 0.5{EACH_USER}", corpus_graph())
    assert above.query.target.constant == Decimal("0.5")


@pytest.mark.parametrize(
    "condition",
    [
        "COUNT(orders.*, 0, 7) BETWEEN 0 AND 5",
        "COUNT(orders.*, 0, 7) BETWEEN -3 AND 0",
        "COUNT(orders.*, 0, 7) NOT BETWEEN 1 AND 5",
        "COUNT(orders.*, 0, 7) < 0.5",
        "COUNT(orders.*, 0, 7) IN (-1, 0)",
        "COUNT(orders.*, 0, 7) NOT IN (-1, 0)",
        "COUNT(orders.*, 0, 7) != 0",
        "STDDEV(orders.amount, 0, 7) <= 0",
        "STDDEV(orders.amount, 0, 7) = 0.5",
        "STDDEV(orders.amount, 0, 7) IS NULL",
        "COUNT(orders.*, 0, 7) / COUNT(orders.*, 7, 14) IS NULL",
        "COUNT(orders.*, 0, 7) - 1 < 0",
        "SUM(orders.amount, 0, 7) >= 0",
    ],
)
def test_what_is_not_known_beforehand_may_be_predicted(condition):
    checked = check(f"PREDICT {condition}{EACH_USER}", corpus_graph())
    assert checked.task_type is TaskType.BINARY_CLASSIFICATION


@pytest.mark.parametrize(
    "condition",
    [
        "COUNT(orders.*, 0, 7) BETWEEN -5 AND -0.5",
        "COUNT(orders.*, 0, 7) BETWEEN 1.1 AND 1.9",
        "COUNT(orders.*, 0, 7) NOT BETWEEN -5 AND -1",
        "COUNT(orders.*, 0, 7) <= -0.5",
        "COUNT(orders.*, 0, 7) > -1",
        "COUNT(orders.*, 0, 7) != 0.5",
        "COUNT(orders.*, 0, 7) NOT IN (-1, 1.5)",
        "COUNT_DISTINCT(orders.status, 0, 7) >= 0.0",
        "STDDEV(orders.amount, 0, 7) >= 0",
        "STDDEV(orders.amount, 0, 7) BETWEEN -2 AND -1",
        "COUNT(orders.*, 0, 7) / 2 IS NOT NULL",
        "COUNT(orders.*, 0, 7) - SUM(orders.amount, 0, 7) * 3 IS NULL",
        "COUNT(orders.*, 0, 7) / (1 - 1) > 3",
    ],
)
def test_what_is_known_beforehand_is_refused(condition):
    assert codes(f"PREDICT {condition}{EACH_USER}") == ["pql.nothing_to_predict"]


@pytest.mark.parametrize(
    ("text", "code", "near"),
    [
        ("PREDICT user.age FOR EACH users.user_id", "pql.unknown_column", ""),
        ("PREDICT usersss.age FOR EACH users.user_id", "pql.unknown_table", "'users'"),
        ("PREDICT users.Age FOR EACH users.user_id", "pql.unknown_column", "'age'"),
        ("PREDICT users.agee > 3 FOR EACH users.user_id", "pql.unknown_column", "'age'"),
        ("PREDICT MEDIAN(orders.amonut, 0, 7) FOR EACH users.user_id", "pql.unknown_column", "'amount'"),
        ("PREDICT SUM(orders.amount, 0, 7) / COUNT(oders.*, 0, 7) FOR EACH users.user_id",
         "pql.unknown_table", "'orders'"),
        ("PREDICT MEDAIN(orders.amount, 0, 7) FOR EACH users.user_id", "pql.syntax", "MEDIAN"),
        ("PREDICT STDEV(orders.amount, 0, 7) FOR EACH users.user_id", "pql.syntax", "STDDEV"),
        ("PREDICT users.age BETWEN 1 AND 2 FOR EACH users.user_id", "pql.syntax", "BETWEEN"),
        ("PREDICT users.age FOR EACH users.userid", "pql.unknown_column", "user_id"),
    ],
)  # fmt: skip
def test_a_near_name_is_suggested(text, code, near):
    with pytest.raises(PqlError) as caught:
        check(text, corpus_graph())
    assert caught.value.faults[0].code == code
    assert near in caught.value.faults[0].hint


def test_an_extension_and_a_fault_are_told_together():
    text = f"PREDICT COUNT(orders.*, 0, 7) NOT BETWEEN 1 AND '5'{EACH_USER} -- so"
    assert codes(text, compatibility="kumo") == [
        "pql.extension",
        "pql.type_mismatch",
        "pql.extension",
    ]
    assert codes(text) == ["pql.type_mismatch"]


def test_two_known_categories_are_binary_for_texts_only_where_they_stand_alone():
    counts = {("users", "country"): 2, ("purchases", "type"): 2}
    text = f"PREDICT users.country{EACH_USER}"
    checked = check(text, corpus_graph(), category_counts=counts)
    assert checked.task_type is TaskType.BINARY_CLASSIFICATION
    first = f"PREDICT FIRST(purchases.type, 0, 7){EACH_USER}"
    checked = check(first, corpus_graph(), category_counts=counts)
    assert checked.task_type is TaskType.MULTICLASS_CLASSIFICATION
