"""Events: what happened to a job, in order, for whoever follows it live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from relcast.catalog.database import Database
from relcast.catalog.records import JobEvent
from relcast.catalog.tables import events
from relcast.core.clock import Clock

__all__ = ["Events"]


class Events:
    """The events of every job. ``seq`` grows, so that a reader resumes after the last it saw."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, job_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        """Append an event."""
        with self._database.write() as connection:
            connection.execute(
                sa.insert(events).values(
                    job_id=job_id, at=self._clock(), type=kind, payload=dict(payload)
                )
            )

    def after(self, job_id: str, seq: int = 0, limit: int = 1000) -> list[JobEvent]:
        """Return up to ``limit`` events of a job with a ``seq`` above the given one, in order."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(events)
                .where(events.c.job_id == job_id, events.c.seq > seq)
                .order_by(events.c.seq)
                .limit(limit)
            )
            return [JobEvent(row.seq, row.at, row.type, row.payload) for row in rows]
