"""What the catalog remembers, as frozen records: the nouns that every caller of the platform sees.

A record is a reading of one moment; to change anything, call the store of its noun. Times are aware
UTC. JSON fields hold plain JSON values only (no NaN, no dates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from relcast.core.clock import isoformat
from relcast.core.schema import Graph, TaskType
from relcast.sources import SourceRef

__all__ = [
    "SCOPES",
    "TERMINAL",
    "Answer",
    "AuditRecord",
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
]

SCOPES = frozenset({"read", "predict", "train", "admin"})
"""Everything that a key may be allowed; the global key is allowed all of it."""


class JobState(StrEnum):
    """Where a job is. The words are those of the wire; the last three never change."""

    NOT_STARTED = "NOT_STARTED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


class JobKind(StrEnum):
    """What a job makes."""

    ingest = "ingest"
    training_table = "training_table"
    prediction_table = "prediction_table"
    training = "training"
    prediction = "prediction"

    @property
    def prefix(self) -> str:
        """The prefix of the ids of such jobs, as the wire has it."""
        return _PREFIXES[self]


_PREFIXES = {
    JobKind.ingest: "ingest-job",
    JobKind.training_table: "gen-traintable-job",
    JobKind.prediction_table: "gen-predtable-job",
    JobKind.training: "trainingjob",
    JobKind.prediction: "bp-job",
}


@dataclass(frozen=True, slots=True)
class ConnectorRecord:
    """A named place that tables come from; ``root`` is a directory on this machine."""

    id: str
    name: str
    kind: str
    root: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GraphRecord:
    """A graph and where each of its tables comes from.

    ``id`` is derived from the content, so that the same definition is the same graph. ``reasons``
    keeps the evidence of inference (per table and per link) when the graph was inferred.
    """

    id: str
    name: str | None
    graph: Graph
    sources: Mapping[str, SourceRef]
    reasons: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GraphSnapshotRecord:
    """One ingestion of a graph: ``id`` is ``<graph id>@<ingest job id>``.

    ``snapshot_id`` and ``tables`` (table name -> table snapshot id) are there once ``state`` is
    DONE.
    """

    id: str
    graph_id: str
    job_id: str
    state: JobState
    error: Mapping[str, Any] | None
    snapshot_id: str | None
    tables: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """A saved predictive query.

    ``plan`` is ``{"table": {...}, "model": {...}}``: what retraining uses. ``promoted_model_id`` is
    the model that predicts.
    """

    id: str
    name: str | None
    text: str
    graph_id: str
    description: str
    plan: Mapping[str, Any]
    task_type: TaskType
    promoted_model_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of a job: how much of ``total`` is ``done``, in ``unit``, and a line of detail."""

    name: str
    state: JobState
    started_at: datetime | None = None
    ended_at: datetime | None = None
    done: float | None = None
    total: float | None = None
    unit: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state.value,
            "started_at": isoformat(self.started_at),
            "ended_at": isoformat(self.ended_at),
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands.

    Attributes:
        config: What was asked, with the ids that the job filled in while it ran.
        result: What it made; only when DONE.
        error: ``RelcastError.to_json()`` of the cause; only when FAILED.
        stages: In the order in which they run.
        parents: Jobs whose results this one needs.
        keep_best: Whether a training that was asked to stop is to publish its best so far.
        attempts: How often a worker began it; above 1 after a crash of the worker.
        position: Place in the queue, 1 is next; None unless NOT_STARTED or QUEUED.
    """

    id: str
    kind: JobKind
    state: JobState
    query_id: str | None
    graph_id: str | None
    config: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    tags: Mapping[str, str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stages: tuple[StageRecord, ...]
    cancel_requested: bool
    parents: tuple[str, ...]
    attempts: int = 0
    position: int | None = None
    keep_best: bool = False

    @property
    def stage(self) -> StageRecord | None:
        """The stage that runs, or the last one that began; None before the first."""
        begun = [s for s in self.stages if s.started_at is not None]
        running = [s for s in begun if s.state is JobState.RUNNING]
        return next(reversed(running or begun), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind.value,
            "state": self.state.value,
            "query_id": self.query_id,
            "graph_id": self.graph_id,
            "config": dict(self.config),
            "result": None if self.result is None else dict(self.result),
            "error": None if self.error is None else dict(self.error),
            "tags": dict(self.tags),
            "created_at": isoformat(self.created_at),
            "started_at": isoformat(self.started_at),
            "ended_at": isoformat(self.ended_at),
            "stages": [s.to_json() for s in self.stages],
            "cancel_requested": self.cancel_requested,
            "keep_best": self.keep_best,
            "parents": list(self.parents),
            "attempts": self.attempts,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job. ``seq`` grows over all jobs; types: see docs/jobs.md."""

    seq: int
    at: datetime
    type: str
    payload: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": isoformat(self.at),
            "type": self.type,
            "payload": dict(self.payload),
        }


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A trained model: where its bundle is, how good it is, and what it was made from.

    ``evaluation`` is the report (metrics beside baselines, importance, leaderboard, certificate) as
    JSON, so that showing it opens no bundle. ``lineage`` names the query's text, plans, snapshot,
    training table, seeds and code version. ``promoted`` says whether the query predicts with it.
    """

    id: str
    query_id: str
    graph_id: str
    job_id: str
    training_table_job_id: str | None
    snapshot_id: str
    path: str
    task_type: TaskType
    evaluation: Mapping[str, Any]
    lineage: Mapping[str, Any]
    promoted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key without its secret."""

    id: str
    last_four: str
    scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the id of the key (or ``admin`` of the UI) and what it may do."""

    id: str
    scopes: frozenset[str] = SCOPES


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One mutating or refused call; ``digest`` covers this row and the one before it."""

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    outcome: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request with an idempotency key was answered.

    ``status`` is None when that request made ``job_id`` but its answer was never written (the
    server died in between): answer with the job.
    """

    status: int | None
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; ``cursor`` fetches the next one and is None on the last."""

    items: Sequence[T]
    cursor: str | None = None
