"""A cancel that keeps the best so far: what is published, what is said of it, and its bounds."""

from __future__ import annotations

import time

import pytest

from relcast.catalog import JobRecord
from relcast.core.errors import InvalidRequest
from relcast.jobs import runner

from .conftest import House, alive
from .test_faults import end, serve


def training(house: House, query: str, **wish: object) -> JobRecord:
    """A training that has worked for a moment."""
    house.wish(train={"sleep": 60, **wish})
    before = len(house.runs("train"))
    job = house.platform.retrain(query)
    deadline = time.monotonic() + 30
    while len(house.runs("train")) == before or house.platform.job(job.id).stage.name != "Training":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def cancels(house: House, job_id: str) -> list[bool]:
    events = house.platform.events(job_id)
    return [e.payload["keep_best"] for e in events if e.type == "cancel"]


@pytest.mark.parametrize("keeps", [True, "numb"])
def test_a_training_that_is_stopped_publishes_its_best_so_far(house, monkeypatch, keeps):
    monkeypatch.setattr(runner, "_HINT_SECONDS", 0.5)
    query = house.query()
    job = training(house, query, keeps=keeps)
    began = time.monotonic()
    assert house.platform.cancel(job.id, keep_best=True) is True
    done = house.until(job.id)
    assert time.monotonic() - began < 5
    assert (done.state, done.error, done.cancel_requested, done.keep_best) == (
        "DONE", None, True, True,
    )  # fmt: skip
    assert done.result["stopped_early"] is True
    assert done.result["metrics"]["test"] == {"mae": 1.5}
    [stage] = [s for s in done.stages if s.name == "Training"]
    assert (stage.state, stage.detail[:13]) == ("DONE", "stopped early")
    assert cancels(house, job.id) == [True]
    # The first model of a query is promoted, so that there is something to predict with.
    [model] = house.platform.models(query)
    assert (model.promoted, model.lineage["stopped_early"]) == (True, True)
    assert (house.home / model.path / "model.txt").exists()
    assert not alive(house.runs())


def test_a_model_that_was_stopped_early_takes_no_others_place(house):
    query = house.query()
    whole = house.until(house.platform.retrain(query).id)
    assert whole.result["stopped_early"] is False
    stopped = training(house, query, keeps=True)
    house.platform.cancel(stopped.id, keep_best=True)
    made = house.until(stopped.id).result["model_id"]
    assert house.platform.query(query).promoted_model_id == whole.result["model_id"]
    assert house.platform.promote(made).promoted


def test_nothing_is_published_where_there_is_nothing_yet(house):
    query = house.query()
    job = training(house, query, keeps=False)
    house.platform.cancel(job.id, keep_best=True)
    assert house.until(job.id).state == "CANCELLED"
    house.wish(ingest={"sleep": 60})
    reading = house.platform.retrain(query)
    while len(house.runs("ingest")) < 2:
        time.sleep(0.02)
    began = time.monotonic()
    house.platform.cancel(reading.id, keep_best=True)
    assert house.until(reading.id).state == "CANCELLED"
    assert time.monotonic() - began < 5
    assert house.platform.models(query) == []
    assert not alive(house.runs())


def test_publishing_has_a_bound(house, monkeypatch):
    monkeypatch.setattr(runner, "_KEEP_SECONDS", 1.0)
    job = training(house, house.query(), keeps="deaf")
    began = time.monotonic()
    house.platform.cancel(job.id, keep_best=True)
    assert house.until(job.id).state == "CANCELLED"
    assert 1 < time.monotonic() - began < 6
    assert not alive(house.runs())


def test_a_plain_cancel_after_it_ends_at_once(house):
    job = training(house, house.query(), keeps="deaf")
    house.platform.cancel(job.id, keep_best=True)
    assert house.platform.job(job.id).keep_best
    house.platform.cancel(job.id)
    assert house.until(job.id, seconds=6).state == "CANCELLED"
    assert cancels(house, job.id) == [True, False]


def test_the_plan_says_what_a_cancel_does_that_does_not_say_it(house):
    query = house.query()
    house.platform.update_query(query, plan={"model": {"on_stop": "publish"}})
    kept = training(house, query, keeps=True)
    house.platform.cancel(kept.id)
    assert house.until(kept.id).result["stopped_early"] is True
    discarded = training(house, query, keeps=True)
    house.platform.cancel(discarded.id, keep_best=False)
    assert house.until(discarded.id).state == "CANCELLED"


def test_only_a_training_has_something_to_keep(idle):
    query = idle.query()
    table = idle.platform.submit_training_table(query)
    with pytest.raises(InvalidRequest) as caught:
        idle.platform.cancel(table.id, keep_best=True)
    assert caught.value.code == "job.nothing_to_keep"
    waiting = idle.platform.submit_training(query, training_table_job_id=table.id)
    assert idle.platform.cancel(waiting.id, keep_best=True) is True
    assert idle.platform.job(waiting.id).state == "CANCELLED"
    assert idle.platform.cancel(waiting.id, keep_best=True) is True


def test_a_worker_that_dies_while_it_keeps_leaves_a_cancelled_job(idle):
    idle.wish(train={"sleep": 60, "keeps": "deaf"})
    query = idle.query()
    first = serve(idle.home)
    try:
        job = idle.platform.retrain(query)
        deadline = time.monotonic() + 30
        while not idle.runs("train"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        idle.platform.cancel(job.id, keep_best=True)
        time.sleep(0.5)
    finally:
        end(first)
    second = serve(idle.home)
    try:
        assert idle.until(job.id).state == "CANCELLED"
    finally:
        end(second)
    assert len(idle.runs("train")) == 1
    assert idle.platform.models(query) == []
