"""Admin: the API key and what this server is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nicegui import html
from starlette.requests import Request

import relcast
from relcast.catalog.records import KeyRecord
from relcast.ui import words
from relcast.ui.asking import act, action, api_base, ask, page
from relcast.ui.elements import (
    Live,
    button,
    card,
    code_line,
    dialog,
    error_box,
    fact,
    facts,
    note,
    time_of,
)
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "show_admin"]

ROOM = "/admin"


@page(ROOM)
async def show_admin(request: Request) -> None:
    """The page ``/admin``."""
    platform = Hall.of(request).platform
    base = api_base(request)
    key = await ask(platform.key_info)
    with page_frame("Admin", ROOM):
        with card("API key"), html.div().classes("rc-stack"):
            html.p(
                "Scripts send this key with every call, as the header X-API-Key. There is one; "
                "its secret is kept only as a hash and can be shown once, when it is made."
            ).classes("rc-sub")
            shown, fresh = Live(), Live()
            shown.show(_key_of(key), lambda: _key(key))

            @action
            async def reset() -> None:
                confirm.close()
                secret = await act(platform, "key.reset", "", platform.reset_key)
                now = await ask(platform.key_info)
                shown.show(_key_of(now), lambda: _key(now))
                fresh.show(secret, lambda: _fresh(secret, base))

            with dialog("Reset and generate new API Key") as confirm:
                html.p("The key that is in use now dies before the new one is shown:").classes(
                    "rc-sub"
                )
                with html.ul():
                    html.li("every script, schedule and notebook with the old key gets a 401")
                    html.li("jobs that run keep running; nobody here is signed out")
                    html.li("the old key cannot be brought back")
                with html.div().classes("rc-dialog-foot"):
                    button("Keep the old key", confirm.close)
                    button("Reset and generate", reset, look="danger")
            with html.div().classes("rc-actions"):
                button("Reset and generate new API Key", confirm.open, icon="key", look="danger")
        _about(platform, base)


def _key_of(key: KeyRecord | None) -> object:
    return key and (key.id, key.last_used_at)


def _key(key: KeyRecord | None) -> None:
    if key is None:
        note("There is no key yet: nobody can call the API.")
        return
    with facts():
        fact("Key", key.id).classes("rc-mono")
        fact("Ends with", f"…{key.last_four}").classes("rc-mono")
        with fact("Created", f"{words.moment(key.created_at)}, "):
            time_of(key.created_at)
        with fact("Last used"):
            if key.last_used_at is None:
                html.span("not yet")
            else:
                time_of(key.last_used_at)


def _fresh(secret: str, base: str) -> None:
    url = shlex.quote(f"{base}/api/v1/jobs")
    with html.div().classes("rc-stack rc-stack--tight"):
        error_box("This is the new key. It is shown this once: copy it now.", tone="good")
        code_line(secret, classes="rc-secret rc-new-key")
        note("Try it:")
        code_line(f"curl -H {shlex.quote(f'X-API-Key: {secret}')} {url}", classes="rc-curl")


def _about(platform: Platform, base: str) -> None:
    settings = platform.settings
    with card("This server"), facts():
        fact("Version", relcast.__version__)
        with fact("API"):
            html.a(f"{base}/api/v1", href="/api/docs")
        fact("Home", str(settings.home)).classes("rc-mono")
        with fact("Data roots"):
            if settings.data_roots:
                for root in settings.data_roots:
                    html.div(str(root)).classes("rc-mono")
            else:
                note(
                    "None: folders of this machine cannot be connected. Set RELCAST_DATA_ROOTS to "
                    "one or more folders and start the server again."
                )
        fact("Customer id", settings.customer_id)
        fact("Threads", str(settings.threads))
