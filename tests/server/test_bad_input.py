"""The bad inputs of the product's bars: each a clear error with place and mend, and no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.server.conftest import Shop, write_shop
from tests.server.test_every_route import assert_problem


def graph_of(shop: Shop, folder: Path, **body: Any) -> Any:
    made = shop.client.post("/api/v1/connectors", json={"name": folder.name, "root": str(folder)})
    assert made.status_code == 201, made.text
    return shop.client.post(
        "/api/v1/graphs/from_source", json={"connector_id": folder.name, **body}
    )


def train(shop: Shop, folder: Path, text: str, **plan: Any) -> dict[str, Any]:
    graph = graph_of(shop, folder)
    assert graph.status_code == 201, graph.text
    body = {
        "name": f"q-{folder.name}",
        "query_string": text,
        "graph_id": graph.json()["id"],
        "plan": {"model": {"run_mode": "debug"}, **plan},
    }
    made = shop.client.post("/api/v1/predictive_queries", json=body)
    assert made.status_code == 200, made.text
    job = shop.client.post(f"/api/v1/predictive_queries/q-{folder.name}/retrain").json()
    return shop.wait(job["id"])


@pytest.fixture
def folder(shop: Shop, request: pytest.FixtureRequest) -> Path:
    path = shop.data / request.node.name.removeprefix("test_").replace("_", "-")[:40]
    write_shop(path, customers=60)
    return path


def test_an_unknown_column_is_named_with_its_place(shop: Shop, graph_id: str):
    body = {
        "query_string": "PREDICT SUM(orders.amont, 0, 30, days) FOR EACH customers.customer_id",
        "graph_id": graph_id,
    }
    problem = assert_problem(shop.client.post("/api/v1/predictive_queries", json=body), 422)
    assert problem["code"] == "pql.unknown_column"
    assert "amont" in str(problem["detail"])
    assert "amount" in str(problem["hint"])
    assert problem["position"] == {"line": 1, "column": 13, "length": 12}


def test_every_fault_of_a_query_is_listed(shop: Shop, graph_id: str):
    body = {
        "query_string": "PREDICT SUM(orders.a, 0, 30, days) FOR EACH customers.b",
        "graph_id": graph_id,
    }
    problem = assert_problem(shop.client.post("/api/v1/predictive_queries", json=body), 422)
    assert len(problem["errors"]) == 2  # type: ignore[arg-type]


def test_a_query_over_two_ambiguous_links(shop: Shop, folder: Path):
    orders = pd.read_parquet(folder / "orders.parquet")
    orders["payer_id"] = orders["customer_id"].sample(frac=1, random_state=0).to_numpy()
    orders.to_parquet(folder / "orders.parquet", index=False)
    links = [
        {"table": "orders", "foreign_key": key, "to": "customers"}
        for key in ("customer_id", "payer_id")
    ]
    graph = graph_of(shop, folder, overrides={"links": links})
    assert graph.status_code == 201, graph.text
    body = {
        "query_string": "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id",
        "graph_id": graph.json()["id"],
    }
    problem = assert_problem(shop.client.post("/api/v1/predictive_queries", json=body), 422)
    assert "customer_id" in str(problem)
    assert "payer_id" in str(problem)


def test_a_csv_with_a_broken_row(shop: Shop, folder: Path):
    (folder / "orders.parquet").unlink()
    lines = ["order_id,customer_id,time,amount"]
    lines += [f"{n},{n % 60 + 1},2023-05-{n % 28 + 1:02d} 10:00:00,{n}.5" for n in range(500)]
    lines[300] = '299,"3,2023'
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    problem = assert_problem(graph_of(shop, folder), 422)
    assert "orders.csv" in str(problem["detail"])
    assert problem["hint"]


def test_a_parquet_truncated_in_the_middle(shop: Shop, folder: Path):
    path = folder / "orders.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    problem = assert_problem(graph_of(shop, folder), 422)
    assert "orders.parquet" in str(problem["detail"])
    assert problem["hint"]


def test_an_empty_table(shop: Shop, folder: Path):
    path = folder / "orders.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    graph = graph_of(
        shop,
        folder,
        overrides={
            "links": [{"table": "orders", "foreign_key": "customer_id", "to": "customers"}],
            "tables": {"orders": {"time_column": "time", "primary_key": "order_id"}},
        },
    )
    if graph.status_code != 201:
        assert_problem(graph, 422)
        return
    body = {
        "name": "q-empty",
        "query_string": "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id",
        "graph_id": graph.json()["id"],
    }
    assert shop.client.post("/api/v1/predictive_queries", json=body).status_code == 200
    job = shop.wait(shop.client.post("/api/v1/predictive_queries/q-empty/retrain").json()["id"])
    assert job["state"] == "FAILED"
    assert job["error"]["status"] == 422
    assert job["error"]["message"]
    assert job["error"]["hint"]


def test_a_target_with_one_class(shop: Shop, folder: Path):
    job = train(
        shop,
        folder,
        "PREDICT COUNT(orders.*, 0, 30, days) > 1000000 FOR EACH customers.customer_id",
    )
    assert job["state"] == "FAILED"
    assert job["error"]["status"] == 422
    assert "targets of the train split are False" in job["error"]["message"]
    assert job["error"]["hint"]


def test_no_anchor_with_a_complete_window(shop: Shop, folder: Path):
    job = train(
        shop, folder, "PREDICT COUNT(orders.*, 0, 900, days) FOR EACH customers.customer_id"
    )
    assert job["state"] == "FAILED"
    assert job["error"]["status"] == 422
    assert job["error"]["hint"]


def test_a_table_outside_the_data_roots(shop: Shop, tmp_path: Path):
    for root in ("/etc", str(tmp_path), str(shop.data / ".." / ".."), "s3://bucket/x", "\x00"):
        answer = shop.client.post("/api/v1/connectors", json={"name": "x", "root": root})
        assert 400 <= answer.status_code < 500
        assert_problem(answer)


def test_bodies_above_the_limit(shop: Shop):
    big = b'{"name": "' + b"x" * (33 * 2**20) + b'"}'
    declared = shop.client.post(
        "/api/v1/connectors", content=big, headers={"Content-Type": "application/json"}
    )
    assert_problem(declared, 413)

    def chunks():
        for _ in range(34):
            yield b" " * 2**20

    streamed = shop.client.post(
        "/api/v1/connectors", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert_problem(streamed, 413)


@pytest.mark.parametrize("number", ["1e400", "10" * 300, "NaN", "-1", "0.5"])
def test_odd_numbers(shop: Shop, query_name: str, number: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict",
        content=f'{{"num_classes": {number}}}',
        headers={"Content-Type": "application/json"},
    )
    assert 400 <= answer.status_code < 500
    assert_problem(answer)


def test_a_misspelt_field_is_named(shop: Shop, query_name: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict", json={"treshold": 0.5}
    )
    assert "treshold" in str(assert_problem(answer, 422)["detail"])


def test_a_body_without_its_content_type_says_so(shop: Shop, query_name: str):
    answer = shop.client.post(
        f"/api/v1/predictive_queries/{query_name}/predict", content=b'{"threshold": 0.5}'
    )
    assert "Content-Type: application/json" in str(assert_problem(answer, 422)["hint"])


def test_the_service_is_well_after_all_this(shop: Shop, query_name: str):
    assert shop.client.get("/readyz").status_code == 200
    assert np.all([shop.client.get("/api/v1/jobs").status_code == 200 for _ in range(3)])
