"""Thousands of broken texts: each gives a tree or a ``PqlError`` with a place, nothing else."""

from __future__ import annotations

import contextlib
import itertools
import random

import pytest

from relcast.core.errors import PqlError
from relcast.pql import check, complete, describe, parse, to_text, tokens
from tests.pql.golden import cases, corpus_graph

_SEEDS = [
    case.text
    for name in ("pql_corpus.txt", "pql_errors.txt", "pql_strict.txt")
    for case in cases(name)
]
_PIECES = [
    "PREDICT",
    "FOR",
    "EACH",
    "WHERE",
    "ASSUMING",
    "RANK",
    "TOP",
    "CLASSIFY",
    "FORECAST",
    "TIMEFRAMES",
    "AND",
    "OR",
    "NOT",
    "IS",
    "IN",
    "NULL",
    "LIKE",
    "CONTAINS",
    "STARTS",
    "WITH",
    "ENDS",
    "SUM(",
    "COUNT(",
    "LIST_DISTINCT(",
    "MEDIAN(",
    "STDDEV(",
    "BETWEEN",
    "BETWEEN 1 AND 5",
    "+",
    "/",
    "* 2 -",
    "- COUNT(orders.*, 0, 7)",
    "(",
    ")",
    ",",
    ".",
    "*",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "-",
    "--",
    "#",
    "'",
    '"',
    "`",
    "\\",
    "\n",
    "\t",
    "0",
    "7",
    "-30",
    "1.5",
    "-INF",
    "days",
    "months",
    "TRUE",
    "2024-02-27",
    "2024-13-99",
    "'x'",
    "users.age",
    "orders.*",
    "users.user_id",
    "orders.amount",
    "é",
    "😀",
    "\u2028",
    "�",
    "\x00",
    ";",
    "%",
]


def broken(rng: random.Random) -> str:
    """Return a text near the language: a golden query with some of its characters disturbed."""
    if rng.random() < 0.3:
        return " ".join(rng.choice(_PIECES) for _ in range(rng.randrange(25)))
    text = rng.choice(_SEEDS)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.randrange(8))
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + rng.choice(_PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at:end] * 2 + text[end:]
            case _:
                other = rng.choice(_SEEDS)
                text = text[:at] + other[rng.randrange(len(other)) :]
    return text


def _telling(error: PqlError, text: str) -> None:
    assert error.faults, text
    for fault in error.faults:
        assert fault.position is not None, text
        assert fault.message.encode(), text
        assert fault.hint.encode(), text


def survive(rng: random.Random, times: int) -> int:
    """Check ``times`` broken texts and return how many of them were right all the same."""
    graph, right = corpus_graph(), 0
    for _ in range(times):
        text = broken(rng)
        try:
            tree = parse(text)
            assert parse(to_text(tree)) == tree, text
        except PqlError as error:
            _telling(error, text)
        try:
            checked = check(text, graph)
            assert describe(checked), text
            assert describe(checked, "Each day"), text
            right += 1
        except PqlError as error:
            _telling(error, text)
        if rng.random() < 0.3:
            with contextlib.suppress(PqlError):
                check(text, graph, compatibility="kumo", forecast_length=rng.randrange(4))
        marks = tokens(text)
        assert all(a.end <= b.start for a, b in itertools.pairwise(marks)), text
        complete(text, rng.randrange(len(text) + 1), graph)
    return right


def test_three_thousand_broken_texts():
    assert survive(random.Random(7), 3_000) > 50


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8, 18))
def test_a_hundred_thousand_broken_texts(seed):
    assert survive(random.Random(seed), 10_000) > 200
