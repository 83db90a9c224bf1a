"""Batch prediction jobs, as the SDK has them."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.common import ValidationResponse
from kumoapi.jobs import (
    BatchPredictionJobResource,
    BatchPredictionRequest,
    CancelBatchPredictionJobResponse,
    GetEmbeddingsDfUrlResponse,
    GetPredictionsDfUrlResponse,
    PredictionProgress,
)

from relcast.catalog import JobKind, JobRecord
from relcast.core.errors import InvalidRequest, UserError
from relcast.server.answers import once
from relcast.server.job_files import table_urls
from relcast.server.job_of_kind import job_of_kind
from relcast.server.platform_of import platform_of
from relcast.server.routes.table_jobs import tag
from relcast.server.routing import Routes
from relcast.server.wire.codec import validation, wire_answer
from relcast.server.wire.configs import prediction_request
from relcast.server.wire.jobs import job_resource, prediction_progress, prediction_summary
from relcast.server.wire.listing import jobs_of

__all__ = ["routes"]

routes = Routes("prediction jobs")

_JOBS = "/prediction_jobs"


@routes.post(
    _JOBS,
    scope="predict",
    summary="Start a batch prediction (SDK)",
    example=["bp-job-9k2m4n6p8q0r1s3t", {"warnings": [], "errors": [], "info_items": []}],
    errors=(404, 409, 429),
)
def create_prediction_job(request: Request, body: BatchPredictionRequest) -> Response:
    """Answer `[job id, validation]`; with errors in the validation the id is null."""
    platform = platform_of(request)
    try:
        _refuse_outputs(body)
    except UserError as error:
        return wire_answer([None, validation(error)])
    options = {
        "threshold": body.predict_options.binary_classification_threshold,
        "num_classes": body.predict_options.num_classes_to_return,
    }

    def work(again: Any) -> Response:
        job = platform.submit_prediction(
            body.model_training_job_id,
            body.pred_table_job_id,
            body.prediction_time,
            {name: value for name, value in options.items() if value is not None},
            snapshot_ref=None if body.pred_table_job_id else body.graph_snapshot_id,
            tags=body.job_tags,
            **again.options,
        )
        return wire_answer([job.id, ValidationResponse()])

    return once(request, body, work)


def _refuse_outputs(body: BatchPredictionRequest) -> None:
    if any(getattr(o, "storage_type", None) != "LOCAL" for o in body.outputs):
        raise InvalidRequest(
            "Predictions cannot be written to an output connector",
            code="prediction.bad_output",
            hint="Leave the output connector out and read predictions_df.",
        )
    if body.pred_table_path is not None:
        raise InvalidRequest(
            "A prediction table cannot be read from a path",
            code="prediction.table_path",
            hint="Use generate_prediction_table, or leave the table out.",
        )


@routes.get(
    _JOBS,
    scope="read",
    summary="List batch predictions, newest first (SDK)",
    answer=list[BatchPredictionJobResource],
)
def list_prediction_jobs(request: Request) -> Response:
    """Filters: `pquery_id`, `model_id`, `job_status`, `limit`; other parameters are tags."""
    jobs = jobs_of(platform_of(request), JobKind.prediction, request.query_params)
    return wire_answer([_resource(j) for j in jobs])


@routes.get(
    _JOBS + "/{job_id}",
    scope="read",
    summary="Get a batch prediction (SDK)",
    answer=BatchPredictionJobResource,
)
def get_prediction_job(request: Request, job_id: str) -> Response:
    return wire_answer(_resource(_get(request, job_id)))


@routes.get(
    _JOBS + "/{job_id}/progress",
    scope="read",
    summary="How far a batch prediction is (SDK)",
    answer=PredictionProgress,
)
def get_prediction_progress(request: Request, job_id: str) -> Response:
    return wire_answer(prediction_progress(_get(request, job_id)))


@routes.get(
    _JOBS + "/{job_id}/get_prediction_df_urls",
    scope="read",
    summary="Get signed URLs of the predictions' Parquet files (SDK)",
    answer=GetPredictionsDfUrlResponse,
    errors=(409,),
)
def get_prediction_urls(request: Request, job_id: str) -> Response:
    return JSONResponse({"prediction_partitions": table_urls(request, _get(request, job_id))})


@routes.get(
    _JOBS + "/{job_id}/get_embedding_df_urls",
    scope="read",
    summary="Embeddings are made by graph networks only (SDK)",
    answer=GetEmbeddingsDfUrlResponse,
    errors=(422,),
)
def get_embedding_urls(request: Request, job_id: str) -> Response:
    _get(request, job_id)
    raise InvalidRequest(
        "This model makes no embeddings",
        code="prediction.no_embeddings",
        hint="Read predictions_df.",
    )


@routes.post(
    _JOBS + "/{job_id}/cancel",
    scope="predict",
    summary="Cancel a batch prediction (SDK)",
    answer=CancelBatchPredictionJobResponse,
)
def cancel_prediction_job(request: Request, job_id: str) -> Response:
    _get(request, job_id)
    return JSONResponse({"is_cancelled": platform_of(request).cancel(job_id)})


@routes.patch(
    _JOBS + "/{job_id}/tags",
    scope="predict",
    summary="Change a job's tags; they come as query parameters (SDK)",
    example={"resource_updated": True},
)
def tag_prediction_job(request: Request, job_id: str) -> Response:
    return tag(request, job_id, JobKind.prediction)


def _get(request: Request, job_id: str) -> JobRecord:
    return job_of_kind(platform_of(request), job_id, JobKind.prediction)


def _resource(job: JobRecord) -> dict[str, Any]:
    return job_resource(job, prediction_request(job), result=prediction_summary(job))
