"""Retrain and score over HTTP, as the curl lines of docs/api.md do."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.server.conftest import SPEND, Shop
from tests.server.test_every_route import assert_problem


@pytest.fixture(scope="module")
def predicted(shop: Shop, query_name: str, trained: dict[str, Any]) -> dict[str, Any]:
    answer = shop.client.post(f"/api/v1/predictive_queries/{query_name}/predict", json={})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    job = shop.wait(answer.json()["id"])
    assert job["state"] == "DONE", job["error"]
    return job


def test_training_status_has_metrics_beside_baselines(
    shop: Shop, query_name: str, trained: dict[str, Any]
):
    status = shop.client.get(f"/api/v1/predictive_queries/{query_name}/training_status").json()
    assert status["job_id"] == trained["id"]
    assert status["state"] == "DONE"
    assert status["result"]["metrics"]["test"]["mae"] > 0
    assert status["result"]["baselines"]
    for found in status["result"]["baselines"].values():
        assert found["test"]["mae"] > 0


def test_the_first_model_is_promoted_and_listed(
    shop: Shop, query_name: str, trained: dict[str, Any]
):
    models = shop.client.get("/api/v1/models", params={"query": query_name}).json()["items"]
    model = next(m for m in models if m["job_id"] == trained["id"])
    assert model["promoted"]
    assert model["lineage"]["query"] == SPEND
    assert shop.client.get(f"/api/v1/models/{model['id']}").json()["evaluation"]
    again = shop.client.post(f"/api/v1/models/{model['id']}/promote")
    assert again.json()["promoted"]


def test_predictions_come_as_preview_parquet_and_csv(shop: Shop, predicted: dict[str, Any]):
    preview = shop.client.get(
        f"/api/v1/jobs/{predicted['id']}/predictions", params={"limit": 5}
    ).json()
    assert preview["columns"] == ["ENTITY", "TIMESTAMP", "TARGET_PRED"]
    assert len(preview["rows"]) == 5
    assert all(reasons and reasons[0]["feature"] for reasons in preview["reasons"])
    files = shop.client.get(f"/api/v1/jobs/{predicted['id']}/files").json()["items"]
    urls = {(f["name"], f["format"]): f["url"] for f in files}
    # Without the key: the URL is the permission.
    parquet = pd.read_parquet(BytesIO(httpx.get(urls["predictions", "parquet"]).content))
    csv = pd.read_csv(BytesIO(httpx.get(urls["predictions", "csv"]).content))
    assert len(parquet) == preview["num_entities"] == len(csv)
    assert csv["TARGET_PRED"].to_list() == pytest.approx(parquet["TARGET_PRED"].to_list())
    assert parquet["ENTITY"].to_list()[:5] == [row["ENTITY"] for row in preview["rows"]]
    reasons = httpx.get(urls["reasons", "json"]).json()
    assert reasons[0]["entity"] == preview["rows"][0]["ENTITY"]


def test_training_table_and_holdout_can_be_fetched(shop: Shop, trained: dict[str, Any]):
    table_job = trained["result"]["training_table_job_id"]
    for job_id, column in ((table_job, "TARGET"), (trained["id"], "TARGET_PRED")):
        files = shop.client.get(f"/api/v1/jobs/{job_id}/files").json()["items"]
        url = next(f["url"] for f in files if f["format"] == "parquet")
        assert column in pd.read_parquet(BytesIO(httpx.get(url).content)).columns


def test_the_holdout_gives_the_reported_error_again(shop: Shop, trained: dict[str, Any]):
    files = shop.client.get(f"/api/v1/jobs/{trained['id']}/files").json()["items"]
    url = next(f["url"] for f in files if f["format"] == "parquet")
    holdout = pd.read_parquet(BytesIO(httpx.get(url).content))
    mae = (holdout["TARGET_PRED"] - holdout["TARGET"]).abs().mean()
    assert mae == pytest.approx(trained["result"]["metrics"]["test"]["mae"], rel=1e-9)


def test_events_stream_and_resume(shop: Shop, trained: dict[str, Any]):
    def stream(headers: dict[str, str]) -> list[dict[str, Any]]:
        path = f"/api/v1/jobs/{trained['id']}/events"
        with shop.client.stream("GET", path, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            text = "".join(answer.iter_text())
        blocks = [b for b in text.split("\n\n") if "data: " in b]
        return [json.loads(b.split("data: ", 1)[1]) for b in blocks]

    events = stream({})
    numbers = [e["seq"] for e in events]
    assert numbers == sorted(set(numbers))
    assert events[-1]["payload"]["state"] == "DONE"
    rest = stream({"Last-Event-ID": str(numbers[-3])})
    assert [e["seq"] for e in rest] == numbers[-2:]
    bad = shop.client.get(f"/api/v1/jobs/{trained['id']}/events", headers={"Last-Event-ID": "soon"})
    assert_problem(bad, 422)


def test_one_idempotency_key_is_one_job(shop: Shop, query_name: str, trained: dict[str, Any]):
    path = f"/api/v1/predictive_queries/{query_name}/predict"
    headers = {"Idempotency-Key": "nightly-2024-03-01"}
    first = shop.client.post(path, json={"tags": {"run": "nightly"}}, headers=headers)
    second = shop.client.post(path, json={"tags": {"run": "nightly"}}, headers=headers)
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["location"] == first.headers["location"]
    other = shop.client.post(path, json={"tags": {"run": "other"}}, headers=headers)
    assert_problem(other, 422)
    listed = shop.client.get("/api/v1/jobs", params={"tag": "run:nightly"}).json()["items"]
    assert [j["id"] for j in listed] == [first.json()["id"]]
    shop.client.post(f"/api/v1/jobs/{first.json()['id']}/cancel")


def test_cancel_of_nothing_is_a_200_that_says_so(shop: Shop, graph_id: str):
    body = {"name": "idle", "query_string": SPEND, "graph_id": graph_id}
    assert shop.client.post("/api/v1/predictive_queries", json=body).status_code == 200
    answer = shop.client.post("/api/v1/predictive_queries/idle/cancel_training")
    assert answer.status_code == 200
    assert answer.json()["is_cancelled"] is False
    status = shop.client.get("/api/v1/predictive_queries/idle/training_status").json()
    assert status["job_id"] is None
    no_model = shop.client.post("/api/v1/predictive_queries/idle/predict")
    assert assert_problem(no_model, 409)["code"] == "query.no_model"


def test_cancel_of_a_training(shop: Shop, query_name: str, trained: dict[str, Any]):
    job = shop.client.post(f"/api/v1/predictive_queries/{query_name}/retrain").json()
    answer = shop.client.post(f"/api/v1/predictive_queries/{query_name}/cancel_training")
    assert answer.json() == {
        "is_cancelled": True, "job_id": job["id"], "detail": "The job will stop",
    }  # fmt: skip
    assert shop.wait(job["id"])["state"] == "CANCELLED"


def test_jobs_are_listed_in_pages(shop: Shop, predicted: dict[str, Any]):
    first = shop.client.get("/api/v1/jobs", params={"limit": 1}).json()
    second = shop.client.get("/api/v1/jobs", params={"limit": 1, "cursor": first["cursor"]}).json()
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert first["items"][0]["created_at"] >= second["items"][0]["created_at"]
    only = shop.client.get("/api/v1/jobs", params={"kind": "prediction", "state": "DONE"}).json()
    assert predicted["id"] in [j["id"] for j in only["items"]]
    assert_problem(shop.client.get("/api/v1/jobs", params={"kind": "magic"}), 422)
    assert_problem(shop.client.get("/api/v1/jobs", params={"cursor": "%%%"}), 422)
    assert_problem(shop.client.get("/api/v1/jobs", params={"limit": 0}), 422)
