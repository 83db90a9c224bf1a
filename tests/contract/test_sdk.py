"""The unchanged SDK ``kumoai`` 2.22.0 against ``relcast serve``, over real HTTP.

Each side is a process of its own. The walk is made once; the tests look at what it found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from tests.contract.sdk_server import CUSTOMERS, environment, serve, write_shop

WALK = Path(__file__).with_name("sdk_walk.py")


@dataclass
class Walk:
    found: dict[str, Any]
    url: str
    key: str
    data: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the user's files."""
    folder = tmp_path_factory.mktemp("walk") / "data"
    write_shop(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[tuple[str, str]]:
    with serve(tmp_path_factory.mktemp("sdk") / "home", data) as found:
        yield found


@pytest.fixture(scope="module")
def walk(server: tuple[str, str], data: Path) -> Walk:
    assert version("kumoai") == "2.22.0"
    url, key = server
    done = subprocess.run(
        [sys.executable, str(WALK), f"{url}/api", key, str(data)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(),
        check=False,
    )
    lines = [x for x in done.stdout.splitlines() if x.startswith("FOUND ")]
    assert lines, f"the SDK's script failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return Walk(json.loads(lines[0].removeprefix("FOUND ")), url, key, data)


def test_uploads_become_tables(walk: Walk):
    assert {"customers", "orders"} <= set(walk.found["tables"])
    assert walk.found["head"] == [0, 1, 2]
    assert walk.found["has"] == [True, False]


def test_metadata_and_links_are_inferred(walk: Walk):
    assert walk.found["keys"] == {
        "customers": "customer_id", "orders": "order_id", "regions": "region_id",
    }  # fmt: skip
    assert walk.found["times"] == {"customers": "signup", "orders": "time"}
    assert walk.found["edges"] == [
        ["customers", "region_id", "regions"],
        ["orders", "customer_id", "customers"],
    ]


def test_graphs_are_saved_loaded_and_copied(walk: Walk):
    assert walk.found["loaded"] is True
    graph_id, snapshot = walk.found["snapshot"]
    assert graph_id == "shop" or graph_id.startswith("graph-")
    assert "@" in snapshot
    assert walk.found["rows"]["customers"] == CUSTOMERS
    assert walk.found["edge_stats"] == [CUSTOMERS, walk.found["rows"]["orders"]]


def test_directories_of_the_server_are_read(walk: Walk):
    assert walk.found["folder_tables"] == ["customers", "orders", "regions"]
    assert walk.found["folder_table"] == ["order_id", "time"]


def test_a_bad_query_is_told_in_the_servers_words(walk: Walk):
    assert "order" in walk.found["bad_query"]
    assert "Did you mean 'orders'?" in walk.found["bad_query"]
    assert "line 1, column 15" in walk.found["bad_query"]


def test_queries_and_plans(walk: Walk):
    assert walk.found["task_type"] == "binary_classification"
    assert "COUNT(orders.*" in walk.found["reloaded"]
    assert walk.found["step"] == 30
    assert walk.found["tune_metric"] == "auroc"


def test_the_training_table_is_a_frame(walk: Walk):
    assert walk.found["training_table"]["columns"][:3] == ["ENTITY", "TIMESTAMP", "TARGET"]
    assert walk.found["training_table"]["rows"] > CUSTOMERS


def test_metrics_can_be_recomputed_from_the_holdout(walk: Walk):
    holdout = pd.read_parquet(walk.data / "holdout.parquet")
    target = holdout["TARGET"].astype(bool)
    assert walk.found["test"]["auroc"] > 0.6
    assert roc_auc_score(target, holdout["True_PROB"]) == pytest.approx(
        walk.found["test"]["auroc"], abs=1e-9
    )
    assert accuracy_score(target, holdout["TARGET_PRED"].astype(bool)) == pytest.approx(
        walk.found["test"]["acc"], abs=1e-9
    )
    assert set(walk.found["validation"]) == set(walk.found["test"])


def test_predictions_are_a_frame_of_every_entity(walk: Walk):
    found = walk.found["predictions"]
    assert found["columns"] == ["ENTITY", "TIMESTAMP", "TARGET_PRED", "False_PROB", "True_PROB"]
    assert found["rows"] == found["scored"] == CUSTOMERS
    assert found["sums"] < 1e-6
    assert walk.found["anchor"].startswith("2023-12")


def test_tags_find_a_trainer_again(walk: Walk):
    assert walk.found["loaded_trainer"] is True
    updated, tags = walk.found["tags"]
    assert updated is True
    assert tags == {"team": "growth", "stage": "test"}
    assert walk.found["config"] is True


def test_cancel(walk: Walk):
    assert walk.found["cancelled"] is True
    assert walk.found["cancelled_state"] == "CANCELLED"


def test_a_failed_job_says_why(walk: Walk):
    assert "9000" in walk.found["failed"] or "window" in walk.found["failed"]


def test_the_saved_query_is_automated_over_http(walk: Walk):
    with httpx.Client(base_url=walk.url, headers={"X-API-Key": walk.key}) as client:
        answer = client.post("/api/v1/predictive_queries/active/predict", json={})
        assert answer.status_code == 202, answer.text
        deadline = time.monotonic() + 60
        status: dict[str, Any] = {"state": None}
        while status["state"] not in ("DONE", "FAILED"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
            status = client.get("/api/v1/predictive_queries/active/prediction_status").json()
    assert status["state"] == "DONE", status["error"]
    assert status["result"]["num_entities"] == CUSTOMERS


def test_a_wrong_key_does_not_get_in(walk: Walk):
    script = "import kumoai, sys; kumoai.init(url=sys.argv[1], api_key=sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", script, f"{walk.url}/api", "demo:wrong"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode != 0
    assert "HTTP 401" in done.stderr
    assert "not valid" in done.stderr
