"""Models: every training's result is a version; one of a query's versions is promoted."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from relcast.server.answers import model_json
from relcast.server.bodies import ModelBody, ModelsBody
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import finite

__all__ = ["routes"]

routes = Routes("models")


@routes.get("/models", scope="read", summary="List models, newest first", answer=ModelsBody)
def list_models(request: Request, query: str | None = None) -> Response:
    records = platform_of(request).models(query)
    return JSONResponse(finite({"items": [model_json(m) for m in records]}))


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
