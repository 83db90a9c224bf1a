"""How pages ask the platform: off the event loop, with its errors turned into pages or notices."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from nicegui import ui
from starlette.requests import Request

from relcast.core.errors import InternalError, NotFound, RelcastError
from relcast.ui.elements import complain, empty, error_box, link_button
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall

__all__ = ["action", "api_base", "ask", "page"]

_log = logging.getLogger("relcast.ui")
_OURS = "This is our fault. The server's log says more; the API and the jobs are not affected."

P = ParamSpec("P")
R = TypeVar("R")

PageFunction = Callable[..., Awaitable[None]]
"""A page: its first argument is the request, the others come from the URL."""


async def ask(question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a method of the platform in a thread; the event loop stays free for everybody else."""
    return await asyncio.to_thread(question, *args, **kwargs)


def page(room: str) -> Callable[[PageFunction], PageFunction]:
    """Decorate a page's function: an error of the platform becomes a page that says so.

    The function asks first and draws then, so that an error finds an empty page.
    """

    def decorate(draw: PageFunction) -> PageFunction:
        @functools.wraps(draw)
        async def drawn(request: Request, *args: Any, **kwargs: Any) -> None:
            try:
                await draw(request, *args, **kwargs)
            except RelcastError as error:
                ui.context.client.status_code = error.status
                _show(error, room)
            except Exception:  # noqa: BLE001  # nobody is shown a stack trace; the log has it
                _log.exception("The page %s could not be drawn", request.url.path)
                ui.context.client.status_code = 500
                _show(InternalError("This page could not be drawn", hint=_OURS), room)

        return drawn

    return decorate


def _show(error: RelcastError, room: str) -> None:
    missing = isinstance(error, NotFound)
    with page_frame("Not here" if missing else "This did not work", room):
        if missing:
            hint = error.hint or "It may have been deleted."
            with empty("search_off", error.message, hint):
                link_button("Back to the list", room)
        else:
            error_box(error.message, error.hint, error.code)


def action(work: Callable[P, Awaitable[Any]]) -> Callable[P, Awaitable[None]]:
    """Decorate what a button does: an error of the platform becomes a notice."""

    @functools.wraps(work)
    async def done(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await work(*args, **kwargs)
        except RelcastError as error:
            complain(error)

    return done


def api_base(request: Request) -> str:
    """Return the base URL that a script should use, without a slash at its end."""
    public = Hall.of(request).platform.settings.public_url
    return public or str(request.base_url).rstrip("/")
