"""Training table jobs and prediction table jobs, as the SDK has them."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.common import ValidationResponse
from kumoapi.jobs import (
    ErrorDetails,
    GeneratePredictionTableJobResource,
    GeneratePredictionTableRequest,
    GenerateTrainTableJobResource,
    GenerateTrainTableRequest,
)
from kumoapi.source_table import SourceTableType
from kumoapi.train import TrainingTableSpec
from pydantic.dataclasses import dataclass

from relcast.catalog import JobKind, JobRecord
from relcast.core.clock import parse_time
from relcast.core.errors import UserError
from relcast.server.answers import once
from relcast.server.job_files import table_urls
from relcast.server.job_of_kind import job_of_kind
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import aware, validation, wire_answer
from relcast.server.wire.configs import prediction_table_request, training_table_request
from relcast.server.wire.custom_tables import validate_custom_table
from relcast.server.wire.jobs import (
    error_details,
    job_resource,
    table_job_extras,
    table_progress,
)
from relcast.server.wire.listing import jobs_of, tag_changes
from relcast.server.wire.plans import prediction_anchor_of, suggest_table_plan, table_plan_of

__all__ = ["routes"]

routes = Routes("table jobs")

_TRAIN, _PRED = "/gentraintable_jobs", "/genpredtable_jobs"
_URLS = ["http://127.0.0.1:8000/api/v1/files/…?expires=…&signature=…"]


@routes.post(
    _TRAIN, scope="train", summary="Start making a training table (SDK)", errors=(404, 409, 429)
)
def create_training_table_job(request: Request, body: GenerateTrainTableRequest) -> Response:
    """Every task type has a training table, also those that cannot be trained yet."""
    platform = platform_of(request)
    record = platform.query(body.pquery_id)
    graph = platform.graph(record.graph_id).graph
    forecast = table_plan_of(body.plan).forecast_length
    checked = platform.validate_query(record.text, record.graph_id, forecast_length=forecast)
    plan = table_plan_of(body.plan, suggest_table_plan(checked, graph))
    return once(
        request,
        body,
        lambda again: JSONResponse(
            {
                "id": platform.submit_training_table(
                    body.pquery_id,
                    plan,
                    body.graph_snapshot_id,
                    body.job_tags,
                    **again.options,
                ).id
            }
        ),
    )


@routes.get(
    _TRAIN,
    scope="read",
    summary="List training table jobs, newest first (SDK)",
    answer=list[GenerateTrainTableJobResource],
)
def list_training_table_jobs(request: Request) -> Response:
    """Filters: `pquery_id`, `pquery_name`, `job_status`, `limit`; other parameters are tags."""
    jobs = jobs_of(platform_of(request), JobKind.training_table, request.query_params)
    return wire_answer([_training_table(j) for j in jobs])


@routes.get(
    _TRAIN + "/{job_id}",
    scope="read",
    summary="Get a training table job (SDK)",
    answer=GenerateTrainTableJobResource,
)
def get_training_table_job(request: Request, job_id: str) -> Response:
    return wire_answer(_training_table(_get(request, job_id, JobKind.training_table)))


@routes.get(
    _TRAIN + "/{job_id}/progress",
    scope="read",
    summary="How far a training table is (SDK)",
    example={"num_expected_iterations": 12, "num_finished_iterations": 3},
)
def get_training_table_progress(request: Request, job_id: str) -> Response:
    return wire_answer(table_progress(_get(request, job_id, JobKind.training_table)))


@routes.get(
    _TRAIN + "/{job_id}/table_data",
    scope="read",
    summary="Get signed URLs of a training table's Parquet files (SDK)",
    example=_URLS,
    errors=(409,),
)
def get_training_table_data(request: Request, job_id: str) -> Response:
    return JSONResponse(table_urls(request, _get(request, job_id, JobKind.training_table)))


@routes.get(
    _TRAIN + "/{job_id}/get_errors",
    scope="read",
    summary="What went wrong with a training table (SDK)",
    answer=ErrorDetails,
)
def get_training_table_errors(request: Request, job_id: str) -> Response:
    return wire_answer(error_details(_get(request, job_id, JobKind.training_table)))


@routes.post(
    _TRAIN + "/{job_id}/cancel", scope="train", summary="Cancel a training table job (SDK)"
)
def cancel_training_table_job(request: Request, job_id: str) -> Response:
    return _cancel(request, job_id, JobKind.training_table)


@routes.patch(
    _TRAIN + "/{job_id}/tags",
    scope="train",
    summary="Change a job's tags; they come as query parameters (SDK)",
    example={"resource_updated": True},
)
def tag_training_table_job(request: Request, job_id: str) -> Response:
    return tag(request, job_id, JobKind.training_table)


@routes.get(_TRAIN + "/{job_id}/encoders", scope="read", summary="Always null: no encoders (SDK)")
def get_training_table_encoders(request: Request, job_id: str) -> Response:
    _get(request, job_id, JobKind.training_table)
    return JSONResponse(None)


@dataclass
class CustomTableCheck:
    """What the SDK sends to have a modified training table checked."""

    custom_table: SourceTableType
    train_table_mod: TrainingTableSpec
    extensive_validation: bool = False


@routes.post(
    _TRAIN + "/{job_id}/validate_custom_train_table",
    scope="read",
    summary="Check a training table to which a weight column was added (SDK)",
    answer=ValidationResponse,
)
def validate_custom_train_table(request: Request, job_id: str, body: CustomTableCheck) -> Response:
    """Always a 200: the SDK reads this answer whatever its status is, faults are in it."""
    platform = platform_of(request)
    try:
        validate_custom_table(
            platform,
            _get(request, job_id, JobKind.training_table),
            body.custom_table,
            body.train_table_mod,
            count=body.extensive_validation,
        )
    except UserError as error:
        return wire_answer(validation(error))
    return wire_answer(validation())


@routes.post(
    _PRED,
    scope="predict",
    summary="Start making a prediction table (SDK)",
    errors=(404, 409, 429),
)
def create_prediction_table_job(request: Request, body: GeneratePredictionTableRequest) -> Response:
    platform = platform_of(request)
    return once(
        request,
        body,
        lambda again: JSONResponse(
            {
                "id": platform.submit_prediction_table(
                    body.pquery_id,
                    prediction_anchor_of(body.plan),
                    body.graph_snapshot_id,
                    body.job_tags,
                    **again.options,
                ).id
            }
        ),
    )


@routes.get(
    _PRED,
    scope="read",
    summary="List prediction table jobs, newest first (SDK)",
    answer=list[GeneratePredictionTableJobResource],
)
def list_prediction_table_jobs(request: Request) -> Response:
    """Filters: `pquery_id`, `pquery_name`, `job_status`, `limit`; other parameters are tags."""
    jobs = jobs_of(platform_of(request), JobKind.prediction_table, request.query_params)
    return wire_answer([_prediction_table(j) for j in jobs])


@routes.get(
    _PRED + "/{job_id}",
    scope="read",
    summary="Get a prediction table job (SDK)",
    answer=GeneratePredictionTableJobResource,
)
def get_prediction_table_job(request: Request, job_id: str) -> Response:
    return wire_answer(_prediction_table(_get(request, job_id, JobKind.prediction_table)))


@routes.get(
    _PRED + "/{job_id}/table_data",
    scope="read",
    summary="Get signed URLs of a prediction table's Parquet files (SDK)",
    example=_URLS,
    errors=(409,),
)
def get_prediction_table_data(request: Request, job_id: str) -> Response:
    return JSONResponse(table_urls(request, _get(request, job_id, JobKind.prediction_table)))


@routes.get(
    _PRED + "/{job_id}/get_anchor_time",
    scope="read",
    summary="The time from which a prediction table looks ahead; null for static queries (SDK)",
    example="2024-02-27T00:00:00Z",
)
def get_anchor_time(request: Request, job_id: str) -> Response:
    job = _get(request, job_id, JobKind.prediction_table)
    anchor = parse_time((job.result or {}).get("anchor") or job.config.get("anchor"))
    return wire_answer(None if anchor is None else aware(anchor))


@routes.get(
    _PRED + "/{job_id}/get_errors",
    scope="read",
    summary="What went wrong with a prediction table (SDK)",
    answer=ErrorDetails,
)
def get_prediction_table_errors(request: Request, job_id: str) -> Response:
    return wire_answer(error_details(_get(request, job_id, JobKind.prediction_table)))


@routes.post(
    _PRED + "/{job_id}/cancel", scope="predict", summary="Cancel a prediction table job (SDK)"
)
def cancel_prediction_table_job(request: Request, job_id: str) -> Response:
    return _cancel(request, job_id, JobKind.prediction_table)


@routes.patch(
    _PRED + "/{job_id}/tags",
    scope="predict",
    summary="Change a job's tags; they come as query parameters (SDK)",
    example={"resource_updated": True},
)
def tag_prediction_table_job(request: Request, job_id: str) -> Response:
    return tag(request, job_id, JobKind.prediction_table)


def tag(request: Request, job_id: str, kind: JobKind) -> Response:
    """Change a job's tags and say whether they are others now."""
    before = _get(request, job_id, kind)
    after = platform_of(request).update_tags(job_id, tag_changes(request.query_params))
    return JSONResponse({"resource_updated": dict(after.tags) != dict(before.tags)})


def _cancel(request: Request, job_id: str, kind: JobKind) -> Response:
    _get(request, job_id, kind)
    return JSONResponse({"is_cancelled": platform_of(request).cancel(job_id)})


def _get(request: Request, job_id: str, kind: JobKind) -> JobRecord:
    return job_of_kind(platform_of(request), job_id, kind)


def _training_table(job: JobRecord) -> dict[str, Any]:
    return job_resource(job, training_table_request(job), **table_job_extras())


def _prediction_table(job: JobRecord) -> dict[str, Any]:
    return job_resource(job, prediction_table_request(job), **table_job_extras())
