"""The PQL editor: coloured words, faults underlined at their place, and the list of faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import html
from nicegui.elements.mixins.value_element import ValueElement

from relcast.core.errors import Fault
from relcast.ui.elements import note

__all__ = ["PqlEditor", "caret_line", "show_faults"]


class PqlEditor(ValueElement[str], component="pql_editor.js"):
    """A multi-line editor of one query; ``value`` is its text."""

    VALUE_PROP = "value"
    LOOPBACK = None

    def __init__(self, text: str = "", *, placeholder: str = "", on_change: Any = None) -> None:
        super().__init__(value=text, on_value_change=on_change)
        self.props["placeholder"] = placeholder
        self.props["label"] = "Predictive query"
        self.props["faults"] = []

    def underline(self, faults: Sequence[Fault]) -> None:
        """Underline the faults that have a place; none clears all marks."""
        self.props["faults"] = [
            {"line": p.line, "column": p.column, "length": p.length}
            for p in (fault.position for fault in faults)
            if p is not None
        ]
        self.update()

    def go_to(self, line: int, column: int) -> None:
        """Put the caret at a 1-based place."""
        self.run_method("goTo", line, column)


def caret_line(text: str, fault: Fault, *, around: int = 60) -> str:
    """Return the fault's line with a caret under its place; long lines are cut around it.

    Empty when the fault has no place in the text.
    """
    place = fault.position
    lines = text.split("\n")
    if place is None or not 1 <= place.line <= len(lines):
        return ""
    line = lines[place.line - 1].replace("\t", " ")
    start = max(0, place.column - 1 - around)
    shown = line[start : place.column - 1 + max(place.length, around)]
    head = "…" if start else ""
    tail = "…" if start + len(shown) < len(line) else ""
    at = len(head) + place.column - 1 - start
    room = len(head) + len(shown) - at
    return f"{head}{shown}{tail}\n{' ' * at}{'^' * max(1, min(place.length, max(room, 1)))}"


def show_faults(text: str, faults: Sequence[Fault], editor: PqlEditor | None = None) -> None:
    """List every fault: its place (a click goes there), the sentence, the caret, the mend."""
    with html.ul().classes("rc-faults"):
        for fault in faults:
            with html.li().classes("rc-fault"):
                place = fault.position
                if place is None:
                    html.span("Query").classes("rc-fault-place")
                else:
                    spot = html.button(f"{place.line}:{place.column}", type="button")
                    spot.classes("rc-fault-place")
                    spot.props["title"] = f"Line {place.line}, column {place.column}"
                    if editor is not None:
                        target, line, column = editor, place.line, place.column
                        spot.on("click", lambda t=target, n=line, c=column: t.go_to(n, c), [])
                html.span(fault.message).classes("rc-strong rc-wrap")
                if caret := caret_line(text, fault):
                    html.pre(caret).classes("rc-caret")
                if fault.hint:
                    note(fault.hint)
