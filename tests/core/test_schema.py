"""The words that every room shares keep their promises."""

import pytest

from relcast.core.errors import SchemaError, nearest
from relcast.core.ids import content_id, new_id
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table


def table(name, *columns, **roles):
    return Table(name, tuple(Column(c, Dtype.int64, Stype.ID) for c in columns), **roles)


USERS = table("users", "id", primary_key="id")
ORDERS = table("orders", "id", "user_id", primary_key="id")


def test_graph_round_trips_through_json():
    graph = Graph({"users": USERS, "orders": ORDERS}, (Link("orders", "user_id", "users"),))
    assert Graph.from_json(graph.to_json()) == graph
    assert [str(link) for link in graph.links_to("users")] == ["orders.user_id -> users"]
    assert list(graph.links_from("users")) == []


@pytest.mark.parametrize(
    ("make", "code", "hint"),
    [
        (lambda: table("t", "a", "a"), "schema.duplicate_column", "Rename"),
        (lambda: table("t", "user_id", primary_key="userid"), "schema.unknown_column", "user_id"),
        (
            lambda: Graph({"users": USERS}, (Link("order", "x", "users"),)),
            "schema.unknown_table",
            "users",
        ),
        (
            lambda: Graph({"a": table("a", "x"), "o": ORDERS}, (Link("o", "user_id", "a"),)),
            "schema.link_without_key",
            "primary key",
        ),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(make, code, hint):
    with pytest.raises(SchemaError) as error:
        make()
    assert error.value.code == code
    assert hint in error.value.hint


def test_nearest_speaks_of_case_likeness_or_lists():
    assert nearest("Age", ["age", "b"]) == "Did you mean 'age'? Names are case-sensitive."
    assert nearest("custmer", ["customer", "b"]) == "Did you mean 'customer'?"
    assert nearest("zzz", ["a", "b"]) == "There are: 'a', 'b'."
    assert nearest("zzz", []) == "There are none."


def test_ids():
    assert new_id("job") != new_id("job")
    assert len(new_id("job")) == 20
    assert content_id("graph", {"a": 1, "b": 2}) == content_id("graph", {"b": 2, "a": 1})
    assert content_id("graph", {"a": 1}) != content_id("graph", {"a": 2})
