"""One predictive query: what it asks, how good its model is, what it said last, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui import html, ui
from starlette.requests import Request

from relcast.catalog.records import JobKind, JobRecord, JobState, ModelRecord, QueryRecord
from relcast.core.errors import Fault, NotFound, PqlError
from relcast.jobs.previewing import PredictionPreview
from relcast.ui import words
from relcast.ui.asked_prediction import prediction_dialog
from relcast.ui.asking import act, action, api_base, ask, keep_fresh, page
from relcast.ui.editor import show_faults
from relcast.ui.elements import (
    Live,
    button,
    card,
    cell,
    code_line,
    fact,
    facts,
    fold,
    link_button,
    note,
    state_chip,
    table,
    tag,
    time_of,
)
from relcast.ui.evaluation import href, model_of, why_of
from relcast.ui.evaluation.certificate import draw_alarm
from relcast.ui.evaluation.reading import trust_of
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall
from relcast.ui.jobs import elapsed
from relcast.ui.new_query import look_at
from relcast.ui.predictions import draw_preview, load_preview
from relcast.ui.results import scores_of
from relcast.ui.scoreboard import ImportancePanel, draw_scores
from relcast.ui.training_table import TrainingTablePanel

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "show_query"]

ROOM = "/queries"


@dataclass(frozen=True)
class _View:
    query: QueryRecord
    said: str
    faults: tuple[Fault, ...]
    graph_name: str
    tables: int
    model: ModelRecord | None = None
    jobs: tuple[JobRecord, ...] = ()
    prediction: JobRecord | None = None
    preview: PredictionPreview | None = None


@page(ROOM)
async def show_query(request: Request, query_id: str) -> None:
    """The page ``/queries/{id}``."""
    platform = Hall.of(request).platform
    view = await ask(_load, platform, query_id)
    query = view.query
    with page_frame(query.name or query.id, ROOM, above=Crumb("Predictive Queries", ROOM)) as top:
        with top:
            _actions(platform, view, prediction_dialog(platform, query, lambda: view.model))
        _question(view)
        results, predictions = Live(), Live()
        if not view.faults:
            panel = TrainingTablePanel(platform)
            panel.about(query.text, query.graph_id, query.plan.get("table"))
        jobs = Live()
        with card("From a script"):
            _commands(query, api_base(request))

        def show(now: _View) -> None:
            results.show(now.model and now.model.id, lambda: _model(now.model))
            predictions.show(
                now.prediction and now.prediction.id,
                lambda: _predictions(now.prediction, now.preview),
            )
            jobs.show(tuple((j.id, j.state) for j in now.jobs), lambda: _jobs(now.jobs, query.id))

        async def refresh() -> None:
            nonlocal view
            view = await ask(_renew, platform, view)
            show(view)

        show(view)
        keep_fresh(2.0, refresh)


def _load(platform: Platform, query_id: str) -> _View:
    query = platform.query(query_id)
    said, faults = "", tuple[Fault, ...]()
    try:
        said = look_at(platform, query.text, query.graph_id, query.plan.get("table")).sentence
    except PqlError as error:  # the graph's rules may have become stricter since it was saved
        faults = error.faults
    try:
        graph = platform.graph(query.graph_id)
        graph_name, tables = graph.name or graph.id, len(graph.graph.tables)
    except NotFound:
        graph_name, tables = query.graph_id, 0
    return _renew(platform, _View(query, said, faults, graph_name, tables))


def _renew(platform: Platform, view: _View) -> _View:
    """Ask again for what moves; what is known already is not read again."""
    query = platform.query(view.query.id)
    done = platform.jobs(JobKind.prediction, JobState.DONE, query.id, limit=1).items
    prediction, preview = view.prediction, view.preview
    if done and (prediction is None or prediction.id != done[0].id):
        prediction, preview = done[0], load_preview(platform, done[0].id)
    model = view.model
    if query.promoted_model_id is None:
        model = None
    elif model is None or model.id != query.promoted_model_id:
        model = platform.model(query.promoted_model_id)
    return replace(
        view,
        model=model,
        jobs=tuple(platform.jobs(query_id=query.id, limit=5).items),
        prediction=prediction,
        preview=preview,
    )


def _actions(platform: Platform, view: _View, ask_prediction: Callable[[], object]) -> None:
    @action
    async def retrain() -> None:
        again.props["disabled"] = True  # a second click is not a second job
        try:
            job = await act(
                platform, "query.retrain", view.query.id, platform.retrain, view.query.id
            )
        except BaseException:
            again.props.pop("disabled", None)
            again.update()
            raise
        ui.navigate.to(f"/jobs/{job.id}")

    again = button("Retrain query", retrain, icon="model_training")
    button("New Batch Prediction", ask_prediction, icon="online_prediction", look="main")


def _question(view: _View) -> None:
    query = view.query
    with card(), html.div().classes("rc-stack"):
        if view.said:
            html.p(view.said).classes("rc-said")
        html.pre(query.text).classes("rc-pql")
        if view.faults:
            show_faults(query.text, view.faults)
        with html.div().classes("rc-row"):
            tag(words.task_name(query.task_type))
            tag(f"{view.graph_name}, {words.count(view.tables, 'table')}")
            if query.description:
                note(query.description)


def _model(model: ModelRecord | None) -> None:
    if model is None:
        with card("Model"):
            html.p(
                "Not trained yet. Retrain query reads the tables, makes the training table, fits a "
                "model and measures it against simple baselines."
            ).classes("rc-sub")
        return
    scores = scores_of(model.evaluation)
    draw_alarm(trust_of(model.evaluation))
    with html.div().classes("rc-grid"):
        with card("Model", aside=f"trained {words.ago(model.created_at)}"):
            if scores is None:
                note("This model has no evaluation.")
            else:
                draw_scores(scores)
            with html.div().classes("rc-actions").style("margin-top: 16px"):
                link_button("Evaluation", href(model.id), icon="query_stats")
                link_button("Explain a prediction", href(model.id, "explain"), icon="help")
        ImportancePanel(model.evaluation)


def _predictions(job: JobRecord | None, preview: PredictionPreview | None) -> None:
    if job is None or preview is None:
        with card("Newest predictions"):
            html.p(
                "None yet. New Batch Prediction scores every entity with the promoted model."
            ).classes("rc-sub")
        return
    rows = (job.result or {}).get("num_entities")
    with card(flush=True):
        with html.div().classes("rc-card-head"):
            html.h2("Newest predictions")
            with html.div().classes("rc-actions"):
                if isinstance(rows, int):
                    note(f"{words.count(rows, 'row')}, {words.ago(job.ended_at)}")
                link_button("CSV", f"/downloads/{job.id}/predictions.csv", look="small")
                link_button("Parquet", f"/downloads/{job.id}/predictions.parquet", look="small")
                link_button("The job", f"/jobs/{job.id}", look="small")
        draw_preview(preview, why=why_of(model_of(job)))


def _jobs(jobs: tuple[JobRecord, ...], query_id: str) -> None:
    with card(flush=True):
        with html.div().classes("rc-card-head"):
            html.h2("Newest jobs")
            html.a("All jobs of this query", href=f"/jobs?query={quote(query_id)}")
        if not jobs:
            with html.div().style("padding: 0 24px 20px"):
                note("None yet.")
            return
        with table(("Job", "State", "Started", ">Took"), rows=True):
            for job in jobs:
                with html.tr():
                    with html.td():
                        link = html.a(words.kind_name(job.kind), href=f"/jobs/{job.id}")
                        link.classes("rc-row-link")
                    with html.td():
                        state_chip(job.state)
                    with html.td():
                        time_of(job.started_at or job.created_at)
                    cell(words.duration(elapsed(job)), right=True)


def _commands(query: QueryRecord, base: str) -> None:
    root = f"{base}/api/v1/predictive_queries/{quote(query.id, safe='')}"
    key = '-H "X-API-Key: $RELCAST_API_KEY"'
    steps = (
        ("Retrain", f"curl -X POST {key} {shlex.quote(f'{root}/retrain')}"),
        ("New batch prediction", f"curl -X POST {key} {shlex.quote(f'{root}/predict')}"),
        ("Where the training is", f"curl {key} {shlex.quote(f'{root}/training_status')}"),
        ("Where the prediction is", f"curl {key} {shlex.quote(f'{root}/prediction_status')}"),
    )
    with html.div().classes("rc-stack"):
        with html.p().classes("rc-note"):
            html.span("The same from a shell; the key comes from ")
            html.a("Admin", href="/admin")
            html.span(".")
        for name, line in steps[:2]:
            with html.div().classes("rc-field"):
                html.span(name).classes("rc-label")
                code_line(line)
        with fold("Status and ids"), html.div().classes("rc-stack"):
            for name, line in steps[2:]:
                with html.div().classes("rc-field"):
                    html.span(name).classes("rc-label")
                    code_line(line)
            with facts():
                fact("Query", query.id).classes("rc-mono")
                fact("Graph", query.graph_id).classes("rc-mono")
                fact("Created", words.moment(query.created_at))
