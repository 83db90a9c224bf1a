"""``relcast serve`` and ``relcast worker`` as they are started, killed as they are killed.

tests/jobs does the same to the engine with stand-in children, at many more places; here every
process is the real one, with the real learner at work.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relcast.ui.sessions import COOKIE
from tests.served import ENDED, Served, none_left, processes_of
from tests.server.conftest import SPEND, write_shop

pytestmark = pytest.mark.xdist_group("kills")

# The clock is to have no say: a busy machine must not end one of two equal trainings earlier.
PLAN = {
    "model": {"run_mode": "debug", "seed": 11, "time_budget_seconds": 3000},
    "table": {"seed": 11},
}
# Nothing of it is done before somebody cancels it.
LONG = {"model": {"run_mode": "best", "num_experiments": 500, "time_budget_seconds": 3000}}


def begin(served: Served, data: Path) -> None:
    """Connect the data and save the query, over HTTP."""
    graph = served.connect(data)
    assert graph.status_code == 201, graph.text
    query = served.ask(graph.json()["id"], SPEND, name="spend", plan=PLAN)
    assert query.status_code == 200, query.text


def holdout(served: Served, job: dict[str, Any]) -> pa.Table:
    return pq.read_table(served.home / "models" / job["result"]["model_id"] / "holdout.parquet")


def predictions(served: Served, job: dict[str, Any]) -> pa.Table:
    return pq.read_table(served.home / "jobs" / job["id"] / "predictions.parquet")


def transitions(served: Served, job_id: str) -> list[str]:
    """The states that a job went through, as its event stream tells them."""
    text = served.http.get(f"/jobs/{job_id}/events", params={"follow": "false"}).text
    states = []
    for block in text.split("\n\n"):
        if "event: state" in block:
            data = next(x for x in block.splitlines() if x.startswith("data: "))
            states.append(json_of(data)["payload"]["state"])
    return states


def json_of(line: str) -> Any:
    return httpx.Response(200, content=line.removeprefix("data: ").encode()).json()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    write_shop(folder / "data" / "shop", customers=400)
    return folder


@pytest.fixture(scope="module")
def data(root: Path) -> Path:
    return root / "data" / "shop"


@pytest.fixture(scope="module")
def undisturbed(root: Path, data: Path) -> Iterator[tuple[Served, dict[str, Any], dict[str, Any]]]:
    """A server that nobody kills, and its training and its prediction."""
    with Served(root / "calm", RELCAST_DATA_ROOTS=str(root / "data")) as served:
        begin(served, data)
        trained, predicted = served.run("spend", "retrain"), served.run("spend", "predict")
        assert (trained["state"], predicted["state"]) == ("DONE", "DONE"), (trained, predicted)
        yield served, trained, predicted


def kill_in(served: Served, job_id: str, stage: str) -> None:
    """Kill the server with signal 9 while a stage runs, and start another on the same home.

    The child works in short turns and stands still while it is looked at: a stage may be over in a
    tenth of a second, and on a busy machine that is before this process is back at work.
    """
    deadline = time.monotonic() + 90
    while True:
        stopped = [p for p in workers_of(served) if told(p, signal.SIGSTOP)]
        time.sleep(0.03)  # the server writes down what the child said before it stood still
        job = served.get(f"/jobs/{job_id}")
        assert job["state"] not in ENDED, job
        if stopped and any(s["name"] == stage and s["state"] == "RUNNING" for s in job["stages"]):
            break
        assert time.monotonic() < deadline, job
        for process in stopped:
            told(process, signal.SIGCONT)
        time.sleep(0.05)
    assert job["state"] == "RUNNING"
    assert len(processes_of(served.home)) > 1  # the server and a child
    served.kill()
    assert not none_left(served.home)
    served.start()


def workers_of(served: Served) -> list[psutil.Process]:
    """The processes that compute: the children of a server's children, which only guard them."""
    with suppress(psutil.NoSuchProcess):
        guards = psutil.Process(served.pid).children()
        return [process for guard in guards for process in guard.children()]
    return []


def told(process: psutil.Process, number: signal.Signals) -> bool:
    """Send a signal; whether there was somebody to get it."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        return True
    return False


def test_kill_9_in_every_stage_loses_and_doubles_nothing(root, data, undisturbed):
    calm, calm_training, calm_prediction = undisturbed
    with Served(root / "killed", RELCAST_DATA_ROOTS=str(root / "data")) as served:
        begin(served, data)
        job_id = served.post("/predictive_queries/spend/retrain")["id"]
        for stage in ("Ingestion", "Training table", "Training"):
            kill_in(served, job_id, stage)
        trained = served.wait(job_id)
        assert (trained["state"], trained["error"]) == ("DONE", None)
        assert trained["attempts"] == 4
        assert transitions(served, job_id) == ["QUEUED", "RUNNING"] * 4 + ["DONE"]
        assert trained["result"]["metrics"] == calm_training["result"]["metrics"]
        assert holdout(served, trained).equals(holdout(calm, calm_training))

        prediction_id = served.post("/predictive_queries/spend/predict")["id"]
        kill_in(served, prediction_id, "Predicting")
        predicted = served.wait(prediction_id)
        assert (predicted["state"], predicted["error"]) == ("DONE", None)
        assert predicted["attempts"] == 2
        assert predictions(served, predicted).equals(predictions(calm, calm_prediction))

        # Each thing once: two jobs and the tables inside them, one model, nothing half-made.
        jobs = {job["id"]: job["kind"] for job in served.get("/jobs?limit=200")["items"]}
        kinds = ["prediction", "prediction_table", "training", "training_table"]
        assert sorted(jobs.values()) == kinds
        made = {path.name for path in (served.home / "jobs").iterdir()}
        assert made == {j for j, kind in jobs.items() if kind != "training"}
        models = served.get("/models?query=spend")
        assert len(models["items"]) == len(list((served.home / "models").iterdir())) == 1
        assert len(list((calm.home / "snapshots").rglob("*.parquet"))) == len(
            list((served.home / "snapshots").rglob("*.parquet"))
        )
        assert not list((served.home / "staging").rglob("*.parquet"))
        assert "Traceback" not in served.said()
    assert not none_left(root / "killed")


def test_cancel_in_training_leaves_no_child(undisturbed):
    served = undisturbed[0]
    job_id = served.post("/predictive_queries/spend/retrain", {"plan": LONG})["id"]
    served.wait_for_stage(job_id, "Training")
    before = set((served.home / "models").iterdir())
    began = time.monotonic()
    assert served.post("/predictive_queries/spend/cancel_training")["is_cancelled"] is True
    job = served.wait(job_id, seconds=15)
    assert job["state"] == "CANCELLED"
    assert time.monotonic() - began < 5
    assert [p.pid for p in processes_of(served.home)] == [served.pid]
    assert set((served.home / "models").iterdir()) == before
    assert transitions(served, job_id) == ["QUEUED", "RUNNING", "CANCELLED"]
    assert served.post(f"/jobs/{job_id}/cancel")["is_cancelled"] is True


def test_two_servers_and_a_worker_run_each_job_of_a_home_once(undisturbed, root):
    first = undisturbed[0]
    graph = first.get("/predictive_queries/spend")["graph_id"]
    second = Served(first.home, RELCAST_DATA_ROOTS=str(root / "data"))
    second.key = first.key
    worker = subprocess.Popen(
        first.command("worker"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=first.environment,
        start_new_session=True,
        text=True,
    )
    try:
        with second:
            assert "Working for" in worker.stdout.readline()
            posted = [
                (first, second)[number % 2].post(f"/graphsnapshots?graph_id={graph}")["id"]
                for number in range(5)
            ]
            jobs = [second.wait(snapshot.partition("@")[2]) for snapshot in posted]
            assert {job["state"] for job in jobs} == {"DONE"}
            assert {job["attempts"] for job in jobs} == {1}
            for job in jobs:
                assert transitions(first, job["id"]) == ["QUEUED", "RUNNING", "DONE"]
            # Never two at once, and never the same one twice.
            spans = sorted((job["started_at"], job["ended_at"]) for job in jobs)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)), spans
            assert len({job["result"]["snapshot_id"] for job in jobs}) == 1
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        worker.stdout.close()
    assert [p.pid for p in processes_of(first.home)] == [first.pid]


def relcast(served: Served, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "relcast.cli", *words, "--home", str(served.home)],
        capture_output=True,
        text=True,
        check=True,
        env=served.environment,
    )
    return done.stdout.splitlines()[-1]


def test_keys_reset_kills_the_old_key_of_a_running_server_at_once(undisturbed):
    served = undisturbed[0]
    old = served.key
    new = relcast(served, "keys", "reset")
    url = f"{served.url}/api/v1/jobs"
    assert httpx.get(url, headers={"X-API-Key": old}).status_code == 401
    assert httpx.get(url, headers={"X-API-Key": new}).status_code == 200
    served.key = served.http.headers["X-API-Key"] = new


def test_keys_password_ends_the_open_sessions_of_a_running_server(undisturbed):
    served = undisturbed[0]

    def sign_in(password: str) -> str:
        answer = httpx.post(
            f"{served.url}/login", data={"password": password}, headers={"Origin": served.url}
        )
        assert answer.status_code == 303, answer.text
        return answer.cookies[COOKIE]

    def page(cookie: str) -> int:
        return httpx.get(f"{served.url}/queries", cookies={COOKIE: cookie}).status_code

    cookie = sign_in(relcast(served, "keys", "password"))
    assert page(cookie) == 200
    password = relcast(served, "keys", "password")
    time.sleep(1.1)  # looked at once a second
    assert page(cookie) == 303
    assert page(sign_in(password)) == 200
