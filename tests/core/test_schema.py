"""The words that every room shares keep their promises."""

from datetime import timedelta

import pytest

from relcast.core.delays import Delay
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


def orders(*columns, **roles):
    return Table(
        "orders",
        (
            Column("id", Dtype.int64, Stype.ID),
            Column("at", Dtype.time, Stype.timestamp),
            Column("paid_at", Dtype.time, Stype.timestamp),
            Column("days", Dtype.float64, Stype.numerical),
            Column("flown", Dtype.timedelta, Stype.numerical),
            Column("word", Dtype.string, Stype.text),
            *columns,
        ),
        **{"primary_key": "id", "time_column": "at", **roles},
    )


def late(known_at=None, known_after=None, **more):
    delay = None if known_after is None else Delay.of(known_after)
    return Column("amount", Dtype.float64, Stype.numerical, known_at, delay, **more)


@pytest.mark.parametrize(
    ("said", "is_"),
    [
        ("6 hours", Delay(6, unit="hours")),
        ("1 week", Delay(1, unit="weeks")),
        ("0.5 minutes", Delay(0.5, unit="minutes")),
        (timedelta(hours=2), Delay(7200.0, unit="seconds")),
        ("air_time minutes", Delay(column="air_time", unit="minutes")),
        ("flown", Delay(column="flown")),
        ({"column": "6", "unit": "days"}, Delay(column="6", unit="days")),
    ],
)
def test_a_delay_reads_as_people_write_it(said, is_):
    found = Delay.of(said)
    assert found == is_
    assert Delay.of(found.to_json()) == Delay.of(str(found)) == found or "6" in str(said)


def test_a_constant_delay_is_exact():
    assert Delay.of("1.5 hours").nanoseconds == 5400 * 10**9
    assert Delay.of({"amount": 0.1, "unit": "seconds"}).nanoseconds == 100_000_001  # never less


@pytest.mark.parametrize(
    "said",
    ["-1 days", "nan hours", "inf days", "1e9 weeks", "6", "6 parsecs", "", 6, {"amount": 6},
     {"amount": 6, "unit": "hours", "column": "x"}, {"hours": 6}, {"amount": "6", "unit": "days"},
     {}],
)  # fmt: skip
def test_a_delay_that_is_none_is_refused(said):
    with pytest.raises(SchemaError) as error:
        Delay.of(said)
    assert error.value.code == "schema.bad_delay"
    assert error.value.hint


def test_columns_say_when_they_are_known_and_round_trip():
    table = orders(late("paid_at", "days hours"), Column("s", Dtype.string, Stype.text))
    graph = Graph({"orders": table})
    assert Graph.from_json(graph.to_json()) == graph
    assert table.known_by("amount") == ("paid_at", Delay.of("days hours"))
    plain = table.column("s")
    assert plain.to_json() == {"name": "s", "dtype": "string", "stype": "text"}
    assert not table.is_late("s")
    assert Column.from_json({**plain.to_json(), "mutable": True}).mutable


@pytest.mark.parametrize(
    ("make", "code", "hint"),
    [
        (lambda: orders(late("paid")), "schema.unknown_column", "paid_at"),
        (lambda: orders(late("days")), "schema.bad_known_at", "times"),
        (lambda: orders(late(None, "day hours")), "schema.unknown_column", "days"),
        (lambda: orders(late(None, "days")), "schema.bad_delay", "days minutes"),
        (lambda: orders(late(None, "flown hours")), "schema.bad_delay", "unit out"),
        (lambda: orders(late(None, "word hours")), "schema.bad_delay", "durations"),
        (lambda: orders(late(None, "1 day"), time_column=None), "schema.known_without_time", ""),
        (lambda: orders(late(mutable=True), primary_key="amount"), "schema.known_role", ""),
        (
            lambda: Graph(
                {"users": USERS, "orders": orders(late(None, "1 day"))},
                (Link("orders", "amount", "users"),),
            ),
            "schema.late_key",
            "of its own",
        ),
    ],
)
def test_what_cannot_be_known_so_is_refused(make, code, hint):
    with pytest.raises(SchemaError) as error:
        make()
    assert error.value.code == code
    assert hint in error.value.hint


def test_a_table_without_times_takes_known_at():
    assert orders(late("paid_at", "1 day"), time_column=None).is_late("amount")


def test_what_says_when_others_are_known_is_known_then():
    table = orders(late("paid_at", "days hours"))
    assert table.known_by("paid_at") == ("paid_at", None)
    assert table.known_by("days") == ("paid_at", Delay.of("days hours"))
    assert orders(late("at")).known_by("at") is None  # a row's time is known with its row
    said = Column("due", Dtype.time, Stype.timestamp, None, Delay.of("0 seconds"))
    assert orders(late("due"), said).known_by("due") == (None, Delay.of("0 seconds"))
