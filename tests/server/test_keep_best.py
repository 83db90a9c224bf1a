"""A training that is stopped early, over HTTP and from the command line, with the real learner.

What is typed is what docs/api.md and docs/jobs.md show.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import SPEND, Shop
from tests.server.test_every_route import assert_problem

DOCS = Path(__file__).parents[2] / "docs"
# Nothing of it is done before somebody stops it.
LONG = {"model": {"run_mode": "best", "num_experiments": 500, "time_budget_seconds": 3000}}


@pytest.fixture
def name(shop: Shop, graph_id: str, request: pytest.FixtureRequest) -> str:
    """A query that has no model yet."""
    body = {"name": request.node.name, "query_string": SPEND, "graph_id": graph_id, "plan": LONG}
    assert shop.client.post("/api/v1/predictive_queries", json=body).status_code == 200
    return request.node.name


def underway(shop: Shop, name: str) -> str:
    """Start a training, and return its id when a baseline of it is scored."""
    job_id = shop.client.post(f"/api/v1/predictive_queries/{name}/retrain").json()["id"]
    deadline = time.monotonic() + 90
    while not any(e.type == "report" for e in shop.platform.events(job_id)):
        assert time.monotonic() < deadline, shop.platform.job(job_id)
        time.sleep(0.05)
    return job_id


def shown(page: str, pattern: str) -> str:
    """Return what the page shows."""
    found = re.search(pattern, (DOCS / page).read_text())
    assert found, pattern
    return found[1]


def check(shop: Shop, job: dict[str, Any], name: str) -> None:
    """The job says what happened, and its model predicts."""
    assert (job["state"], job["error"]) == ("DONE", None)
    assert (job["cancel_requested"], job["keep_best"]) == (True, True)
    assert job["result"]["stopped_early"] is True
    assert job["result"]["metrics"]["test"]["mae"] > 0
    model = shop.client.get(f"/api/v1/models/{job['result']['model_id']}").json()
    assert (model["promoted"], model["lineage"]["stopped_early"]) == (True, True)
    assert any("was stopped" in warning for warning in model["evaluation"]["warnings"])
    status = shop.client.get(f"/api/v1/predictive_queries/{name}/training_status").json()
    assert status["result"]["stopped_early"] is True
    answer = shop.client.post(f"/api/v1/predictive_queries/{name}/predict")
    predicted = shop.wait(answer.json()["id"])
    assert predicted["result"]["model_id"] == job["result"]["model_id"]
    assert predicted["result"]["num_entities"] > 0


def test_a_training_that_is_stopped_over_http_keeps_its_best(shop: Shop, name: str) -> None:
    body = json.loads(shown("api.md", r"cancel -d '(\{\"keep_best\".*?\})'"))
    job_id = underway(shop, name)
    answer = shop.client.post(f"/api/v1/jobs/{job_id}/cancel", json=body)
    assert answer.json() == {
        "is_cancelled": True,
        "job_id": job_id,
        "detail": "The job will stop and publish its best so far, if it has any",
    }
    check(shop, shop.wait(job_id), name)


def test_a_training_that_is_stopped_by_its_querys_name_keeps_its_best(
    shop: Shop, name: str
) -> None:
    job_id = underway(shop, name)
    path = f"/api/v1/predictive_queries/{name}/cancel_training"
    assert shop.client.post(path, json={"keep_best": True}).json()["job_id"] == job_id
    job = shop.wait(job_id)
    assert (job["state"], job["result"]["stopped_early"]) == ("DONE", True)


def test_a_training_that_is_stopped_from_the_command_line_keeps_its_best(
    shop: Shop, name: str
) -> None:
    job_id = underway(shop, name)
    line = shown("jobs.md", r"(relcast jobs cancel .*)").replace("trainingjob-…", job_id)
    job, said = relcast(shop, line)
    assert "DONE, stopped early: the best so far is published" in said
    assert f"model {shop.platform.job(job_id).result['model_id']}" in said
    assert job["id"] == job_id
    check(shop, job, name)
    _, listed = relcast(shop, "relcast jobs list --kind training --limit 3")
    assert job_id in listed
    table = job["result"]["training_table_job_id"]
    refused = run(shop, f"relcast jobs cancel {table} --keep-best")
    assert refused.returncode == 1
    assert "job.nothing_to_keep" in refused.stderr


def run(shop: Shop, line: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(line)[1:]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RELCAST_")}
    return subprocess.run(
        [sys.executable, "-m", "relcast.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "RELCAST_HOME": str(shop.platform.settings.home), "COLUMNS": "200"},
    )


def relcast(shop: Shop, line: str) -> tuple[dict[str, Any], str]:
    """Run a command; return the job that it tells of as JSON afterwards, and what it printed."""
    done = run(shop, line)
    assert done.returncode == 0, done.stderr
    found = re.search(r"trainingjob-\w+", done.stdout)
    assert found
    told = run(shop, f"relcast jobs show {found[0]} --json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout), done.stdout


def test_a_table_job_has_nothing_to_keep(shop: Shop, trained: dict[str, Any]) -> None:
    table = trained["result"]["training_table_job_id"]
    answer = shop.client.post(f"/api/v1/jobs/{table}/cancel", json={"keep_best": True})
    assert assert_problem(answer, 422)["code"] == "job.nothing_to_keep"
    assert shop.client.post(f"/api/v1/jobs/{table}/cancel", json={}).status_code == 200
    for body in ({"keep_best": "perhaps"}, {"keep": True}):
        assert_problem(shop.client.post(f"/api/v1/jobs/{table}/cancel", json=body), 422)
