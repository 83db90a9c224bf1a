"""The restatement in plain English."""

from __future__ import annotations

import pytest

from relcast.pql import check, describe
from tests.pql.golden import corpus_graph


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "PREDICT SUM(orders.amount WHERE orders.status = 'done', 0, 1, weeks) FOR EACH users.user_id",
            (
                "Regression over time. For each row of users, predict the sum of orders.amount (where "
                'orders.status is "done") in the 1 week after the anchor time.'
            ),
        ),
        (
            (
                "PREDICT COUNT(orders.*, 7, 14) = 0 FOR EACH users.user_id WHERE COUNT(orders.*, -90, "
                "-30) > 0 AND (LAST(orders.status, -INF, 0) IN ('a', 'b') OR users.age IS NULL)"
            ),
            (
                "Binary classification over time. For each row of users where the number of rows of "
                "orders between 90 and 30 days before the anchor time is more than 0 and (the last "
                'orders.status at any time up to the anchor time is one of "a" or "b" or users.age is '
                "missing), predict whether the number of rows of orders between 7 and 14 days after the "
                "anchor time is 0."
            ),
        ),
        (
            "PREDICT users.birthday < 1990-01-01 FOR users.user_id IN (1, 2, 3)",
            (
                "Binary classification without time. For the rows of users whose user_id is one of 1, "
                "2 or 3, predict whether users.birthday is before 1990-01-01."
            ),
        ),
        (
            (
                "PREDICT LIST_DISTINCT(transactions.article_id, 0, 7) RANK TOP 10 "
                "FOR EACH customers.customer_id"
            ),
            (
                "Temporal link prediction over time. For each row of customers, rank the 10 most "
                "likely of the distinct values of transactions.article_id in the 7 days after the "
                "anchor time."
            ),
        ),
    ],
)
def test_restatements(text, sentences):
    assert describe(check(text, corpus_graph())) == sentences
