"""One job: its stages as they run, its figures as they come, its result, and the way to stop it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import html, ui
from starlette.requests import Request

from relcast.catalog.records import JobEvent, JobKind, JobRecord, JobState
from relcast.core.errors import NotFound
from relcast.jobs.previewing import PredictionPreview
from relcast.ui import words
from relcast.ui.asking import act, action, ask, keep_fresh, page
from relcast.ui.editor import show_faults
from relcast.ui.elements import (
    Live,
    button,
    card,
    dialog,
    error_box,
    fact,
    facts,
    fold,
    link_button,
    note,
    state_chip,
)
from relcast.ui.evaluation import href, model_of, why_of
from relcast.ui.evaluation.certificate import draw_alarm
from relcast.ui.evaluation.reading import trust_of
from relcast.ui.faults import faults_of
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall
from relcast.ui.jobs import elapsed
from relcast.ui.predictions import draw_preview, load_preview
from relcast.ui.results import scores_of
from relcast.ui.scoreboard import ImportancePanel, draw_scores
from relcast.ui.stages import StageList
from relcast.ui.trials import TrialBoard, leaderboard_of, notes_of

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "show_job"]

ROOM = "/jobs"


@dataclass(frozen=True)
class _View:
    job: JobRecord
    query_name: str | None
    query_text: str
    report: Mapping[str, Any] | None
    preview: PredictionPreview | None
    notes: tuple[str, ...] = ()


@page(ROOM)
async def show_job(request: Request, job_id: str) -> None:
    """The page ``/jobs/{id}``."""
    platform = Hall.of(request).platform
    view = await ask(_load, platform, job_id)
    job = view.job
    title = words.kind_name(job.kind)
    if view.query_name:
        title = f"{title} of {view.query_name}"
    with page_frame(title, ROOM, above=Crumb("Jobs", ROOM)) as top:
        with top:
            buttons = Live()
        confirm = _cancel_dialog(platform, job)
        head, outcome = Live(), Live()
        with card("Progress"):
            with html.div().classes("rc-row").style("margin-bottom: 8px"):
                state = Live()
                clock = ui.label().classes("rc-note rc-num")
            stages = StageList()
            waiting = Live()
        board = TrialBoard()
        tail = Live()
        seen = 0

        def show(now: _View, events: list[JobEvent]) -> None:
            nonlocal seen
            seen = max([seen, *(event.seq for event in events)])
            current = now.job
            asked = (current.state, current.cancel_requested, current.keep_best)
            buttons.show(asked, lambda: _buttons(now, confirm))
            head.show(current.state, lambda: _error(now))
            state.show(asked, lambda: _state(current))
            clock.set_text(_clock(current))
            stages.show(current.stages)
            waiting.show(_waiting(current), lambda: _wait_note(current))
            board.take(events)
            board.end(leaderboard_of(now.report), _metric(now), now.notes)
            outcome_key = (current.state, bool(now.report), bool(now.preview))
            outcome.show(outcome_key, lambda: _outcome(now))
            tail.show((current.state, current.started_at), lambda: _facts(now))

        async def refresh() -> None:
            now = await ask(_load, platform, job_id)
            show(now, await ask(platform.events, job_id, seen))
            if now.job.state.is_terminal:
                timer.deactivate()

        show(view, await ask(platform.events, job_id))
        timer = keep_fresh(1.0, refresh)
        timer.active = not job.state.is_terminal


def _load(platform: Platform, job_id: str) -> _View:
    job = platform.job(job_id)
    name, text = None, ""
    if job.query_id:
        try:
            query = platform.query(job.query_id)
            name, text = query.name or query.id, query.text
        except NotFound:  # deleted since; the job stays readable
            name = None
    report, preview, notes = None, None, tuple[str, ...]()
    if job.state is JobState.DONE:
        if job.kind is JobKind.training and (model := model_of(job)):
            record = platform.model(model)
            report, notes = record.evaluation, tuple(notes_of(record.lineage))
        if job.kind is JobKind.prediction:
            preview = load_preview(platform, job.id, 20)
    return _View(job, name, text, report, preview, notes)


def _metric(view: _View) -> str:
    return str((view.report or {}).get("tune_metric", ""))


def _buttons(view: _View, confirm: Callable[[], object]) -> None:
    job = view.job
    with html.div().classes("rc-actions"):
        if job.query_id and view.query_name:
            link_button("The query", f"/queries/{job.query_id}", icon="insights")
        if job.kind is JobKind.prediction and job.state is JobState.DONE:
            link_button(
                "Download CSV", f"/downloads/{job.id}/predictions.csv", icon="download", look="main"
            )
            link_button("Parquet", f"/downloads/{job.id}/predictions.parquet", icon="download")
        if job.kind is JobKind.training and job.state is JobState.DONE:
            link_button("Holdout", f"/downloads/{job.id}/holdout.parquet", icon="download")
        if not job.state.is_terminal:
            stop = button("Cancel", confirm, icon="stop_circle", look="danger")
            if job.cancel_requested and not job.keep_best:  # what publishes can still be cancelled
                stop.props["disabled"] = True


def _cancel_dialog(platform: Platform, job: JobRecord) -> Callable[[], object]:
    trains = job.kind is JobKind.training
    with dialog("Cancel this job?") as box:
        html.p(
            "The work stops within seconds and is not kept. Earlier models and predictions stay as "
            "they are."
        ).classes("rc-sub")
        if trains:
            html.p(
                "Or it stops where it is and publishes the best model that it has by then. The "
                "query predicts with it only where it has no other yet."
            ).classes("rc-sub")

        @action
        async def cancel() -> None:
            box.close()
            await act(platform, "job.cancel", job.id, platform.cancel, job.id, keep_best=False)

        @action
        async def keep() -> None:
            box.close()
            await act(platform, "job.cancel", job.id, platform.cancel, job.id, keep_best=True)

        with html.div().classes("rc-dialog-foot"):
            button("Let it run", box.close)
            if trains:
                button("Stop and keep the best", keep)
            button("Cancel the job", cancel, look="danger")
    return box.open


def _state(job: JobRecord) -> None:
    state_chip(job.state)
    if job.cancel_requested and not job.state.is_terminal:
        note(
            "Stopping; the best so far is being published."
            if job.keep_best
            else "Cancelling, the work is being stopped."
        )
    elif (job.result or {}).get("stopped_early"):
        note("Stopped early: the best by then was published.")


def _clock(job: JobRecord) -> str:
    seconds = elapsed(job)
    if seconds is None:
        return "not started"
    if job.ended_at:
        return f"took {words.duration(seconds)}"
    between = not any(stage.state is JobState.RUNNING for stage in job.stages)
    said = ", starting the next stage" if between else ""
    return f"running for {words.duration(seconds)}{said}"


def _waiting(job: JobRecord) -> tuple[bool, int | None]:
    return (not job.stages or job.started_at is None, job.position)


def _wait_note(job: JobRecord) -> None:
    if job.started_at is not None or job.state.is_terminal:
        return
    if job.state is JobState.NOT_STARTED:
        note("Waits for another job that it needs.")
    elif job.position is not None:
        note(f"Number {job.position} in the queue.")
    else:
        note("Waits for a worker.")


def _error(view: _View) -> None:
    error = view.job.error
    if view.job.state is JobState.CANCELLED:
        error_box("This job was cancelled.", "Nothing of it was kept.", tone="warn")
    if view.job.state is not JobState.FAILED:
        return
    found = error or {}
    faults = [fault for fault in faults_of(found) if fault.position]
    text = str(view.job.config.get("query") or view.query_text)
    if faults and text:
        with card("The query does not fit", aside=str(found.get("code") or "")):
            show_faults(text, faults)
        return
    error_box(
        str(found.get("message") or "The job failed"),
        str(found.get("hint") or ""),
        str(found.get("code") or ""),
    )


def _outcome(view: _View) -> None:
    warnings = _warnings(view.job)
    if warnings:
        with card("What may disappoint"), html.div().classes("rc-stack rc-stack--tight"):
            for warning in warnings:
                error_box(warning, tone="warn")
    draw_alarm(trust_of(view.report))
    scores = scores_of(view.report)
    if scores is not None:
        with html.div().classes("rc-grid"):
            with card("Result"):
                draw_scores(scores)
                if model := model_of(view.job):
                    with html.div().classes("rc-actions").style("margin-top: 16px"):
                        link_button("Evaluation", href(model), icon="query_stats")
                        link_button("Explain a prediction", href(model, "explain"), icon="help")
            ImportancePanel(view.report)
    if view.preview is not None:
        count = (view.job.result or {}).get("num_entities")
        rows = words.count(count, "row") if isinstance(count, int) else ""
        with card("First predictions", aside=rows, flush=True):
            draw_preview(view.preview, why=why_of(model_of(view.job)))


def _warnings(job: JobRecord) -> list[str]:
    """Return what an ingestion says of its tables, and a training table of its rows."""
    report = (job.result or {}).get("report") or {}
    if job.kind is JobKind.ingest:
        tables = report.get("tables") or {}
        return [str(w) for table in tables.values() for w in table.get("warnings", ())]
    if job.kind is JobKind.training_table:
        return [str(w) for w in report.get("warnings", ())]
    return []


def _facts(view: _View) -> None:
    job = view.job
    with card("Details"), facts():
        fact("Job", job.id).classes("rc-mono")
        for name, moment in (
            ("Created", job.created_at),
            ("Started", job.started_at),
            ("Ended", job.ended_at),
        ):
            fact(name, words.moment(moment))
        if job.attempts > 1:
            fact("Attempts", str(job.attempts))
        for parent in job.parents:
            with fact("Needs"):
                html.a(parent, href=f"{ROOM}/{parent}").classes("rc-mono")
        anchor = job.config.get("anchor") or job.config.get("anchor_time")
        if anchor:
            fact("Anchor time", str(anchor))
        for name, value in job.tags.items():
            fact(f"Tag {name}", value)
        if view.query_text:
            with fact("Query"), fold("The sentence"):
                html.pre(view.query_text).classes("rc-pql")
