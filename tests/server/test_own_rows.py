"""Rows of the caller's own over HTTP: uploaded, trained on, scored, and the SDK's weighted tables."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.server.conftest import SPEND, Shop
from tests.server.test_every_route import assert_problem

UPLOADS = "parquet_upload_connector"


def upload(shop: Shop, name: str, frame: pd.DataFrame) -> None:
    data = BytesIO()
    frame.to_parquet(data, index=False)
    begun = shop.client.post(
        "/api/v1/connectors/utils/start_file_upload",
        json={"source_table_name": name, "connector_id": UPLOADS, "num_parts": 1},
    ).json()
    part = httpx.put(begun["presigned_part_urls"]["1"], content=data.getvalue())
    done = shop.client.post(
        "/api/v1/connectors/utils/complete_file_upload",
        json={
            "source_table_name": name,
            "connector_id": UPLOADS,
            "temp_upload_path": begun["temp_upload_path"],
            "upload_id": begun["upload_id"],
            "parts_metadata": [{"part_number": 1, "etag": part.headers["etag"]}],
            "validate_data": False,
        },
    )
    assert done.is_success, done.text


def table_of(shop: Shop, job_id: str) -> pd.DataFrame:
    files = shop.client.get(f"/api/v1/jobs/{job_id}/files").json()["items"]
    url = next(f["url"] for f in files if f["format"] == "parquet")
    return pd.read_parquet(BytesIO(httpx.get(url).content))


@pytest.fixture(scope="module")
def generated(shop: Shop, trained: dict[str, Any]) -> pd.DataFrame:
    return table_of(shop, trained["result"]["training_table_job_id"])


def test_own_rows_take_the_place_of_generated_ones(
    shop: Shop, query_name: str, generated: pd.DataFrame
) -> None:
    rows = generated.sample(frac=0.6, random_state=1)
    rows["WEIGHT"] = np.where(rows["TARGET"] > 0, 2.0, 1.0)
    upload(shop, "own_rows", rows)
    road = f"/api/v1/predictive_queries/{query_name}"
    answer = shop.client.post(f"{road}/retrain", json={"rows": {"table": "own_rows"}})
    assert answer.status_code == 202, answer.text
    job = shop.wait(answer.json()["id"])
    assert job["state"] == "DONE", job["error"]
    made = table_of(shop, job["result"]["training_table_job_id"])
    keys = ["TIMESTAMP", "ENTITY"]
    want = rows.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(
        made.sort_values(keys, ignore_index=True)[list(want.columns)], want, check_dtype=False
    )
    upload(shop, "to_score", rows[["ENTITY", "TIMESTAMP"]].head(7))
    answer = shop.client.post(f"{road}/predict", json={"rows": {"table": "to_score"}})
    assert answer.status_code == 202, answer.text
    scored = shop.wait(answer.json()["id"])
    assert scored["state"] == "DONE", scored["error"]
    found = table_of(shop, scored["id"])
    assert found["ENTITY"].tolist() == rows["ENTITY"].head(7).tolist()
    assert found["TIMESTAMP"].tolist() == rows["TIMESTAMP"].head(7).tolist()


def test_rows_that_do_not_fit_are_refused_at_once(
    shop: Shop, query_name: str, generated: pd.DataFrame
) -> None:
    road = f"/api/v1/predictive_queries/{query_name}"
    before = len(shop.client.get("/api/v1/jobs").json()["items"])
    upload(shop, "no_target", generated.drop(columns="TARGET"))
    upload(shop, "no_time", generated.drop(columns="TIMESTAMP"))

    def refuse(path: str, rows: dict[str, Any]) -> dict[str, Any]:
        return assert_problem(shop.client.post(f"{road}/{path}", json={"rows": rows}))

    found = refuse("retrain", {"table": "no_target"})
    assert (found["code"], found["status"]) == ("task.missing_column", 422)
    assert "TARGET" in found["detail"]
    assert refuse("predict", {"table": "no_time"})["code"] == "task.missing_column"
    assert refuse("retrain", {"table": "nothing"})["status"] == 404
    assert refuse("retrain", {"table": "no_time", "connector_id": "nowhere"})["status"] == 404
    assert refuse("retrain", {"table": "../../etc/passwd"})["status"] in (404, 422)
    assert refuse("retrain", {"rows": "x"})["status"] == 422
    assert len(shop.client.get("/api/v1/jobs").json()["items"]) == before


def test_unmatched_rows_are_refused_unless_allowed(
    shop: Shop, query_name: str, generated: pd.DataFrame
) -> None:
    rows = generated.copy()
    rows.loc[rows.index[:3], "ENTITY"] = 10**9
    upload(shop, "strangers", rows)
    road = f"/api/v1/predictive_queries/{query_name}/retrain"
    refused = shop.wait(shop.client.post(road, json={"rows": {"table": "strangers"}}).json()["id"])
    assert refused["error"]["code"] == "task.unmatched_rows"
    allowed = {"table": "strangers", "allow_unmatched": True}
    job = shop.wait(shop.client.post(road, json={"rows": allowed}).json()["id"])
    assert job["state"] == "DONE", job["error"]
    assert len(table_of(shop, job["result"]["training_table_job_id"])) == len(rows) - 3


@pytest.mark.parametrize(
    ("change", "spec", "told"),
    [
        (lambda f: f, {"weight_col": "w"}, ""),
        (lambda f: f.iloc[:-5], {"weight_col": "w"}, "rows"),
        (lambda f: f.assign(w="much"), {"weight_col": "w"}, "numbers"),
        (lambda f: f.drop(columns="TARGET"), {"weight_col": "w"}, "TARGET"),
        (lambda f: f, {"weight_col": "other"}, "other"),
        (lambda f: f, {"candidate_col_name": "w"}, "weight column"),
    ],
)
def test_a_modified_table_is_checked_as_the_sdk_asks(
    shop: Shop, trained: dict[str, Any], generated: pd.DataFrame, change: Any, spec: Any, told: str
) -> None:
    upload(shop, "modified", change(generated.assign(w=1.5)))
    table = {
        "s3_path": "", "connector_id": UPLOADS, "source_table_name": "modified",
        "file_type": "PARQUET", "data_source_type": "S3",
    }  # fmt: skip
    job = trained["result"]["training_table_job_id"]
    answer = shop.client.post(
        f"/api/v1/gentraintable_jobs/{job}/validate_custom_train_table",
        json={
            "custom_table": table,
            "train_table_mod": {"weight_col": None, "feats": None, "candidate_col_name": None}
            | spec,
            "extensive_validation": True,
        },
    )
    assert answer.status_code == 200, answer.text
    errors = answer.json()["errors"]
    assert len(errors) == (1 if told else 0)
    assert all(told in e["message"] for e in errors)


def test_a_forecast_is_trained_and_so_is_one_that_only_the_plan_asks_for(
    shop: Shop, query_name: str, graph_id: str
) -> None:
    forecast = SPEND.replace(" FOR EACH", " FORECAST 3 TIMEFRAMES FOR EACH").replace("30", "10")
    made = shop.client.post(
        "/api/v1/predictive_queries",
        json={"name": "months", "query_string": forecast, "graph_id": graph_id},
    )
    assert made.json()["task_type"] == "forecasting"
    assert_problem(shop.client.post("/api/v1/predictive_queries/months/predict"), 409)
    road = "/api/v1/predictive_queries/{}/retrain"
    quick = {"model": {"run_mode": "debug", "num_experiments": 0}}
    plan = quick | {"table": {"forecast_length": 2}}
    for name, options in (("months", quick), (query_name, plan)):
        made = shop.client.post(road.format(name), json={"plan": options})
        assert made.status_code < 300, made.text
        trained = shop.wait(made.json()["id"])
        assert trained["state"] == "DONE", trained["error"]
        assert "wape" in trained["result"]["metrics"]["test"]
        model = shop.platform.model(trained["result"]["model_id"])
        assert model.task_type == "forecasting"
    job = shop.platform.submit_training_table("months")
    done = shop.wait(job.id)
    assert done["state"] == "DONE", done["error"]
    assert table_of(shop, job.id)["TARGET"].map(len).eq(3).all()
