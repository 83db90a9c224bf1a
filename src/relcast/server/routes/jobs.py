"""Every job of every kind in one collection: state, events, files, cancel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Body, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from relcast.core.errors import InvalidRequest
from relcast.server.answers import cancelled, job_json
from relcast.server.bodies import (
    CancelBody,
    FilesBody,
    JobBody,
    JobsBody,
    NewCancel,
    PredictionsBody,
    stamp,
)
from relcast.server.job_files import downloads, preview
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import finite

__all__ = ["routes"]

routes = Routes("jobs")

_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
_LONGEST_SEQ = 2**62


@routes.get("/jobs", scope="read", summary="List jobs, newest first", answer=JobsBody)
def list_jobs(
    request: Request,
    kind: str | None = None,
    state: str | None = None,
    query: Annotated[str | None, Query(description="A query's id or name.")] = None,
    tag: Annotated[list[str] | None, Query(description="`key:value`; may be repeated.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Response:
    platform = platform_of(request)
    page = platform.jobs(
        kind=kind,
        state=state,
        query_id=None if query is None else platform.query(query).id,
        tags=_tags(tag or []),
        limit=limit,
        cursor=cursor,
    )
    return JSONResponse({"items": [job_json(j) for j in page.items], "cursor": page.cursor})


@routes.get("/jobs/{job_id}", scope="read", summary="Get a job", answer=JobBody)
def get_job(request: Request, job_id: str) -> Response:
    return JSONResponse(finite(job_json(platform_of(request).job(job_id))))


@routes.post(
    "/jobs/{job_id}/cancel",
    scope="train",
    summary="Ask a job to stop",
    answer=CancelBody,
)
def cancel_job(
    request: Request,
    job_id: str,
    body: Annotated[NewCancel | None, Body(description="May be left out.")] = None,
) -> Response:
    """Best-effort and asynchronous: the job's state says when it has stopped.

    With `keep_best` a training publishes the best model that it has by then and ends DONE; where it
    has none yet it ends CANCELLED.
    """
    return JSONResponse(cancelled(platform_of(request), job_id, body))


@routes.get(
    "/jobs/{job_id}/events",
    scope="read",
    summary="Follow a job's events as Server-Sent Events",
    content={"text/event-stream": {"schema": {"type": "string"}}},
)
async def follow_job(
    request: Request,
    job_id: str,
    last_event_id: Annotated[str | None, Header(description="Resume behind this event.")] = None,
    follow: Annotated[
        bool, Query(description="False: send what there is, then end the stream.")
    ] = True,
) -> Response:
    """Each event has an `id` to resume from; the stream ends when the job has ended."""
    text = last_event_id or "0"
    if not (text.isascii() and text.isdigit() and int(text[:20]) < _LONGEST_SEQ):
        raise InvalidRequest(
            f"Last-Event-ID is {text[:80]!r}, which is no event's id",
            hint="Send the id of the last event that you saw, or leave the header out.",
        )
    platform = platform_of(request)
    await run_in_threadpool(platform.job, job_id)

    async def stream() -> AsyncIterator[str]:
        after, quiet = int(text), 0.0
        yield "retry: 2000\n\n"
        while True:
            # State first: whatever is written before the end is then still sent.
            job = await run_in_threadpool(platform.job, job_id)
            events = await run_in_threadpool(platform.events, job_id, after)
            for event in events:
                after, quiet = event.seq, 0.0
                data = json.dumps(finite(event.to_json()))
                yield f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n"
            if not events and (job.state.is_terminal or not follow):
                return
            if not events:
                await asyncio.sleep(_POLL_SECONDS)
                quiet += _POLL_SECONDS
                if quiet >= _HEARTBEAT_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"
            if await request.is_disconnected():
                return

    return StreamingResponse(stream(), media_type="text/event-stream")


@routes.get(
    "/jobs/{job_id}/files",
    scope="read",
    summary="Get signed URLs of what a job made",
    answer=FilesBody,
    errors=(409,),
)
def list_files(request: Request, job_id: str) -> Response:
    """The URLs need no key and expire in an hour: predictions and tables as CSV and Parquet."""
    items = [
        {"name": d.name, "format": d.format, "url": d.url, "expires_at": stamp(d.expires_at)}
        for d in downloads(request, job_id)
    ]
    return JSONResponse({"items": items})


@routes.get(
    "/jobs/{job_id}/predictions",
    scope="read",
    summary="Get the first rows of a batch prediction with their strongest reasons",
    answer=PredictionsBody,
    errors=(409,),
)
def preview_predictions(
    request: Request, job_id: str, limit: Annotated[int, Query(ge=1, le=1000)] = 5
) -> Response:
    return JSONResponse(finite(preview(platform_of(request), job_id, limit)))


def _tags(texts: list[str]) -> dict[str, str]:
    tags = {}
    for text in texts:
        key, mark, value = text.partition(":")
        if not mark or not key:
            raise InvalidRequest(
                f"The tag filter {text[:80]!r} is not of the form key:value",
                hint="Write ?tag=team:growth.",
            )
        tags[key] = value
    return tags
