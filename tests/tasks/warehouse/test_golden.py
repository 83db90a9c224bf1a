"""The text of the statements: read once by a person, the same ever since."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse

from relcast.tasks.warehouse import DIALECTS
from tests.tasks.warehouse.golden import QUERIES, ROOT, place, statement


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", QUERIES)
def test_a_statement_is_the_golden_one(name: str, dialect: str) -> None:
    text = statement(name, dialect)
    assert text == place(name, dialect).read_text(encoding="utf-8"), (
        "the text changed: python -m tests.tasks.warehouse.golden writes it anew"
    )
    (found,) = parse(text, dialect=dialect)
    assert isinstance(found, exp.Select)
    assert found.named_selects[-1] == "TARGET"
    assert not list(found.find_all(exp.Command))


def test_no_golden_statement_is_left_over() -> None:
    found = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.sql")}
    assert found == {f"{name}/{dialect}.sql" for name in QUERIES for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_function_is_one_that_an_engine_lacks_or_means_otherwise(dialect: str) -> None:
    """What sqlglot would write for some nodes if nobody told it better."""
    wrong = {
        "postgres": (
            "ARG_MIN(",
            "CONTAINS(",
            "ENDS_WITH(",
            "ISINF",
            "IS_INF",
            "IS_NAN",
            "EPOCH_US",
        ),
        "spark": ("PERCENTILE_APPROX", "IS_INF", "STRING_TO_ARRAY", "ORDER BY) WITHIN"),
        "databricks": ("PERCENTILE_APPROX", "IS_INF", "STRING_TO_ARRAY"),
        "snowflake": ("IS_INF", "IS_NAN", "STRTOK_TO_ARRAY", "INT128", "EPOCH_US"),
        "bigquery": ("CONTAINS_SUBSTR", "PERCENTILE_DISC", "MEDIAN(", "INT128", "STRING_TO_ARRAY"),
        "duckdb": ("PERCENTILE_APPROX",),
    }[dialect]
    for name in QUERIES:
        text = place(name, dialect).read_text(encoding="utf-8")
        assert not [bit for bit in wrong if bit in text], name
