"""Whether the process lives, whether it can work, and what a client must know first."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import JSONResponse

from relcast.server.platform_of import platform_of
from relcast.server.problem import ProblemResponse, problem_of
from relcast.server.routing import Routes

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["routes"]

routes = Routes("health", prefix="")


@routes.get("/healthz", scope="public", summary="Whether the process lives")
def healthz() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@routes.get(
    "/readyz",
    scope="public",
    summary="Whether the metadata store, the home and a worker are there",
    errors=(503,),
)
def readyz(request: Request) -> JSONResponse:
    checks = _checks(platform_of(request))
    bad = {name: state for name, state in checks.items() if state not in ("ok", "off")}
    if bad:
        answer: ProblemResponse = problem_of(
            request,
            503,
            "server.not_ready",
            "Not ready: " + "; ".join(f"{name}: {state}" for name, state in bad.items()),
            hint="See the server's log.",
        )
        return answer
    return JSONResponse({"status": "ready", "checks": checks})


@routes.get(
    "/api/config",
    scope="public",
    summary="What a client must know before it signs in (SDK)",
    example={"rbac": False, "name": "relcast", "version": "0.1.0"},
)
def config() -> JSONResponse:
    return JSONResponse({"rbac": False, "name": "relcast", "version": version("relcast")})


def _checks(platform: Platform) -> dict[str, str]:
    """Return ``ok``, ``off`` (a worker elsewhere does the work) or a reason for each part."""
    checks = {"store": "ok", "home": "ok", "worker": "ok" if platform.working else "off"}
    try:
        platform.queue_length()
    except Exception as error:  # noqa: BLE001 - whatever the store's driver raises is the finding
        checks["store"] = type(error).__name__
    if not os.access(platform.settings.home, os.R_OK | os.W_OK | os.X_OK):
        checks["home"] = "not writable"
    return checks
