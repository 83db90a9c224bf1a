"""When values are known, over HTTP: our fields beside the SDK's, and the overrides of inference."""

from __future__ import annotations

import copy

import pytest
from kumoapi.graph import GraphResource
from kumoapi.json_serde import from_json

from relcast.core.delays import Delay
from tests.server.conftest import Shop
from tests.server.test_every_route import assert_problem


def column(graph: dict, table: str, name: str) -> dict:
    return next(c for c in graph["tables"][table]["cols"] if c["name"] == name)


@pytest.fixture
def definition(shop: Shop, graph_id: str) -> dict:
    return shop.client.get(f"/api/v1/graphs/{graph_id}").json()["graph"]


def test_a_graph_without_our_fields_is_the_sdks(shop: Shop, graph_id: str, definition: dict):
    assert set(column(definition, "orders", "amount")) == {
        "name", "stype", "dtype", "timestamp_format"
    }  # fmt: skip
    again = shop.client.post("/api/v1/graphs", json=definition).json()["id"]
    assert again == graph_id
    echoed = shop.client.post("/api/v1/graphs/infer_links", json=definition).json()
    assert echoed["tables"] == definition["tables"]


def test_our_fields_are_kept_and_given_back(shop: Shop, graph_id: str, definition: dict):
    said = {"known_after": "36 hours", "known_at": "time", "mutable": True}
    column(definition, "orders", "amount").update(said)
    answer = shop.client.post("/api/v1/graphs", json=definition)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] != graph_id
    given = shop.client.get(f"/api/v1/graphs/{answer.json()['id']}")
    found = column(given.json()["graph"], "orders", "amount")
    assert found["known_at"] == "time"
    assert found["known_after"] == {"amount": 36, "unit": "hours"}
    assert found["mutable"] is True
    # The SDK reads the answer as if our fields were not there.
    read = from_json(given.text, GraphResource)
    assert read.graph.tables["orders"].time_col == "time"
    kept = shop.platform.graph(answer.json()["id"]).graph.table("orders").column("amount")
    assert (kept.known_at, kept.known_after, kept.mutable) == ("time", Delay.of("36 hours"), True)
    links = shop.client.post("/api/v1/graphs/infer_links", json=definition).json()
    assert column(links, "orders", "amount")["known_at"] == "time"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"known_at": "paid"}, "schema.unknown_column"),
        ({"known_at": "customer_id"}, "schema.bad_known_at"),
        ({"known_after": "-1 days"}, "schema.bad_delay"),
        ({"known_after": {"hours": 1}}, "schema.bad_delay"),
        ({"known_after": {"amount": 1e300, "unit": "days"}}, "schema.bad_delay"),
    ],
)
def test_what_cannot_be_is_refused(shop: Shop, definition: dict, said: dict, code: str):
    broken = copy.deepcopy(definition)
    column(broken, "orders", "amount").update(said)
    assert assert_problem(shop.client.post("/api/v1/graphs", json=broken), 422)["code"] == code
    checked = shop.client.post("/api/v1/graphs/validate", json={"graph_definition": broken})
    assert checked.status_code == 200
    assert checked.json()["errors"]


def test_inference_takes_what_is_said(shop: Shop, graph_id: str):
    tables = {"orders": {"known_after": {"amount": "2 days"}, "mutable": ["customer_id"]}}
    body = {"connector_id": "shop", "overrides": {"tables": tables}}
    made = shop.client.post("/api/v1/graphs/from_source", json=body)
    assert made.status_code == 201, made.text
    columns = {c["name"]: c for c in made.json()["graph"]["tables"][1]["columns"]}
    assert columns["amount"]["known_after"] == {"amount": 2, "unit": "days"}
    assert columns["customer_id"]["mutable"] is True
    assert set(columns["order_id"]) == {"name", "dtype", "stype"}
    tables["orders"]["known_after"] = {"amount": {"column": "amount"}}
    assert assert_problem(
        shop.client.post("/api/v1/graphs/from_source", json=body), 422
    )["code"] == "schema.bad_delay"  # fmt: skip
