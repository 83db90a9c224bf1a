"""Put the pages on a FastAPI app without touching its API.

NiceGUI keeps one app per process. Here it is furnished once and then hung, behind a gate of its
own, below every FastAPI app that asks: the pages find their platform through the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.routing import Match, Mount
from starlette.types import Scope

from relcast.server import install_browser_sessions
from relcast.ui.gate import Gate, Hall
from relcast.ui.sessions import COOKIE, Sessions, Throttle

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["mount"]

SESSIONS_FILE = "ui-sessions.json"
_API_PREFIX = "/api"


class _Rooms(Mount):
    """A mount that takes what no route of the API claims, and nothing below ``/api``."""

    def __init__(self, api: FastAPI, gate: Gate) -> None:
        super().__init__("/", app=gate, name="ui")
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        path: str = scope["path"]
        if path == _API_PREFIX or path.startswith(f"{_API_PREFIX}/"):
            return Match.NONE, {}
        for route in self._api.router.routes:
            # A wrong method on an API path is the API's 405, not a page.
            if route is not self and route.matches(scope)[0] is not Match.NONE:
                return Match.NONE, {}
        return super().matches(scope)


def mount(app: FastAPI, platform: Platform) -> None:
    """Hang the UI at ``/`` of ``app``; call it once for each app, in any order with its routes."""
    shell = _furnish()
    hall = Hall(
        platform=platform,
        sessions=Sessions(platform.settings.home / SESSIONS_FILE, platform.admin_password_mark),
        throttle=Throttle(),
    )
    from nicegui import app as pages

    install_browser_sessions(
        app,
        lambda request: "admin" if hall.sessions.is_open(request.cookies.get(COOKIE)) else None,
        "/login",
    )
    app.router.routes.append(_Rooms(app, Gate(pages, hall)))
    outer = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Any]:
        async with outer(app) as state:
            if pages.is_started:  # another app of this process has started the pages already
                yield state
            else:
                async with shell.router.lifespan_context(shell):
                    yield state

    app.router.lifespan_context = lifespan


@cache
def _furnish() -> FastAPI:
    """Register the pages and NiceGUI's settings; return the app whose lifespan starts NiceGUI."""
    from nicegui import ui

    from relcast.ui import pages

    shell = FastAPI()
    pages.register()
    ui.run_with(
        shell,
        title="relcast",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
    )
    return shell
