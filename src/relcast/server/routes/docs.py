"""The API's own documentation: the OpenAPI document, and a page of ours that shows it offline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from relcast.server.routing import Routes

__all__ = ["routes"]

routes = Routes("documentation", prefix="/api")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@routes.get("/openapi.json", scope="docs", summary="The OpenAPI 3.1 document", in_schema=False)
def openapi_document(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


@routes.get("/docs", scope="docs", summary="The documentation as a page", in_schema=False)
def documentation_page() -> Response:
    return _static("docs.html", "text/html; charset=utf-8")


@routes.get("/docs/page.js", scope="docs", summary="Script of the page", in_schema=False)
def documentation_script() -> Response:
    return _static("docs.js", "text/javascript; charset=utf-8")


@routes.get("/docs/page.css", scope="docs", summary="Style of the page", in_schema=False)
def documentation_style() -> Response:
    return _static("docs.css", "text/css; charset=utf-8")


def _static(name: str, media_type: str) -> Response:
    return Response(
        _read(name), media_type=media_type, headers={"Content-Security-Policy": _POLICY}
    )


@cache
def _read(name: str) -> bytes:
    return files("relcast.server").joinpath("static", name).read_bytes()
