"""Records as the platform's own JSON, and requests that may be sent twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from relcast.catalog import GraphRecord, JobRecord, JobState, ModelRecord, QueryRecord
from relcast.core.errors import RelcastError
from relcast.server.auth import Caller
from relcast.server.bodies import NewCancel, stamp
from relcast.server.platform_of import platform_of
from relcast.server.routing import API

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = [
    "Repeatable",
    "accepted",
    "cancelled",
    "graph_json",
    "job_json",
    "model_json",
    "once",
    "query_json",
]


def job_json(job: JobRecord) -> dict[str, Any]:
    """Return a job with the paths that lead on from it."""
    here = f"{API}/jobs/{job.id}"
    links = {"self": here, "events": f"{here}/events"}
    if not job.state.is_terminal:
        links["cancel"] = f"{here}/cancel"
    if job.state is JobState.DONE:
        links["files"] = f"{here}/files"
    return {**job.to_json(), "links": links}


def accepted(job: JobRecord) -> JSONResponse:
    """Answer 202 with the job and where to ask for it."""
    return JSONResponse(
        job_json(job), status_code=202, headers={"Location": f"{API}/jobs/{job.id}"}
    )


def cancelled(platform: Platform, job_id: str, body: NewCancel | None) -> dict[str, Any]:
    """Ask a job to stop, and return what that did."""
    stopped = platform.cancel(job_id, keep_best=None if body is None else body.keep_best)
    detail = "The job had ended already"
    if stopped:
        detail = "The job will stop"
        if platform.job(job_id).keep_best:
            detail = "The job will stop and publish its best so far, if it has any"
    return {"is_cancelled": stopped, "job_id": job_id, "detail": detail}


def graph_json(record: GraphRecord) -> dict[str, Any]:
    """Return a graph with its sources and the reasons of its inference."""
    return {
        "id": record.id,
        "name": record.name,
        "graph": record.graph.to_json(),
        "sources": {name: ref.to_json() for name, ref in record.sources.items()},
        "reasons": dict(record.reasons),
        "created_at": stamp(record.created_at),
    }


def query_json(record: QueryRecord, restatement: str) -> dict[str, Any]:
    """Return a saved query with its restatement in plain English."""
    return {
        "id": record.id,
        "name": record.name,
        "query_string": record.text,
        "graph_id": record.graph_id,
        "description": record.description,
        "plan": dict(record.plan),
        "task_type": record.task_type.value,
        "promoted_model_id": record.promoted_model_id,
        "created_at": stamp(record.created_at),
        "updated_at": stamp(record.updated_at),
        "restatement": restatement,
    }


def model_json(record: ModelRecord, *, brief: bool = False) -> dict[str, Any]:
    """Return a model version; where its bundle lies is nobody's business.

    ``brief`` leaves out the large parts of its evaluation: a list of models is read at a glance.
    """
    evaluation = dict(record.evaluation)
    if brief:
        for part in ("curves", "cohorts", "importance", "leaderboard"):
            evaluation.pop(part, None)
    return {
        "id": record.id,
        "query_id": record.query_id,
        "graph_id": record.graph_id,
        "job_id": record.job_id,
        "training_table_job_id": record.training_table_job_id,
        "snapshot_id": record.snapshot_id,
        "task_type": record.task_type.value,
        "promoted": record.promoted,
        "created_at": stamp(record.created_at),
        "evaluation": evaluation,
        "lineage": dict(record.lineage),
    }


class Repeatable:
    """The idempotency key of a request, for the platform calls that make its job.

    Use as ``platform.retrain(…, **repeatable.options)``.
    """

    def __init__(self, key: str | None, owner: str) -> None:
        self.key = key
        self.owner = owner

    @property
    def options(self) -> dict[str, Any]:
        return {} if self.key is None else {"idempotency": self.key, "owner": self.owner}


def once(request: Request, body: Any, work: Callable[[Repeatable], Response]) -> Response:
    """Do a POST's work, or, when its ``Idempotency-Key`` came before, repeat the first answer.

    Answers of 2xx are kept for a day; a request that failed frees its key. Raises
    ``idempotency.reused`` (422), ``idempotency.in_flight`` (409) and ``idempotency.bad_key``.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return work(Repeatable(None, ""))
    platform = platform_of(request)
    caller: Caller = request.state.principal
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    earlier = platform.remember(key, request.method, path, _digest(body), owner=caller.id)
    if earlier is not None:
        if earlier.status is None:
            # The server died between making the job and answering.
            return accepted(platform.job(str(earlier.job_id)))
        headers = {**earlier.headers, "Idempotent-Replayed": "true"}
        return JSONResponse(earlier.body, status_code=earlier.status, headers=headers)
    try:
        answer = work(Repeatable(key, caller.id))
    except RelcastError:
        platform.forget(key, owner=caller.id)
        raise
    kept = {"Location": answer.headers["location"]} if "location" in answer.headers else {}
    platform.remember_answer(
        key, answer.status_code, json.loads(bytes(answer.body)), kept, owner=caller.id
    )
    return answer


def _digest(body: Any) -> str:
    if isinstance(body, BaseModel):
        text = body.model_dump_json()
    else:
        from kumoapi.json_serde import to_json

        text = to_json(body)
    return hashlib.sha256(text.encode()).hexdigest()
