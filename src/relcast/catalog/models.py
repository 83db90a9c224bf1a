"""Models: what a training made, its report and its lineage, and which one a query predicts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from relcast.catalog.cursors import number_of
from relcast.catalog.database import Database
from relcast.catalog.records import ModelRecord, Page
from relcast.catalog.tables import models, queries
from relcast.core.clock import Clock
from relcast.core.errors import NotFound
from relcast.core.schema import TaskType

__all__ = ["Models"]


class Models:
    """The models of a catalog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(
        self,
        model_id: str,
        *,
        query_id: str,
        graph_id: str,
        job_id: str,
        training_table_job_id: str | None,
        snapshot_id: str,
        path: str,
        task_type: TaskType,
        evaluation: Mapping[str, Any],
        lineage: Mapping[str, Any],
    ) -> None:
        """Store a model, once: a second time with the same id changes nothing."""
        with self._database.write() as connection:
            if connection.scalar(sa.select(sa.exists().where(models.c.id == model_id))):
                return
            connection.execute(
                sa.insert(models).values(
                    id=model_id,
                    query_id=query_id,
                    graph_id=graph_id,
                    job_id=job_id,
                    training_table_job_id=training_table_job_id,
                    snapshot_id=snapshot_id,
                    path=path,
                    task_type=task_type.value,
                    evaluation=dict(evaluation),
                    lineage=dict(lineage),
                    created_at=self._clock(),
                )
            )

    def get(self, model_id: str) -> ModelRecord:
        """Return a model; raises ``model.not_found``."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(models.c.id == model_id)).one_or_none()
        if row is None:
            raise NotFound(
                f"There is no model {model_id!r}",
                code="model.not_found",
                hint="List the models of a query to see their ids.",
            )
        return _record(row)

    def of_job(self, job_id: str) -> ModelRecord | None:
        """Return the model that a training job made, if it made one."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(models.c.job_id == job_id)).one_or_none()
        return None if row is None else _record(row)

    def all(
        self, query_id: str | None = None, limit: int = 200, offset: int = 0
    ) -> list[ModelRecord]:
        """Return up to ``limit`` models, newest first, of one query or of all.

        ``offset`` passes over so many of the newest.
        """
        select = _SELECT.order_by(models.c.number.desc()).limit(limit).offset(offset)
        if query_id is not None:
            select = select.where(models.c.query_id == query_id)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(select)]

    def page(
        self, query_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ModelRecord]:
        """Return a page of models, newest first; raises ``request.bad_cursor``."""
        select = _SELECT.order_by(models.c.number.desc()).limit(limit + 1)
        if query_id is not None:
            select = select.where(models.c.query_id == query_id)
        if cursor is not None:
            select = select.where(models.c.number < number_of(cursor))
        with self._database.read() as connection:
            rows = connection.execute(select).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return Page([_record(row) for row in rows[:limit]], more)

    def count(self) -> int:
        """Return how many models there are."""
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(models)) or 0)

    def promote(self, model_id: str) -> ModelRecord:
        """Let the model's query predict with it; raises ``model.not_found``."""
        with self._database.write() as connection:
            model = self.get(model_id)
            connection.execute(
                sa.update(queries)
                .where(queries.c.id == model.query_id)
                .values(promoted_model_id=model_id)
            )
        return self.get(model_id)


_SELECT = sa.select(models, queries.c.promoted_model_id).join(
    queries, queries.c.id == models.c.query_id
)


def _record(row: sa.Row[Any]) -> ModelRecord:
    return ModelRecord(
        id=row.id,
        query_id=row.query_id,
        graph_id=row.graph_id,
        job_id=row.job_id,
        training_table_job_id=row.training_table_job_id,
        snapshot_id=row.snapshot_id,
        path=row.path,
        task_type=TaskType(row.task_type),
        evaluation=row.evaluation,
        lineage=row.lineage,
        promoted=row.promoted_model_id == row.id,
        created_at=row.created_at,
    )
