"""The list of models: each beside its query, with its figure, its task and when it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import html
from starlette.requests import Request

from relcast.catalog.records import ModelRecord, QueryRecord
from relcast.ui import words
from relcast.ui.asking import ask, page
from relcast.ui.elements import card, cell, empty, link_button, pager, table, tag, time_of
from relcast.ui.evaluation import href
from relcast.ui.evaluation.page import ROOM
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall
from relcast.ui.results import headline
from relcast.ui.scoreboard import draw_headline

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["show_models"]

PER_PAGE = 25


@dataclass(frozen=True)
class _Sheet:
    models: tuple[ModelRecord, ...]
    queries: dict[str, QueryRecord]
    total: int
    number: int


@page(ROOM)
async def show_models(request: Request, sheet: int = 1) -> None:
    """The page ``/models``; ``?sheet=2`` is the second one of a long list."""
    found = await ask(_load, Hall.of(request).platform, sheet)
    with page_frame("Models", ROOM):
        if not found.total:
            _welcome(has_query=bool(found.queries))
            return
        with html.div().classes("rc-stack"):
            with card(flush=True), table(("Query", "Task", "Figure", "Trained"), rows=True):
                for model in found.models:
                    _row(model, found.queries.get(model.query_id))
            total = words.count(found.total, "model")
            pager(ROOM, found.number, found.total, PER_PAGE, total)


def _load(platform: Platform, sheet: int) -> _Sheet:
    number = max(1, sheet)
    models = platform.models(limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    queries = {query.id: query for query in platform.queries()}
    return _Sheet(tuple(models), queries, platform.count_models(), number)


def _welcome(*, has_query: bool) -> None:
    with empty(
        "query_stats",
        "No model yet",
        "A model is what a training of a predictive query makes. It is measured against simple "
        "baselines, looked through for leaks, and stands here with its figure from then on.",
    ):
        if has_query:
            link_button("Train a query", "/queries", icon="model_training", look="main")
        else:
            link_button("Write the first query", "/queries/new", icon="edit", look="main")


def _row(model: ModelRecord, query: QueryRecord | None) -> None:
    """Draw a model; of a query that was deleted since, the text that it was trained for."""
    asked = str(model.lineage.get("query") or (query.text if query is not None else ""))
    with html.tr():
        with html.td().style("width: 52%"):
            name = model.query_id if query is None else query.name or query.id
            html.a(name, href=href(model.id)).classes("rc-row-link")
            html.div(" ".join(asked.split())).classes("rc-note rc-mono")
        with html.td():
            tag(words.task_name(model.task_type))
        with html.td():
            figure = headline(model.evaluation)
            if figure is None:
                html.span("Not evaluated").classes("rc-note")
            else:
                draw_headline(figure)
        with cell(), html.div().classes("rc-stack rc-stack--tight"):
            with html.div().classes("rc-nowrap"):
                time_of(model.created_at)
            if model.promoted:
                html.div("predicts for its query").classes("rc-note")
            elif query is None:
                html.div("its query was deleted").classes("rc-note")
