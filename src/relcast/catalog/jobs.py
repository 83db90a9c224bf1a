"""Jobs: their states, and the transitions that the store itself refuses or admits.

Every change of state is ``UPDATE … WHERE state IN (those it may come from)``: whoever comes second
changes nothing and is told so. A state of ``TERMINAL`` has no way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import sqlalchemy as sa

from relcast.catalog.database import Database
from relcast.catalog.events import Events
from relcast.catalog.job_reading import WAITING, JobReading
from relcast.catalog.records import TERMINAL, JobKind, JobState
from relcast.catalog.stages import Stages
from relcast.catalog.tables import job_parents, job_tags, jobs
from relcast.core.clock import Clock
from relcast.core.errors import TooMany

__all__ = ["FROM", "Jobs", "Refusal"]

FROM: Final[Mapping[JobState, tuple[JobState, ...]]] = {
    JobState.NOT_STARTED: (),
    # A parent ended, or the worker that ran the job is gone.
    JobState.QUEUED: (JobState.NOT_STARTED, JobState.RUNNING),
    JobState.RUNNING: (JobState.QUEUED,),
    JobState.DONE: (JobState.RUNNING,),
    JobState.FAILED: (JobState.NOT_STARTED, JobState.QUEUED, JobState.RUNNING),
    JobState.CANCELLED: (JobState.NOT_STARTED, JobState.QUEUED, JobState.RUNNING),
}
"""For each state, the states that a job may come from."""

Refusal = Literal["not queued", "full", "behind"]
"""Why a job was not begun: it waits no longer, all slots are taken, or an older one comes first."""


class Jobs(JobReading):
    """The jobs of a catalog."""

    def __init__(self, database: Database, clock: Clock, stages: Stages, events: Events) -> None:
        self._database = database
        self._clock = clock
        self._stages = stages
        self._events = events

    def add(
        self,
        job_id: str,
        kind: JobKind,
        *,
        config: Mapping[str, Any],
        query_id: str | None = None,
        graph_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        parents: Sequence[str] = (),
        stages: Sequence[str] = (),
        max_queue: int | None = None,
        state: JobState | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a new job, QUEUED, or NOT_STARTED when it has parents, or ``state`` as given.

        Raises ``queue.full`` when ``max_queue`` jobs wait already.
        """
        now = self._clock()
        first = state or (JobState.NOT_STARTED if parents else JobState.QUEUED)
        with self._database.write() as connection:
            if max_queue is not None:
                self._database.queue_up(connection)
            if max_queue is not None and (waiting := self.waiting()) >= max_queue:
                raise TooMany(
                    f"The queue is full: {waiting} jobs wait and {max_queue} may",
                    code="queue.full",
                    hint="Try again later, cancel waiting jobs, or raise RELCAST_MAX_QUEUE.",
                )
            connection.execute(
                sa.insert(jobs).values(
                    id=job_id,
                    kind=kind.value,
                    state=first.value,
                    query_id=query_id,
                    graph_id=graph_id,
                    config=dict(config),
                    result=sa.null() if result is None else dict(result),
                    error=sa.null(),
                    created_at=now,
                    started_at=now if first.is_terminal else None,
                    ended_at=now if first.is_terminal else None,
                    cancel_requested=False,
                    enqueued=first.is_terminal,
                    attempts=0,
                )
            )
            if parents:
                connection.execute(
                    sa.insert(job_parents),
                    [{"job_id": job_id, "parent_id": p} for p in dict.fromkeys(parents)],
                )
            self._put_tags(connection, job_id, tags or {})
            self._stages.declare(job_id, stages)
            self._events.add(job_id, "state", {"state": first.value})

    def move(
        self,
        job_id: str,
        to: JobState,
        *,
        attempt: int | None = None,
        only_from: JobState | None = None,
        **values: Any,
    ) -> bool:
        """Bring a job to a state, and return whether the store admitted it.

        ``attempt`` admits only the run that has that number: a run that was given up for dead
        changes nothing any more.
        """
        allowed = FROM[to] if only_from is None else (only_from,)
        now = self._clock()
        if to in TERMINAL:
            values["ended_at"] = now
        with self._database.write() as connection:
            statement = sa.update(jobs).where(
                jobs.c.id == job_id, jobs.c.state.in_([s.value for s in allowed])
            )
            if attempt is not None:
                statement = statement.where(jobs.c.attempts == attempt)
            changed = connection.execute(statement.values(state=to.value, **values)).rowcount == 1
            if changed:
                if to in TERMINAL:
                    self._stages.close(job_id, to)
                payload: dict[str, Any] = {"state": to.value}
                if values.get("error") is not None:
                    payload["error"] = values["error"]
                self._events.add(job_id, "state", payload)
        return changed

    def claim(
        self, job_id: str, worker: str, *, at_once: int | None = None, in_order: bool = False
    ) -> int | Refusal:
        """Begin a QUEUED job for a worker; return the number of the attempt, or why it may not.

        A RUNNING job holds one of ``at_once`` slots (None: there is no bound), counted and taken in
        one transaction, so that workers that come in the same instant take no more than there are.
        The slot comes free with the state: at the job's end, or when it goes back to the queue
        because its worker is gone. With ``in_order`` a job also leaves slots to older queued ones.
        """
        with self._database.write() as connection:
            if at_once is not None:
                self._database.queue_up(connection)
                refusal = self._refusal(connection, job_id, at_once, in_order=in_order)
                if refusal is not None:
                    return refusal
            moved = self.move(
                job_id,
                JobState.RUNNING,
                worker=worker,
                attempts=jobs.c.attempts + 1,
                started_at=sa.func.coalesce(jobs.c.started_at, self._clock()),
            )
            if not moved:
                return "not queued"
            attempt: int = connection.execute(
                sa.select(jobs.c.attempts).where(jobs.c.id == job_id)
            ).scalar_one()
            return attempt

    @staticmethod
    def _refusal(
        connection: sa.Connection, job_id: str, at_once: int, *, in_order: bool
    ) -> Refusal | None:
        """Return why a job may not begin now; None when it may."""
        job = connection.execute(
            sa.select(jobs.c.number, jobs.c.state).where(jobs.c.id == job_id)
        ).one()
        if job.state != JobState.QUEUED.value:
            return "not queued"
        count = sa.select(sa.func.count()).select_from(jobs)
        running = count.where(jobs.c.state == JobState.RUNNING.value)
        free = at_once - connection.execute(running).scalar_one()
        if free <= 0:
            return "full"
        older = count.where(jobs.c.state == JobState.QUEUED.value, jobs.c.number < job.number)
        if in_order and connection.execute(older).scalar_one() >= free:
            return "behind"
        return None

    def requeue(self, worker: str) -> list[str]:
        """Give the RUNNING jobs of a worker that is gone back to the queue; return their ids."""
        with self._database.write() as connection:
            running = connection.scalars(
                sa.select(jobs.c.id).where(
                    jobs.c.state == JobState.RUNNING.value, jobs.c.worker == worker
                )
            ).all()
            return [j for j in running if self.move(j, JobState.QUEUED, worker=None)]

    def release(self, job_id: str, attempt: int) -> None:
        """Give a job back because its worker stops in good order; that attempt does not count."""
        self.move(
            job_id, JobState.QUEUED, attempt=attempt, worker=None, attempts=jobs.c.attempts - 1
        )

    def request_cancel(self, job_id: str, *, keep_best: bool = False) -> JobState:
        """Cancel a waiting job, or ask a running one to stop; return the state it is then in.

        With ``keep_best`` a running job is to publish its best so far. Asked again without, it is
        to stop without; who asked for that first is not overruled.
        """
        with self._database.write() as connection:
            for waiting in WAITING:
                if self.move(job_id, JobState.CANCELLED, only_from=waiting, cancel_requested=True):
                    return JobState.CANCELLED
            unasked = jobs.c.cancel_requested.is_(False)
            news = unasked if keep_best else unasked | jobs.c.keep_best.is_(True)
            asked = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.RUNNING.value, news)
                .values(cancel_requested=True, keep_best=keep_best)
            )
            if asked.rowcount:
                self._events.add(job_id, "cancel", {"requested": True, "keep_best": keep_best})
            state: str = connection.execute(
                sa.select(jobs.c.state).where(jobs.c.id == job_id)
            ).scalar_one()
            return JobState(state)

    def set_config(self, job_id: str, changes: Mapping[str, Any]) -> None:
        """Add to what a job's record says of its configuration."""
        with self._database.write() as connection:
            config = connection.execute(
                sa.select(jobs.c.config).where(jobs.c.id == job_id)
            ).scalar_one()
            connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(config={**config, **changes})
            )

    def set_tags(self, job_id: str, changes: Mapping[str, str | None]) -> None:
        """Set tags of a job; a value of None removes the tag."""
        with self._database.write() as connection:
            connection.execute(
                sa.delete(job_tags).where(
                    job_tags.c.job_id == job_id, job_tags.c.key.in_(list(changes))
                )
            )
            self._put_tags(connection, job_id, {k: v for k, v in changes.items() if v is not None})

    def mark_enqueued(self, job_id: str) -> None:
        """Remember that the engine's queue holds the job."""
        with self._database.write() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(enqueued=True))

    @staticmethod
    def _put_tags(connection: sa.Connection, job_id: str, tags: Mapping[str, str]) -> None:
        if tags:
            connection.execute(
                sa.insert(job_tags),
                [{"job_id": job_id, "key": k, "value": v} for k, v in tags.items()],
            )
