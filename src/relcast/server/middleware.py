"""What happens to every request before and after its route: plain ASGI, outermost first.

Request id, access log, security headers; the host check against DNS rebinding; the size limit of
bodies. They also see websockets and the UI, which is mounted on the same app.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relcast.core.ids import new_id
from relcast.server.problem import problem_of

__all__ = ["AllowedHosts", "BodyLimit", "HostCheck", "RequestRecord", "is_loopback"]

_access = logging.getLogger("relcast.server.access")
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
)
_API_HEADERS = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
)


class RequestRecord:
    """Give each request an id, write the access log without queries, set security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # A client that joins base URL and path carelessly sends //v1; it means /v1.
        if "//" in scope["path"]:
            scope = {**scope, "path": re.sub("/{2,}", "/", scope["path"])}
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SAFE_ID.fullmatch(given) else new_id("req")
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = time.perf_counter()
        status = 0
        is_api = scope["path"].startswith("/api") or scope["path"] in ("/healthz", "/readyz")

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _HEADERS + (_API_HEADERS if is_api else ()):
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            # The path only: the query of a signed URL is its permission.
            _access.info(
                "%s %s %s %.1f ms %s",
                scope["method"],
                scope["path"],
                status or "-",
                (time.perf_counter() - started) * 1e3,
                request_id,
            )


class AllowedHosts:
    """The names that the Host header may have; loopback names are always among them.

    Args:
        names: Further names.
        public_url: The configured base URL of the server, whose host counts too.
    """

    def __init__(self, names: Iterable[str], public_url: str | None) -> None:
        public = urlsplit(public_url).hostname if public_url else None
        self._names = frozenset(n.lower() for n in (*names, *([public] if public else ())))
        self._every = False

    def allow_every(self) -> None:
        """Accept any name: the server can be reached by others under names that it cannot know."""
        self._every = True

    def accepts(self, host_header: str) -> bool:
        """Return whether a Host header (with or without a port) names this server."""
        name = _host_name(host_header)
        return self._every or name in self._names or is_loopback(name)


class HostCheck:
    """Refuse requests whose Host header names a host that this server does not answer for.

    A page of another site that rebinds its name to 127.0.0.1 sends its own name as Host; on a
    loopback bind only loopback names and the configured public URL are accepted.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self.hosts.accepts(
            Headers(scope=scope).get("host", "")
        ):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = problem_of(
                Request(scope),
                421,
                "request.unknown_host",
                "This server does not answer for the host of this request",
                hint="Use the URL that the server printed at its start, or set "
                "RELCAST_PUBLIC_URL to the URL that you use.",
            )
            await answer(scope, receive, send)


class BodyLimit:
    """Refuse bodies above a limit (bytes), except on paths that stream to disk by themselves."""

    def __init__(self, app: ASGIApp, limit: int, streamed: tuple[str, ...]) -> None:
        self.app = app
        self.limit = limit
        self.streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self.streamed):
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared[:12]) > self.limit:
            answer = problem_of(
                Request(scope), 413, "request.too_large", self._sentence, hint=_UPLOAD_HINT
            )
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.limit:
                    raise HTTPException(413, self._sentence)
            return message

        await self.app(scope, counted, send)

    @property
    def _sentence(self) -> str:
        return f"The body is larger than {self.limit // 2**20} MiB"


_UPLOAD_HINT = "Send data with the upload calls; they take files of any size in parts."


def _host_name(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
