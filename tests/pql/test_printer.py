"""Printing, checked on generated trees: what is printed parses to the same tree."""

# ruff: noqa: DTZ001 - dates of the language are naive UTC

from __future__ import annotations

from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relcast.pql import parse, to_text
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    ArithmeticOperator,
    ColumnRef,
    Comparison,
    IsNull,
    Not,
    Operator,
    Or,
    Problem,
    ProblemKind,
    Query,
    Unit,
    Window,
)

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_NAMES = st.sampled_from(
    ["a", "users", "Where", "é", "$x", "two words", "a`b", "1st", "a.b", "*"]
) | (st.text(_CHARACTERS, min_size=1, max_size=6))
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(-(10**9), 10**9, places=4, allow_nan=False)
    | st.text(_CHARACTERS, max_size=8)
    | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
)
_CONSTANTS = _SCALARS | st.lists(_SCALARS, min_size=1, max_size=4).map(tuple)
_COLUMNS = st.builds(ColumnRef, _NAMES, _NAMES)
_WINDOWS = st.builds(
    Window,
    st.none() | st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.sampled_from(Unit),
)


_RANGES = [Operator.BETWEEN, Operator.NOT_BETWEEN]
_PLAIN = [x for x in Operator if x not in _RANGES]


def conditions(operands):
    leaves = (
        st.builds(Comparison, operands, st.sampled_from(_PLAIN), _CONSTANTS)
        | st.builds(Comparison, operands, st.sampled_from(_RANGES), st.tuples(_SCALARS, _SCALARS))
        | st.builds(IsNull, operands, st.booleans())
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(Not, inner) | st.builds(And, inner, inner) | st.builds(Or, inner, inner)
        ),
        max_leaves=8,
    )


_AGGREGATIONS = st.builds(
    Aggregation,
    st.sampled_from(AggregationKind),
    _COLUMNS | st.builds(ColumnRef, _NAMES, st.none()),
    st.none() | conditions(_COLUMNS),
    st.none() | _WINDOWS,
)
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.decimals(
    -(10**9), 10**9, places=4, allow_nan=False
)
_ARITHMETIC = st.recursive(
    _AGGREGATIONS,
    lambda inner: (
        st.builds(Arithmetic, st.sampled_from(ArithmeticOperator), inner, inner | _NUMBERS)
        | st.builds(Arithmetic, st.sampled_from(ArithmeticOperator), _NUMBERS, inner)
    ),
    max_leaves=6,
)
_OPERANDS = _COLUMNS | _ARITHMETIC
_PROBLEMS = (
    st.none()
    | st.just(Problem(ProblemKind.CLASSIFY))
    | st.builds(Problem, st.just(ProblemKind.RANK), st.integers(-5, 10**6))
    | st.builds(Problem, st.just(ProblemKind.FORECAST), st.integers(1, 100))
)
_QUERIES = st.builds(
    Query,
    target=_OPERANDS | conditions(_OPERANDS),
    entity=_COLUMNS,
    problem=_PROBLEMS,
    keys=st.none() | st.tuples(_SCALARS) | st.lists(_SCALARS, min_size=2, max_size=4).map(tuple),
    where=st.none() | conditions(_OPERANDS),
    assuming=st.none() | conditions(_OPERANDS),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_QUERIES)
def test_what_is_printed_parses_to_the_same_tree(query):
    text = to_text(query)
    assert parse(text) == query
    assert to_text(parse(text)) == text


def test_parentheses_stand_only_where_the_tree_needs_them():
    for text in (
        "a.b = 1 AND a.c = 2 AND a.d = 3",
        "a.b = 1 AND (a.c = 2 AND a.d = 3)",
        "a.b = 1 OR a.c = 2 AND a.d = 3",
        "(a.b = 1 OR a.c = 2) AND a.d = 3",
        "NOT (a.b = 1 AND a.c = 2)",
        "NOT NOT a.b = 1",
    ):
        assert to_text(parse(f"PREDICT {text} FOR EACH a.b").target) == text
