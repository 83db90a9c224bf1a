"""The restatement in plain English; the golden corpus holds one of every shape."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check, describe
from relcast.pql.ast import And, ColumnRef, Comparison, Not, Operator, Or
from relcast.pql.population import chain
from tests.pql.golden import cases, corpus_graph
from tests.pql.test_docs import shop

EACH_USER = " FOR EACH users.user_id"


def test_it_reads_as_a_person_would_say_it():
    checked = check(
        "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id "
        "WHERE COUNT(orders.*, -90, 0, days) > 0",
        shop(),
    )
    assert describe(checked, "Each Monday") == (
        "Binary classification over time. Each Monday, for each row of customers that exists then, "
        "with a row of orders in the 90 days up to then, predict whether the number of rows of "
        "orders in the following 30 days is 0. Left out: customers with no row of orders in the "
        "90 days up to then."
    )
    assert describe(checked) == (
        "Binary classification over time. For each row of customers that exists at the anchor "
        "time, with a row of orders in the 90 days up to the anchor time, predict whether the "
        "number of rows of orders in the 30 days after the anchor time is 0. Left out: customers "
        "with no row of orders in the 90 days up to the anchor time."
    )


@pytest.mark.parametrize(
    ("rhythm", "beginning"),
    [
        ("Each Monday", "Each Monday, for each row of users, predict"),
        (
            "Every 30 days from 2023-01-02 to 2023-12-04",
            "Every 30 days from 2023-01-02 to 2023-12-04, for each row of users, predict",
        ),
        ("One moment: 2024-01-31", "One moment: 2024-01-31. For each row of users, predict"),
    ],
)
def test_the_rhythm_begins_the_sentence(rhythm, beginning):
    checked = check(f"PREDICT COUNT(orders.*, 0, 7){EACH_USER}", corpus_graph())
    _, _, sentence = describe(checked, rhythm).partition("time. ")
    assert sentence.startswith(beginning)
    assert sentence.endswith("in the following 7 days.")


def test_a_query_without_time_has_no_rhythm():
    checked = check(f"PREDICT users.age{EACH_USER}", corpus_graph())
    assert describe(checked, "Each Monday") == describe(checked)


def test_the_length_of_a_forecast_may_come_from_the_plan():
    text = f"PREDICT COUNT(orders.*, 0, 7){EACH_USER}"
    said = describe(check(text, corpus_graph(), forecast_length=3))
    assert said.startswith("Forecasting. For each row of users, forecast the number of rows of")
    assert said.endswith(
        "in the 7 days after the anchor time, and in each of the 2 spans of 7 days after that."
    )


@pytest.mark.parametrize(
    ("where", "who", "others"),
    [
        ("COUNT(orders.*, -7, 0) > 0", "with a row of orders W", "with no row of orders W"),
        ("COUNT(orders.*, -7, 0) >= 1", "with a row of orders W", "with no row of orders W"),
        ("COUNT(orders.*, -7, 0) != 0", "with a row of orders W", "with no row of orders W"),
        ("COUNT(orders.*, -7, 0) = 0", "with no row of orders W", "with a row of orders W"),
        ("COUNT(orders.*, -7, 0) < 1", "with no row of orders W", "with a row of orders W"),
        ("COUNT(orders.*, -7, 0) <= 0", "with no row of orders W", "with a row of orders W"),
        (
            "COUNT(orders.*, -7, 0) > 2",
            "with at least 3 rows of orders W",
            "with fewer than 3 rows of orders W",
        ),
        (
            "COUNT(orders.*, -7, 0) <= 2",
            "with fewer than 3 rows of orders W",
            "with at least 3 rows of orders W",
        ),
        ("NOT COUNT(orders.*, -7, 0) > 0", "with no row of orders W", "with a row of orders W"),
        ("users.age > 40", "whose age is more than 40", "whose age is at most 40 or is missing"),
        ("users.age != 40", "whose age is not 40", "whose age is 40 or is missing"),
        (
            "NOT users.age > 40",
            "whose age is at most 40 or is missing",
            "whose age is more than 40",
        ),
        ("users.age IS NULL", "whose age is missing", "whose age is present"),
        (
            "users.birthday <= 2000-01-01",
            "whose birthday is not after 2000-01-01",
            "whose birthday is after 2000-01-01 or is missing",
        ),
        (
            "SUM(orders.amount, -7, 0) > 5",
            "for which the sum of orders.amount W is more than 5",
            "for which the sum of orders.amount W is at most 5",
        ),
        (
            "AVG(orders.amount, -7, 0) > 5",
            "for which the average of orders.amount W is more than 5",
            "for which the average of orders.amount W is at most 5 or is missing",
        ),
        (
            "COUNT(orders.*, -7, 0) > 0 AND users.age > 40",
            "with a row of orders W and whose age is more than 40",
            "with no row of orders W, and those whose age is at most 40 or is missing",
        ),
        (
            "COUNT(orders.*, -7, 0) > 0 OR users.age > 40",
            "with a row of orders W, or whose age is more than 40",
            "with no row of orders W and whose age is at most 40 or is missing",
        ),
        (
            "NOT (COUNT(orders.*, -7, 0) > 0 OR NOT users.age IS NULL)",
            "with no row of orders W and whose age is missing",
            "with a row of orders W, and those whose age is present",
        ),
    ],
)
def test_who_is_in_and_who_is_left_out(where, who, others):
    checked = check(f"PREDICT COUNT(orders.*, 0, 7){EACH_USER} WHERE {where}", corpus_graph())
    said = describe(checked, "Each day").replace("in the 7 days up to then", "W")
    assert f"for each row of users, {who}, predict" in said
    assert said.endswith(f" Left out: users {others}.")


_ATOMS = st.sampled_from(range(4)).map(
    lambda i: Comparison(ColumnRef("t", f"c{i}"), Operator.EQ, 1)
)
_CONDITIONS = st.recursive(
    _ATOMS,
    lambda inner: (
        st.builds(Not, inner) | st.builds(And, inner, inner) | st.builds(Or, inner, inner)
    ),
    max_leaves=8,
)


def true(node, values) -> bool:
    match node:
        case Comparison(operand=operand):
            return values[operand.column]
        case Not(condition=condition):
            return not true(condition, values)
        case And(left=left, right=right):
            return true(left, values) and true(right, values)
        case Or(left=left, right=right):
            return true(left, values) or true(right, values)


@settings(max_examples=200, deadline=None)
@given(_CONDITIONS, st.booleans())
def test_a_chain_says_what_its_condition_says(node, holds):
    parts, all_of_them = chain(node, holds=holds)
    assert not any(isinstance(part, Not) for part, _ in parts)
    for values in itertools.product([False, True], repeat=4):
        given_values = {f"c{i}": value for i, value in enumerate(values)}
        found = [true(part, given_values) == part_holds for part, part_holds in parts]
        said = all(found) if all_of_them else any(found)
        assert said == (true(node, given_values) == holds)


def test_a_long_chain_of_conditions_is_said_in_one_go():
    words = " OR ".join(f"users.age = {i}" for i in range(90))
    checked = check(f"PREDICT COUNT(orders.*, 0, 7){EACH_USER} WHERE {words}", corpus_graph())
    said = describe(checked)
    assert said.count("whose age is ") == 180
    assert " and whose age is not 89 or is missing." in said


def test_no_golden_sentence_has_a_seam():
    said = [
        line for case in cases("pql_corpus.txt") for line in case.wanted
        if line.startswith(("say ", "each "))
    ]  # fmt: skip
    assert len(said) > 100
    for line in said:
        assert line.endswith(".")
        assert "None" not in line
        assert not any(seam in line for seam in ("  ", ",,", " ,", "..", ", .", "()", "each each"))
        if line.startswith("each "):
            assert "the anchor time" not in line


def test_a_name_says_itself_even_when_it_is_strange():
    columns = (Column("k", Dtype.int, Stype.ID), Column("a.b, c", Dtype.int, Stype.numerical))
    rows = (Column("to", Dtype.int, Stype.ID), Column("at", Dtype.time, Stype.timestamp))
    graph = Graph(
        {
            "the `t`": Table("the `t`", columns, "k"),
            "r": Table("r", rows, None, "at"),
        },
        (Link("r", "to", "the `t`"),),
    )
    checked = check(
        "PREDICT COUNT(r.*, 0, 1) FOR EACH `the ``t```.k WHERE `the ``t```.`a.b, c` > 1", graph
    )
    assert describe(checked, "Each day") == (
        "Regression over time. Each day, for each row of `the ``t```, whose `a.b, c` is more than "
        "1, predict the number of rows of r in the following day. Left out: `the ``t``` whose "
        "`a.b, c` is at most 1 or is missing."
    )
