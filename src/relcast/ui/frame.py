"""The frame around every page: rail, title line, actions, and the page's own column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import html, ui
from nicegui.element import Element

__all__ = ["Crumb", "page_frame"]

_ROOMS = (
    ("/queries", "Predictive Queries", "insights"),
    ("/models", "Models", "query_stats"),
    ("/jobs", "Jobs", "checklist"),
    ("/admin", "Admin", "tune"),
)
_HEAD = (
    '<link rel="stylesheet" href="/_ui/relcast.css"><script src="/_ui/relcast.js"></script>'
    '<script>addEventListener("load", () => relcastApplyTheme())</script>'
)


@dataclass(frozen=True, slots=True)
class Crumb:
    """A link to the page above."""

    name: str
    href: str


@contextmanager
def page_frame(title: str, room: str, *, above: Crumb | None = None) -> Iterator[Element]:
    """Draw the frame and yield the slot for the title's actions; then the page's body follows.

    ``room`` is the path of the rail's entry that the page belongs to.
    """
    ui.page_title(f"{title} · relcast")
    ui.add_head_html(_HEAD)
    with html.div().classes("rc-shell"):
        html.a("Skip to the content", href="#main").classes("rc-skip")
        _rail(room)
        with (
            html.main(id="main", tabindex="-1").classes("rc-main"),
            html.div().classes("rc-page"),
        ):
            with html.div().classes("rc-head"):
                with html.div():
                    if above is not None:
                        with html.nav(**{"aria-label": "Breadcrumb"}).classes("rc-crumb"):
                            html.a(above.name, href=above.href)
                    html.h1(title)
                actions = html.div().classes("rc-actions")
            yield actions


def _rail(room: str) -> None:
    with html.div().classes("rc-side"), html.div().classes("rc-rail"):
        with html.a(href="/queries").classes("rc-brand"):
            html.img(src="/_ui/mark.svg", alt="")
            html.span("relcast")
        with html.nav(**{"aria-label": "Rooms"}).classes("rc-nav"):
            for path, name, icon in _ROOMS:
                link = html.a(href=path)
                if path == room:
                    link.props["aria-current"] = "page"
                with link:
                    ui.icon(icon).props["aria-hidden"] = "true"
                    html.span(name)
        with html.div().classes("rc-rail-foot"):
            theme = html.button(type="button", title="Change between light, dark and system")
            theme.classes("rc-rail-btn").on("click", js_handler="() => relcastTheme()")
            with theme:
                ui.icon("contrast").props["aria-hidden"] = "true"
                html.span("Theme").props["data-theme-label"] = ""
            with (
                html.form(method="post", action="/logout"),
                html.button(type="submit").classes("rc-rail-btn"),
            ):
                ui.icon("logout").props["aria-hidden"] = "true"
                html.span("Sign out")
