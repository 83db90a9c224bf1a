"""Bad input, over real HTTP to a real server: each a clear error, and the service stays well.

Every refusal is a problem with a code, a sentence that names the place and a hint that names the
mend; what only shows when the data is read is the same, as the error of the FAILED job. One server
stands for the whole module, and the last test trains and predicts on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.served import Served
from tests.server.conftest import SPEND, write_shop
from tests.server.test_every_route import assert_problem

pytestmark = pytest.mark.xdist_group("bad input")

COUNT = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"
LINK = {"table": "orders", "foreign_key": "customer_id", "to": "customers"}
TOLD = {
    "links": [LINK],
    "tables": {"orders": {"primary_key": "order_id", "time_column": "time"}},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("bad input")
    write_shop(root / "data" / "shop", customers=80)
    with Served(root / "home", RELCAST_DATA_ROOTS=str(root / "data")) as running:
        yield running


@pytest.fixture(scope="module")
def data(served: Served) -> Path:
    return served.home.parent / "data"


@pytest.fixture(scope="module")
def shop(served: Served, data: Path) -> str:
    """The good shop's graph."""
    graph = served.connect(data / "shop")
    assert graph.status_code == 201, graph.text
    return graph.json()["id"]


@pytest.fixture(scope="module")
def spend(served: Served, shop: str) -> str:
    """A good query over the good shop."""
    return served.ask(shop, SPEND, name="spend").json()["name"]


@pytest.fixture
def folder(data: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the shop to be spoilt."""
    path = data / re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_")).strip("-")
    write_shop(path, customers=80)
    return path


def refused(answer: httpx.Response, status: int, code: str, *told: str) -> dict[str, Any]:
    """Check that an answer is this problem, and that its sentence and hint say what they must."""
    body: dict[str, Any] = assert_problem(answer, status)  # type: ignore[assignment]
    assert body["code"] == code, body
    assert body["hint"], body
    for text in told:
        assert text in f"{body['detail']}\n{body['hint']}", body
    return body


def failed(job: dict[str, Any], code: str, *told: str) -> None:
    """Check that a job ended so, with a sentence and a hint for its user."""
    assert job["state"] == "FAILED", job
    error = job["error"]
    assert (error["code"], error["status"]) == (code, 422), error
    assert error["hint"], error
    assert "Traceback" not in json.dumps(job)
    for text in told:
        assert text in f"{error['message']}\n{error['hint']}", error


def train(served: Served, folder: Path, text: str, **body: Any) -> dict[str, Any]:
    graph = served.connect(folder, **body)
    assert graph.status_code == 201, graph.text
    query = served.ask(graph.json()["id"], text)
    assert query.status_code == 200, query.text
    return served.run(query.json()["id"], "retrain")


def csv_orders(folder: Path) -> list[str]:
    """Turn the orders into CSV; the lines, whose list index is one less than the line number."""
    orders = pd.read_parquet(folder / "orders.parquet")
    (folder / "orders.parquet").unlink()
    return orders.to_csv(index=False, lineterminator="\n").splitlines()


# Queries.


def test_an_unknown_column_in_pql(served: Served, shop: str):
    answer = served.ask(shop, SPEND.replace("amount", "amont"))
    body = refused(answer, 422, "pql.unknown_column", "orders", "amont", "'amount'")
    assert body["position"] == {"line": 1, "column": 13, "length": 12}


def test_every_fault_of_a_query_has_its_own_place(served: Served, shop: str):
    answer = served.ask(shop, "PREDICT SUM(orders.a, 0, 30, days)\nFOR EACH customers.b")
    body = refused(answer, 422, "pql.unknown_column", "column a ")
    assert [fault["position"]["line"] for fault in body["errors"]] == [1, 2]
    assert all(fault["hint"] for fault in body["errors"])


def test_a_query_over_two_ambiguous_links(served: Served, folder: Path):
    orders = pd.read_parquet(folder / "orders.parquet")
    orders["payer_id"] = orders["customer_id"].to_numpy()[::-1]
    orders.to_parquet(folder / "orders.parquet", index=False)
    links = [LINK, {**LINK, "foreign_key": "payer_id"}]
    graph = served.connect(folder, overrides={"links": links}).json()["id"]
    body = refused(
        served.ask(graph, COUNT), 422, "pql.ambiguous_link", "customer_id", "payer_id", "Keep one"
    )
    assert body["position"]["line"] == 1


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            "PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 5 FOR EACH customers.customer_id",
            "pql.unknown_column",
            "product_id",
        ),
        (
            "PREDICT SUM(orders.amount, 0, 30, days FOR EACH customers.customer_id",
            "pql.syntax",
            "line 1",
        ),
        ("PREDICT SUM(orders.amount, 30, 0, days) FOR EACH customers.customer_id", "", "line 1"),
        ("PREDICT SUM(orders.time, 0, 30, days) FOR EACH customers.customer_id", "", "time"),
        ("DROP TABLE orders", "pql.syntax", "line 1, column 1"),
        (
            "PREDICT " + "(" * 5000 + "1" + ")" * 5000 + " FOR EACH customers.customer_id",
            "",
            "line 1",
        ),
    ],
)
def test_other_wrong_queries(served: Served, shop: str, text: str, code: str, told: str):
    body = assert_problem(served.ask(shop, text), 422)
    assert str(body["code"]).startswith(code or "pql.")
    assert told in str(body["detail"])
    assert body["hint"]


# Files. What a first look shows is refused at the graph, the rest fails the job.


def test_a_csv_with_a_broken_row(served: Served, folder: Path):
    lines = csv_orders(folder)
    lines[300] = '299,"3,2023'  # the quote is never closed
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    answer = served.connect(folder, overrides=TOLD)
    refused(answer, 422, "source.broken_row", "orders.csv", "line 301")


def test_a_csv_whose_row_is_broken_after_the_graph_was_made(served: Served, folder: Path):
    lines = csv_orders(folder)
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    graph = served.connect(folder, overrides=TOLD).json()["id"]
    query = served.ask(graph, COUNT).json()["id"]
    lines[500] += ",one,two,many"
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    failed(served.run(query, "retrain"), "source.broken_row", "orders.csv", "line 501")


def test_a_parquet_truncated_in_the_middle(served: Served, folder: Path):
    path = folder / "orders.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(served.connect(folder), 422, "source.truncated", "orders.parquet", "bytes")


def test_a_parquet_that_lost_a_page(served: Served, folder: Path):
    path = folder / "orders.parquet"
    content = bytearray(path.read_bytes())
    content[200 : len(content) // 2 : 7] = bytes(len(content[200 : len(content) // 2 : 7]))
    path.write_bytes(bytes(content))
    refused(served.connect(folder), 422, "source.damaged", "orders.parquet", "row group 0")


@pytest.mark.parametrize("name", ["orders.csv", "orders.parquet"])
def test_an_empty_file(served: Served, folder: Path, name: str):
    (folder / "orders.parquet").unlink()
    (folder / name).write_bytes(b"")
    refused(served.connect(folder), 422, "source.empty", name)


def test_a_table_with_a_header_only(served: Served, folder: Path):
    lines = csv_orders(folder)
    (folder / "orders.csv").write_text(lines[0] + "\n")
    failed(train(served, folder, COUNT, overrides=TOLD), "task.empty_table", "orders")


def test_a_root_that_is_not_a_data_root(served: Served, data: Path):
    outside = data.parent / "outside"
    write_shop(outside, customers=3)
    (data / "escape").symlink_to(outside)
    for root in ("/etc", str(outside), f"{data}/shop/../../outside", str(data / "escape"), "/"):
        answer = served.http.post("/connectors", json={"name": "x", "root": root})
        refused(answer, 422, "source.outside_roots", root, "RELCAST_DATA_ROOTS")


def test_a_table_that_is_a_link_out_of_the_roots(served: Served, folder: Path):
    """It is not among the tables, and naming it does not help."""
    outside = folder.parent.parent / "secret.parquet"
    pd.DataFrame({"order_id": [1]}).to_parquet(outside)
    (folder / "orders.parquet").unlink()
    (folder / "orders.parquet").symlink_to(outside)
    tables = served.connect(folder).json()["graph"]["tables"]
    assert [table["name"] for table in tables] == ["customers"]
    for name in ("orders", "../secret", "..", "/etc/passwd", "customers/../../../secret"):
        body = {"connector_id": folder.name, "tables": [name]}
        answer = served.http.post("/graphs/from_source", json=body)
        problem = assert_problem(answer)
        assert answer.status_code in (404, 422), problem
        assert problem["hint"], problem


# Targets and times.


def test_a_target_with_one_class(served: Served, shop: str):
    served.ask(shop, COUNT.replace(" FOR", " > 1000000 FOR"), name="one-class")
    failed(served.run("one-class", "retrain"), "task.one_class", "False", "condition")


def test_no_anchor_with_a_complete_window(served: Served, shop: str):
    served.ask(shop, COUNT.replace("30", "900"), name="far")
    failed(served.run("far", "retrain"), "task.no_complete_window", "900 days", "2023-")


@pytest.mark.parametrize(
    "anchor",
    ["NaN", '"NaN"', "Infinity", '"nothing"', '"2023-13-45"', "1e400", "[]", '""', "true"],
)
def test_anchor_times_that_are_none(served: Served, spend: str, anchor: str):
    answer = served.http.post(
        f"/predictive_queries/{spend}/predict",
        content=f'{{"anchor_time": {anchor}}}',
        headers={"Content-Type": "application/json"},
    )
    refused(answer, 422, "request.invalid", "anchor_time")


@pytest.mark.parametrize(
    "anchor", ["9999-12-31T23:59:59Z", "1600-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00"]
)
def test_anchor_times_that_no_clock_of_ours_can_hold(served: Served, spend: str, anchor: str):
    answer = served.http.post(f"/predictive_queries/{spend}/predict", json={"anchor_time": anchor})
    refused(answer, 422, "request.bad_time", "1677", "2262")


# Requests.


@pytest.mark.parametrize(
    "key", [None, "", "demo", "demo:", "demo:rc_wrong", "other:rc_x", ":", "é"]
)
def test_a_wrong_key(served: Served, key: str | None):
    headers = {} if key is None else {"X-API-Key": key.encode()}
    answer = httpx.get(f"{served.url}/api/v1/jobs", headers=headers)
    body = refused(answer, 401, "auth.unauthorized", "X-API-Key", "relcast keys reset")
    assert served.key not in answer.text
    assert body["detail"] == "The API key is missing or not valid"


@pytest.mark.parametrize(
    "body", [b"{", b"[1,", b'{"name": "x",}', b"\xff\xfe{}", b"nonsense", b'{"a": 1}{"b": 2}']
)
def test_a_body_that_is_not_json(served: Served, body: bytes):
    answer = served.http.post(
        "/connectors", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert "JSON" in str(assert_problem(answer)["hint"] + assert_problem(answer)["detail"])


def test_json_that_nests_without_end(served: Served):
    answer = served.http.post(
        "/connectors", content=b"[" * 200_000, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert assert_problem(answer)["hint"]


def test_a_body_above_the_limit(served: Served):
    big = b'{"name": "' + b"x" * (33 * 2**20) + b'"}'
    answer = served.http.post(
        "/connectors", content=big, headers={"Content-Type": "application/json"}
    )
    refused(answer, 413, "request.too_large", "32 MiB", "upload")


def test_an_unknown_route_and_method(served: Served):
    answer = served.http.get("/nothing/here")
    refused(answer, 404, "route.not_found", "/api/v1/nothing/here", "/api/openapi.json")
    refused(served.http.put("/jobs"), 405, "route.method_not_allowed", "PUT", "Allow")


@pytest.mark.parametrize("path", ["/jobs/trainingjob-none", "/models/model-none", "/graphs/none"])
def test_things_that_are_not_there(served: Served, path: str):
    body = assert_problem(served.http.get(path), 404)
    assert "none" in str(body["detail"])
    assert body["hint"]


def test_after_all_of_this_the_service_is_well(served: Served, spend: str):
    ready = httpx.get(f"{served.url}/readyz")
    assert ready.status_code == 200, ready.text
    trained = served.run(spend, "retrain")
    assert trained["state"] == "DONE", trained["error"]
    predicted = served.run(spend, "predict")
    assert predicted["state"] == "DONE", predicted["error"]
    assert served.get(f"/jobs/{predicted['id']}/predictions?limit=3")["num_entities"] == 80
    states = [job["state"] for job in served.get("/jobs?limit=200")["items"]]
    assert set(states) == {"DONE", "FAILED"}
    assert "Traceback" not in served.said()
    assert "job.crashed" not in served.http.get("/jobs?limit=200").text
