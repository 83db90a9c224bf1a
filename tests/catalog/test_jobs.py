"""The state machine of jobs, as the store enforces it; stages, events, tags and pages."""

from __future__ import annotations

import itertools
import threading

import pytest
import sqlalchemy as sa

from relcast.catalog import TERMINAL, Catalog, JobKind, JobState
from relcast.catalog.jobs import FROM
from relcast.catalog.tables import jobs as jobs_table
from relcast.core.errors import InvalidRequest, NotFound, TooMany

from .conftest import add_job

ALLOWED = {
    ("NOT_STARTED", "QUEUED"),
    ("NOT_STARTED", "FAILED"),
    ("NOT_STARTED", "CANCELLED"),
    ("QUEUED", "RUNNING"),
    ("QUEUED", "FAILED"),
    ("QUEUED", "CANCELLED"),
    ("RUNNING", "QUEUED"),
    ("RUNNING", "DONE"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CANCELLED"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_every_transition_is_admitted_or_refused_by_the_store(catalog, before, after):
    job = add_job(catalog)
    with catalog.database.write() as connection:
        connection.execute(sa.update(jobs_table).values(state=before.value))
    events = len(catalog.events.after(job))
    moved = catalog.jobs.move(job, after)
    assert moved is ((before.value, after.value) in ALLOWED)
    found = catalog.jobs.get(job)
    assert found.state is (after if moved else before)
    assert len(catalog.events.after(job)) == events + moved
    if moved:
        assert (found.ended_at is not None) is (after in TERMINAL)


def test_the_terminal_states_have_no_way_out():
    assert all(not set(sources) & TERMINAL for sources in FROM.values())


def test_of_many_that_race_to_begin_a_job_one_does(catalog):
    job = add_job(catalog)
    attempts = []
    barrier = threading.Barrier(8)

    def race(number: int) -> None:
        barrier.wait()
        attempts.append(catalog.jobs.claim(job, f"worker-{number}"))

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(attempts, key=str) == [1] + ["not queued"] * 7


@pytest.mark.parametrize("at_once", [1, 3])
def test_of_many_jobs_that_race_for_slots_as_many_begin_as_there_are(settings, catalog, at_once):
    posted = [add_job(catalog, f"ingest-job-{n}") for n in range(8)]
    other = Catalog(settings)  # as another process has it
    for turn in range(1, 4):
        claimed = {}
        barrier = threading.Barrier(8)

        def race(number: int, claimed=claimed, barrier=barrier) -> None:
            jobs = (catalog, other)[number % 2].jobs
            barrier.wait()
            claimed[posted[number]] = jobs.claim(posted[number], "w", at_once=at_once)

        threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        running = [j for j, how in claimed.items() if how != "full"]
        assert len(running) == at_once, turn
        # Their worker is gone: the slots are free again, and only what began was an attempt.
        assert sorted(catalog.jobs.requeue("w")) == sorted(running)
    assert sum(catalog.jobs.get(j).attempts for j in posted) == 3 * at_once
    other.close()


def test_slots_go_to_the_oldest_queued_jobs_first(catalog):
    first, second, third = (add_job(catalog, f"ingest-job-{n}") for n in range(3))
    waiting = add_job(catalog, "ingest-job-3", parents=[first])
    fourth = add_job(catalog, "ingest-job-4")
    claim = catalog.jobs.claim
    assert claim(third, "w", at_once=2, in_order=True) == "behind"
    assert claim(waiting, "w", at_once=2, in_order=True) == "not queued"
    assert claim(second, "w", at_once=2, in_order=True) == 1
    assert claim(third, "w", at_once=2, in_order=True) == "behind"
    assert claim(first, "w", at_once=2, in_order=True) == 1
    assert claim(third, "w", at_once=2, in_order=True) == "full"
    catalog.jobs.move(second, JobState.DONE, attempt=1)
    assert claim(fourth, "w", at_once=2, in_order=True) == "behind"
    assert claim(fourth, "w", at_once=2) == 1
    assert [catalog.jobs.get(j).attempts for j in (first, second, third, fourth)] == [1, 1, 0, 1]


@pytest.mark.parametrize("number", range(10))
def test_done_cancelled_and_failed_race_to_exactly_one_end(catalog, number):
    job = add_job(catalog)
    attempt = catalog.jobs.claim(job, "worker-0")
    won = []

    def race(end: JobState) -> None:
        if catalog.jobs.move(job, end, attempt=attempt):
            won.append(end)

    threads = [threading.Thread(target=race, args=(end,)) for end in TERMINAL]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert catalog.jobs.get(job).state is won[0]


def test_a_run_that_was_given_up_for_dead_changes_nothing(catalog):
    job = add_job(catalog)
    first = catalog.jobs.claim(job, "worker-0")
    assert catalog.jobs.requeue("worker-0") == [job]
    second = catalog.jobs.claim(job, "worker-1")
    assert catalog.jobs.move(job, JobState.DONE, attempt=first) is False
    assert catalog.jobs.move(job, JobState.DONE, attempt=second) is True
    assert catalog.jobs.requeue("worker-1") == []


def test_releasing_takes_the_attempt_back(catalog):
    job = add_job(catalog)
    attempt = catalog.jobs.claim(job, "worker-0")
    catalog.jobs.release(job, attempt)
    assert (catalog.jobs.get(job).state, catalog.jobs.get(job).attempts) == ("QUEUED", 0)


def test_cancelling(catalog, clock):
    waiting, running, done = (add_job(catalog, f"ingest-job-{n}") for n in "abc")
    catalog.jobs.claim(running, "w")
    attempt = catalog.jobs.claim(done, "w")
    catalog.jobs.move(done, JobState.DONE, attempt=attempt, result={"x": 1})
    assert catalog.jobs.request_cancel(waiting) is JobState.CANCELLED
    assert catalog.jobs.request_cancel(running) is JobState.RUNNING
    assert catalog.jobs.stop_asked(running) == "discard"
    assert catalog.jobs.request_cancel(running, keep_best=True) is JobState.RUNNING
    assert catalog.jobs.stop_asked(running) == "discard", "what was given up is not kept"
    assert catalog.jobs.request_cancel(running) is JobState.RUNNING
    assert [e.type for e in catalog.events.after(running)].count("cancel") == 1
    assert catalog.jobs.request_cancel(done) is JobState.DONE
    assert catalog.jobs.get(done).result == {"x": 1}
    assert catalog.jobs.stop_asked(done) is None


def test_a_cancel_that_keeps_the_best_may_be_followed_by_one_that_does_not(catalog):
    waiting, running = add_job(catalog, "ingest-job-1"), add_job(catalog, "ingest-job-2")
    catalog.jobs.claim(running, "w")
    assert catalog.jobs.request_cancel(waiting, keep_best=True) is JobState.CANCELLED
    assert not catalog.jobs.get(waiting).keep_best
    for _ in range(2):
        assert catalog.jobs.request_cancel(running, keep_best=True) is JobState.RUNNING
        assert catalog.jobs.stop_asked(running) == "keep best"
        assert catalog.jobs.get(running).to_json()["keep_best"] is True
    for _ in range(2):
        catalog.jobs.request_cancel(running)
        assert catalog.jobs.stop_asked(running) == "discard"
    said = [e.payload["keep_best"] for e in catalog.events.after(running) if e.type == "cancel"]
    assert said == [True, False]


def test_the_queue_is_bounded_also_when_many_post_at_once(catalog):
    outcomes = []

    def post(number: int) -> None:
        try:
            add_job(catalog, f"ingest-job-{number}", max_queue=5)
            outcomes.append("in")
        except TooMany as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=post, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in"] * 5 + ["queue.full"] * 7
    assert catalog.jobs.waiting() == 5


def test_positions_count_what_was_posted_before(catalog):
    first, second = add_job(catalog, "ingest-job-1"), add_job(catalog, "ingest-job-2")
    third = add_job(catalog, "ingest-job-3", parents=[second])
    assert catalog.jobs.get(third).state is JobState.NOT_STARTED
    assert catalog.jobs.get(third).parents == (second,)
    assert [catalog.jobs.get(j).position for j in (first, second, third)] == [1, 2, 3]
    catalog.jobs.claim(first, "w")
    assert [catalog.jobs.get(j).position for j in (first, second, third)] == [None, 1, 2]


def test_pages_are_stable_while_jobs_arrive(catalog):
    for number in range(7):
        add_job(catalog, f"ingest-job-{number}", tags={"parity": str(number % 2)})
    seen, cursor = [], None
    while True:
        page = catalog.jobs.page(limit=3, cursor=cursor)
        seen += [j.id for j in page.items]
        add_job(catalog, f"ingest-job-new-{len(seen)}")
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"ingest-job-{n}" for n in range(6, -1, -1)]
    odd = catalog.jobs.page(tags={"parity": "1"}).items
    assert [j.id for j in odd] == ["ingest-job-5", "ingest-job-3", "ingest-job-1"]
    assert catalog.jobs.page(kind=JobKind.training).items == []
    assert len(catalog.jobs.page(state=JobState.QUEUED, limit=200).items) == 10


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1; DROP TABLE jobs", "9" * 40, "²"])
def test_a_bad_cursor_is_refused(catalog, cursor):
    with pytest.raises(InvalidRequest) as caught:
        catalog.jobs.page(cursor=cursor)
    assert caught.value.code == "request.bad_cursor"


def test_tags_are_set_and_removed(catalog):
    job = add_job(catalog, tags={"a": "1", "b": "2"})
    catalog.jobs.set_tags(job, {"b": None, "a": "3", "c": "4"})
    assert catalog.jobs.get(job).tags == {"a": "3", "c": "4"}


def test_an_unknown_job_is_not_found(catalog):
    with pytest.raises(NotFound) as caught:
        catalog.jobs.get("ingest-job-404")
    assert caught.value.code == "job.not_found"


def test_stages_keep_their_order_and_end_with_the_job(catalog, clock):
    job = add_job(catalog, stages=("Ingestion", "Training"))
    assert catalog.jobs.get(job).stage is None
    attempt = catalog.jobs.claim(job, "w")
    catalog.stages.put(job, "Training", JobState.RUNNING, begins=True, total=10, unit="trees")
    clock.forward(seconds=5)
    catalog.stages.put(job, "Training", JobState.RUNNING, done=4, total=10, unit="trees")
    catalog.stages.put(job, "Writing", JobState.DONE, begins=True)
    found = catalog.jobs.get(job)
    assert [s.name for s in found.stages] == ["Ingestion", "Training", "Writing"]
    assert (found.stage.name, found.stage.done, found.stage.total) == ("Training", 4, 10)
    catalog.jobs.move(job, JobState.FAILED, attempt=attempt, error={"code": "x"})
    training = catalog.jobs.get(job).stages[1]
    assert (training.state, (training.ended_at - training.started_at).seconds) == ("FAILED", 5)
    assert catalog.jobs.get(job).stages[0].state is JobState.NOT_STARTED


def test_events_resume_after_the_last_one_seen(catalog):
    job, other = add_job(catalog, "ingest-job-1"), add_job(catalog, "ingest-job-2")
    for number in range(5):
        catalog.events.add(job, "report", {"n": number})
        catalog.events.add(other, "report", {"n": -1})
    every = catalog.events.after(job)
    assert [e.seq for e in every] == sorted({e.seq for e in every})
    rest = catalog.events.after(job, every[2].seq)
    assert [e.payload["n"] for e in rest] == [2, 3, 4]
    assert catalog.events.after(job, every[-1].seq) == []
