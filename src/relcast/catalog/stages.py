"""Stages: where inside a job the work is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from relcast.catalog.database import Database
from relcast.catalog.records import JobState, StageRecord
from relcast.catalog.tables import stages
from relcast.core.clock import Clock

__all__ = ["Stages"]


class Stages:
    """The stages of every job, in the order in which they run."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def declare(self, job_id: str, names: Sequence[str]) -> None:
        """Say which stages a job will have, so that a reader sees what is still to come."""
        if not names:
            return
        with self._database.write() as connection:
            connection.execute(
                sa.insert(stages),
                [
                    {
                        "job_id": job_id,
                        "name": name,
                        "position": position,
                        "state": JobState.NOT_STARTED.value,
                        "unit": "",
                        "detail": "",
                    }
                    for position, name in enumerate(names)
                ],
            )

    def put(
        self,
        job_id: str,
        name: str,
        state: JobState,
        *,
        begins: bool = False,
        done: float | None = None,
        total: float | None = None,
        unit: str = "",
        detail: str = "",
    ) -> None:
        """Write where a stage is; a stage that was not declared joins at the end."""
        now = self._clock()
        values: dict[str, Any] = {
            "state": state.value,
            "done": done,
            "total": total,
            "unit": unit,
            "detail": detail,
        }
        if begins:
            # Two steps may share a stage, and a step may run again: the first beginning counts.
            values |= {"started_at": sa.func.coalesce(stages.c.started_at, now), "ended_at": None}
        if state.is_terminal:
            values["ended_at"] = now
        with self._database.write() as connection:
            here = (stages.c.job_id == job_id) & (stages.c.name == name)
            if connection.execute(sa.update(stages).where(here).values(**values)).rowcount:
                return
            last = connection.scalar(
                sa.select(sa.func.max(stages.c.position)).where(stages.c.job_id == job_id)
            )
            connection.execute(
                sa.insert(stages).values(
                    job_id=job_id,
                    name=name,
                    position=0 if last is None else last + 1,
                    **(values | {"started_at": now}),
                )
            )

    def close(self, job_id: str, state: JobState) -> None:
        """End what is still open when a job ends: running stages end as the job does."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(stages)
                .where(stages.c.job_id == job_id, stages.c.state == JobState.RUNNING.value)
                .values(state=state.value, ended_at=self._clock())
            )

    def of(self, job_ids: Iterable[str]) -> dict[str, list[StageRecord]]:
        """Return the stages of each job."""
        found: dict[str, list[StageRecord]] = {job_id: [] for job_id in job_ids}
        with self._database.read() as connection:
            for row in connection.execute(
                sa.select(stages)
                .where(stages.c.job_id.in_(list(found)))
                .order_by(stages.c.job_id, stages.c.position)
            ):
                found[row.job_id].append(
                    StageRecord(
                        name=row.name,
                        state=JobState(row.state),
                        started_at=row.started_at,
                        ended_at=row.ended_at,
                        done=row.done,
                        total=row.total,
                        unit=row.unit,
                        detail=row.detail,
                    )
                )
        return found
