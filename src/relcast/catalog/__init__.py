"""The metadata store: connectors, graphs, queries, models, jobs, keys, audit.

SQLite by default, PostgreSQL by URL, with the same code. One module per noun; records are frozen
(``records``), tables are in ``tables``, their history in ``migrations``. Nothing here computes.
"""

from relcast.catalog.audit import Verdict
from relcast.catalog.records import (
    SCOPES,
    TERMINAL,
    Answer,
    AuditRecord,
    ConnectorRecord,
    GraphRecord,
    GraphSnapshotRecord,
    JobEvent,
    JobKind,
    JobRecord,
    JobState,
    KeyRecord,
    ModelRecord,
    Page,
    Principal,
    QueryRecord,
    StageRecord,
)
from relcast.catalog.secret_files import file_secret
from relcast.catalog.store import Catalog

__all__ = [
    "SCOPES",
    "TERMINAL",
    "Answer",
    "AuditRecord",
    "Catalog",
    "ConnectorRecord",
    "GraphRecord",
    "GraphSnapshotRecord",
    "JobEvent",
    "JobKind",
    "JobRecord",
    "JobState",
    "KeyRecord",
    "ModelRecord",
    "Page",
    "Principal",
    "QueryRecord",
    "StageRecord",
    "Verdict",
    "file_secret",
]
