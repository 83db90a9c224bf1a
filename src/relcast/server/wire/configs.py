"""What was asked of a job, as the wire's request: rebuilt from the job's own configuration.

So that the SDK can read every job, also those that the UI or the automation started.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kumoapi.data_snapshot import GraphSnapshotID
from kumoapi.jobs import (
    BatchPredictionOptions,
    BatchPredictionRequest,
    GeneratePredictionTableRequest,
    GenerateTrainTableRequest,
    TrainingJobRequest,
)
from kumoapi.model_plan import (
    InferredType,
    MissingType,
    ModelPlan,
    PredictionTableGenerationPlan,
    TrainingJobPlan,
    TrainingTableGenerationPlan,
)

from relcast.catalog import JobRecord
from relcast.core.clock import parse_time

__all__ = [
    "prediction_request",
    "prediction_table_request",
    "training_request",
    "training_table_request",
]


def training_table_request(job: JobRecord) -> GenerateTrainTableRequest:
    """Return the request of a training table job."""
    return GenerateTrainTableRequest(
        job_tags=dict(job.tags),
        pquery_id=job.query_id or "",
        plan=_table_plan(job.config.get("table_plan") or {}),
        graph_snapshot_id=_snapshot(job),
    )


def prediction_table_request(job: JobRecord) -> GeneratePredictionTableRequest:
    """Return the request of a prediction table job."""
    anchor = _anchor(job)
    return GeneratePredictionTableRequest(
        job_tags=dict(job.tags),
        pquery_id=job.query_id or "",
        plan=PredictionTableGenerationPlan(
            anchor_time=InferredType.VALUE if anchor is None else round(anchor.timestamp()) * 10**9
        ),
        graph_snapshot_id=_snapshot(job),
    )


def training_request(job: JobRecord) -> TrainingJobRequest:
    """Return the request of a training job."""
    return TrainingJobRequest(
        job_tags=dict(job.tags),
        pquery_id=job.query_id or "",
        model_plan=_model_plan(job.config.get("model_plan") or {}),
        graph_snapshot_id=_snapshot(job),
        train_table_job_id=job.config.get("training_table_job_id"),
    )


def prediction_request(job: JobRecord) -> BatchPredictionRequest:
    """Return the request of a batch prediction; its model is named by the training that made it."""
    options = job.config.get("options") or {}
    return BatchPredictionRequest(
        job_tags=dict(job.tags),
        model_training_job_id=str(job.config.get("training_job_id") or ""),
        predict_options=BatchPredictionOptions(
            binary_classification_threshold=options.get("threshold"),
            num_classes_to_return=options.get("num_classes"),
        ),
        outputs=[],
        graph_snapshot_id=_snapshot(job),
        pred_table_job_id=job.config.get("prediction_table_job_id"),
        prediction_time=_anchor(job),
    )


def _snapshot(job: JobRecord) -> GraphSnapshotID | None:
    ref = job.config.get("snapshot_ref")
    return None if ref is None else GraphSnapshotID(ref)


def _anchor(job: JobRecord) -> datetime | None:
    return parse_time(job.config.get("anchor"))


def _table_plan(plan: dict[str, Any]) -> TrainingTableGenerationPlan:
    def value(name: str) -> Any:
        found = plan.get(name)
        return InferredType.VALUE if found is None else found

    def missing(name: str) -> Any:
        found = plan.get(name)
        return MissingType.VALUE if found is None else found

    return TrainingTableGenerationPlan(
        split=plan.get("split") or InferredType.VALUE,
        train_start_offset=value("train_start_offset"),
        train_end_offset=value("train_end_offset"),
        start_time=value("start_time"),
        end_time=value("end_time"),
        timeframe_step=value("timeframe_step"),
        forecast_length=plan.get("forecast_length") or MissingType.VALUE,
        lag_timesteps=missing("lag_timesteps"),
        year_over_year=missing("year_over_year"),
        weight_col=plan.get("weight_column"),
    )


def _model_plan(plan: dict[str, Any]) -> ModelPlan:
    def value(name: str) -> Any:
        found = plan.get(name)
        return MissingType.VALUE if found is None else found

    refit = plan.get("refit_trainval")
    return ModelPlan(
        training_job=TrainingJobPlan(
            num_experiments=value("num_experiments") or MissingType.VALUE,
            metrics=list(plan["metrics"]) if plan.get("metrics") else MissingType.VALUE,
            tune_metric=value("tune_metric"),
            refit_trainval=True if refit is None else refit,
            manual_seed=plan.get("seed"),
        )
    )
