from __future__ import annotations

import pytest

from relcast.core.errors import Fault, Position
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.pql import check
from relcast.ui.editor import caret_line
from relcast.ui.faults import faults_of
from relcast.ui.graphs import folders_with_tables
from relcast.ui.new_query import example_query


def fault(line: int, column: int, length: int) -> Fault:
    return Fault("pql.x", "wrong", "mend it", Position(line, column, length))


def test_the_caret_stands_under_the_fault() -> None:
    text = "PREDICT x\nFOR EACH tabel.id"
    assert caret_line(text, fault(2, 10, 5)) == "FOR EACH tabel.id\n         ^^^^^"


@pytest.mark.parametrize("column", [5, 100, 290])
def test_a_long_line_is_cut_around_the_fault(column) -> None:
    line = "".join(chr(97 + n % 26) for n in range(300))
    shown, carets = caret_line(line, fault(1, column, 3)).split("\n")
    assert len(shown) <= 130
    at = carets.index("^")
    assert shown[at : at + 3] == line[column - 1 : column + 2]
    assert carets.count("^") == 3


def test_a_fault_at_the_very_end_or_outside() -> None:
    assert caret_line("PREDICT", fault(1, 8, 1)) == "PREDICT\n       ^"
    assert caret_line("PREDICT", fault(5, 1, 1)) == ""
    assert caret_line("PREDICT", Fault("pql.x", "wrong")) == ""


def test_stored_faults_come_back() -> None:
    first, second = fault(1, 2, 3), Fault("pql.y", "no place")
    assert faults_of({"faults": [first.to_json(), second.to_json()]}) == [first, second]
    assert faults_of({}) == []


def test_the_example_fits_its_graph_even_with_odd_names() -> None:
    key = Column("user id", Dtype.int64, Stype.ID)
    at = Column("at", Dtype.time, Stype.timestamp)
    graph = Graph(
        {
            "my users": Table("my users", (key,), primary_key="user id"),
            "notes": Table("notes", (Column("user id", Dtype.int64, Stype.ID),)),
            "events": Table("events", (key, at), time_column="at"),
        },
        (Link("notes", "user id", "my users"), Link("events", "user id", "my users")),
    )
    example = example_query(graph)
    assert example is not None
    assert check(example, graph).entity_table == "my users"
    assert example_query(Graph({"notes": graph.tables["notes"]})) is None


def test_folders_with_tables_are_found_two_levels_deep(tmp_path) -> None:
    for folder in ("shop", "a/b", "a/b/c", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shop" / "orders.csv").touch()
    (tmp_path / "a" / "b" / "t.parquet").touch()
    (tmp_path / "a" / "b" / "c" / "deep.csv").touch()
    found = folders_with_tables([tmp_path])
    assert [f.relative_to(tmp_path).as_posix() for f in found] == ["shop", "a/b"]
    assert folders_with_tables([tmp_path], most=1) == found[:1]
    assert folders_with_tables([tmp_path / "missing"]) == []
