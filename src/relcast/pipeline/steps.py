"""The steps of the two roads, train and predict, as plain calls with JSON-ready ends.

Each step takes one frozen specification of paths, ids and plans and returns one frozen result, so
that a job can run it in a child process and store what it returned, and a library user can call it
in a notebook. Nothing here knows of jobs or HTTP. Steps report to a ``Progress``; they write their
outputs under a temporary name and rename them, so that a killed step leaves nothing half-made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcast.core.clock import anchor_time
from relcast.core.errors import SourceError
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import Graph
from relcast.pipeline.checking import check_against
from relcast.pipeline.specs import (
    ExplainResult,
    ExplainSpec,
    IngestResult,
    IngestSpec,
    OutlineResult,
    OutlineSpec,
    PredictionTableResult,
    PredictionTableSpec,
    PredictResult,
    PredictSpec,
    SourceSpec,
    TrainingTableResult,
    TrainingTableSpec,
    TrainResult,
    TrainSpec,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.pipeline.opened import Opened
    from relcast.pql import CheckedQuery
    from relcast.relations import Relations
    from relcast.snapshots import Snapshot
    from relcast.sources import Source

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
    "explain",
    "ingest",
    "open_source",
    "outline",
    "predict",
    "prediction_table",
    "train",
    "training_table",
]


def open_source(spec: SourceSpec) -> Source:
    """Open the source of a specification; raises ``source.unknown_kind``."""
    from relcast.sources import LocalDirectory, LocalFile, UploadArea

    roots = None if spec.roots is None else tuple(Path(r) for r in spec.roots)
    match spec.kind:
        case "directory":
            return LocalDirectory(Path(spec.root), roots=roots)
        case "file":
            return LocalFile(Path(spec.root))
        case "upload":
            return UploadArea(Path(spec.root))
        case _:
            raise SourceError(
                f"There is no kind of source named {spec.kind!r}",
                code="source.unknown_kind",
                hint="Kinds are: directory, file, upload.",
            )


def ingest(spec: IngestSpec, progress: Progress = SILENT) -> IngestResult:
    """Copy every table of a graph into the store and combine them to a snapshot.

    An unchanged source gives the same version and copies nothing. Stage: ``Ingestion``, in tables.
    """
    from relcast.relations import build
    from relcast.snapshots import SnapshotStore, TableSpec

    began = time.perf_counter()
    graph = Graph.from_json(spec.graph)
    store = SnapshotStore(Path(spec.store))
    with progress.stage("Ingestion", total=len(graph.tables) + 1, unit="tables") as stage:
        tables = []
        for number, table in enumerate(graph.tables.values()):
            stage.update(number, detail=f"reading {table.name}")
            where = SourceSpec.from_json(spec.sources[table.name])
            tables.append(
                store.ingest_table(
                    open_source(where), where.table, TableSpec.of(table), threads=spec.threads
                )
            )
        stage.update(len(tables), detail="linking")
        snapshot = store.combine(tables, graph.links)
        build(snapshot)
        stage.update(len(tables) + 1, detail=f"{sum(t.rows for t in tables):,} rows")
    return IngestResult(
        snapshot_id=snapshot.id,
        tables={t.name: t.id for t in tables},
        report={
            "tables": {t.name: t.report.to_json() for t in tables},
            "links": [link.to_json() for link in snapshot.links],
        },
        elapsed_seconds=time.perf_counter() - began,
    )


def training_table(spec: TrainingTableSpec, progress: Progress = SILENT) -> TrainingTableResult:
    """Make a training table from a query or the caller's rows. Stage: ``Training table``."""
    from relcast.tasks import TablePlan, make_training_table, training_table_from_rows

    began = time.perf_counter()
    plan = TablePlan.from_json(spec.plan)
    snapshot, relations, query = _open(
        spec.store, spec.snapshot_id, spec.query, forecast_length=plan.forecast_length
    )
    if spec.rows is None:
        table = make_training_table(
            snapshot,
            relations,
            query,
            plan,
            progress,
            threads=spec.threads,
            memory_limit=spec.memory_limit,
        )
    else:
        with progress.stage("Training table", unit="rows") as stage:
            table = training_table_from_rows(
                snapshot,
                relations,
                query,
                _own_rows(spec.rows, spec.weight),
                plan,
                allow_unmatched=spec.allow_unmatched,
            )
            stage.update(len(table), len(table), detail=f"{len(table):,} rows")
    table.save(Path(spec.out))
    return TrainingTableResult(
        path=spec.out,
        rows=len(table),
        report=table.report.to_json(),
        elapsed_seconds=time.perf_counter() - began,
    )


def outline(spec: OutlineSpec, progress: Progress = SILENT) -> OutlineResult:
    """Say what a training table would be. Stage: ``Training table``, in anchors."""
    from relcast.tasks import TablePlan
    from relcast.tasks import outline as outlined

    began = time.perf_counter()
    plan = TablePlan.from_json(spec.plan)
    snapshot, relations, query = _open(
        spec.store, spec.snapshot_id, spec.query, forecast_length=plan.forecast_length
    )
    found = outlined(
        snapshot,
        relations,
        query,
        plan,
        progress,
        threads=spec.threads,
        memory_limit=spec.memory_limit,
    )
    return OutlineResult(found.to_json(), time.perf_counter() - began)


def train(spec: TrainSpec, progress: Progress = SILENT) -> TrainResult:
    """Fit, evaluate and write a model bundle. Stages: ``Training``, ``Evaluation``, ``Writing``."""
    from relcast.learners import ModelPlan, fit
    from relcast.tasks import TrainingTable

    began = time.perf_counter()
    snapshot, relations, query = _open(
        spec.store, spec.snapshot_id, spec.query, forecast_length=spec.forecast_length
    )
    table = TrainingTable.load(Path(spec.training_table), snapshot, relations, query)
    plan = ModelPlan.from_json({**spec.plan, "threads": spec.threads})
    model = fit(relations, query, table, plan, progress)
    with progress.stage("Writing") as stage:
        model.save(Path(spec.out))
        stage.update(1, 1, unit="bundle", detail="model, holdout and evaluation")
    return TrainResult(
        path=spec.out,
        evaluation=model.evaluation.to_json(),
        summary=model.summary(),
        elapsed_seconds=time.perf_counter() - began,
    )


def prediction_table(
    spec: PredictionTableSpec, progress: Progress = SILENT
) -> PredictionTableResult:
    """Make the table of entities to score at one anchor. Stage: ``Predicting``, in rows."""
    from relcast.tasks import make_prediction_table, prediction_table_from_rows

    began = time.perf_counter()
    snapshot, relations, query = _open(spec.store, spec.snapshot_id, spec.query)
    if spec.rows is None:
        table = make_prediction_table(
            snapshot,
            relations,
            query,
            anchor_time(spec.anchor),
            progress,
            threads=spec.threads,
            memory_limit=spec.memory_limit,
        )
    else:
        with progress.stage("Predicting", unit="rows") as stage:
            table = prediction_table_from_rows(
                snapshot,
                relations,
                query,
                _own_rows(spec.rows),
                allow_unmatched=spec.allow_unmatched,
            )
            stage.update(len(table), len(table), detail=f"{len(table):,} entities to score")
    table.save(Path(spec.out))
    return PredictionTableResult(
        path=spec.out,
        rows=len(table),
        anchor=table.anchor_text,
        elapsed_seconds=time.perf_counter() - began,
    )


def predict(spec: PredictSpec, progress: Progress = SILENT) -> PredictResult:
    """Score a prediction table and write the rows. Stages: ``Predicting``, ``Writing``."""
    import numpy as np

    from relcast.learners import FittedModel
    from relcast.learners.score_summary import ScoreSummary
    from relcast.learners.scores import Scores
    from relcast.outputs import write_parts, write_reasons
    from relcast.tasks import PredictionTable

    began = time.perf_counter()
    snapshot, relations, query = _open(spec.store, spec.snapshot_id, spec.query)
    table = PredictionTable.load(Path(spec.prediction_table), snapshot, relations, query)
    model = FittedModel.load(Path(spec.model))
    parts: Iterable[Scores] = model.predict_in_parts(
        relations,
        table.entity,
        table.anchor,
        k=spec.num_classes if model.ranks else None,
        among=None if spec.items is None else model.item_rows(relations, spec.items),
        levels=tuple(spec.levels),
        threads=spec.threads,
        progress=progress,
    )
    if spec.highest_first and model.one_number:
        scores = Scores.joined(parts)
        order = np.argsort(-scores.values, kind="stable")
        table, parts = table.take(order), [scores.take(order)]
    summary = ScoreSummary()

    def outputs() -> Iterator[pa.Table]:
        begin = 0
        for part in parts:
            own = table.take(np.arange(begin, begin + len(part)))
            begin += len(part)
            summary.add(part)
            yield model.to_output(part, own, threshold=spec.threshold, num_classes=spec.num_classes)

    out = Path(spec.out)
    rows, columns = write_parts(outputs(), out / "predictions.parquet")
    with progress.stage("Writing", unit="files") as stage:
        reasons = None
        if spec.reasons > 0:
            first = slice(0, spec.reason_rows)
            explained = model.explain(
                relations,
                table.entity[first],
                None if table.anchor is None else table.anchor[first],
                top=spec.reasons,
                threads=spec.threads,
            )
            write_reasons(explained, table.keys()[first].to_pylist(), out / "reasons.json")
            reasons = "reasons.json"
        stage.update(1, 1, detail=f"{rows:,} rows")
    return PredictResult(
        path=spec.out,
        files=("predictions.parquet",),
        columns=columns,
        num_entities=len(table.entity),
        reasons=reasons,
        summary=summary.to_json(),
        elapsed_seconds=time.perf_counter() - began,
    )


def explain(
    spec: ExplainSpec, progress: Progress = SILENT, opened: Opened | None = None
) -> ExplainResult:
    """Explain one entity's score. Stage: ``Predicting``, in steps.

    ``opened`` keeps the model and the snapshot open for the next question.
    """
    from relcast.pipeline.explaining import explain as explained
    from relcast.pipeline.opened import Opened

    began = time.perf_counter()
    opened = opened or Opened()
    with progress.stage("Predicting", total=2, unit="steps") as stage:
        model = opened.model(spec.model)
        relations = opened.relations(spec.store, spec.snapshot_id)
        stage.update(1, detail="explaining")
        found = explained(
            model,
            relations,
            spec.entity,
            spec.anchor,
            output=spec.output,
            top=spec.top,
            threads=spec.threads,
        )
        stage.update(2, detail=found.summary)
    return ExplainResult(found.to_json(), time.perf_counter() - began)


def _own_rows(rows: Mapping[str, Any], weight: str | None = None) -> pa.Table:
    """Read rows of the caller's own from their source; ``weight`` becomes ``WEIGHT``."""
    import pyarrow as pa

    where = SourceSpec.from_json(rows)
    source = open_source(where)
    table = pa.Table.from_batches(source.read(where.table), source.schema(where.table))
    if weight is None or weight == "WEIGHT":
        return table
    kept = table.drop_columns([c for c in ("WEIGHT",) if c in table.column_names])
    return kept.rename_columns({weight: "WEIGHT"})


def _open(
    store: str, snapshot_id: str, text: str, *, forecast_length: int | None = None
) -> tuple[Snapshot, Relations, CheckedQuery]:
    from relcast.relations import build
    from relcast.snapshots import SnapshotStore

    snapshot = SnapshotStore(Path(store)).open(snapshot_id)
    return snapshot, build(snapshot), check_against(text, snapshot, forecast_length=forecast_length)
