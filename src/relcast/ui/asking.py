"""How pages ask the platform: off the event loop, with its errors turned into pages or notices."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nicegui import ui
from starlette.requests import Request

from relcast.core.errors import InternalError, NotFound, RelcastError
from relcast.ui.elements import complain, empty, error_box, link_button
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ADMIN", "act", "action", "api_base", "ask", "keep_fresh", "page"]

ADMIN = "admin"
"""Who acts through these pages, as the audit log names it."""

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
        except Exception:  # noqa: BLE001  # nobody is shown a stack trace; the log has it
            _log.exception("An action of a page failed")
            complain(InternalError("This did not work", hint=_OURS))

    return done


async def act(
    platform: Platform,
    operation: str,
    target: str,
    work: Callable[P, R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Call a method that changes something, and write its row of the audit log.

    The row says ``ok`` or the code of the error, which is raised on.
    """

    def audited() -> R:
        try:
            result = work(*args, **kwargs)
        except RelcastError as error:
            platform.audit(ADMIN, operation, target, error.code)
            raise
        platform.audit(ADMIN, operation, target)
        return result

    return await asyncio.to_thread(audited)


def keep_fresh(seconds: float, refresh: Callable[[], Awaitable[None]]) -> ui.timer:
    """Call ``refresh`` every so often while the page is open; an error of ours ends it, once said.

    What was deleted meanwhile, for one, will not come back by asking again.
    """

    async def tick() -> None:
        try:
            await refresh()
        except RelcastError as error:
            timer.cancel()
            complain(error)

    timer = ui.timer(seconds, tick, immediate=False)
    return timer


def api_base(request: Request) -> str:
    """Return the base URL that a script should use, without a slash at its end."""
    public = Hall.of(request).platform.settings.public_url
    return public or str(request.base_url).rstrip("/")
