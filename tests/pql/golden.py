"""Readers of the golden fixtures of PQL, which are plain text so that a person can read them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def blocks(name: str) -> list[list[str]]:
    """Return the blocks of a fixture file: lines between blank lines, comments left out."""
    found: list[list[str]] = [[]]
    for line in (GOLDEN / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


@cache
def corpus_graph(name: str = "pql_schema.txt") -> Graph:
    """Return the graph that the golden queries are about."""
    tables: dict[str, Table] = {}
    links: list[Link] = []
    for title, *rows in blocks(name):
        columns: list[Column] = []
        roles: dict[str, str] = {}
        for row in rows:
            left, _, target = row.partition("->")
            *words, dtype, stype, role = (
                [*left.split(), ""] if left.split()[-1] in set(Stype) else left.split()
            )
            column = " ".join(words)
            columns.append(Column(column, Dtype(dtype), Stype(stype)))
            if role:
                roles[role] = column
            if target:
                links.append(Link(title, column, target.strip()))
        tables[title] = Table(
            title, tuple(columns), roles.get("key"), roles.get("time"), roles.get("end")
        )
    return Graph(tables, tuple(links))
