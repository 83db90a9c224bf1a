"""Jobs as they are read: one, a page, the queue, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import sqlalchemy as sa

from relcast.catalog.cursors import number_of
from relcast.catalog.database import Database
from relcast.catalog.records import JobKind, JobRecord, JobState, Page
from relcast.catalog.stages import Stages
from relcast.catalog.tables import job_parents, job_tags, jobs
from relcast.core.errors import NotFound

__all__ = ["WAITING", "JobReading"]

WAITING: Final = (JobState.NOT_STARTED, JobState.QUEUED)
_LOOKED_AT = 500


class JobReading:
    """The part of ``Jobs`` that changes nothing."""

    _database: Database
    _stages: Stages

    def stop_asked(self, job_id: str) -> Literal["discard", "keep best"] | None:
        """Return how the job was asked to stop; None when it was not."""
        with self._database.read() as connection:
            job = connection.execute(
                sa.select(jobs.c.cancel_requested, jobs.c.keep_best).where(jobs.c.id == job_id)
            ).one()
        if not job.cancel_requested:
            return None
        return "keep best" if job.keep_best else "discard"

    def number(self, job_id: str) -> int:
        """Return a job's place among all that were ever posted, from 1."""
        with self._database.read() as connection:
            number: int = connection.execute(
                sa.select(jobs.c.number).where(jobs.c.id == job_id)
            ).scalar_one()
            return number

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
                .where(jobs.c.state.in_([s.value for s in WAITING]))
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
            select = select.where(jobs.c.number < number_of(cursor))
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
                keep_best=row.keep_best,
            )
            for row in rows
        ]

    @staticmethod
    def _positions(connection: sa.Connection, rows: Iterable[sa.Row[Any]]) -> dict[str, int]:
        """Return each waiting job's place in the queue: 1 + the waiting jobs posted before it."""
        waiting = {row.id for row in rows if row.state in WAITING}
        if not waiting:
            return {}
        order = connection.scalars(
            sa.select(jobs.c.id)
            .where(jobs.c.state.in_([s.value for s in WAITING]))
            .order_by(jobs.c.number)
        )
        return {j: place for place, j in enumerate(order, start=1) if j in waiting}
