"""Models: every training's result is a version; one of a query's versions is promoted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from relcast.server.answers import model_json
from relcast.server.bodies import ModelBody, ModelsBody
from relcast.server.explanation_bodies import ExplanationBody, NewExplanation
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.waiting import answer_of
from relcast.server.wire.codec import finite

__all__ = ["routes"]

routes = Routes("models")


@routes.get("/models", scope="read", summary="List models, newest first", answer=ModelsBody)
def list_models(
    request: Request,
    query: Annotated[str | None, Query(description="A query's id or name.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    cursor: str | None = None,
) -> Response:
    """Without curves, cohorts, importance and leaderboard, which are with each model."""
    page = platform_of(request).models_page(query, limit=limit, cursor=cursor)
    items = [model_json(m, brief=True) for m in page.items]
    return JSONResponse(finite({"items": items, "cursor": page.cursor}))


@routes.get(
    "/models/{model_id}",
    scope="read",
    summary="Get a model: metrics beside the baselines, importance, leaderboard, lineage",
    answer=ModelBody,
)
def get_model(request: Request, model_id: str) -> Response:
    return JSONResponse(finite(model_json(platform_of(request).model(model_id))))


@routes.post(
    "/models/{model_id}/promote",
    scope="train",
    summary="Let a query predict with this model",
    answer=ModelBody,
    errors=(409,),
)
def promote_model(request: Request, model_id: str) -> Response:
    return JSONResponse(finite(model_json(platform_of(request).promote(model_id))))


@routes.post(
    "/models/{model_id}/explanations",
    scope="predict",
    summary="Say why one entity gets its score, from the stored model",
    answer=ExplanationBody,
    errors=(409, 429),
)
async def explain_prediction(request: Request, model_id: str, body: NewExplanation) -> Response:
    """On the newest snapshot of the model's graph; nothing is ingested and nothing is stored.

    Answers 409 `snapshot.none` while the data was never read, 422 `explain.unknown_entity` for a
    key that no row has, and `explain.output` for a class, item or step that there is not.
    """
    asked = await run_in_threadpool(
        platform_of(request).begin_explanation,
        model_id,
        body.entity,
        body.anchor,
        output=body.output,
        top=body.top,
    )
    result = await answer_of(asked, request)
    return JSONResponse(finite(None if result is None else result["explanation"]))
