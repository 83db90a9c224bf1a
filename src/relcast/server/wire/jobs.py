"""Jobs: our ``JobRecord`` as the wire's job resources, status reports and progress."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from kumoapi.common import JobSource, JobStatus, ValidationResponse
from kumoapi.data_snapshot import JobState as WireJobState
from kumoapi.jobs import (
    AutoTrainerProgress,
    BatchPredictionJobSummary,
    ErrorDetail,
    ErrorDetails,
    ErrorType,
    JobEventLogEntry,
    JobStatusReport,
    Metric,
    ModelEvaluationMetrics,
    PredictionProgress,
    TrainingJobSummary,
)

from relcast.catalog.records import GraphSnapshotRecord, JobRecord, JobState, StageRecord
from relcast.core.clock import utc_now
from relcast.core.errors import Fault, Position, RelcastError, UserError
from relcast.server.wire.codec import aware, validation

__all__ = [
    "error_details",
    "error_of",
    "job_resource",
    "prediction_progress",
    "prediction_summary",
    "snapshot_state",
    "status_report",
    "table_job_extras",
    "table_progress",
    "training_progress",
    "training_summary",
]

_CANCELLED = "The job was cancelled before it had finished."


def error_of(stored: Mapping[str, Any] | None, state: JobState) -> RelcastError | None:
    """Return the error that ended a job, rebuilt from its stored form; None when none did."""
    if state is JobState.CANCELLED:
        return UserError(_CANCELLED, code="job.cancelled")
    if state is not JobState.FAILED:
        return None
    found = stored or {}
    return UserError(
        str(found.get("message") or "The job failed."),
        code=str(found.get("code") or "internal"),
        hint=str(found.get("hint") or ""),
        faults=[_fault(f) for f in found.get("faults") or ()],
    )


def _fault(obj: Mapping[str, Any]) -> Fault:
    place = obj.get("position")
    return Fault(
        code=str(obj["code"]),
        message=str(obj["message"]),
        hint=str(obj.get("hint", "")),
        position=None
        if place is None
        else Position(int(place["line"]), int(place["column"]), int(place.get("length", 1))),
    )


def status_report(job: JobRecord) -> JobStatusReport:
    """Return a job's status; the event log always has an entry, the newest stage last."""
    error = error_of(job.error, job.state)
    return JobStatusReport(
        status=JobStatus(job.state.value),
        tracking_url=f"/jobs/{job.id}",
        start_time=aware(job.started_at or job.created_at),
        end_time=None if job.ended_at is None else aware(job.ended_at),
        event_log=_event_log(job),
        validation_response=ValidationResponse() if error is None else validation(error),
    )


def _event_log(job: JobRecord) -> list[JobEventLogEntry]:
    begun = [s for s in job.stages if s.started_at is not None]
    if not begun:
        return [JobEventLogEntry(job.state.value, aware(job.started_at or job.created_at))]
    begun.sort(key=lambda s: aware(s.started_at))
    return [
        JobEventLogEntry(s.name, aware(s.ended_at or s.started_at), s.detail or None) for s in begun
    ]


def job_resource(job: JobRecord, config: Any, **more: Any) -> dict[str, Any]:
    """Return what every job resource has, with ``config`` (the request) and what else there is."""
    return {
        "job_id": job.id,
        "job_status_report": status_report(job),
        "created_at": aware(job.created_at),
        "tags": dict(job.tags),
        "project_id": None,
        "config": config,
        **more,
    }


def table_job_extras() -> dict[str, Any]:
    """Return the fields that only table jobs have."""
    return {"source": JobSource.SDK, "user": None}


def error_details(job: JobRecord) -> ErrorDetails:
    """Return what went wrong with a job, one item for each fault."""
    error = error_of(job.error, job.state)
    if error is None:
        return ErrorDetails(items=[])
    return ErrorDetails(
        items=[
            ErrorDetail(type=ErrorType.ERROR, description=e.message, title=e.title, cta=None)
            for e in validation(error).errors
        ]
    )


def table_progress(job: JobRecord) -> dict[str, int]:
    """Return the anchors of a table job; empty where the stage counts anything else."""
    stage = next((s for s in job.stages if s.name == "Training table"), None)
    if stage is None or not stage.total or stage.unit != "anchors":
        return {}
    return {
        "num_expected_iterations": int(stage.total),
        "num_finished_iterations": int(stage.done or 0),
    }


def training_progress(job: JobRecord) -> AutoTrainerProgress:
    """Return how far the search is.

    No time is estimated: with an estimate but without per-epoch metrics the SDK would poll in a
    loop without a pause.
    """
    stage = next((s for s in job.stages if s.name == "Training"), None)
    return AutoTrainerProgress(
        start_time=None if job.started_at is None else aware(job.started_at),
        total_trials=int((stage and stage.total) or 0),
        completed_trials=int((stage and stage.done) or 0),
        elapsed_training_time=_elapsed(stage).total_seconds(),
    )


def prediction_progress(job: JobRecord) -> PredictionProgress:
    """Return how many rows are scored; the total is at least 1, since the SDK divides by it."""
    stage = next((s for s in reversed(job.stages) if s.name == "Predicting"), None)
    return PredictionProgress(
        start_time=None if job.started_at is None else aware(job.started_at),
        total_iterations=max(int((stage and stage.total) or 1), 1),
        completed_iterations=int((stage and stage.done) or 0),
        elapsed_prediction_time=_elapsed(stage),
    )


def _elapsed(stage: StageRecord | None) -> timedelta:
    if stage is None or stage.started_at is None:
        return timedelta(0)
    return aware(stage.ended_at or utc_now()) - aware(stage.started_at)


def training_summary(job: JobRecord) -> TrainingJobSummary | None:
    """Return metrics and time of a finished training; None before its end."""
    if job.state is not JobState.DONE:
        return None
    result = job.result or {}
    metrics = result.get("metrics") or {}
    return TrainingJobSummary(
        eval_metrics=ModelEvaluationMetrics(
            test_metrics=_metrics(metrics.get("test")),
            validation_metrics=_metrics(metrics.get("validation") or metrics.get("val")),
            training_metrics=_metrics(metrics.get("training")),
        ),
        total_elapsed_time=_duration(job),
        automl_experiments_completed=_trials(result.get("trials")),
    )


def prediction_summary(job: JobRecord) -> BatchPredictionJobSummary | None:
    """Return how many entities were scored; None before the end."""
    if job.state is not JobState.DONE:
        return None
    return BatchPredictionJobSummary(int((job.result or {}).get("num_entities") or 0))


def _metrics(found: Any) -> list[Metric]:
    """Return metrics of ``{name: value}`` or ``{name: {"value": …, "low": …, "high": …}}``."""
    metrics = []
    for name, value in (found or {}).items():
        number = value.get("value") if isinstance(value, Mapping) else value
        metrics.append(Metric(str(name), None if number is None else float(number)))
    return metrics


def _trials(trials: Any) -> int:
    return len(trials) if isinstance(trials, list | tuple) else int(trials or 0)


def _duration(job: JobRecord) -> timedelta:
    begin, end = job.started_at or job.created_at, job.ended_at or utc_now()
    return aware(end) - aware(begin)


def snapshot_state(record: GraphSnapshotRecord, began: datetime | None = None) -> WireJobState:
    """Return the ingest state of a graph snapshot."""
    error = error_of(record.error, record.state)
    return WireJobState(
        status=JobStatus(record.state.value),
        start_time=aware(began or record.created_at),
        end_time=None,
        warnings=[],
        error=None if error is None else str(error),
    )
