"""One key, one piece of work, one answer."""

from __future__ import annotations

import threading

import pytest

from relcast.core.errors import Conflict, InvalidRequest, RelcastError

from .conftest import add_job

REQUEST = ("POST", "/api/v1/x", "hash")


def test_the_first_works_and_the_others_get_its_answer(catalog):
    remember = catalog.idempotency.remember
    assert remember("k", *REQUEST) is None
    with pytest.raises(Conflict) as caught:
        remember("k", *REQUEST)
    assert caught.value.code == "idempotency.in_flight"
    catalog.idempotency.answer("k", 202, {"id": "job"}, {"Location": "/x"})
    answer = remember("k", *REQUEST)
    assert (answer.status, answer.body, answer.headers) == (202, {"id": "job"}, {"Location": "/x"})


@pytest.mark.parametrize(
    "other", [("PUT", *REQUEST[1:]), ("POST", "/y", "hash"), (*REQUEST[:2], "other")]
)
def test_the_key_with_another_request_is_refused(catalog, other):
    catalog.idempotency.remember("k", *REQUEST)
    with pytest.raises(InvalidRequest) as caught:
        catalog.idempotency.remember("k", *other)
    assert (caught.value.code, caught.value.status) == ("idempotency.reused", 422)


def test_two_callers_keys_never_meet(catalog):
    assert catalog.idempotency.remember("k", *REQUEST, owner="a") is None
    assert catalog.idempotency.remember("k", "POST", "/other", "h", owner="b") is None


def test_a_job_survives_the_crash_before_its_answer(catalog):
    catalog.idempotency.remember("k", *REQUEST)
    with catalog.transaction():
        job = add_job(catalog)
        catalog.idempotency.made("k", job)
    answer = catalog.idempotency.remember("k", *REQUEST)
    assert (answer.status, answer.job_id) == (None, job)
    catalog.idempotency.forget("k")  # too late: it made something
    assert catalog.idempotency.remember("k", *REQUEST).job_id == job


def test_a_failed_request_frees_its_key_and_a_dead_one_does_so_later(catalog, clock):
    remember = catalog.idempotency.remember
    remember("k", *REQUEST)
    catalog.idempotency.forget("k")
    assert remember("k", *REQUEST) is None
    clock.forward(seconds=59)
    with pytest.raises(Conflict):
        remember("k", *REQUEST)
    clock.forward(seconds=2)
    assert remember("k", *REQUEST) is None


def test_answers_are_kept_for_a_day(catalog, clock):
    catalog.idempotency.remember("k", *REQUEST)
    catalog.idempotency.answer("k", 200, None)
    clock.forward(hours=23, minutes=59)
    assert catalog.idempotency.remember("k", *REQUEST).status == 200
    clock.forward(minutes=2)
    assert catalog.idempotency.remember("k", *REQUEST) is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_length(catalog, key):
    with pytest.raises(InvalidRequest) as caught:
        catalog.idempotency.remember(key, *REQUEST)
    assert caught.value.code == "idempotency.bad_key"


def test_of_a_hundred_at_once_one_makes_the_job(catalog):
    outcomes = []

    def post(number: int) -> None:
        try:
            if catalog.idempotency.remember("k", *REQUEST) is None:
                with catalog.transaction():
                    add_job(catalog, f"ingest-job-{number}")
                    catalog.idempotency.made("k", f"ingest-job-{number}")
                outcomes.append("made")
            else:
                outcomes.append("told")
        except RelcastError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=post, args=(n,)) for n in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("made") == 1
    assert set(outcomes) <= {"made", "told", "idempotency.in_flight"}
    assert len(catalog.jobs.page().items) == 1
