"""Training jobs, as the SDK has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from kumoapi.jobs import (
    AutoTrainerProgress,
    CancelTrainingJobResponse,
    CustomTrainingTable,
    TrainingJobRequest,
    TrainingJobResource,
)

from relcast.catalog import JobKind, JobRecord
from relcast.core.errors import InvalidRequest
from relcast.server.answers import once
from relcast.server.job_files import table_urls
from relcast.server.job_of_kind import job_of_kind
from relcast.server.platform_of import platform_of
from relcast.server.routes.table_jobs import tag
from relcast.server.routing import Routes
from relcast.server.wire.codec import wire_answer
from relcast.server.wire.configs import training_request
from relcast.server.wire.custom_tables import custom_rows
from relcast.server.wire.jobs import job_resource, training_progress, training_summary
from relcast.server.wire.listing import jobs_of
from relcast.server.wire.plans import model_plan_of

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["routes"]

routes = Routes("training jobs")

_JOBS = "/training_jobs"


@routes.post(_JOBS, scope="train", summary="Start a training (SDK)", errors=(404, 409, 429))
def create_training_job(request: Request, body: TrainingJobRequest) -> Response:
    """Train on a training table's job, which may still run, or on a table made first.

    With `custom_train_table`, a training table of those rows is made first, as a job of its own.
    """
    if body.train_table_override is not None:
        raise InvalidRequest(
            "train_table_override is an older form of custom_train_table",
            code="training_table.custom",
            hint="Use TrainingTable.update, which sends custom_train_table.",
        )
    if body.warm_start_job_id is not None:
        raise InvalidRequest(
            "Trainings cannot start from an earlier model yet",
            code="training.warm_start",
            hint="Leave warm_start_job_id out.",
        )
    platform = platform_of(request)

    def work(again: Any) -> Response:
        table_job = body.train_table_job_id
        if body.custom_train_table is not None:
            table_job = _custom_table(platform, body, body.custom_train_table)
        made = platform.submit_training(
            body.pquery_id,
            model_plan_of(body.model_plan),
            table_job,
            # A table's job has a snapshot of its own, which is the one it was made from.
            None if table_job else body.graph_snapshot_id,
            body.job_tags,
            **again.options,
        )
        return JSONResponse({"id": made.id})

    return once(request, body, work)


def _custom_table(platform: Platform, body: TrainingJobRequest, custom: CustomTrainingTable) -> str:
    """Start making the training table of modified rows; return its job."""
    plan = None
    if body.train_table_job_id is not None:
        job = job_of_kind(platform, body.train_table_job_id, JobKind.training_table)
        # The rows say their split and weight themselves.
        plan = {**job.config["table_plan"], "split": "inferred", "weight_column": None}
    made = platform.submit_training_table(
        body.pquery_id, plan, body.graph_snapshot_id, rows=custom_rows(platform, custom)
    )
    return made.id


@routes.post(
    f"{_JOBS}/distilled_training_job",
    scope="train",
    summary="Distilled models are not made here (SDK)",
)
def create_distilled_training_job() -> Response:
    raise InvalidRequest(
        "Distilled models for online serving are not supported",
        code="training.distilled",
        hint="Use batch predictions.",
    )


@routes.get(
    _JOBS,
    scope="read",
    summary="List training jobs, newest first (SDK)",
    answer=list[TrainingJobResource],
)
def list_training_jobs(request: Request) -> Response:
    """Filters: `pquery_id`, `pquery_name`, `job_status`, `limit`; other parameters are tags."""
    jobs = jobs_of(platform_of(request), JobKind.training, request.query_params)
    return wire_answer([_resource(j) for j in jobs])


@routes.get(
    _JOBS + "/{job_id}",
    scope="read",
    summary="Get a training job, with its metrics when done (SDK)",
    answer=TrainingJobResource,
)
def get_training_job(request: Request, job_id: str) -> Response:
    return wire_answer(_resource(_get(request, job_id)))


@routes.get(
    _JOBS + "/{job_id}/progress",
    scope="read",
    summary="How far the search for a model is (SDK)",
    answer=AutoTrainerProgress,
)
def get_training_progress(request: Request, job_id: str) -> Response:
    return wire_answer(training_progress(_get(request, job_id)))


@routes.get(
    _JOBS + "/{job_id}/holdout",
    scope="read",
    summary="Get a signed URL of the scored test rows, as plain text (SDK)",
    content={"text/plain": {"schema": {"type": "string"}}},
    errors=(409,),
)
def get_holdout(request: Request, job_id: str) -> Response:
    # Raw text, no JSON quotes: the SDK takes the body as the URL.
    return PlainTextResponse(table_urls(request, _get(request, job_id))[0])


@routes.post(
    _JOBS + "/{job_id}/cancel",
    scope="train",
    summary="Cancel a training (SDK)",
    answer=CancelTrainingJobResponse,
)
def cancel_training_job(request: Request, job_id: str) -> Response:
    _get(request, job_id)
    return JSONResponse({"is_cancelled": platform_of(request).cancel(job_id)})


@routes.patch(
    _JOBS + "/{job_id}/tags",
    scope="train",
    summary="Change a job's tags; they come as query parameters (SDK)",
    example={"resource_updated": True},
)
def tag_training_job(request: Request, job_id: str) -> Response:
    return tag(request, job_id, JobKind.training)


@routes.get(_JOBS + "/{job_id}/encoders", scope="read", summary="Always null: no encoders (SDK)")
def get_training_encoders(request: Request, job_id: str) -> Response:
    _get(request, job_id)
    return JSONResponse(None)


def _get(request: Request, job_id: str) -> JobRecord:
    return job_of_kind(platform_of(request), job_id, JobKind.training)


def _resource(job: JobRecord) -> dict[str, Any]:
    return job_resource(job, training_request(job), result=training_summary(job))
