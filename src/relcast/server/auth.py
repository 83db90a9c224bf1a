"""Who is calling, and whether they may.

Keys are the platform's business (``Platform.authenticate``); here a request becomes a principal
with scopes, or an error. A missing, malformed, unknown and revoked key get one and the same
answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from relcast.core.errors import Forbidden, Unauthorized
from relcast.server.platform_of import platform_of
from relcast.server.signing import verify_url

__all__ = ["BrowserSessions", "Caller", "authorize", "install_browser_sessions"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request: an id for the log and the audit, and what they may do."""

    id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class BrowserSessions:
    """How the UI tells the server that a browser has signed in."""

    signed_in: Callable[[Request], str | None]
    login_path: str


def install_browser_sessions(
    app: FastAPI, signed_in: Callable[[Request], str | None], login_path: str
) -> None:
    """Let signed-in browsers read the API's documentation without a key.

    Args:
        app: The app made by ``create_app``.
        signed_in: Gives the user's name for a request of a signed-in browser, else None.
        login_path: Where a browser that has not signed in is sent.
    """
    app.state.browser_sessions = BrowserSessions(signed_in, login_path)


def authorize(request: Request, scope: str) -> Caller:
    """Return the caller of a request to a route of that scope.

    Raises ``auth.unauthorized`` (401) and ``auth.forbidden`` (403, names the scope).
    """
    if scope == "signed":
        verify_url(request)
        return Caller("signed-url", frozenset())
    if scope == "docs":
        name = _browser(request)
        if name is not None:
            return Caller(name, frozenset({"read"}))
        _send_to_login(request)
        scope = "read"
    try:
        principal = platform_of(request).authenticate(request.headers.get("x-api-key"))
    except Unauthorized:
        # One body for every reason, so that a caller cannot tell which keys exist.
        raise Unauthorized(
            "The API key is missing or not valid",
            hint="Send the header X-API-Key: <customer_id>:<secret>. The Admin page and "
            "`relcast keys reset` make a new key.",
        ) from None
    if scope not in principal.scopes:
        raise Forbidden(
            f"This key lacks the scope {scope!r}",
            hint=f"Use a key with the scope {scope!r}.",
        )
    return Caller(principal.id, frozenset(principal.scopes))


def _send_to_login(request: Request) -> None:
    """Send a browser that asks for a page without a key to the UI's sign-in, if there is one."""
    sessions: BrowserSessions | None = getattr(request.app.state, "browser_sessions", None)
    asks_for_page = "text/html" in request.headers.get("accept", "")
    if sessions is not None and asks_for_page and "x-api-key" not in request.headers:
        target = f"{sessions.login_path}?next={quote(request.url.path, safe='')}"
        raise HTTPException(303, "Sign in first", headers={"Location": target})


def _browser(request: Request) -> str | None:
    sessions: BrowserSessions | None = getattr(request.app.state, "browser_sessions", None)
    return None if sessions is None else sessions.signed_in(request)
