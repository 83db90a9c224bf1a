"""The gate before every page: session, origin and headers. Nothing behind it is open by default.

NiceGUI's events travel over a websocket (or its polling twin), so the gate guards those exactly as
it guards pages: without an open session, or from another site's script, nobody comes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relcast.ui.sessions import COOKIE, Sessions, Throttle

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Gate", "Hall", "same_origin"]

_OPEN_PATHS = ("/login", "/favicon.ico")
_OPEN_PREFIXES = ("/_ui/",)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Scripts and styles come from this server alone. Vue compiles templates in the browser, hence
# 'unsafe-eval'; NiceGUI writes its start script into the page, hence 'unsafe-inline'.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Hall:
    """What the pages of one mounted app share."""

    platform: Platform
    sessions: Sessions
    throttle: Throttle

    @staticmethod
    def of(connection: HTTPConnection) -> Hall:
        """Return the hall that the gate put into this request."""
        hall = connection.scope["relcast.hall"]
        if not isinstance(hall, Hall):
            msg = "the request did not pass the gate"
            raise TypeError(msg)
        return hall


class Gate:
    """ASGI middleware around the UI's app."""

    def __init__(self, app: ASGIApp, hall: Hall) -> None:
        self._app = app
        self._hall = hall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["relcast.hall"] = self._hall
        connection = HTTPConnection(scope)
        token = connection.cookies.get(COOKIE)
        if scope["type"] == "websocket":
            await self._socket(connection, token, receive, send)
        else:
            await self._page(connection, token, receive, send)

    async def _page(
        self, connection: HTTPConnection, token: str | None, receive: Receive, send: Send
    ) -> None:
        scope = connection.scope
        path: str = scope["path"]
        if scope["method"] not in _SAFE_METHODS and not same_origin(connection, self._public):
            refusal = PlainTextResponse("This request came from another site.", status_code=403)
            await refusal(scope, receive, send)
            return
        if not _is_open(path) and not self._hall.sessions.is_open(token):
            await _turn_away(scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send))

    async def _socket(
        self, connection: HTTPConnection, token: str | None, receive: Receive, send: Send
    ) -> None:
        sessions = self._hall.sessions
        if not sessions.is_open(token) or not same_origin(connection, self._public):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def receive_while_open() -> Message:
            message = await receive()
            # Signing out elsewhere ends the session's sockets, at the next ping at the latest.
            if message["type"] == "websocket.receive" and not sessions.is_open(token):
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        await self._app(connection.scope, receive_while_open, send)

    @property
    def _public(self) -> str | None:
        return self._hall.platform.settings.public_url


def same_origin(connection: HTTPConnection, public_url: str | None = None) -> bool:
    """Say whether the request's Origin is this server: its Host header or the public URL's host.

    A request without Origin is refused: every browser sends one with a POST and a websocket.
    """
    origin = urlsplit(connection.headers.get("origin", "")).netloc.casefold()
    hosts = {connection.headers.get("host", "").casefold()}
    if public_url:
        hosts.add(urlsplit(public_url).netloc.casefold())
    return bool(origin) and origin in hosts


def _is_open(path: str) -> bool:
    from nicegui import __version__

    # NiceGUI's own fonts and scripts are the same on every installation and tell nothing.
    library = f"/_nicegui/{__version__}/static/"
    return path in _OPEN_PATHS or path.startswith((*_OPEN_PREFIXES, library))


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    connection = HTTPConnection(scope)
    wants_page = scope["method"] == "GET" and not scope["path"].startswith("/_nicegui")
    if wants_page:
        target = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
        back = "" if target == "/" else f"?next={quote(target, safe='')}"
        await RedirectResponse(f"/login{back}", status_code=303)(scope, receive, send)
    else:
        refusal = PlainTextResponse("Sign in first.", status_code=401)
        await refusal(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            if headers.get("content-type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Frame-Options"] = "DENY"
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sender
