"""What an editor is told: kinds of words, and completions."""

from __future__ import annotations

import pytest

from relcast.pql import complete, tokens
from tests.pql.golden import corpus_graph


def offered(text: str) -> list[str]:
    return complete(text, len(text), corpus_graph())


def test_every_word_has_its_kind_and_place():
    text = "PREDICT SUM(a.b, -INF, 7, days) > 'x' # so\n@ 2024-01-01"
    found = [(t.kind, text[t.start : t.end]) for t in tokens(text)]
    assert found == [
        ("keyword", "PREDICT"), ("function", "SUM"), ("operator", "("), ("name", "a.b"),
        ("operator", ","), ("number", "-INF"), ("operator", ","), ("number", "7"),
        ("operator", ","), ("unit", "days"), ("operator", ")"), ("operator", ">"),
        ("text", "'x'"), ("comment", "# so"), ("error", "@"), ("date", "2024-01-01"),
    ]  # fmt: skip


def test_signs_belong_to_numbers_where_nothing_stands_before_them():
    text = "MEDIAN(a.b, -30, 0)-1 * -2.5 - -3 BETWEEN +1 AND - 2"
    found = [(t.kind, text[t.start : t.end]) for t in tokens(text)]
    assert found == [
        ("function", "MEDIAN"), ("operator", "("), ("name", "a.b"), ("operator", ","),
        ("number", "-30"), ("operator", ","), ("number", "0"), ("operator", ")"),
        ("operator", "-"), ("number", "1"), ("operator", "*"), ("number", "-2.5"),
        ("operator", "-"), ("number", "-3"), ("keyword", "BETWEEN"), ("number", "+1"),
        ("keyword", "AND"), ("operator", "-"), ("number", "2"),
    ]  # fmt: skip


def test_a_quote_that_nothing_closes_is_wrong_up_to_the_end_of_its_line():
    text = "PREDICT users.about = 'PRE AND x\nFOR EACH"
    marks = [(t.kind, text[t.start : t.end]) for t in tokens(text)]
    assert marks[3:] == [("error", "'PRE AND x"), ("keyword", "FOR"), ("keyword", "EACH")]
    assert complete(text, text.index("RE AND"), corpus_graph()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["PREDICT"]),
        ("PREDICT MED", ["MEDIAN("]),
        ("PREDICT ST", ["staff.", "STDDEV("]),
        ("PREDICT users.age BET", ["BETWEEN"]),
        ("PREDICT users.age NOT BET", ["BETWEEN"]),
        ("PREDICT users.age BETWEEN 1 ", ["AND"]),
        ("PREDICT SUM(orders.amount, 0, 7) / SUM(orders.am", ["amount"]),
        ("PREDICT SUM(orders.amount, 0, 7) - C", ["COUNT(", "COUNT_DISTINCT("]),
        ("PREDICT COUNT(ord", ["orders."]),
        ("PREDICT COUNT(orders.st", ["status"]),
        ("PREDICT COUNT(orders.*, 0, 7, m", ["minutes", "months"]),
        ("PREDICT COUNT(orders.*, 0, 7) FOR EACH users.user_id W", ["WHERE"]),
        ("PREDICT `odd n", ["`odd names`."]),
        ("PREDICT `odd names`.`the", ["`the key`"]),
        ("PREDICT nothing.", []),
        ("PREDICT users.about = 'PRE", []),
        ("PREDICT users.about # PRE", []),
        ("PREDICT )) ", []),
    ],
)
def test_completions(text, expected):
    assert offered(text) == expected


def test_after_predict_come_aggregations_and_tables():
    found = offered("PREDICT ")
    assert {"COUNT(", "LIST_DISTINCT(", "MEDIAN(", "STDDEV(", "users.", "NOT"} <= set(found)
    assert "WHERE" not in found


def test_the_cursor_may_stand_in_the_middle():
    text = "PREDICT users.a FOR EACH users.user_id"
    assert complete(text, len("PREDICT users.a"), corpus_graph()) == ["age", "about"]
