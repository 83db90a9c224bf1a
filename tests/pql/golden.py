"""The golden fixtures of PQL: plain text, so that a person can read them.

A block is a query, perhaps ``on`` and the name of another schema than ``pql_schema.txt``, and then
what the query gives, line by line; see the head of each file.

    python -m tests.pql.golden        writes anew what the queries give; read the difference
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from relcast.core.errors import Fault, PqlError
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check, describe, to_text

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
RHYTHM = "Each Monday"
_MARKS = ("on ", "=>", "print ", "say ", "each ", "warn ", "ours ", "! ", "why ", "mend ")


class Case(NamedTuple):
    """A query of a fixture file: its text, its graph, and what it gives."""

    text: str
    graph: Graph
    wanted: list[str]


def cases(name: str) -> list[Case]:
    """Return the cases of a fixture file."""
    found = []
    for block in blocks(name):
        first = next(i for i, line in enumerate(block) if line.startswith(_MARKS))
        wanted = block[first:]
        schema = "pql_schema.txt"
        if wanted[0].startswith("on "):
            schema = wanted.pop(0).removeprefix("on ")
        found.append(Case("\n".join(block[:first]), corpus_graph(schema), wanted))
    return found


def plan_of(case: Case) -> list[str]:
    """Return what a right query gives: task type, spelling, sentences, warnings, extensions."""
    checked = check(case.text, case.graph)
    found = [f"=> {checked.task_type.value}{'' if checked.temporal else ' static'}"]
    found.append(f"print {to_text(checked.query)}")
    found.append(f"say {describe(checked)}")
    if checked.temporal:
        found.append(f"each {describe(checked, RHYTHM)}")
    found += [f"warn {_place(fault)}" for fault in checked.warnings]
    return found + [f"ours {_place(fault)}" for fault in checked.extensions]


def faults_of(case: Case) -> list[str]:
    """Return what is wrong with a query."""
    return _faults(case, None)


def strict_faults_of(case: Case) -> list[str]:
    """Return what strict mode refuses."""
    return _faults(case, "kumo")


def _faults(case: Case, compatibility) -> list[str]:
    try:
        check(case.text, case.graph, compatibility=compatibility)
    except PqlError as error:
        return [
            line
            for fault in error.faults
            for line in (f"! {_place(fault)}", f"why {fault.message}", f"mend {fault.hint}")
        ]
    return ["=> no fault"]


def _place(fault: Fault) -> str:
    at = fault.position
    return f"{fault.code} {at.line}:{at.column}:{at.length}"


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


FILES: dict[str, Callable[[Case], Sequence[str]]] = {
    "pql_corpus.txt": plan_of,
    "pql_errors.txt": faults_of,
    "pql_strict.txt": strict_faults_of,
}


def rewrite(name: str) -> None:
    """Write a fixture file anew, its queries and comments as they are."""
    path = GOLDEN / name
    answers = iter([FILES[name](case) for case in cases(name)])
    written: list[str] = []
    open_block = False
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("#") or (line.strip() and not line.startswith(_MARKS)):
            open_block = open_block or not line.startswith("#")
            written.append(line)
        elif line.startswith("on "):
            written.append(line)
        elif not line.strip():
            if open_block:
                written += next(answers)
            written.append("")
            open_block = False
    path.write_text("\n".join(written).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    for each in FILES:
        rewrite(each)
