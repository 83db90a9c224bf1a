"""Automation: retrain and score a saved predictive query, and see how it goes.

``{query}`` is a query's id or name. Both roads ingest from the source first.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Request, Response
from fastapi.responses import JSONResponse

from relcast.catalog import JobKind, JobRecord
from relcast.core.errors import Conflict
from relcast.jobs.own_rows import OwnRows
from relcast.server.answers import accepted, cancelled, job_json, once
from relcast.server.bodies import (
    CancelBody,
    JobBody,
    NewCancel,
    NewPrediction,
    NewRetraining,
    OwnRowsBody,
    StatusBody,
)
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.sources import SourceRef

__all__ = ["routes"]

routes = Routes("automation")

_QUERY = "/predictive_queries/{query}"


@routes.post(
    f"{_QUERY}/retrain",
    scope="train",
    summary="Retrain a query on the newest data",
    answer=JobBody,
    status=202,
    errors=(409, 429),
)
def retrain(
    request: Request,
    query: str,
    body: Annotated[NewRetraining | None, Body(description="May be left out.")] = None,
) -> Response:
    """Start a training job with the query's stored plan: ingest, training table, training.

    The new model is promoted when the job is DONE. The body may override the plan for this run.
    """
    given = body or NewRetraining()
    platform = platform_of(request)
    return once(
        request,
        given,
        lambda again: accepted(
            platform.retrain(
                query, given.plan, tags=given.tags, rows=_rows(given.rows), **again.options
            )
        ),
    )


@routes.post(
    f"{_QUERY}/predict",
    scope="predict",
    summary="Score every entity with the query's promoted model",
    answer=JobBody,
    status=202,
    errors=(409, 429),
)
def predict(
    request: Request,
    query: str,
    body: Annotated[NewPrediction | None, Body(description="May be left out.")] = None,
) -> Response:
    """Start a batch prediction: ingest, prediction table, predict, write.

    Answers 409 `query.no_model` before the first training has ended.
    """
    given = body or NewPrediction()
    platform = platform_of(request)
    options = {
        "threshold": given.threshold,
        "num_classes": given.num_classes,
        "items": given.items,
        "levels": given.levels or None,
    }
    options = {name: value for name, value in options.items() if value is not None}

    def work(again: Any) -> Response:
        if given.model_id is None:
            return accepted(
                platform.predict(
                    query,
                    options,
                    anchor=given.anchor_time,
                    tags=given.tags,
                    rows=_rows(given.rows),
                    **again.options,
                )
            )
        if platform.model(given.model_id).query_id != platform.query(query).id:
            raise Conflict(
                f"Model {given.model_id} belongs to another query",
                code="model.other_query",
                hint="GET /models?query=… lists the models of a query.",
            )
        return accepted(
            platform.submit_prediction(
                given.model_id,
                anchor=given.anchor_time,
                options=options,
                tags=given.tags,
                rows=_rows(given.rows),
                **again.options,
            )
        )

    return once(request, given, work)


@routes.get(
    f"{_QUERY}/training_status",
    scope="read",
    summary="How the newest training of a query goes",
    answer=StatusBody,
)
def training_status(request: Request, query: str) -> Response:
    return _status(request, query, JobKind.training)


@routes.get(
    f"{_QUERY}/prediction_status",
    scope="read",
    summary="How the newest batch prediction of a query goes",
    answer=StatusBody,
)
def prediction_status(request: Request, query: str) -> Response:
    return _status(request, query, JobKind.prediction)


@routes.post(
    f"{_QUERY}/cancel_training",
    scope="train",
    summary="Cancel the newest training of a query",
    answer=CancelBody,
)
def cancel_training(
    request: Request,
    query: str,
    body: Annotated[NewCancel | None, Body(description="May be left out.")] = None,
) -> Response:
    """Ask the job to stop; nothing running is a 200 that says so.

    With `keep_best` the best model so far is published; see `POST /jobs/{job_id}/cancel`.
    """
    return _cancel(request, query, JobKind.training, body)


@routes.post(
    f"{_QUERY}/cancel_prediction",
    scope="predict",
    summary="Cancel the newest batch prediction of a query",
    answer=CancelBody,
)
def cancel_prediction(request: Request, query: str) -> Response:
    """Ask the job to stop; nothing running is a 200 that says so."""
    return _cancel(request, query, JobKind.prediction)


def _rows(given: OwnRowsBody | None) -> OwnRows | None:
    if given is None:
        return None
    return OwnRows(
        SourceRef(given.connector_id, given.table), given.weight_column, given.allow_unmatched
    )


def _status(request: Request, query: str, kind: JobKind) -> Response:
    job = platform_of(request).latest(query, kind)
    return JSONResponse(_status_json(job))


def _status_json(job: JobRecord | None) -> dict[str, Any]:
    if job is None:
        return dict.fromkeys(("job_id", "state", "stage", "result", "error", "job"))
    return {
        "job_id": job.id,
        "state": job.state.value,
        "stage": None if job.stage is None else job.stage.to_json(),
        "result": None if job.result is None else dict(job.result),
        "error": None if job.error is None else dict(job.error),
        "job": job_json(job),
    }


def _cancel(request: Request, query: str, kind: JobKind, body: NewCancel | None = None) -> Response:
    platform = platform_of(request)
    job = platform.latest(query, kind)
    if job is None or job.state.is_terminal:
        detail = f"No {kind.value} of this query waits or runs"
        return JSONResponse({"is_cancelled": False, "job_id": None, "detail": detail})
    return JSONResponse(cancelled(platform, job.id, body))
