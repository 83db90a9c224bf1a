"""Predictive queries, and which model each of them predicts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from relcast.catalog.database import Database
from relcast.catalog.records import QueryRecord
from relcast.catalog.tables import queries
from relcast.core.clock import Clock
from relcast.core.errors import Conflict, NotFound, nearest
from relcast.core.ids import new_id
from relcast.core.schema import TaskType

__all__ = ["Queries"]


class Queries:
    """The queries of a catalog. Names are unique among those that are not deleted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        name: str | None,
        text: str,
        graph_id: str,
        task_type: TaskType,
        description: str,
        plan: Mapping[str, Any],
    ) -> QueryRecord:
        """Store a checked query; raises ``query.name_taken``."""
        query_id = new_id("pquery")
        now = self._clock()
        try:
            with self._database.write() as connection:
                connection.execute(
                    sa.insert(queries).values(
                        id=query_id,
                        name=name,
                        text=text,
                        graph_id=graph_id,
                        description=description,
                        plan=dict(plan),
                        task_type=task_type.value,
                        created_at=now,
                        updated_at=now,
                    )
                )
        except IntegrityError:
            raise _taken(name) from None
        return self.get(query_id)

    def get(self, id_or_name: str, *, deleted: bool = False) -> QueryRecord:
        """Return the query of that id or, failing that, of that name; raises ``query.not_found``.

        ``deleted`` finds deleted ones too, by id: a job's history outlives its query.
        """
        living = sa.true() if deleted else queries.c.deleted_at.is_(None)
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(queries).where(queries.c.id == id_or_name, living)
            ).one_or_none()
            if row is None:
                row = connection.execute(
                    sa.select(queries).where(
                        queries.c.name == id_or_name, queries.c.deleted_at.is_(None)
                    )
                ).one_or_none()
        if row is None:
            raise NotFound(
                f"There is no predictive query {id_or_name!r}",
                code="query.not_found",
                hint=nearest(id_or_name, [q.name or q.id for q in self.all()]),
            )
        return _record(row)

    def all(self) -> list[QueryRecord]:
        """Return every query that is not deleted, the last changed first."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(queries)
                .where(queries.c.deleted_at.is_(None))
                .order_by(queries.c.updated_at.desc(), queries.c.id)
            )
            return [_record(row) for row in rows]

    def update(self, query_id: str, changes: Mapping[str, Any]) -> QueryRecord:
        """Change columns of a living query; raises ``query.not_found``, ``query.name_taken``."""
        try:
            with self._database.write() as connection:
                self.get(query_id)
                connection.execute(
                    sa.update(queries)
                    .where(queries.c.id == query_id)
                    .values(**changes, updated_at=self._clock())
                )
        except IntegrityError:
            raise _taken(changes.get("name")) from None
        return self.get(query_id)

    def delete(self, query_id: str) -> None:
        """Hide a query; its jobs and models stay readable."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(queries)
                .where(queries.c.id == query_id)
                .values(deleted_at=self._clock(), promoted_model_id=None)
            )


def _taken(name: str | None) -> Conflict:
    return Conflict(
        f"There is already a predictive query named {name!r}",
        code="query.name_taken",
        hint="Choose another name, or update that query.",
    )


def _record(row: sa.Row[Any]) -> QueryRecord:
    return QueryRecord(
        id=row.id,
        name=row.name,
        text=row.text,
        graph_id=row.graph_id,
        description=row.description,
        plan=row.plan,
        task_type=TaskType(row.task_type),
        promoted_model_id=row.promoted_model_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
