"""The engine: DBOS workflows over the catalog's jobs, and the thread that feeds them.

The catalog is the truth about jobs; DBOS holds the queue and the results of finished steps. A job's
workflow has the job's id, so that telling DBOS twice is telling it once. DBOS is one per process;
so is the engine. Only the MIT-licensed core of DBOS is used, and JSON is its only serializer.

How many jobs run at once is counted in the catalog, where a job begins. The queue of DBOS has that
bound too, which spares workers to take what may not begin; but it counts and takes in two
transactions, and two workers that look in the same instant may both take.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from relcast.catalog import JobKind, JobState
from relcast.core.errors import Conflict, UserError
from relcast.jobs.roads import ROADS, keep_model
from relcast.jobs.run import Run, RunCancelled, RunFailed, RunReleased, crashed
from relcast.jobs.slots import Slot, take_slot, vacant_slots

if TYPE_CHECKING:
    from relcast.jobs.connecting import Connecting

__all__ = ["Engine"]

# The shape of the workflows: their kinds and the order of their steps. Work that was begun under
# one version is taken up by executors of that version only, so this changes with the shape and not
# with each release.
_WORKFLOWS = "relcast-jobs-1"
_QUEUE = "jobs"
_POLL_SECONDS = 0.2
_SWEEP_SECONDS = 0.25
_REAP_SECONDS = 2.0
_MEND_SECONDS = 30.0
_MOST_ATTEMPTS = 5
_UNDER_WAY = frozenset({"ENQUEUED", "PENDING", "DELAYED"})
_LEAVE_SECONDS = 20.0
_PATIENCE_SECONDS = 2.0

_log = logging.getLogger(__name__)
_working: Engine | None = None
_one = threading.Lock()


class Engine:
    """Runs the jobs of a home in this process."""

    def __init__(self, platform: Connecting) -> None:
        self._platform = platform
        self._catalog = platform.catalog
        self._slot: Slot | None = None
        self._leaving = threading.Event()
        self._news = threading.Event()
        self._sweeper: threading.Thread | None = None
        self._given_back: deque[str] = deque()
        self._behind: dict[str, float] = {}  # jobs that give way, and until when they do
        self._busy = 0
        self._idle = threading.Condition()

    @property
    def running(self) -> bool:
        """Whether the engine works."""
        return self._slot is not None

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._news.set()

    def start(self) -> None:
        """Take a slot, take up what its last worker left, and begin to work."""
        global _working  # noqa: PLW0603 — DBOS is one per process, and so is this
        with _one:
            if _working is not None:
                raise Conflict(
                    "Another platform works in this process already",
                    code="jobs.already_started",
                    hint="Stop it first, or start this one with worker=False.",
                )
            _working = self
        try:
            self._slot = take_slot(self._platform.home.workers)
            self._leaving.clear()
            self._catalog.jobs.requeue(self._slot.name)
            DBOS(config=self._config(self._slot.name))
            DBOS.listen_queues([_QUEUE])
            DBOS.launch()
            DBOS.register_queue(
                _QUEUE,
                global_concurrency=self._platform.settings.jobs_at_once,
                polling_interval_sec=_POLL_SECONDS,
                on_conflict="always_update",
            )
            self._sweeper = threading.Thread(target=self._sweep, name="jobs-sweeper", daemon=True)
            self._sweeper.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop working: children end, their jobs go back to the queue."""
        global _working  # noqa: PLW0603
        if _working is not self:
            return
        self._leaving.set()
        self._news.set()
        if self._sweeper is not None:
            self._sweeper.join(_LEAVE_SECONDS)
            self._sweeper = None
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, _LEAVE_SECONDS)
        DBOS.destroy()
        if self._slot is not None:
            self._slot.release()
            self._slot = None
        with _one:
            _working = None

    def perform(self, job_id: str) -> str:
        """Run a job to its end; the body of every workflow. Return how it ended, for the log."""
        slot = self._slot
        if slot is None or self._leaving.is_set():
            raise RunReleased
        with self._idle:
            self._busy += 1
        try:
            attempt = self._claim(job_id, slot.name)
            if attempt is None:
                return "not queued"  # cancelled while it waited, or ended before a crash
            ended = self._perform(job_id, attempt)
            # Before DBOS hands out the next: what waited for this job may be older.
            with suppress(SQLAlchemyError):  # the sweeper does it again
                self._admit()
            return ended
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _claim(self, job_id: str, worker: str) -> int | None:
        """Begin a job; return the number of its attempt, or None when it is not queued any more.

        Where every slot is taken the job goes back to the queue, at its place, and ``RunReleased``
        is raised. So it does where an older one is queued, which another worker takes up in the
        same instant; but only for two seconds, for that one may be in nobody's hands.
        """
        now = time.monotonic()
        claimed = self._catalog.jobs.claim(
            job_id,
            worker,
            at_once=self._platform.settings.jobs_at_once,
            in_order=now < self._behind.setdefault(job_id, now + _PATIENCE_SECONDS),
        )
        if claimed != "behind":
            del self._behind[job_id]
        if isinstance(claimed, int):
            return claimed
        if claimed == "not queued":
            return None
        # Not resumed here: inside a workflow DBOS would take that for one of the workflow's steps.
        self._given_back.append(str(DBOS.workflow_id))
        raise RunReleased

    def _perform(self, job_id: str, attempt: int) -> str:
        jobs = self._catalog.jobs
        run = Run(
            job_id,
            attempt,
            catalog=self._catalog,
            home=self._platform.home,
            settings=self._platform.settings,
            source_spec=self._platform.source_spec,
            leaving=self._leaving.is_set,
        )
        try:
            if attempt > _MOST_ATTEMPTS:
                raise RunFailed(
                    crashed(job_id, f"The worker died {attempt - 1} times while it ran this job")
                )
            result = ROADS[run.job.kind](run)
            with self._catalog.transaction():
                if "_model" in result:
                    result = keep_model(run, result)
                jobs.move(job_id, JobState.DONE, attempt=attempt, result=result)
            return "done"
        except RunCancelled:
            jobs.move(job_id, JobState.CANCELLED, attempt=attempt)
            return "cancelled"
        except RunFailed as failure:
            jobs.move(job_id, JobState.FAILED, attempt=attempt, error=failure.error)
            return "failed"
        except RunReleased:
            jobs.release(job_id, attempt)
            raise
        except UserError as error:  # what the job needs was taken away since it was posted
            jobs.move(job_id, JobState.FAILED, attempt=attempt, error=error.to_json())
            return "failed"
        except Exception as error:  # noqa: BLE001 — a job must end, whatever of ours broke
            _log.exception("job %s ended by our fault", job_id)
            message = f"Something of ours broke: {type(error).__name__}: {error}"
            jobs.move(job_id, JobState.FAILED, attempt=attempt, error=crashed(job_id, message))
            return "crashed"

    def _sweep(self) -> None:
        reap_at = mend_at = time.monotonic()
        while not self._leaving.is_set():
            self._news.wait(_SWEEP_SECONDS)
            self._news.clear()
            if self._leaving.is_set():
                return
            try:
                self._admit()
                self._return()
                self._enqueue()
                if time.monotonic() >= reap_at:
                    reap_at = time.monotonic() + _REAP_SECONDS
                    self._reap()
                    self._mend(self._platform.settings.jobs_at_once)
                if time.monotonic() >= mend_at:
                    mend_at = time.monotonic() + _MEND_SECONDS
                    self._mend()
            except Exception:  # noqa: BLE001
                # A full disk or a lock that was held too long: the next round tries again.
                _log.exception("the jobs' sweeper will try again")
                time.sleep(1.0)

    def _admit(self) -> None:
        """Queue the jobs whose parents are done; fail those of which one never will be."""
        jobs = self._catalog.jobs
        for job_id in jobs.not_started():
            parents = [jobs.get(parent) for parent in jobs.get(job_id).parents]
            broken = next(
                (p for p in parents if p.state in (JobState.FAILED, JobState.CANCELLED)), None
            )
            if broken is not None:
                jobs.move(job_id, JobState.FAILED, error=_inherited(broken.id, broken))
            elif all(p.state is JobState.DONE for p in parents):
                jobs.move(job_id, JobState.QUEUED)

    def _return(self) -> None:
        """Give workflows that found no slot back to the queue of DBOS, at the place they had."""
        while self._given_back:
            DBOS.resume_workflow(self._given_back[0], queue_name=_QUEUE)
            self._given_back.popleft()

    def _enqueue(self) -> None:
        """Tell DBOS of the queued jobs that it has not heard of."""
        for job_id in self._catalog.jobs.not_enqueued():
            self._tell(job_id, job_id)
            self._catalog.jobs.mark_enqueued(job_id)

    def _mend(self, most: int | None = None) -> None:
        """Tell DBOS anew of queued jobs that its database lost or holds for other workflows.

        That is so after the engine's database was removed, after an upgrade that changed the
        workflows, or when the catalog could not be reached as a job was to begin. Such a job starts
        from its first step. ``most`` looks at the first so many only.
        """
        for job_id in self._catalog.jobs.enqueued()[:most]:
            for again in itertools.count():
                workflow_id = f"{job_id}.{_WORKFLOWS}.{again}" if again else job_id
                status = DBOS.get_workflow_status(workflow_id)
                if status is None:
                    self._tell(job_id, workflow_id)
                    break
                if status.app_version == _WORKFLOWS and status.status in _UNDER_WAY:
                    break

    def _tell(self, job_id: str, workflow_id: str) -> None:
        DBOS.enqueue_workflow_with_options(
            {
                "workflow_name": _name(self._catalog.jobs.get(job_id).kind),
                "queue_name": _QUEUE,
                "workflow_id": workflow_id,
                "app_version": _WORKFLOWS,
                # Oldest first, also where a job waited for another before it could be queued.
                "priority": self._catalog.jobs.number(job_id),
            },
            job_id,
        )

    def _reap(self) -> None:
        """Take up the jobs of workers of this home that died."""
        with vacant_slots(self._platform.home.workers) as vacant:
            for slot in vacant:
                self._catalog.jobs.requeue(slot.name)
                # DBOS offers this for its own recovery service only; it re-enqueues what the
                # executor of that id had in hand, once.
                DBOS._recover_pending_workflows([slot.name])  # noqa: SLF001

    def _config(self, executor: str) -> DBOSConfig:
        url = self._platform.settings.database_url
        if self._catalog.database.is_sqlite:
            path = self._platform.home.engine_database
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
            url = f"sqlite:///{path}"
        else:
            url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        return {
            "name": "relcast",
            "system_database_url": url,
            "executor_id": executor,
            "application_version": _WORKFLOWS,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
        }


def _name(kind: JobKind) -> str:
    return f"relcast.{kind.value}"


def _inherited(parent_id: str, parent: Any) -> dict[str, Any]:
    """Return a job's error when a parent ended without a result: the parent's reason."""
    if parent.error is None:
        return {
            "code": "job.parent_cancelled",
            "status": 409,
            "message": f"Job {parent_id}, whose result this job needs, was cancelled",
            "hint": "Start both again.",
            "faults": [],
        }
    reason = dict(parent.error)
    reason["message"] = f"Job {parent_id}, whose result this job needs, failed: {reason['message']}"
    return reason


def _register(kind: JobKind) -> None:
    # Attempts are counted in the catalog, where they end in a state that people see.
    @DBOS.workflow(name=_name(kind), max_recovery_attempts=None)
    def workflow(job_id: str) -> str:
        engine = _working
        if engine is None:
            raise RunReleased
        return engine.perform(job_id)


for _kind in ROADS:
    _register(_kind)
