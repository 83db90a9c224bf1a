"""The list of predictive queries: what each asks, how good its model is, what it did last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import html
from starlette.requests import Request

from relcast.catalog.records import JobRecord, QueryRecord
from relcast.ui import words
from relcast.ui.asking import ask, keep_fresh, page
from relcast.ui.elements import (
    Live,
    card,
    cell,
    empty,
    link_button,
    pager,
    state_chip,
    table,
    tag,
    time_of,
)
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall
from relcast.ui.results import Headline, headline
from relcast.ui.scoreboard import draw_headline

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "show_queries"]

ROOM = "/queries"
PER_PAGE = 25


@dataclass(frozen=True)
class _Line:
    query: QueryRecord
    headline: Headline | None
    job: JobRecord | None


@dataclass(frozen=True)
class _Sheet:
    lines: tuple[_Line, ...]
    total: int
    number: int
    has_graph: bool


@page(ROOM)
async def show_queries(request: Request, sheet: int = 1) -> None:
    """The page ``/queries``; ``?sheet=2`` is the second one of a long list."""
    platform = Hall.of(request).platform
    found = await ask(_load, platform, sheet)
    with page_frame("Predictive Queries", ROOM) as actions:
        if not found.total:
            _welcome(has_graph=found.has_graph)
            return
        with actions:
            link_button("New query", "/queries/new", icon="add", look="main")
        live = Live()
        live.show(_key(found), lambda: _draw(found))

        async def refresh() -> None:
            now = await ask(_load, platform, sheet)
            live.show(_key(now), lambda: _draw(now))

        keep_fresh(3.0, refresh)


def _load(platform: Platform, sheet: int) -> _Sheet:
    queries = platform.queries()
    first = (max(1, sheet) - 1) * PER_PAGE
    lines = []
    for query in queries[first : first + PER_PAGE]:
        model = platform.model(query.promoted_model_id) if query.promoted_model_id else None
        newest = platform.jobs(query_id=query.id, limit=1).items
        lines.append(
            _Line(query, headline(model.evaluation if model else None), next(iter(newest), None))
        )
    has_graph = bool(queries) or bool(platform.graphs())
    return _Sheet(tuple(lines), len(queries), max(1, sheet), has_graph)


def _key(sheet: _Sheet) -> object:
    return tuple(
        (
            line.query.id,
            line.query.updated_at,
            line.headline,
            line.job and (line.job.id, line.job.state),
        )
        for line in sheet.lines
    )


def _welcome(*, has_graph: bool) -> None:
    if has_graph:
        with empty(
            "insights",
            "No predictive query yet",
            "Write one sentence about the future of your tables. relcast makes the labels, trains "
            "a model, measures it against simple baselines, and scores every entity.",
        ):
            link_button("Write the first query", "/queries/new", icon="edit", look="main")
        return
    with empty(
        "schema",
        "Connect your tables first",
        "A predictive query asks about a graph: tables and the links between them. Connect a "
        "folder of CSV or Parquet files, and relcast proposes keys, times and links.",
    ):
        link_button("Connect a folder", "/graphs/new", icon="folder_open", look="main")


def _draw(sheet: _Sheet) -> None:
    with html.div().classes("rc-stack"):
        with card(flush=True), table(("Query", "Task", "Model", "Last job"), rows=True):
            for line in sheet.lines:
                _row(line)
        total = words.count(sheet.total, "query", "queries")
        pager(ROOM, sheet.number, sheet.total, PER_PAGE, total)


def _row(line: _Line) -> None:
    query, figure, job = line.query, line.headline, line.job
    with html.tr():
        with html.td().style("width: 52%"):
            name = query.name or query.id
            html.a(name, href=f"{ROOM}/{query.id}").classes("rc-row-link")
            html.div(" ".join(query.text.split())).classes("rc-note rc-mono")
        with html.td():
            tag(words.task_name(query.task_type))
        with html.td():
            if figure is None:
                html.span("Not trained yet").classes("rc-note")
            else:
                draw_headline(figure)
        with cell(), html.div().classes("rc-stack rc-stack--tight"):
            if job is None:
                html.span("None").classes("rc-note")
            else:
                with html.div():
                    state_chip(job.state)
                with html.div().classes("rc-note"):
                    html.span(f"{words.kind_name(job.kind)}, ")
                    time_of(job.ended_at or job.started_at or job.created_at)
