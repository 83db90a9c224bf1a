"""Training table statistics before any training: what a query's table would be, and holds.

Computed on demand from the newest snapshot of the graph, in a child process, while the caller waits
and the server answers others. When the caller goes away, so does the work.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from relcast.server.platform_of import platform_of
from relcast.server.question_bodies import NewOutline, OutlineBody, OutlinePlan
from relcast.server.routing import Routes
from relcast.server.waiting import answer_of
from relcast.server.wire.codec import finite

__all__ = ["routes"]

routes = Routes("predictive queries")

_QUERY = "/predictive_queries/{query}/training_table_statistics"
_ERRORS = (404, 409, 429)

Figures = Annotated[
    bool,
    Query(description="False leaves out what only labels tell, and answers at once."),
]


@routes.get(
    _QUERY,
    scope="read",
    summary="What a saved query's training table would hold, before any training",
    answer=OutlineBody,
    errors=_ERRORS,
)
async def get_training_table_statistics(
    request: Request, query: str, figures: Figures = True
) -> Response:
    """With the query's own plan. Answers 409 `snapshot.none` while the data was never read.

    A table that cannot be made is a 200: `fault` says why and what mends it, beside what there is.
    """
    return await _saved(request, query, {}, figures=figures)


@routes.post(
    _QUERY,
    scope="read",
    summary="The same under another plan",
    answer=OutlineBody,
    errors=_ERRORS,
)
async def try_training_table_plan(
    request: Request,
    query: str,
    body: Annotated[OutlinePlan | None, Body(description="May be left out.")] = None,
    figures: Figures = True,
) -> Response:
    """Options given in `plan` take the place of the saved ones; nothing is stored."""
    return await _saved(request, query, (body or OutlinePlan()).plan, figures=figures)


@routes.post(
    "/training_table_statistics",
    scope="read",
    summary="What the training table of a query that is not saved would hold",
    answer=OutlineBody,
    errors=_ERRORS,
)
async def draft_training_table_statistics(
    request: Request, body: NewOutline, figures: Figures = True
) -> Response:
    return await _answer(request, body.query_string, body.graph_id, body.plan, figures=figures)


async def _saved(request: Request, query: str, plan: dict[str, Any], *, figures: bool) -> Response:
    record = await run_in_threadpool(platform_of(request).query, query)
    merged = {**record.plan.get("table", {}), **plan}
    return await _answer(request, record.text, record.graph_id, merged, figures=figures)


async def _answer(
    request: Request, text: str, graph_id: str, plan: dict[str, Any], *, figures: bool
) -> Response:
    platform = platform_of(request)
    if not figures:
        found = await run_in_threadpool(platform.sketch_query, text, graph_id, plan)
        return JSONResponse(finite(found.to_json()))
    asked = await run_in_threadpool(platform.begin_statistics, text, graph_id, plan)
    result = await answer_of(asked, request)
    return JSONResponse(finite(None if result is None else result["outline"]))
