"""Time grows with the length of a text, not faster: steps are counted, not seconds.

What Python does is counted by the calls that it makes, which no other work on the machine changes.
What happens inside of regular expressions is not seen by that, so that the long suite adds a soft
bound on processor time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from relcast.core.errors import PqlError
from relcast.pql import check, complete, describe, tokens
from tests.pql.golden import corpus_graph

HEAD = "PREDICT COUNT(orders.*, 0, 1) > 0 FOR EACH users.user_id WHERE "
TIMES = 8
FAMILIES: dict[str, Callable[[int], str]] = {
    "keys": lambda n: f"PREDICT users.age FOR users.user_id IN ({', '.join(['7'] * n)})",
    "and": lambda n: HEAD + " AND ".join(["users.age = 1"] * n),
    "or of texts": lambda n: HEAD + " OR ".join([r"users.about = 'a\"\u0041'"] * n),
    "not": lambda n: HEAD + "NOT " * n + "users.age = 1",
    "parentheses": lambda n: HEAD + "(" * n + "users.age = 1" + ")" * n,
    "open parentheses": lambda n: HEAD + "(" * n,
    "sums": lambda n: "PREDICT " + "1 + " * n + "COUNT(orders.*, 0, 1) FOR EACH users.user_id",
    "nested sums": lambda n: "PREDICT " + "(1 - " * n + "2" + ")" * n + " FOR EACH users.user_id",
    "minus signs": lambda n: "PREDICT " + "- " * n + "1 FOR EACH users.user_id",
    "between": lambda n: HEAD + " AND ".join(["users.age BETWEEN 1 AND 2"] * n),
    "half a between": lambda n: HEAD + "users.age BETWEEN " * n,
    "like without a text": lambda n: HEAD + " OR ".join(["users.about LIKE 5"] * n),
    "bad dates": lambda n: HEAD + " OR ".join(["users.birthday > 2023-02-30"] * n),
    "numbers alone": lambda n: HEAD + " OR ".join(["1 = 1"] * n),
    "inner filters": lambda n: "PREDICT " + "SUM(orders.amount WHERE " * n,
    "comments": lambda n: "-- no\n" * n + "PREDICT users.age FOR EACH users.user_id",
    "hashes": lambda n: "PREDICT users.age FOR EACH users.user_id" + "\n# no" * n,
    "mixed case": lambda n: HEAD + " And ".join(["users.age = 1"] * n),
    "quotes": lambda n: "'" * (2 * n + 1),
    "escaped quotes": lambda n: '"' + r"\"" * n,
    "names that stay open": lambda n: "a.`b``" * n,
    "odd runs of backticks": lambda n: "```a" * n,
    "even runs of backticks": lambda n: "``a" * n,
    "backticks": lambda n: "`" * (2 * n + 1),
    "open backtick": lambda n: "PREDICT `" + "a" * n,
    "one word": lambda n: "a" * n,
    "one number": lambda n: HEAD + "users.age = " + "9" * n,
    "digits and dots": lambda n: HEAD + "users.age = " + "9." * n,
    "blanks": lambda n: "PREDICT" + " \t\n" * n,
    "blanks in a column": lambda n: "PREDICT users" + " " * n + "." + " " * n + "age",
    "dashes": lambda n: "PREDICT 2020" + "-2" * n,
    "anything": lambda n: "§" * n,
}


def everything(text: str) -> None:
    """Do all that is done with a text: check, describe, colour, complete."""
    graph = corpus_graph()
    for mode in (None, "kumo"):
        try:
            describe(check(text, graph, compatibility=mode))
        except PqlError as error:
            assert error.faults  # noqa: PT017 - what is wrong is not the matter here
    tokens(text)
    complete(text, len(text), graph)


def calls(text: str) -> int:
    """Return how many calls of Python and C functions that takes."""
    found = 0

    def count(_frame, event, _argument):
        nonlocal found
        found += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        everything(text)
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_eight_times_the_text_takes_at_most_about_eight_times_the_steps(family):
    build = FAMILIES[family]
    everything(build(2))  # what is made once for all texts is not counted
    small, large = build(100), build(100 * TIMES)
    growth = len(large) / len(small)
    assert growth <= TIMES
    assert calls(large) <= 1.3 * TIMES * calls(small)


def seconds(text: str) -> float:
    begun = time.process_time()
    everything(text)
    return time.process_time() - begun


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_no_expression_inside_takes_more_than_its_share(family):
    build = FAMILIES[family]
    width = len(build(1_000)) / 1_000
    most = int(100_000 / width)
    small = min(seconds(build(most // TIMES)) for _ in range(3))
    assert seconds(build(most)) <= 4 * TIMES * small + 0.2
