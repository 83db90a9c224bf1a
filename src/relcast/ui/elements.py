"""Small parts that pages are made of. Every text that they take is shown as text, never as HTML."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from nicegui import html, ui
from nicegui.element import Element

from relcast.core.errors import RelcastError
from relcast.ui import words

__all__ = [
    "Live",
    "button",
    "card",
    "cell",
    "code_line",
    "complain",
    "dialog",
    "empty",
    "error_box",
    "fact",
    "facts",
    "fold",
    "link_button",
    "note",
    "pager",
    "state_chip",
    "table",
    "tag",
    "time_of",
]


class Live:
    """A part of a page that is drawn again only when what it shows has changed.

    What has not changed keeps its focus, its scroll position and its folded state.
    """

    def __init__(self) -> None:
        self._box = html.div().classes("rc-live")
        self._shown: Hashable = object()

    def show(self, key: Hashable, draw: Callable[[], None]) -> None:
        """Call ``draw`` when ``key`` differs from that of the last drawing."""
        if key == self._shown:
            return
        self._shown = key
        self._box.clear()
        with self._box:
            draw()


@contextmanager
def card(title: str | None = None, *, aside: str = "", flush: bool = False) -> Iterator[Element]:
    """Draw a titled card; ``flush`` lets a table reach its edges."""
    box = html.section().classes("rc-card" + (" rc-card--flush" if flush else ""))
    with box:
        if title is not None:
            with html.div().classes("rc-card-head"):
                html.h2(title)
                if aside:
                    html.span(aside).classes("rc-note")
        yield box


def note(text: str) -> Element:
    made: Element = html.p(text).classes("rc-note")
    return made


def tag(text: str) -> Element:
    made: Element = html.span(text).classes("rc-tag")
    return made


def state_chip(state: str) -> Element:
    made: Element = html.span(words.state_name(state)).classes(f"rc-chip rc-chip--{state}")
    return made


def time_of(moment: datetime | None) -> Element:
    """Write how long ago something was, with the exact time and its zone as its title."""
    element: Element
    if moment is None:
        element = html.span("–")
    else:
        exact = words.moment(moment)
        element = html.time(words.ago(moment), datetime=moment.isoformat(), title=exact)
    return element.classes("rc-nowrap")


def button(
    text: str,
    on_click: Callable[..., Any] | None = None,
    *,
    icon: str | None = None,
    look: str = "",
) -> Element:
    """Draw a button; ``look`` is ``main``, ``danger``, ``small`` or several of them."""
    classes = "".join(f" rc-btn--{part}" for part in look.split())
    element: Element = html.button(type="button").classes(f"rc-btn{classes}")
    if on_click is not None:
        element.on("click", on_click, [])
    with element:
        if icon is not None:
            ui.icon(icon).props["aria-hidden"] = "true"
        html.span(text)
    return element


def link_button(text: str, href: str, *, icon: str | None = None, look: str = "") -> Element:
    classes = "".join(f" rc-btn--{part}" for part in look.split())
    element: Element = html.a(href=href).classes(f"rc-btn{classes}")
    with element:
        if icon is not None:
            ui.icon(icon).props["aria-hidden"] = "true"
        html.span(text)
    return element


@contextmanager
def table(heads: Sequence[str], *, rows: bool = False) -> Iterator[None]:
    """Draw a table; a head that starts with ``>`` stands to the right. Rows follow inside.

    ``rows`` makes a whole row the target of the link ``rc-row-link`` in it.
    """
    with html.div().classes("rc-scroll"):
        frame = html.table().classes("rc-table" + (" rc-table--rows" if rows else ""))
    with frame:
        with html.thead(), html.tr():
            for head in heads:
                side = " rc-right" if head.startswith(">") else ""
                html.th(head.lstrip(">"), scope="col").classes(side)
        with html.tbody():
            yield


def cell(text: str | None = None, *, right: bool = False, classes: str = "") -> Element:
    element: Element = html.td(text).classes(f"{'rc-right ' if right else ''}{classes}")
    return element


@contextmanager
def facts() -> Iterator[None]:
    with html.dl().classes("rc-facts"):
        yield


def fact(name: str, value: str | None = None) -> Element:
    """Write one line of ``facts`` and return its value's element, to put more into."""
    html.dt(name)
    element: Element = html.dd(value)
    return element


@contextmanager
def fold(summary: str, *, open_: bool = False) -> Iterator[Element]:
    """Fold what follows behind a line; it is there, one key press away."""
    box = html.details().classes("rc-fold")
    if open_:
        box.props["open"] = True
    with box:
        html.summary(summary)
        yield box


def code_line(text: str, *, label: str = "Copy", classes: str = "") -> None:
    """Show a command or a secret with a button that copies it."""
    with html.div().classes("rc-code"):
        html.code(text).classes(classes)
        copy = html.button(label, type="button").classes("rc-btn rc-btn--small")
        copy.on("click", js_handler="(e) => relcastCopy(e)")


@contextmanager
def empty(icon: str, title: str, text: str) -> Iterator[None]:
    """Say that there is nothing yet and what to do next; actions follow inside."""
    with html.div().classes("rc-card rc-empty"):
        ui.icon(icon).props["aria-hidden"] = "true"
        html.h2(title)
        html.p(text)
        with html.div().classes("rc-actions"):
            yield


def pager(room: str, number: int, total: int, per_page: int, things: str) -> None:
    """Draw which page of a long list this is, and links to its neighbours; nothing for one page.

    ``things`` says how many there are in all; ``room`` takes the page's number as ``?sheet=``.
    """
    pages = -(-total // per_page)
    if pages < 2:
        return
    with html.div().classes("rc-pager"):
        note(f"Page {number} of {pages}, {things}")
        with html.div().classes("rc-actions"):
            if number > 1:
                link_button("Previous", f"{room}?sheet={number - 1}", look="small")
            if number < pages:
                link_button("Next", f"{room}?sheet={number + 1}", look="small")


def error_box(message: str, hint: str = "", code: str = "", *, tone: str = "") -> None:
    """Show an error's sentence, its mend and its code."""
    with html.div(role="alert").classes(f"rc-alert{f' rc-alert--{tone}' if tone else ''}"):
        html.strong(message)
        if hint:
            html.p(hint).classes("rc-note")
        if code:
            html.p(code).classes("rc-note rc-mono")


def complain(error: RelcastError) -> None:
    """Show an error in passing, for an action that did not go through."""
    ui.notify(
        f"{error.message}. {error.hint}".replace("..", "."),
        type="negative",
        position="bottom-right",
        timeout=8000,
        multi_line=True,
        close_button="Close",
    )


@contextmanager
def dialog(title: str) -> Iterator[ui.dialog]:
    """Draw a modal dialog, closed at first; Escape closes it."""
    with ui.dialog() as box, html.div().classes("rc-dialog"):
        box.props["aria-label"] = title
        html.h2(title)
        yield box
