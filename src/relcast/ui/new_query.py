"""Write a predictive query: its faults at their place and its meaning in English, as you type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import html, ui
from starlette.requests import Request

from relcast.catalog.records import GraphRecord, QueryRecord
from relcast.core.errors import Conflict, Fault, InvalidRequest, PqlError, RelcastError
from relcast.core.schema import Graph, Table
from relcast.pql import CheckedQuery, describe
from relcast.tasks import Outline
from relcast.ui import words
from relcast.ui.asking import act, action, ask, page
from relcast.ui.editor import PqlEditor, show_faults
from relcast.ui.elements import (
    Live,
    button,
    card,
    cell,
    empty,
    error_box,
    fold,
    link_button,
    note,
    table,
    tag,
)
from relcast.ui.fields import Choice, TextField
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall
from relcast.ui.training_table import TrainingTablePanel

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Look", "example_query", "look_at", "show_new_query"]

ROOM = "/queries"
PAUSE = 0.35
"""Seconds without a key press after which the text is checked."""

RUN_MODES = {
    "fast": "Fast, about a minute",
    "normal": "Normal, 4 times as long",
    "best": "Best, 16 times as long",
    "debug": "Debug, seconds, for a first look",
}


@page(ROOM)
async def show_new_query(request: Request, graph: str | None = None) -> None:
    """The page ``/queries/new``; ``?graph=…`` chooses the graph."""
    platform = Hall.of(request).platform
    graphs = await ask(platform.graphs)
    with page_frame("New query", ROOM, above=Crumb("Predictive Queries", ROOM)):
        if not graphs:
            with empty(
                "schema",
                "Connect your tables first",
                "A query asks about a graph: tables and the links between them. There is none yet.",
            ):
                link_button("Connect a folder", "/graphs/new", icon="folder_open", look="main")
            return
        _Desk(platform, graphs, graph)


class _Desk:
    """The form of one new query, its state in one place."""

    def __init__(self, platform: Platform, graphs: list[GraphRecord], chosen: str | None) -> None:
        self._platform = platform
        self._graphs = {g.id: g for g in graphs}
        self._version = 0
        with card(), html.div().classes("rc-stack"):
            with html.div().classes("rc-form"):
                self._name = TextField("Name", placeholder="for example: late aircraft next week")
                self._graph = Choice(
                    "Graph",
                    {g.id: _title(g) for g in graphs},
                    value=chosen,
                    on_change=self._graph_changed,
                )
                self._mode = Choice("Training", RUN_MODES, value="fast")
            with html.div().classes("rc-field"):
                html.span("Predictive query").classes("rc-label")
                self._editor = PqlEditor(
                    placeholder="PREDICT COUNT(orders.*, 0, 30, days) > 0\n"
                    "FOR EACH customers.customer_id",
                    on_change=self._changed,
                )
            with html.div(**{"aria-live": "polite"}):
                self._verdict = Live()
            with html.div().classes("rc-actions"):
                self._train = button("Save and train", self._save(train=True), look="main")
                self._keep = button("Save", self._save(train=False))
                self._example = Live()
        self._table = TrainingTablePanel(platform, self._look_again)
        self._schema = Live()
        self._allow(False)
        self._graph_changed()

    def _changed(self) -> None:
        self._version += 1
        self._allow(False)
        self._table.forget()
        version = self._version

        async def check() -> None:
            if version == self._version:
                await self.check(version)

        ui.timer(PAUSE, check, once=True)

    def _graph_changed(self) -> None:
        record = self._graphs[self._graph.value]
        self._schema.show(record.id, lambda: _tables(record.graph))
        example = example_query(record.graph)
        self._example.show(example, lambda: self._offer(example) if example else None)
        self._changed()

    def _offer(self, example: str) -> None:
        button("Use an example", lambda: self._editor.set_value(example), icon="lightbulb")

    async def _look_again(self) -> None:
        await self.check(self._version)

    async def check(self, version: int) -> None:
        """Check the text as it stands; an answer to an older text is dropped."""
        text, graph = self._editor.value, self._graph.value
        if not text.strip():
            self._editor.underline(())
            self._verdict.show((), _invitation)
            return
        try:
            found = await ask(look_at, self._platform, text, graph)
        except PqlError as error:
            if version == self._version:
                faults = error.faults or (Fault(error.code, error.message, error.hint),)
                self._editor.underline(faults)
                self._verdict.show((text, faults), lambda: show_faults(text, faults, self._editor))
            return
        except RelcastError as error:
            if version == self._version:
                told = error
                self._editor.underline(())
                self._verdict.show(
                    (text, str(told)), lambda: error_box(told.message, told.hint, told.code)
                )
            return
        if version == self._version:
            self._editor.underline(())
            self._verdict.show((text, graph, found), lambda: _said(found))
            self._allow(True)
            self._table.about(text, graph)

    def _allow(self, good: bool) -> None:
        for element in (self._train, self._keep):
            if good:
                element.props.pop("disabled", None)
                element.update()
            else:
                element.props["disabled"] = True

    def _save(self, *, train: bool) -> Callable[[], object]:
        @action
        async def save() -> None:
            self._allow(False)
            try:
                query = await self._create()
            except BaseException:
                self._allow(True)
                raise
            if train:
                job = await act(
                    self._platform, "query.retrain", query.id, self._platform.retrain, query.id
                )
                ui.navigate.to(f"/jobs/{job.id}")
            else:
                ui.navigate.to(f"/queries/{query.id}")

        return save

    async def _create(self) -> QueryRecord:
        name = self._name.value.strip()
        if not name:
            raise InvalidRequest("The query has no name", hint="Give it a name that you will find.")
        return await act(
            self._platform,
            "query.create",
            name,
            self._platform.create_query,
            name,
            self._editor.value,
            self._graph.value,
            plan={"model": {"run_mode": self._mode.value}},
        )


def _title(record: GraphRecord) -> str:
    tables = words.count(len(record.graph.tables), "table")
    return f"{record.name or record.id} ({tables})"


def _invitation() -> None:
    note(
        "Write what to predict. Faults are underlined as you type, and what the query means is "
        "said here in plain English."
    )


@dataclass(frozen=True)
class Look:
    """What a sound query means: its task, its sentence, and what may disappoint.

    ``outline`` tells its anchors; None while the graph's data was never read.
    """

    checked: CheckedQuery
    outline: Outline | None

    @property
    def sentence(self) -> str:
        return describe(self.checked) if self.outline is None else self.outline.sentence


def look_at(platform: Platform, text: str, graph: str, plan: Any = None) -> Look:
    """Check a query and, where the graph's data is known, find its anchors; takes milliseconds."""
    checked = platform.validate_query(text, graph)
    try:
        return Look(checked, platform.sketch_query(text, graph, plan))
    except Conflict:  # the data was never read
        return Look(checked, None)


def _said(found: Look) -> None:
    checked, outline = found.checked, found.outline
    with (
        html.div().classes("rc-alert rc-alert--good"),
        html.div().classes("rc-stack rc-stack--tight"),
    ):
        with html.div().classes("rc-row"):
            tag(words.task_name(checked.task_type)).classes("rc-task")
            if outline is not None and outline.anchor_count:
                tag(words.count(outline.anchor_count, "anchor"))
            if checked.extensions:
                tag("uses extensions of relcast").props["title"] = "\n".join(
                    x.message for x in checked.extensions
                )
        html.p(found.sentence).classes("rc-said")
    if outline is not None and outline.fault is not None:
        error_box(outline.fault.message, outline.fault.hint, outline.fault.code, tone="warn")
    for warning in checked.warnings:
        error_box(warning.message, warning.hint, tone="warn")


def _tables(graph: Graph) -> None:
    with card("Tables of this graph"), html.div().classes("rc-stack rc-stack--tight"):
        for found in graph.tables.values():
            with fold(f"{found.name}, {words.count(len(found.columns), 'column')}"):
                _columns(found, graph)


def _columns(found: Table, graph: Graph) -> None:
    links = {link.foreign_key: link.to for link in graph.links_from(found.name)}
    roles = {
        found.primary_key: "primary key",
        found.time_column: "time column",
        found.end_time_column: "end time column",
    }
    with table(("Column", "Type", "Meaning", "Role")):
        for column in found.columns:
            with html.tr():
                cell(f"{found.name}.{column.name}", classes="rc-mono")
                cell(column.dtype.value)
                cell(column.stype.value)
                role = roles.get(column.name, "")
                if column.name in links:
                    role = f"links to {links[column.name]}"
                cell(role)


def example_query(graph: Graph) -> str | None:
    """Return a query that fits the graph: will an entity have an event in the next 30 days?

    None when no table with a time column points to another table.
    """
    for link in graph.links:
        entity, events = graph.table(link.to), graph.table(link.table)
        if events.time_column is None or entity.primary_key is None:
            continue
        return (
            f"PREDICT COUNT({_name(events.name)}.*, 0, 30, days) > 0\n"
            f"FOR EACH {_name(entity.name)}.{_name(entity.primary_key)}"
        )
    return None


def _name(name: str) -> str:
    plain = name.isascii() and name.isidentifier()
    return name if plain else f"`{name}`"
