"""The user's page of the language: its examples check, its catalogue is the one in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relcast.core.errors import PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check, require_supported
from relcast.pql.catalogue import ERRORS, WARNINGS
from tests.pql.golden import corpus_graph

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
        require_supported(check(query, corpus_graph(), compatibility=mode))
    assert [f.code for f in caught.value.faults] == [code]
