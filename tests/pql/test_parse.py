"""The parser: every spelling that the language allows, and texts that it must survive."""

# ruff: noqa: DTZ001 - dates of the language are naive UTC

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from relcast.core.errors import Position, PqlError
from relcast.pql import parse, to_text
from relcast.pql.ast import Aggregation, Arithmetic, Operator, Unit
from relcast.pql.operand_builder import MAX_DEPTH
from relcast.pql.parser import read
from tests.pql.golden import corpus_graph

HEAD = "PREDICT COUNT(a.*, 0, 1) > 0 FOR EACH c.d WHERE "


def constant(text: str):
    return parse(f"PREDICT a.b = {text} FOR EACH c.d").target.constant


def operator(text: str) -> Operator:
    return parse(f"PREDICT a.b {text} FOR EACH c.d").target.operator


def fault(text: str):
    with pytest.raises(PqlError) as caught:
        parse(text)
    return caught.value.faults[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("+5", 5),
        ("-9223372036854775808", -(2**63)),
        ("0.50", Decimal("0.5")),
        (".5", Decimal("0.5")),
        ("tRuE", True),
        ("FALSE", False),
        ("null", None),
        ("'it\\'s \"so\" \\u00e9\\n\\/'", 'it\'s "so" é\n/'),
        ('"a\\"b\'c\\\\"', "a\"b'c\\"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("'-- no comment # here'", "-- no comment # here"),
        ("2024-02-27", datetime(2024, 2, 27)),
        ("2024/2/27", datetime(2024, 2, 27)),
        ("2024.02.27 10:00:00", datetime(2024, 2, 27, 10)),
        ("2024-02-27T10:20:30.5", datetime(2024, 2, 27, 10, 20, 30, 500_000)),
        ("('a', \"b\", NULL, 2.0)", ("a", "b", None, Decimal(2))),
    ],
)
def test_constants(text, value):
    found = constant(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IN (1, 2)", Operator.IN),
        ("is in (1, 2)", Operator.IN),
        ("NOT IN (1, 2)", Operator.NOT_IN),
        ("IS NOT IN (1, 2)", Operator.NOT_IN),
        ("LIKE '%x%'", Operator.CONTAINS),
        ("LIKE 'x%'", Operator.STARTS_WITH),
        ("LIKE '%x'", Operator.ENDS_WITH),
        ("NOT LIKE '%x'", Operator.NOT_ENDS_WITH),
        ("not starts with 'x'", Operator.NOT_STARTS_WITH),
        ("Ends With 'x'", Operator.ENDS_WITH),
        ("NOT CONTAINS 'x'", Operator.NOT_CONTAINS),
        ("!= 1", Operator.NE),
        ("<= 1", Operator.LE),
    ],
)
def test_operators(text, expected):
    assert operator(text) is expected


def test_like_keeps_what_stands_between_the_percent_signs():
    assert parse("PREDICT a.b LIKE '%x_y%' FOR EACH c.d").target.constant == "x_y"


def test_keywords_are_names_where_a_table_stands_before_or_after_them():
    query = parse("PREDICT SUM(count.end WHERE days.for = 1, 0, 2, Weeks) FOR `WHERE`.`and or`")
    assert (query.target.column.table, query.target.column.column) == ("count", "end")
    assert query.target.where.operand.table == "days"
    assert query.target.window.unit is Unit.weeks
    assert (query.entity.table, query.entity.column) == ("WHERE", "and or")


def shape(text: str):
    """Return an arithmetic as nested triples, aggregations by their column."""

    def inside(node):
        if isinstance(node, Arithmetic):
            return (inside(node.left), node.operator.value, inside(node.right))
        return (
            f"{node.column.table}.{node.column.column}" if isinstance(node, Aggregation) else node
        )

    return inside(parse(f"PREDICT {text} FOR EACH c.d").target)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COUNT(a.b)-1", ("a.b", "-", 1)),
        ("COUNT(a.b) - 1", ("a.b", "-", 1)),
        ("COUNT(a.b) -1", ("a.b", "-", 1)),
        ("COUNT(a.b)- -1", ("a.b", "-", -1)),
        ("COUNT(a.b)-+1", ("a.b", "-", 1)),
        ("COUNT(a.b)--1\n+2", ("a.b", "+", 2)),
        ("COUNT(a.b) -- minus one\n * 3", ("a.b", "*", 3)),
        ("COUNT(a.b)# minus one\n/ 3", ("a.b", "/", 3)),
        ("COUNT(a.*)*2", ("a.None", "*", 2)),
        ("COUNT(a.*,0,1)*COUNT(a.b)", ("a.None", "*", "a.b")),
        ("-1*COUNT(a.b)", (-1, "*", "a.b")),
        ("- 1.5 * COUNT(a.b)", (Decimal("-1.5"), "*", "a.b")),
        ("1-2-COUNT(a.b)", ((1, "-", 2), "-", "a.b")),
        ("1 - (2 - COUNT(a.b))", (1, "-", (2, "-", "a.b"))),
        ("COUNT(a.b) + SUM(a.c) * 2", ("a.b", "+", ("a.c", "*", 2))),
        ("COUNT(a.b) * 2 + SUM(a.c)", (("a.b", "*", 2), "+", "a.c")),
        ("(COUNT(a.b) + SUM(a.c)) * 2", (("a.b", "+", "a.c"), "*", 2)),
        ("COUNT(a.b) / SUM(a.c) / 2", (("a.b", "/", "a.c"), "/", 2)),
        ("COUNT(a.b) / (SUM(a.c) / 2)", ("a.b", "/", ("a.c", "/", 2))),
        ("((COUNT(a.b)))", "a.b"),
        ("COUNT(a.b)-.5", ("a.b", "-", Decimal("0.5"))),
        ("2020-COUNT(a.b)", (2020, "-", "a.b")),
        ("2024 - 02 - 27 - COUNT(a.b)", (((2024, "-", 2), "-", 27), "-", "a.b")),
    ],
)
def test_arithmetic(text, expected):
    assert shape(text) == expected


def test_two_signs_are_a_comment_and_the_mend_says_so():
    found = fault("PREDICT COUNT(a.b)--1 FOR EACH c.d")
    assert "begin a comment" in found.hint
    assert found.position.column == 19


def test_the_and_of_between_is_not_the_one_that_joins():
    where = parse(HEAD + "a.b BETWEEN 1 AND 2 AND a.c NOT BETWEEN -1 AND +.5 OR a.d = 3").where
    assert to_text(where) == "a.b BETWEEN 1 AND 2 AND a.c NOT BETWEEN -1 AND 0.5 OR a.d = 3"
    assert type(where).__name__ == "Or"
    assert where.left.left.operator is Operator.BETWEEN
    assert where.left.left.constant == (1, 2)
    assert where.left.right.operator is Operator.NOT_BETWEEN
    assert where.left.right.constant == (-1, Decimal("0.5"))
    negated = parse(HEAD + "NOT a.b BETWEEN 2020-01-01 AND '2021'").where
    assert negated.condition.constant == (datetime(2020, 1, 1), "2021")


def test_between_knows_where_its_ends_stand():
    node = parse("PREDICT a.b BETWEEN 1 AND 20 FOR EACH c.d").target
    assert node.position == Position(1, 9, 20)
    assert node.constant_position == Position(1, 21, 8)


def test_arithmetic_knows_where_it_stands():
    node = parse("PREDICT 2 * (COUNT(a.*, 0, 1) - 1) > 3 FOR EACH c.d").target
    assert node.position == Position(1, 9, 30)
    assert node.operand.position == Position(1, 9, 26)
    assert node.operand.right.position == Position(1, 14, 20)
    assert node.operand.right.left.position == Position(1, 14, 16)


@pytest.mark.parametrize(
    ("text", "place"),
    [("a.b = - 5", (1, 55, 3)), ("a.b = -5", None), ("COUNT(a.b, - 7, 0) > 1", (1, 60, 3))],
)
def test_a_sign_may_stand_apart_from_its_number(text, place):
    reading = read(HEAD + text)
    assert reading.faults == ()
    assert [p for p, _ in reading.liberties] == ([] if place is None else [Position(*place)])


def test_sums_join_up_to_the_limit():
    most = " + ".join(["COUNT(a.b, -1, 0)"] * (MAX_DEPTH + 1))
    tree = parse(f"{HEAD}{most} > 1")
    assert parse(to_text(tree)) == tree
    assert fault(f"{HEAD}{most} * 2 + 1 > 1").message.startswith("A condition may join")
    deep = "(COUNT(a.b) + " * MAX_DEPTH + "1" + ")" * MAX_DEPTH
    assert to_text(parse(f"PREDICT {deep} FOR EACH c.d"))
    assert "at most 100" in fault(f"PREDICT 2 * {deep} FOR EACH c.d").message
    # The levels of conditions and of the sums inside them add up.
    half = f"{' + '.join(['COUNT(a.b, -1, 0)'] * 60)} > 1" + " AND a.b = 1" * 60
    assert "at most 100" in fault(HEAD + half).message


def test_precedence_is_not_then_and_then_or():
    where = parse(HEAD + "NOT a.b = 1 AND a.c = 2 OR a.d = 3").where
    assert to_text(where) == "NOT a.b = 1 AND a.c = 2 OR a.d = 3"
    assert type(where).__name__ == "Or"
    assert type(where.left).__name__ == "And"
    assert type(where.left.left).__name__ == "Not"


@pytest.mark.parametrize("start", ["-INF", "-infinity", "- Inf"])
def test_minus_infinity(start):
    assert (
        parse(f"PREDICT a.b FOR EACH c.d WHERE SUM(a.b, {start}, 0) > 1").where.operand.window.start
        is None
    )


def test_a_near_keyword_is_suggested_and_the_words_are_those_of_the_language():
    found = fault("PREDCIT a.b FOR EACH c.d")
    assert found.code == "pql.syntax"
    assert found.hint == "Did you mean PREDICT?"
    for text in ("PREDICT a.b FOR EACH c.d WHER a.b = 1", "PREDICT a.b > FOR EACH c.d"):
        found = fault(text)
        for terminal in ("LPAR", "RPAR", "COLUMN", "$END", "UNKNOWN", "WORD", "STRING", "INT,"):
            assert terminal not in found.message + found.hint


def test_ten_thousand_parentheses_are_read():
    assert parse(HEAD + "(" * 10_000 + "a.b = 1" + ")" * 10_000) == parse(HEAD + "a.b = 1")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "NOT " * 10_000 + "a.b = 1",
        HEAD + " AND ".join(["a.b = 1"] * 10_000),
        HEAD + "(a.b = 1 OR NOT " * 5_000 + "a.b = 1" + ")" * 5_000,
        HEAD + "(" * 10_000,
        HEAD + "(" * 10_000 + "a.b = 1" + ")" * 9_999,
        "PREDICT " + "SUM(a.b WHERE " * 5_000,
        "PREDICT " + "(COUNT(a.b) + " * 5_000 + "1" + ")" * 5_000 + " FOR EACH c.d",
        "PREDICT " + "1 - " * 20_000 + "COUNT(a.b) FOR EACH c.d",
        "PREDICT " + "-" * 100_000,
        "PREDICT " + "- " * 50_000 + "1 FOR EACH c.d",
        HEAD + "a.b BETWEEN " * 10_000 + "1",
        HEAD + "a.b BETWEEN 1 AND 2 AND " * 5_000 + "a.b = 1",
        "PREDICT " + "SUM(a.b WHERE " * 500 + "a.b = 1" + ", 0, 1) > 0" * 500 + " FOR EACH c.d",
        HEAD + "a.b = " + "9" * 100_000,
        HEAD + "a.b = 0." + "9" * 100_000,
        HEAD + "a.b = " + "(" * 1_000 + "1",
        "`" * 100_000,
        "'" * 99_999,
        "a" * 100_000,
        " " * 199_999,
        "PREDICT a.b FOR EACH c.d" + " " * 200_000,
        "PREDICT \0",
        "PREDICT '\ud800' FOR EACH c.d",
        HEAD + "a.b = '\\ud800'",
        HEAD + "a.b = '\\u0000'",
        "",
        "\ufeff",
        "# only a comment",
    ],
    ids=lambda text: ascii(text[:60]),
)
def test_hostile_texts_are_refused_with_a_reason(text):
    found = fault(text)
    assert found.message.encode()  # no lone surrogate reaches the wire
    assert len(found.message) < 400
    assert len(found.hint) < 400
    assert found.position is not None


def test_conditions_join_up_to_the_limit():
    most = " AND ".join(["a.b = 1"] * (MAX_DEPTH + 1))
    tree = parse(HEAD + most)
    assert parse(to_text(tree)) == tree
    assert repr(tree)
    assert hash(tree) == hash(parse(HEAD + most))
    assert fault(f"{HEAD}{most} AND a.c = 2").message.startswith("A condition may join")


def test_a_long_list_is_read_in_time_that_grows_with_its_length():
    keys = ", ".join(str(i) for i in range(20_000))
    assert len(parse(f"PREDICT a.b FOR c.d IN ({keys})").keys) == 20_000


def test_the_graph_of_the_corpus_has_the_keywords_as_names():
    assert corpus_graph().table("events").has_column("end")
