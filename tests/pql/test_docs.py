"""The user's page of the language: its examples check, its catalogue is the one in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relcast.core.errors import PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check, describe
from relcast.pql.catalogue import ERRORS, WARNINGS
from tests.pql.golden import cases, corpus_graph

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pql.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"(?s)^### `(pql\.\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE)


def fenced(kind: str, text: str = PAGE) -> list[str]:
    return re.findall(rf"(?s)```{kind}\n(.*?)```", text)


def shop() -> Graph:
    """The corpus graph with orders that belong to customers, as on the first lines of the page."""
    graph = corpus_graph()
    columns = (
        Column("order_id", Dtype.int, Stype.ID),
        Column("customer_id", Dtype.int, Stype.ID),
        Column("ordered_at", Dtype.time, Stype.timestamp),
    )
    orders = Table("orders", columns, "order_id", "ordered_at")
    customers = graph.table("customers")
    return Graph(
        {"orders": orders, "customers": customers},
        (Link("orders", "customer_id", "customers"),),
    )


def test_the_first_example_checks():
    assert check(fenced("pql")[0], shop()).warnings == ()


@pytest.mark.parametrize("text", fenced("pql")[1:])
def test_the_other_examples_check(text):
    check(text, corpus_graph())


@pytest.mark.parametrize("text", fenced("pql-ours"))
def test_an_extension_is_refused_by_strict_mode_only(text):
    assert check(text, corpus_graph()).extensions
    with pytest.raises(PqlError) as caught:
        check(text, corpus_graph(), compatibility="kumo")
    assert caught.value.code == "pql.extension"


def test_the_section_on_extensions_names_each_of_them():
    section = PAGE[PAGE.index("## Extensions") : PAGE.index("## Errors")]
    reasons = {
        line.removeprefix("why ").removesuffix(" is an extension")
        for case in cases("pql_strict.txt")
        for line in case.wanted
        if line.startswith("why ")
    }
    for words in ("NOT IN", "BETWEEN", "NOT BETWEEN", "MEDIAN", "STDDEV", "NOT STARTS WITH"):
        assert words in reasons
    words = {
        "several": "over several foreign keys",
        "boolean": "a boolean column as the whole target",
        "Arithmetic": "arithmetic",
        "mixed case": "keywords in mixed case",
        "comment": "begins with `--`",
        "spelling": "a blank between a sign and its number",
    }
    for reason in reasons:
        key = next((word for word in words if word in reason), None)
        assert (words[key] if key else reason) in section


def test_the_sentence_of_the_page_is_what_describe_says():
    said = describe(check(fenced("pql")[0], shop()), "Each Monday")
    assert said in PAGE.replace("\n", " ")


def test_the_catalogue_of_the_page_is_the_one_in_the_code():
    assert [code for code, _ in SECTIONS] == [*ERRORS, *WARNINGS]
    for code, text in SECTIONS:
        assert (ERRORS | WARNINGS)[code] in text


@pytest.mark.parametrize(("code", "text"), SECTIONS, ids=[code for code, _ in SECTIONS])
def test_each_example_of_the_catalogue_has_its_code(code, text):
    query = (fenced("pql-error", text) or fenced("pql-warning", text))[0]
    if code in WARNINGS:
        assert code in [w.code for w in check(query, corpus_graph()).warnings]
        return
    with pytest.raises(PqlError) as caught:
        mode = "kumo" if code == "pql.extension" else None
        check(query, corpus_graph(), compatibility=mode)
    assert [f.code for f in caught.value.faults] == [code]
