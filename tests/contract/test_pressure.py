"""A full queue and requests that come twice, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.served import Served
from tests.server.conftest import SPEND, write_shop
from tests.server.test_every_route import assert_problem

pytestmark = pytest.mark.xdist_group("pressure")

QUEUE = 3
LONG = {"plan": {"model": {"run_mode": "best", "time_budget_seconds": 3000}}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose one worker is busy with a training that does not end by itself."""
    root = tmp_path_factory.mktemp("pressure")
    write_shop(root / "data" / "shop", customers=200)
    write_shop(root / "data" / "second", customers=5)
    settings = {"RELCAST_DATA_ROOTS": str(root / "data"), "RELCAST_MAX_QUEUE": str(QUEUE)}
    with Served(root / "home", **settings) as running:
        graph = running.connect(root / "data" / "shop").json()["id"]
        assert running.ask(graph, SPEND, name="spend").status_code == 200
        busy = running.post("/predictive_queries/spend/retrain", LONG)
        running.wait_for_stage(busy["id"], "Training")
        yield running
        running.post(f"/jobs/{busy['id']}/cancel")


def cancel_waiting(served: Served) -> None:
    for job in served.get("/jobs?state=QUEUED&limit=200")["items"]:
        served.post(f"/jobs/{job['id']}/cancel")


def post(served: Served, key: str) -> httpx.Response:
    return httpx.post(
        f"{served.url}/api/v1/predictive_queries/spend/retrain",
        headers={"X-API-Key": served.key, "Idempotency-Key": key},
        json={"tags": {"key": key}},
        timeout=60,
    )


def test_a_full_queue_is_a_429_that_says_when_to_come_back(served: Served):
    answers = [served.http.post("/predictive_queries/spend/retrain") for _ in range(QUEUE)]
    assert [answer.status_code for answer in answers] == [202] * QUEUE
    assert [answer.json()["position"] for answer in answers] == [1, 2, 3]
    refused = post(served, "too early")
    problem = assert_problem(refused, 429)
    assert problem["code"] == "queue.full"
    assert f"{QUEUE} jobs wait" in str(problem["detail"])
    assert problem["hint"]
    assert int(refused.headers["retry-after"]) >= 1
    assert len(served.get("/jobs?state=QUEUED")["items"]) == QUEUE
    # Nothing of the refused request stays behind: its key is free when there is room again.
    served.post(f"/jobs/{answers[0].json()['id']}/cancel")
    assert post(served, "too early").status_code == 202
    cancel_waiting(served)


def test_one_key_in_parallel_is_one_job(served: Served):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(served, "nightly"), range(32)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert assert_problem(answer)["code"] == "idempotency.in_flight"
    assert {job["id"] for job in served.get("/jobs?tag=key:nightly")["items"]} == made
    again = post(served, "nightly")
    assert (again.status_code, again.json()["id"]) == (202, *made)
    assert again.headers["idempotent-replayed"] == "true"
    cancel_waiting(served)


def test_a_connector_that_is_made_twice_with_one_key_is_made_once(served: Served):
    """docs/api.md said so, and the second call got a 409."""
    root = str(served.home.parent / "data" / "second")
    for body in (
        {"name": "second", "root": root},
        {"config": {"type": "file", "name": "third", "root_dir": root}},
    ):
        headers = {"Idempotency-Key": f"connector {next(iter(body))}"}
        first = served.http.post("/connectors", json=body, headers=headers)
        again = served.http.post("/connectors", json=body, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201), again.text
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        assert assert_problem(served.http.post("/connectors", json=body), 409)["hint"]
    reused = served.http.post("/connectors", json={"name": "fourth", "root": root}, headers=headers)
    assert assert_problem(reused, 422)["code"] == "idempotency.reused"
