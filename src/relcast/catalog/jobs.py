"""Jobs: their states, and the transitions that the store itself refuses or admits.

Every change of state is ``UPDATE … WHERE state IN (those it may come from)``: whoever comes second
changes nothing and is told so. A state of ``TERMINAL`` has no way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from relcast.catalog.database import Database
from relcast.catalog.events import Events
from relcast.catalog.records import TERMINAL, JobKind, JobRecord, JobState, Page
from relcast.catalog.stages import Stages
from relcast.catalog.tables import job_parents, job_tags, jobs
from relcast.core.clock import Clock
from relcast.core.errors import InvalidRequest, NotFound, TooMany

__all__ = ["FROM", "Jobs"]

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

_WAITING = (JobState.NOT_STARTED, JobState.QUEUED)
_LOOKED_AT = 500


class Jobs:
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

    def claim(self, job_id: str, worker: str) -> int | None:
        """Begin a QUEUED job for a worker; return the number of the attempt, or None if refused."""
        with self._database.write() as connection:
            moved = self.move(
                job_id,
                JobState.RUNNING,
                worker=worker,
                attempts=jobs.c.attempts + 1,
                started_at=sa.func.coalesce(jobs.c.started_at, self._clock()),
            )
            if not moved:
                return None
            attempt: int = connection.execute(
                sa.select(jobs.c.attempts).where(jobs.c.id == job_id)
            ).scalar_one()
            return attempt

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

    def request_cancel(self, job_id: str) -> JobState:
        """Cancel a waiting job, or ask a running one to stop; return the state it is then in."""
        with self._database.write() as connection:
            for waiting in _WAITING:
                if self.move(job_id, JobState.CANCELLED, only_from=waiting, cancel_requested=True):
                    return JobState.CANCELLED
            asked = connection.execute(
                sa.update(jobs)
                .where(
                    jobs.c.id == job_id,
                    jobs.c.state == JobState.RUNNING.value,
                    jobs.c.cancel_requested.is_(False),
                )
                .values(cancel_requested=True)
            )
            if asked.rowcount:
                self._events.add(job_id, "cancel", {"requested": True})
            state: str = connection.execute(
                sa.select(jobs.c.state).where(jobs.c.id == job_id)
            ).scalar_one()
            return JobState(state)

    def cancel_requested(self, job_id: str) -> bool:
        """Whether the job was asked to stop."""
        with self._database.read() as connection:
            return bool(
                connection.scalar(sa.select(jobs.c.cancel_requested).where(jobs.c.id == job_id))
            )

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

    def not_enqueued(self) -> list[str]:
        """Return the QUEUED jobs that the engine has not been told of, oldest first."""
        with self._database.read() as connection:
            return list(
                connection.scalars(
                    sa.select(jobs.c.id)
                    .where(jobs.c.state == JobState.QUEUED.value, jobs.c.enqueued.is_(False))
                    .order_by(jobs.c.number)
                )
            )

    def enqueued(self) -> list[str]:
        """Return the QUEUED jobs that the engine has been told of, oldest first."""
        with self._database.read() as connection:
            return list(
                connection.scalars(
                    sa.select(jobs.c.id)
                    .where(jobs.c.state == JobState.QUEUED.value, jobs.c.enqueued.is_(True))
                    .order_by(jobs.c.number)
                )
            )

    def not_started(self) -> list[str]:
        """Return the jobs that wait for their parents, oldest first."""
        with self._database.read() as connection:
            return list(
                connection.scalars(
                    sa.select(jobs.c.id)
                    .where(jobs.c.state == JobState.NOT_STARTED.value)
                    .order_by(jobs.c.number)
                )
            )

    def waiting(self) -> int:
        """Return how many jobs are NOT_STARTED or QUEUED."""
        with self._database.read() as connection:
            return connection.execute(
                sa.select(sa.func.count())
                .select_from(jobs)
                .where(jobs.c.state.in_([s.value for s in _WAITING]))
            ).scalar_one()

    def get(self, job_id: str) -> JobRecord:
        """Return a job; raises ``job.not_found``."""
        found = self._select(sa.select(jobs).where(jobs.c.id == job_id))
        if not found:
            raise NotFound(
                f"There is no job {job_id!r}",
                code="job.not_found",
                hint="List the jobs to see their ids.",
            )
        return found[0]

    def page(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        query_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[JobRecord]:
        """Return a page of jobs, newest first; raises ``request.bad_cursor``."""
        select = sa.select(jobs).order_by(jobs.c.number.desc()).limit(limit + 1)
        if kind is not None:
            select = select.where(jobs.c.kind == kind.value)
        if state is not None:
            select = select.where(jobs.c.state == state.value)
        if query_id is not None:
            select = select.where(jobs.c.query_id == query_id)
        for key, value in (tags or {}).items():
            select = select.where(
                sa.exists().where(
                    job_tags.c.job_id == jobs.c.id,
                    job_tags.c.key == key,
                    job_tags.c.value == value,
                )
            )
        if cursor is not None:
            if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
                raise InvalidRequest(
                    f"{cursor!r} is not a cursor of this list",
                    code="request.bad_cursor",
                    hint="Pass the cursor of the page before, unchanged, or none.",
                )
            select = select.where(jobs.c.number < int(cursor))
        numbers: dict[str, int] = {}
        found = self._select(select, numbers)
        more = len(found) > limit
        items = found[:limit]
        return Page(items, str(numbers[items[-1].id]) if more and items else None)

    def newest_snapshot(self, graph_id: str) -> str | None:
        """Return the snapshot of the newest job that read a graph's sources itself, and is DONE."""
        kinds = (JobKind.ingest, JobKind.training_table, JobKind.prediction_table)
        select = (
            sa.select(jobs.c.number)
            .where(
                jobs.c.graph_id == graph_id,
                jobs.c.state == JobState.DONE.value,
                jobs.c.kind.in_([kind.value for kind in kinds]),
            )
            .order_by(jobs.c.number.desc())
            .limit(_LOOKED_AT)
        )
        one = sa.select(jobs.c.config, jobs.c.result)
        with self._database.read() as connection:
            for number in connection.scalars(select).all():
                row = connection.execute(one.where(jobs.c.number == number)).one()
                # A job that was given a snapshot used one that may be older than others.
                if row.config.get("snapshot_job_id") is None and row.result:
                    return str(row.result["snapshot_id"])
        return None

    def _select(
        self, select: sa.Select[Any], numbers: dict[str, int] | None = None
    ) -> list[JobRecord]:
        with self._database.read() as connection:
            rows = connection.execute(select).all()
            ids = [row.id for row in rows]
            if numbers is not None:
                numbers.update({row.id: row.number for row in rows})
            stages = self._stages.of(ids)
            tags: dict[str, dict[str, str]] = {i: {} for i in ids}
            for row in connection.execute(sa.select(job_tags).where(job_tags.c.job_id.in_(ids))):
                tags[row.job_id][row.key] = row.value
            parents: dict[str, list[str]] = {i: [] for i in ids}
            for row in connection.execute(
                sa.select(job_parents).where(job_parents.c.job_id.in_(ids))
            ):
                parents[row.job_id].append(row.parent_id)
            positions = self._positions(connection, rows)
        return [
            JobRecord(
                id=row.id,
                kind=JobKind(row.kind),
                state=JobState(row.state),
                query_id=row.query_id,
                graph_id=row.graph_id,
                config=row.config,
                result=row.result,
                error=row.error,
                tags=tags[row.id],
                created_at=row.created_at,
                started_at=row.started_at,
                ended_at=row.ended_at,
                stages=tuple(stages[row.id]),
                cancel_requested=row.cancel_requested,
                parents=tuple(parents[row.id]),
                attempts=row.attempts,
                position=positions.get(row.id),
            )
            for row in rows
        ]

    @staticmethod
    def _positions(connection: sa.Connection, rows: Iterable[sa.Row[Any]]) -> dict[str, int]:
        """Return each waiting job's place in the queue: 1 + the waiting jobs posted before it."""
        waiting = {row.id for row in rows if row.state in _WAITING}
        if not waiting:
            return {}
        order = connection.scalars(
            sa.select(jobs.c.id)
            .where(jobs.c.state.in_([s.value for s in _WAITING]))
            .order_by(jobs.c.number)
        )
        return {j: place for place, j in enumerate(order, start=1) if j in waiting}

    @staticmethod
    def _put_tags(connection: sa.Connection, job_id: str, tags: Mapping[str, str]) -> None:
        if tags:
            connection.execute(
                sa.insert(job_tags),
                [{"job_id": job_id, "key": k, "value": v} for k, v in tags.items()],
            )
