"""Routes as data: each says its method, path, scope and errors where it is declared.

A route without a scope cannot be declared, and ``GuardedRoute`` refuses to be built without one:
denied by default. The key is checked before the body is read, so that a caller without a key
learns nothing from validation errors and cannot make the server read a large body.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from relcast.core.errors import InvalidRequest, RelcastError
from relcast.server.auth import Caller, authorize
from relcast.server.platform_of import platform_of
from relcast.server.problem import PROBLEM_MEDIA_TYPE, Problem, unforeseen

__all__ = ["API", "GuardedRoute", "RouteScope", "RouteSpec", "Routes", "mount_routes"]

API = "/api/v1"

RouteScope = Literal["public", "signed", "docs", "read", "predict", "train", "admin"]
"""Who may call a route.

``public``: everybody. ``signed``: whoever holds the URL (HMAC and expiry in its query). ``docs``:
a key with ``read`` or a browser that signed in to the UI. The others: a key with that scope.
"""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One route, as declared."""

    method: str
    path: str
    scope: RouteScope
    endpoint: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def operation_id(self) -> str:
        return str(self.options.get("operation_id") or self.endpoint.__name__)


class Routes:
    """The routes of one noun, in the order in which they are matched."""

    def __init__(self, tag: str, prefix: str = API) -> None:
        self.tag = tag
        self.prefix = prefix
        self.specs: list[RouteSpec] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        scope: RouteScope,
        summary: str,
        answer: Any = None,
        status: int = 200,
        errors: Iterable[int] = (),
        example: Any = None,
        content: Mapping[str, Any] | None = None,
        in_schema: bool = True,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route; ``answer`` is the type of its 2xx body, for the OpenAPI document."""
        documented = {401, 403, *errors} if scope not in ("public", "signed") else {*errors}
        if scope == "signed":
            documented.add(403)
        if "{" in path:
            documented.add(404)
        if method in ("POST", "PUT", "PATCH"):
            documented |= {413, 422}
        responses: dict[int | str, dict[str, Any]] = {
            code: {
                "description": _REASONS[code],
                "content": {
                    PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            }
            for code in sorted(documented)
        }
        success: dict[str, Any] = {"description": summary}
        if answer is not None:
            success["model"] = answer
        if example is not None:
            success.setdefault("content", {})["application/json"] = {"example": example}
        if content is not None:
            success["content"] = dict(content)
        responses[status] = success
        extra: dict[str, Any] = {"x-scope": scope}
        if scope not in ("public", "signed"):
            extra["security"] = [{"ApiKey": []}]
        else:
            extra["security"] = []

        def declare(endpoint: Endpoint) -> Endpoint:
            self.specs.append(
                RouteSpec(
                    method,
                    self.prefix + path,
                    scope,
                    endpoint,
                    {
                        "tags": [self.tag],
                        "summary": summary,
                        "status_code": status,
                        "responses": responses,
                        "response_model": None,
                        "operation_id": endpoint.__name__,
                        "openapi_extra": extra,
                        "include_in_schema": in_schema,
                    },
                )
            )
            return endpoint

        return declare

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self.route("DELETE", path, **options)


_REASONS = {
    400: "The body is not well-formed",
    401: "No key, or not a good one",
    403: "The key lacks the scope, or the signed URL is not valid (any more)",
    404: "There is no such thing",
    409: "The thing is not in a state that allows this",
    413: "The body is too large",
    422: "The request does not fit; `errors` names every fault",
    429: "The queue is full; try again after `Retry-After` seconds",
    503: "Not ready",
}


_MUTATING = ("predict", "train", "admin")


class GuardedRoute(APIRoute):
    """A route that checks its declared scope before anything else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        scope = (self.openapi_extra or {}).get("x-scope")
        if scope is None:
            raise RuntimeError(f"route {self.path} declares no scope")
        handle = super().get_route_handler()
        operation = self.operation_id or self.name
        mutates = scope in _MUTATING and "GET" not in (self.methods or ())

        async def guarded(request: Request) -> Response:
            outcome = "error"
            try:
                if scope != "public":
                    request.state.principal = await run_in_threadpool(authorize, request, scope)
                if scope not in ("public", "signed"):
                    await _refuse_nul(request)
                answer = await handle(request)
                outcome = str(answer.status_code)
                return answer
            except RelcastError as error:
                outcome = error.code
                raise
            except (HTTPException, RequestValidationError):
                outcome = "refused"
                raise
            except Exception as error:  # noqa: BLE001 - the last net: logged, answered as a 500
                return unforeseen(request, error)
            finally:
                if mutates and isinstance(getattr(request.state, "principal", None), Caller):
                    await run_in_threadpool(_audit, request, operation, outcome)

        return guarded


async def _refuse_nul(request: Request) -> None:
    """Refuse NUL characters wherever they come in: no store, file name or query takes them.

    Raises ``request.nul`` (422). The body is read here once and kept for the route.
    """
    body = await request.body()
    if (
        "\0" in request.scope["path"]
        or b"%00" in request.scope["query_string"]
        or (b"\\u0000" in body or b"\0" in body)
    ):
        raise InvalidRequest(
            "The request has a NUL character in it",
            code="request.nul",
            hint="Take it out; names and texts have none.",
        )


def _audit(request: Request, operation: str, outcome: str) -> None:
    """Write the one audit row of a mutating call; the path without its query."""
    caller: Caller = request.state.principal
    platform_of(request).audit(caller.id, operation, request.url.path, outcome)


def mount_routes(app: FastAPI, groups: Sequence[Routes]) -> None:
    """Add every declared route to the app, literal paths before those with parameters."""
    specs = [spec for group in groups for spec in group.specs]
    # Of two paths that match, the one whose first difference is literal must come first.
    ordered = sorted(enumerate(specs), key=lambda item: (_shape(item[1].path), item[0]))
    for _, spec in ordered:
        app.router.add_api_route(
            spec.path,
            spec.endpoint,
            methods=[spec.method],
            route_class_override=GuardedRoute,
            **spec.options,
        )
    app.state.route_specs = tuple(specs)
    app.state.problem_schema = Problem


def _shape(path: str) -> tuple[int, ...]:
    return tuple(1 if part.startswith("{") else 0 for part in path.split("/"))
