"""What dies, dies without losing a job, doubling it, or leaving a process behind."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from relcast.catalog import JobRecord
from relcast.core.errors import TooMany
from relcast.jobs import Platform, child, engine, runner

from .conftest import FAKE, House, alive, until

SERVE = Path(__file__).parent / "serve_home.py"


def serve(home: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, str(SERVE), str(home)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


def gone(pids: list[int], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_kill_9_of_the_server_in_mid_training_loses_nothing(idle):
    query = idle.query()
    idle.wish(train={"sleep": 60, "grandchild": True})
    first = serve(idle.home)
    try:
        job = idle.platform.retrain(query)
        waiting = idle.platform.retrain(query)
        deadline = time.monotonic() + 30
        while not idle.runs("grandchild"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert idle.platform.job(job.id).state == "RUNNING"
    finally:
        end(first)
    # No orphan survives the server, grandchildren included.
    assert gone(idle.runs())
    idle.wish()
    second = serve(idle.home)
    try:
        done = idle.until(job.id)
        assert idle.until(waiting.id).state == "DONE"
    finally:
        end(second)
    assert (done.state, done.attempts) == ("DONE", 2)
    # Finished steps were not done again: two jobs, each one ingestion and one table.
    assert len(idle.runs("ingest")) == len(idle.runs("training_table")) == 2
    assert len(idle.runs("train")) == 3
    assert len(idle.platform.models(query)) == 2
    states = [e.payload["state"] for e in idle.platform.events(job.id) if e.type == "state"]
    assert states == ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "DONE"]


def test_a_living_worker_takes_up_what_a_dead_one_left(house):
    house.wish(train={"sleep": 60})
    other = serve(house.home)  # takes the second slot
    try:
        jobs = []
        # Whoever is quicker takes a job; post until the other process has one.
        deadline = time.monotonic() + 30
        while not (taken := [j for j in jobs if worker_of(house, j) == "worker-1"]):
            assert time.monotonic() < deadline
            for job in jobs:
                house.platform.cancel(job)
                house.until(job)
            jobs = [house.platform.retrain(house.query(f"q{time.monotonic_ns()}")).id]
            house.until(jobs[0], "RUNNING")
    finally:
        end(other)
    house.wish()
    assert house.until(taken[0]).state == "DONE"


def test_the_slot_of_a_worker_that_was_killed_comes_free_soon(idle):
    idle.wish(ingest={"sleep": 60})
    query = idle.query()
    other = serve(idle.home)
    try:
        held = idle.platform.submit_training_table(query)
        idle.until(held.id, "RUNNING")
        idle.platform.start(worker=True)
        waits = idle.platform.submit_training_table(query)
        time.sleep(1)
        assert idle.platform.job(waits.id).state == "QUEUED", "the only slot is taken"
        idle.wish()
    finally:
        end(other)
    killed = time.monotonic()
    idle.until(held.id, "RUNNING", seconds=5)
    done = [idle.until(job.id) for job in (held, waits)]
    assert time.monotonic() - killed < 15
    assert [(j.state, j.attempts) for j in done] == [("DONE", 2), ("DONE", 1)]
    assert done[1].started_at >= done[0].ended_at


def worker_of(house: House, job_id: str) -> str | None:
    import sqlalchemy as sa

    from relcast.catalog.tables import jobs

    with house.platform.catalog.database.read() as connection:
        return connection.scalar(sa.select(jobs.c.worker).where(jobs.c.id == job_id))


def most_at_once(jobs: list[JobRecord]) -> int:
    """How many of these jobs ran at the same time, at most."""
    ends = [(j.ended_at, -1) for j in jobs]
    changes = sorted(ends + [(j.started_at, 1) for j in jobs], key=lambda c: (c[0], c[1]))
    return max(itertools.accumulate(step for _, step in changes))


def test_two_workers_run_each_job_once_and_one_at_a_time(house):
    query = house.query()
    other = serve(house.home)
    try:
        jobs = [house.platform.submit_training_table(query).id for _ in range(8)]
        done = [house.until(j) for j in jobs]
    finally:
        end(other)
    assert {j.state for j in done} == {"DONE"}
    assert {j.attempts for j in done} == {1}
    assert most_at_once(done) == 1
    assert len(house.runs("training_table")) == len(house.runs("ingest")) == 8


@pytest.fixture
def careless(monkeypatch) -> None:
    """Let the engine's queue hand out every job at once, as it may when workers race."""
    real = engine.DBOS.register_queue

    def register(name: str, **options: object) -> object:
        return real(name, **(options | {"global_concurrency": None}))

    monkeypatch.setattr(engine.DBOS, "register_queue", register)


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_bound_holds_whatever_the_engine_hands_out(settings, fake, careless, at_once):
    house = House(replace(settings, jobs_at_once=at_once))
    house.wish(ingest={"sleep": 0.3})
    jobs = [house.platform.submit_training_table(house.query(f"q{n}")).id for n in range(5)]
    house.platform.start(worker=True)
    try:
        done = [house.until(j) for j in jobs]
    finally:
        house.platform.stop()
    assert most_at_once(done) == at_once
    # Who finds no slot keeps its place, and did not begin.
    assert [j.id for j in sorted(done, key=lambda j: j.started_at)] == jobs
    assert {(j.state, j.attempts) for j in done} == {("DONE", 1)}
    assert len(house.runs("ingest")) == 5


def test_a_job_that_had_to_wait_for_another_begins_before_younger_ones(house):
    """Oldest first means posted first, not told to the engine first."""
    house.wish(ingest={"sleep": 1})
    query = house.query()
    table = house.platform.submit_training_table(query)
    training = house.platform.submit_training(query, training_table_job_id=table.id)
    younger = house.platform.submit_training_table(query)
    assert house.until(younger.id).started_at >= house.until(training.id).ended_at


def test_a_worker_that_stops_gives_its_job_back(settings, fake, idle):
    query = idle.query()
    idle.wish(train={"sleep": 60})
    idle.platform.start(worker=True)
    job = idle.platform.retrain(query)
    deadline = time.monotonic() + 20
    while not idle.runs("train"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    idle.platform.stop()
    assert gone(idle.runs(), 0.5)
    again = Platform.open(settings)
    assert (again.job(job.id).state, again.job(job.id).attempts) == ("QUEUED", 0)
    idle.wish()
    again.start(worker=True)
    try:
        done = until(again, job.id)
    finally:
        again.stop()
    assert (done.state, done.attempts) == ("DONE", 1)
    assert len(idle.runs("training_table")) == 1


def test_cancel_ends_the_whole_group_quickly(house):
    query = house.query()
    house.wish(train={"sleep": 60, "grandchild": True})
    job = house.platform.retrain(query)
    deadline = time.monotonic() + 20
    while not house.runs("grandchild"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    assert house.platform.cancel(job.id) is True
    cancelled = house.until(job.id)
    assert time.monotonic() - began < 5
    assert cancelled.state == "CANCELLED"
    assert [s.state for s in cancelled.stages][:3] == ["DONE", "DONE", "CANCELLED"]
    assert not alive(house.runs())
    assert house.platform.cancel(job.id) is True
    assert house.platform.models(query) == []
    assert not (house.home / "models" / f"model-{job.id.rpartition('-')[2]}").exists()


def test_a_child_that_ignores_signals_is_killed_all_the_same(house, monkeypatch):
    monkeypatch.setattr(runner, "_GRACE", 0.5)
    house.wish(ingest={"sleep": 60, "stubborn": True})
    job = house.platform.submit_training_table(house.query())
    house.until(job.id, "RUNNING")
    while not house.runs("ingest"):
        time.sleep(0.02)
    house.platform.cancel(job.id)
    assert house.until(job.id).state == "CANCELLED"
    assert not alive(house.runs())


def test_a_waiting_job_is_cancelled_at_once_and_takes_its_children_along(idle):
    query = idle.query()
    table = idle.platform.submit_training_table(query)
    training = idle.platform.submit_training(query, training_table_job_id=table.id)
    assert idle.platform.cancel(table.id) is True
    assert idle.platform.job(table.id).state == "CANCELLED"
    idle.platform.start(worker=True)
    failed = idle.until(training.id)
    assert (failed.state, failed.error["code"]) == ("FAILED", "job.parent_cancelled")
    assert not idle.runs()


def test_a_crash_is_ours_and_names_the_log(house):
    house.wish(ingest={"exit": 3})
    job = house.until(house.platform.submit_training_table(house.query()).id)
    assert (job.state, job.error["code"], job.error["status"]) == ("FAILED", "job.crashed", 500)
    assert "exit status 3" in job.error["message"]
    assert f"logs/{job.id}.log" in job.error["hint"]
    log = house.home / "logs" / f"{job.id}.log"
    assert "a trace for the log" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_child_that_is_killed_is_tried_again(house):
    house.wish(ingest={"segfault": True})
    job = house.until(house.platform.submit_training_table(house.query()).id)
    assert job.state == "DONE"
    assert len(house.runs("ingest")) == 2


@pytest.mark.parametrize(
    ("bound", "wish", "code"),
    [
        ({"max_run_seconds": 1}, {"sleep": 60}, "job.out_of_time"),
        ({"memory_limit_mb": 300}, {"allocate_mb": 500}, "job.out_of_memory"),
    ],
)
def test_time_and_memory_are_bounded(settings, fake, bound, wish, code):
    house = House(replace(settings, **bound))
    house.wish(ingest=wish)
    house.platform.start(worker=True)
    try:
        job = house.until(house.platform.submit_training_table(house.query()).id)
    finally:
        house.platform.stop()
    assert (job.state, job.error["code"]) == ("FAILED", code)
    assert job.error["hint"]
    assert not alive(house.runs())


def test_the_queue_is_bounded(settings, fake):
    house = House(replace(settings, max_queue=2))
    query = house.query()
    for _ in range(2):
        house.platform.submit_training_table(query)
    with pytest.raises(TooMany, match="2 jobs wait") as caught:
        house.platform.submit_training_table(query)
    assert caught.value.code == "queue.full"
    assert house.platform.queue_length() == 2
    house.platform.stop()


def test_a_job_that_kills_its_worker_again_and_again_is_given_up(idle):
    query = idle.query()
    job = idle.platform.submit_training_table(query)
    for _ in range(5):
        assert idle.platform.catalog.jobs.claim(job.id, "worker-0")
        assert idle.platform.catalog.jobs.requeue("worker-0") == [job.id]
    idle.platform.start(worker=True)
    failed = idle.until(job.id)
    assert (failed.state, failed.error["code"]) == ("FAILED", "job.crashed")
    assert "5 times" in failed.error["message"]
    assert not idle.runs()


def test_a_lost_engine_database_loses_no_job(settings, fake):
    house = House(settings)
    query = house.query()
    job = house.platform.submit_training_table(query)
    house.platform.catalog.jobs.mark_enqueued(job.id)  # the engine that was told is gone
    house.platform.start(worker=True)
    try:
        assert house.until(job.id).state == "DONE"
    finally:
        house.platform.stop()


def test_a_job_that_could_not_begin_begins_soon_after(house, monkeypatch):
    """The catalog is out of reach as the engine hands the job out: twice, and for the only slot."""
    jobs = house.platform.catalog.jobs
    claim, refused = jobs.claim, []

    def unlucky(*arguments: object, **options: object) -> object:
        if len(refused) < 2:
            refused.append(arguments)
            raise OSError
        return claim(*arguments, **options)

    monkeypatch.setattr(jobs, "claim", unlucky)
    job = house.until(house.platform.submit_training_table(house.query()).id, seconds=20)
    assert (job.state, job.attempts, len(refused)) == ("DONE", 1, 2)


def test_the_lifeline_ends_a_child_whose_parent_is_gone(tmp_path):
    """Without the kernel's help too: closing the pipe is enough."""
    (tmp_path / "control.json").write_text('{"ingest": {"sleep": 60, "grandchild": true}}')
    spec = tmp_path / "spec.json"
    spec.write_text(
        f'{{"command": "ingest", "spec": {{"store": "{tmp_path}/snapshots", "sources": {{}}}}}}'
    )
    process = subprocess.Popen(
        [sys.executable, str(FAKE), str(spec), str(tmp_path / "result.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    house_runs = tmp_path / "runs.jsonl"
    deadline = time.monotonic() + 20
    while not house_runs.exists() or len(house_runs.read_text().splitlines()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.stdin.close()
    assert process.wait(5) == -signal.SIGKILL
    assert gone([json.loads(x)["pid"] for x in house_runs.read_text().splitlines()])


@pytest.mark.parametrize(
    ("order", "trace"),
    [
        ({"command": "no_such_step", "spec": {}}, "KeyError"),
        ({"command": "ingest", "spec": {"odd": 1}}, "TypeError"),
    ],
)
def test_what_breaks_in_the_real_child_goes_to_the_log_only(tmp_path, order, trace):
    spec, result = tmp_path / "spec.json", tmp_path / "result.json"
    spec.write_text(json.dumps(order))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", child.__name__, str(spec), str(result)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        status = process.wait(60)
    with process.stdin, process.stdout:
        assert process.stdout.read() == b""
    assert status == 1
    assert trace in (tmp_path / "log").read_text()
    assert not result.exists()
