"""Connect a folder: its tables become a graph, and every inference says why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui import html, ui
from starlette.requests import Request

from relcast.catalog.records import GraphRecord
from relcast.core.errors import InvalidRequest, RelcastError
from relcast.core.schema import Link, Table
from relcast.ui import words
from relcast.ui.asking import act, action, ask, page
from relcast.ui.elements import (
    Live,
    button,
    card,
    cell,
    code_line,
    empty,
    error_box,
    fact,
    facts,
    fold,
    link_button,
    note,
    table,
)
from relcast.ui.fields import Choice, TextField
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["folders_with_tables", "show_graph", "show_new_graph"]

ROOM = "/queries"
_ENDINGS = (".csv", ".tsv", ".csv.gz", ".csv.zst", ".parquet")
_ABOVE = Crumb("Predictive Queries", ROOM)


@page(ROOM)
async def show_new_graph(request: Request) -> None:
    """The page ``/graphs/new``."""
    platform = Hall.of(request).platform
    roots = platform.settings.data_roots
    with page_frame("Connect a folder", ROOM, above=_ABOVE):
        if not roots:
            _no_roots()
            return
        folders = await ask(folders_with_tables, roots)
        with card(), html.div().classes("rc-stack"):
            html.p(
                "Every CSV or Parquet file in the folder, and every folder of parts, is a table. "
                "Types, keys, times and links are proposed from names and samples."
            ).classes("rc-sub")
            _form(platform, folders)
        note("Folders below: " + ", ".join(str(root) for root in roots))


def _no_roots() -> None:
    with empty(
        "folder_off",
        "No folder may be read yet",
        "relcast reads folders of this machine only below its data roots, and none is set. Start "
        "the server again with RELCAST_DATA_ROOTS, or send tables over the API with a script.",
    ):
        link_button("How the API takes tables", "/api/docs")
    with card("For example"):
        code_line("RELCAST_DATA_ROOTS=$HOME/data relcast serve")


def _form(platform: Platform, folders: Sequence[Path]) -> None:
    with html.div().classes("rc-form"):
        found = Choice(
            "Folder",
            {str(f): str(f) for f in folders} or {"": "none with tables was found"},
            hint="Folders with tables, two levels deep",
        )
        other = TextField("Or its path", placeholder=str(folders[0]) if folders else "/data/shop")
        name = TextField("Name", placeholder="for example: shop")
    problem = Live()

    @action
    async def connect() -> None:
        go.props["disabled"] = True
        busy.set_visibility(True)
        try:
            folder = other.value.strip() or found.value
            record = await act(
                platform, "graph.connect", folder, _connect, platform, folder, name.value
            )
        except RelcastError as error:
            wrong = error
            problem.show(str(wrong), lambda: error_box(wrong.message, wrong.hint, wrong.code))
            return
        finally:
            busy.set_visibility(False)
            go.props.pop("disabled", None)
            go.update()
        ui.navigate.to(f"/graphs/{quote(record.id, safe='')}")

    with html.div().classes("rc-actions"):
        go = button("Connect", connect, icon="schema", look="main")
        busy = html.span("Reading the tables").classes("rc-note")
        busy.set_visibility(False)


def _connect(platform: Platform, folder: str, name: str) -> GraphRecord:
    if not folder:
        raise InvalidRequest("No folder was chosen", hint="Choose one, or write its path.")
    return platform.graph_from_source("local", folder, name=name.strip() or Path(folder).name)


def folders_with_tables(roots: Sequence[Path], *, most: int = 200) -> list[Path]:
    """Return folders at most two levels below ``roots`` that hold a table's file, in order."""
    found: list[Path] = []
    for root in roots:
        for folder in (root, *sorted(root.glob("*")), *sorted(root.glob("*/*"))):
            if len(found) >= most:
                return found
            if _holds_tables(folder) and folder not in found:
                found.append(folder)
    return found


def _holds_tables(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(
            entry.name.lower().endswith(_ENDINGS) for entry in folder.iterdir()
        )
    except OSError:  # a folder that may not be listed has no tables for us
        return False


@page(ROOM)
async def show_graph(request: Request, graph_id: str) -> None:
    """The page ``/graphs/{id}``: tables, links, and why each was taken for what it is."""
    platform = Hall.of(request).platform
    record = await ask(platform.graph, graph_id)
    with page_frame(record.name or record.id, ROOM, above=_ABOVE) as top:
        with top:
            target = f"/queries/new?graph={quote(record.id, safe='')}"
            link_button("Write a query", target, icon="edit", look="main")
        _links(record)
        for found in record.graph.tables.values():
            _table(found, record)


def _links(record: GraphRecord) -> None:
    links = record.graph.links
    with card("Links", aside=words.count(len(links), "link")):
        if not links:
            note("No table points to another: a query needs at least one link to look ahead.")
            return
        why = {
            Link.from_json(found["link"]): found.get("reason", "")
            for found in record.reasons.get("links", ())
        }
        with table(("From", "To", "Why")):
            for link in links:
                with html.tr():
                    cell(f"{link.table}.{link.foreign_key}", classes="rc-mono")
                    cell(link.to, classes="rc-mono")
                    cell(str(why.get(link, "")), classes="rc-note")


def _table(found: Table, record: GraphRecord) -> None:
    why = record.reasons.get("tables", {}).get(found.name, {})
    columns = {column["name"]: column for column in why.get("columns", ())}
    with card(found.name, aside=words.count(len(found.columns), "column")):
        with facts():
            fact("Primary key", _because(found.primary_key, why.get("primary_key")))
            fact("Time column", _because(found.time_column, why.get("time_column")))
            if found.end_time_column:
                fact("End time column", found.end_time_column)
        with fold("Columns"), table(("Column", "Type", "Meaning", "Why")):
            for column in found.columns:
                told = columns.get(column.name, {})
                said = "; ".join(
                    str(told[part]) for part in ("dtype_reason", "stype_reason") if told.get(part)
                )
                with html.tr():
                    cell(column.name, classes="rc-mono")
                    cell(column.dtype.value)
                    cell(column.stype.value)
                    cell(said, classes="rc-note")


def _because(column: str | None, reason: object) -> str:
    name = column or "none"
    return f"{name}: {reason}" if reason else name
