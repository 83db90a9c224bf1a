"""One shape for everything that is not a 2xx: ``application/problem+json`` (RFC 9457).

Every error of every route, known or not, leaves through this module: our own error tree, bodies
that do not validate, unknown paths and methods, and what nobody foresaw.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from relcast.core.errors import InternalError, RelcastError, UserError

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "Problem",
    "ProblemResponse",
    "install_problem_handlers",
    "problem_of",
    "unforeseen",
]

PROBLEM_MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("relcast.server")

_HTTP_CODES = {
    400: "request.malformed",
    401: "auth.unauthorized",
    403: "auth.forbidden",
    404: "route.not_found",
    405: "route.method_not_allowed",
    413: "request.too_large",
    421: "request.unknown_host",
}
_HTTP_HINTS = {
    400: "Send well-formed JSON in UTF-8 with the header Content-Type: application/json.",
    404: "See /api/openapi.json for every path.",
    405: "The Allow header names the methods of this path.",
    413: "Send data with the upload calls; they take files of any size in parts.",
}


class Place(BaseModel):
    """A place in a query's text, counted from 1."""

    line: int
    column: int
    length: int = 1


class ProblemFault(BaseModel):
    """One of several things that are wrong."""

    code: str
    message: str
    hint: str = ""
    position: Place | None = None


class Problem(BaseModel):
    """The body of every answer that is not a 2xx."""

    type: str = Field(examples=["urn:relcast:error:pql.unknown_column"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="One sentence for people: what happened, and where.")
    code: str = Field(examples=["pql.unknown_column"])
    request_id: str = Field(description="Also in the header X-Request-Id and in the log.")
    hint: str = Field(default="", description="What to do about it.")
    errors: list[ProblemFault] = Field(default_factory=list, description="Every fault found.")
    position: Place | None = Field(default=None, description="Where in the query's text.")


class ProblemResponse(JSONResponse):
    """A problem as a response."""

    media_type = PROBLEM_MEDIA_TYPE


def problem_of(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Build the one error shape."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {
        "type": f"urn:relcast:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": getattr(request.state, "request_id", ""),
        "hint": hint,
        "errors": list(errors),
        "position": next((e["position"] for e in errors if e.get("position")), None),
    }
    return ProblemResponse(body, status_code=status, headers=dict(headers or {}))


def unforeseen(request: Request, error: BaseException) -> ProblemResponse:
    """Log an error that nobody foresaw and answer 500 without a trace of it."""
    request_id = getattr(request.state, "request_id", "")
    _log.error(
        "request %s: %s %s failed", request_id, request.method, request.url.path, exc_info=error
    )
    return problem_of(
        request,
        500,
        "internal",
        "Something went wrong on the server",
        hint=f"The log has the details under request {request_id}.",
    )


def _from_relcast(request: Request, error: RelcastError) -> ProblemResponse:
    if not isinstance(error, UserError) and (
        isinstance(error, InternalError) or type(error).status >= 500
    ):
        return unforeseen(request, error)
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'ApiKey realm="relcast", header="X-API-Key"'
    if error.status == 429:
        headers["Retry-After"] = str(getattr(error, "retry_after", 5))
    return problem_of(
        request,
        error.status,
        error.code,
        error.message,
        hint=error.hint,
        errors=[f.to_json() for f in error.faults],
        headers=headers,
    )


def _from_http(request: Request, error: HTTPException) -> ProblemResponse:
    status = error.status_code
    detail = str(error.detail)
    if status == 404 and detail == "Not Found":
        detail = f"There is nothing at {request.method} {request.url.path}"
    elif status == 405:
        detail = f"{request.url.path} does not take {request.method}"
    return problem_of(
        request,
        status,
        _HTTP_CODES.get(status, f"http.{status}"),
        detail,
        hint=_HTTP_HINTS.get(status, ""),
        headers=error.headers,
    )


def _from_validation(request: Request, error: RequestValidationError) -> ProblemResponse:
    faults = [_validation_fault(e) for e in error.errors()]
    content_type = request.headers.get("content-type", "")
    hint = "Mend what the errors name and send the request again."
    if faults and "json" not in content_type and faults[0]["place"] == "body":
        hint = "Send the body as JSON with the header Content-Type: application/json."
    detail = "; ".join(str(f["message"]) for f in faults[:5]) or "The request does not validate"
    return problem_of(request, 422, "request.invalid", detail, hint=hint, errors=faults)


def _validation_fault(error: Mapping[str, Any]) -> dict[str, Any]:
    place = ".".join(str(part) for part in error.get("loc", ()))
    kind = str(error.get("type", "invalid"))
    if kind == "json_invalid":
        reason = (error.get("ctx") or {}).get("error", "")
        message = f"The body is not JSON (near character {place.removeprefix('body.')}): {reason}"
        place = "body"
    else:
        message = f"{place}: {error.get('msg', 'is not valid')}"
    return {
        "code": f"request.{kind}",
        "message": message,
        "hint": "",
        "position": None,
        "place": place,
    }


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app leave in the one shape."""

    def relcast(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RelcastError)
        return _from_relcast(request, error)

    def http(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)
        return _from_http(request, error)

    def validation(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)
        return _from_validation(request, error)

    app.add_exception_handler(RelcastError, relcast)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unforeseen)
