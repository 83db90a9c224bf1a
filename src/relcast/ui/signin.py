"""Sign in and out: two plain HTTP routes, because nobody without a session gets a websocket."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from relcast.ui.gate import Hall
from relcast.ui.sessions import COOKIE, LIFETIME

__all__ = ["HOME", "STATIC", "show_login", "sign_in", "sign_out"]

HOME = "/queries"
STATIC = Path(__file__).parent / "static"

# argon2id is made to be slow and hungry: two at a time leave the machine to its work.
_VERIFIERS = asyncio.Semaphore(2)


async def show_login(request: Request) -> Response:
    """Show the form, or go on to the page that was asked for when a session is open."""
    target = _inside(request.query_params.get("next", ""))
    if Hall.of(request).sessions.is_open(request.cookies.get(COOKIE)):
        return RedirectResponse(target, status_code=303)
    return _form(target)


async def sign_in(request: Request) -> Response:
    """Check the password, open a session and set its cookie. 401 when wrong, 429 when too often."""
    hall = Hall.of(request)
    form = await request.form()
    target = _inside(str(form.get("next", "")))
    password = str(form.get("password", ""))
    address = request.client.host if request.client else ""
    wait = hall.throttle.wait(address)
    if wait > 0:
        answer = _form(target, f"Too many wrong tries. Wait {wait} seconds, then try again.", 429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    # Before the check: a password that is changed meanwhile opens nothing.
    mark = await asyncio.to_thread(hall.sessions.mark)
    async with _VERIFIERS:
        right = await asyncio.to_thread(hall.platform.verify_admin_password, password)
    outcome = "ok" if right else "auth.wrong_password"
    await asyncio.to_thread(hall.platform.audit, "admin", "ui.sign_in", address, outcome)
    if not right:
        hall.throttle.wrong(address)
        return _form(target, "This is not the admin password.", 401)
    hall.throttle.right(address)
    token = await asyncio.to_thread(hall.sessions.open, mark)
    answer = RedirectResponse(target, status_code=303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=_is_https(request, hall.platform.settings.public_url),
    )
    return answer


async def sign_out(request: Request) -> Response:
    """Close the session of this browser and forget its cookie."""
    hall = Hall.of(request)
    await asyncio.to_thread(hall.sessions.close, request.cookies.get(COOKIE))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer


def _form(target: str, message: str = "", status: int = 200) -> Response:
    from nicegui import __version__

    fonts = f"/_nicegui/{__version__}/static/fonts.css"
    page = _templates().get_template("login.html")
    return HTMLResponse(page.render(next=target, message=message, fonts=fonts), status)


def _is_https(request: Request, public_url: str | None) -> bool:
    # Behind a proxy that ends TLS, the public URL knows what the request does not.
    return request.url.scheme == "https" or (public_url or "").startswith("https:")


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(STATIC), autoescape=True)


def _inside(target: str) -> str:
    """Return the target when it is a path of this server, else the first page."""
    parts = urlsplit(target)
    inside = not parts.scheme and not parts.netloc and target.startswith("/")
    tricky = target.startswith("//") or "\\" in target or any(ord(c) < 32 for c in target)
    return target if inside and not tricky and parts.path != "/login" else HOME
