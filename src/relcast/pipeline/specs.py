"""What each step of the pipeline is told, and what it returns: plain values that are JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ExplainResult",
    "ExplainSpec",
    "IngestResult",
    "IngestSpec",
    "OutlineResult",
    "OutlineSpec",
    "PredictResult",
    "PredictSpec",
    "PredictionTableResult",
    "PredictionTableSpec",
    "SourceSpec",
    "TrainResult",
    "TrainSpec",
    "TrainingTableResult",
    "TrainingTableSpec",
]


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where one graph table comes from.

    ``kind`` is ``directory``, ``file`` or ``upload``; ``root`` the directory (or file) on this
    machine; ``table`` the name of the table there. ``roots`` bound what may be read; None trusts
    ``root`` itself (a library user reads own files).
    """

    kind: str
    root: str
    table: str
    roots: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> SourceSpec:
        roots = obj.get("roots")
        return cls(obj["kind"], obj["root"], obj["table"], None if roots is None else tuple(roots))


@dataclass(frozen=True, slots=True)
class IngestSpec:
    """Copy a graph's tables into the store: ``graph`` and ``sources`` as JSON."""

    store: str
    graph: Mapping[str, Any]
    sources: Mapping[str, Mapping[str, Any]]
    threads: int = 1


@dataclass(frozen=True, slots=True)
class IngestResult:
    """A snapshot: its id, its tables' snapshot ids, and what was read, kept and dropped."""

    snapshot_id: str
    tables: Mapping[str, str]
    report: Mapping[str, Any]
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class TrainingTableSpec:
    """Make the training table of a query over a snapshot and write it to ``out`` (Parquet).

    ``rows`` is a ``SourceSpec`` as JSON: the caller's own rows, which take the place of generated
    ones; ``weight`` names their column of weights, where it is not ``WEIGHT``.
    """

    store: str
    snapshot_id: str
    query: str
    out: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Any] | None = None
    weight: str | None = None
    allow_unmatched: bool = False
    threads: int = 1
    memory_limit: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingTableResult:
    path: str
    rows: int
    report: Mapping[str, Any]
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """Fit a model on a training table and write its bundle to the directory ``out``."""

    store: str
    snapshot_id: str
    query: str
    training_table: str
    out: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    forecast_length: int | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A model bundle at ``path``, with its evaluation and lineage as JSON."""

    path: str
    evaluation: Mapping[str, Any]
    summary: Mapping[str, Any]
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class PredictionTableSpec:
    """Make the prediction table of a query at ``anchor`` (ISO 8601; None is the latest)."""

    store: str
    snapshot_id: str
    query: str
    out: str
    anchor: str | None = None
    rows: Mapping[str, Any] | None = None
    allow_unmatched: bool = False
    threads: int = 1
    memory_limit: str | None = None


@dataclass(frozen=True, slots=True)
class PredictionTableResult:
    path: str
    rows: int
    anchor: str | None
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class PredictSpec:
    """Score a prediction table with the bundle at ``model``; write files into the folder ``out``.

    ``threshold`` is for binary and multilabel classification, ``num_classes`` is how many classes,
    or items of a ranking, an entity gets; ``items`` names the only items that may be in it (keys of
    the item table, or classes); ``levels`` are quantiles of numbers; ``reasons`` is how
    many of the strongest reasons are written for each of the first ``reason_rows`` rows.
    ``highest_first`` puts the rows of the highest scores first (binary, regression), so that the
    rows that people look at first have reasons; else rows stay in the order of the table.
    """

    store: str
    snapshot_id: str
    query: str
    prediction_table: str
    model: str
    out: str
    threshold: float | None = None
    num_classes: int | None = None
    items: Sequence[Any] | None = None
    levels: Sequence[float] = ()
    reasons: int = 5
    reason_rows: int = 1000
    highest_first: bool = False
    threads: int = 1


@dataclass(frozen=True, slots=True)
class PredictResult:
    """Files of one batch prediction: names relative to ``path``, columns in order."""

    path: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    num_entities: int
    reasons: str | None
    summary: Mapping[str, Any]
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class OutlineSpec:
    """Say what a query's training table would be, with its figures, and write no file."""

    store: str
    snapshot_id: str
    query: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    memory_limit: str | None = None


@dataclass(frozen=True, slots=True)
class OutlineResult:
    """``Outline.to_json()``."""

    outline: Mapping[str, Any]
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class ExplainSpec:
    """Explain one entity's score with the bundle at ``model``; see ``pipeline.explaining``."""

    store: str
    snapshot_id: str
    model: str
    entity: Any
    anchor: str | None = None
    output: Any = None
    top: int = 10
    threads: int = 1


@dataclass(frozen=True, slots=True)
class ExplainResult:
    """``Explanation.to_json()``."""

    explanation: Mapping[str, Any]
    elapsed_seconds: float
