"""The application: every route, one error shape, one set of guards."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from relcast.server.middleware import AllowedHosts, BodyLimit, HostCheck, RequestRecord
from relcast.server.problem import PROBLEM_MEDIA_TYPE, Problem, install_problem_handlers
from relcast.server.routes import ROUTE_GROUPS
from relcast.server.routing import API, mount_routes

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["JSON_LIMIT", "create_app"]

JSON_LIMIT = 32 * 2**20
"""Largest JSON body in bytes; files come in by the upload calls."""

_DESCRIPTION = """\
The HTTP API of relcast: connect tables, save predictive queries, retrain and score them.

Send the header `X-API-Key: <customer_id>:<secret>` with every call. Everything slow is a job:
the call answers `202` with a `Location`, and the job says where it is. Every answer that is not
a 2xx is `application/problem+json` with a stable `code` and a `hint`.

The resources marked *SDK* are those that the public `kumoai` SDK calls.
"""


def create_app(
    platform: Platform, *, hosts: Iterable[str] = (), json_limit: int = JSON_LIMIT
) -> FastAPI:
    """Build the app that serves a platform; starting and stopping the platform is the caller's.

    Args:
        platform: An opened platform.
        hosts: Names that the Host header may have besides loopback names and the host of
            ``settings.public_url``. ``run_server`` lifts the restriction for binds that others
            can reach.
        json_limit: Largest body in bytes outside the upload calls.
    """
    app = FastAPI(
        title="relcast",
        version=version("relcast"),
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.platform = platform
    install_problem_handlers(app)
    mount_routes(app, ROUTE_GROUPS)
    app.router.add_route("/api", _unknown, methods=list(_METHODS), include_in_schema=False)
    app.router.add_route(
        "/api/{rest:path}", _unknown, methods=list(_METHODS), include_in_schema=False
    )
    app.state.hosts = AllowedHosts(hosts, platform.settings.public_url)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=json_limit, streamed=(f"{API}/uploads/",))
    app.add_middleware(HostCheck, hosts=app.state.hosts)
    app.add_middleware(RequestRecord)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


async def _unknown(request: Request) -> Response:
    """Answer 405 or 404 for what no route takes, before a page that is mounted below sees it."""
    allowed = {
        method
        for route in request.app.router.routes
        if getattr(route, "endpoint", None) is not _unknown
        and getattr(route, "methods", None)
        and route.matches(request.scope)[0] is Match.PARTIAL
        for method in route.methods
    }
    if allowed:
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        components = schema.setdefault("components", {})
        components.setdefault("securitySchemes", {})["ApiKey"] = {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "`<customer_id>:<secret>`",
        }
        _, extra = models_json_schema(
            [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        components.setdefault("schemas", {}).update(extra["$defs"])
        _describe_validation(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _describe_validation(schema: dict[str, Any]) -> None:
    """Say of every 422 that it is a problem, in place of the shape that FastAPI would use."""
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for item in schema["paths"].values():
        for operation in item.values():
            found = operation["responses"].get("422")
            if found is not None:
                found["content"] = {PROBLEM_MEDIA_TYPE: problem}
                found["description"] = "The request does not fit; `errors` names every fault"
    schema["components"]["schemas"].pop("HTTPValidationError", None)
