"""The tables of the catalog, for SQLite and PostgreSQL alike.

Made and changed by the migrations beside this module only; a test compares the two. Times are
stored as UTC without zone and read as aware UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

__all__ = [
    "audit",
    "audit_head",
    "connectors",
    "events",
    "graph_names",
    "graphs",
    "idempotency",
    "job_parents",
    "job_tags",
    "jobs",
    "keys",
    "metadata",
    "models",
    "passwords",
    "queries",
    "stages",
]


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, stored without zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

connectors = Table(
    "connectors",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(256), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("root", Text),
    Column("created_at", UtcTime, nullable=False),
)

graphs = Table(
    "graphs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

graph_names = Table(
    "graph_names",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("graph_id", ForeignKey("graphs.id"), nullable=False, index=True),
    Column("named_at", UtcTime, nullable=False),
)

queries = Table(
    "queries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(256)),
    Column("text", Text, nullable=False),
    Column("graph_id", ForeignKey("graphs.id"), nullable=False),
    Column("description", Text, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("task_type", String(64), nullable=False),
    Column("promoted_model_id", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime),
)
_LIVE = text("deleted_at IS NULL")
Index(
    "ux_queries_name",
    queries.c.name,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("query_id", ForeignKey("queries.id")),
    Column("graph_id", ForeignKey("graphs.id")),
    Column("config", JSON, nullable=False),
    Column("result", JSON),
    Column("error", JSON),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("cancel_requested", Boolean, nullable=False),
    Column("keep_best", Boolean, nullable=False, server_default=false()),
    # Whether the engine's queue holds the job; the catalog is told first, the engine after it.
    Column("enqueued", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(128)),
    Index("ix_jobs_state", "state"),
    Index("ix_jobs_query_id_kind", "query_id", "kind"),
    sqlite_autoincrement=True,
)

job_parents = Table(
    "job_parents",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("parent_id", ForeignKey("jobs.id"), primary_key=True, index=True),
)

job_tags = Table(
    "job_tags",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("value", Text, nullable=False),
    Index("ix_job_tags_key_value", "key", "value"),
)

stages = Table(
    "stages",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("done", Float),
    Column("total", Float),
    Column("unit", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("type", String(32), nullable=False),
    Column("payload", JSON, nullable=False),
    Index("ix_events_job_id_seq", "job_id", "seq"),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("query_id", ForeignKey("queries.id"), nullable=False, index=True),
    Column("graph_id", ForeignKey("graphs.id"), nullable=False),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("training_table_job_id", ForeignKey("jobs.id")),
    Column("snapshot_id", String(128), nullable=False),
    Column("path", Text, nullable=False),
    Column("task_type", String(64), nullable=False),
    Column("evaluation", JSON, nullable=False),
    Column("lineage", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("last_four", String(4), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)
_ONE_GLOBAL = text("kind = 'global' AND revoked_at IS NULL")
# The store itself refuses a second living global key, whoever races to make one.
Index(
    "ux_keys_global",
    keys.c.kind,
    unique=True,
    sqlite_where=_ONE_GLOBAL,
    postgresql_where=_ONE_GLOBAL,
)

passwords = Table(
    "passwords",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(512), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("status", Integer),
    Column("body", JSON),
    Column("headers", JSON),
    Column("job_id", ForeignKey("jobs.id")),
)
