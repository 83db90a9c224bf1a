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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["PREDICT"]),
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
    assert {"COUNT(", "LIST_DISTINCT(", "users.", "NOT"} <= set(found)
    assert "WHERE" not in found


def test_the_cursor_may_stand_in_the_middle():
    text = "PREDICT users.a FOR EACH users.user_id"
    assert complete(text, len("PREDICT users.a"), corpus_graph()) == ["age", "about"]
