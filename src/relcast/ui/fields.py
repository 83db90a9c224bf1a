"""Form fields: the browser's own controls, with their value at hand on the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import html
from nicegui.element import Element

__all__ = ["Choice", "TextField"]

_EMIT = "(e) => emit(e.target.value)"


class TextField:
    """A labelled input; ``value`` is what stands in it."""

    def __init__(
        self,
        label: str,
        *,
        value: str = "",
        hint: str = "",
        kind: str = "text",
        placeholder: str = "",
        on_change: Callable[[], Any] | None = None,
    ) -> None:
        self.value = value
        self._on_change = on_change
        with html.div().classes("rc-field"):
            title = html.label(label)
            self.box = html.input_(type=kind, placeholder=placeholder).classes("rc-input")
            _pair(title, self.box)
            if value:
                # Not "value": that would be written over what is typed, at every update.
                self.box.props["defaultValue"] = value
            if hint:
                html.span(hint).classes("rc-note")
        self.box.on("input", self._take, js_handler=_EMIT)

    def _take(self, event: Any) -> None:
        self.value = str(event.args)
        if self._on_change is not None:
            self._on_change()


class Choice:
    """A labelled choice of one option; ``value`` is its key, "" when there is none."""

    def __init__(
        self,
        label: str,
        options: Mapping[str, str],
        *,
        value: str | None = None,
        hint: str = "",
        on_change: Callable[[], Any] | None = None,
    ) -> None:
        self._options = options
        self._on_change = on_change
        known = value is not None and value in options
        self.value: str = value if known and value else next(iter(options), "")
        with html.div().classes("rc-field"):
            title = html.label(label)
            self.box = html.select().classes("rc-select")
            _pair(title, self.box)
            with self.box:
                for key, text in options.items():
                    option = html.option(text)
                    option.props["value"] = key
                    if key == self.value:
                        option.props["selected"] = True
            if hint:
                html.span(hint).classes("rc-note")
        self.box.on("change", self._take, js_handler=_EMIT)

    def _take(self, event: Any) -> None:
        key = str(event.args)
        if key in self._options:
            self.value = key
            if self._on_change is not None:
                self._on_change()


def _pair(label: Element, box: Element) -> None:
    label.props["for"] = box.html_id
