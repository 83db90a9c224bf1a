"""The page ``/models/{id}``: a model beside its baselines, its curves, cohorts and certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import html
from starlette.requests import Request

from relcast.catalog.records import ModelRecord
from relcast.core.errors import NotFound
from relcast.core.schema import TaskType
from relcast.ui import words
from relcast.ui.asking import ask, page
from relcast.ui.elements import (
    card,
    cell,
    fact,
    facts,
    link_button,
    note,
    table,
    tag,
    time_of,
)
from relcast.ui.evaluation.binary import draw_binary
from relcast.ui.evaluation.certificate import draw_alarm, draw_trust
from relcast.ui.evaluation.classes import draw_classes, draw_labels
from relcast.ui.evaluation.groups import draw_cohorts, draw_groups
from relcast.ui.evaluation.links import href
from relcast.ui.evaluation.ranking import draw_ranking
from relcast.ui.evaluation.reading import (
    cohorts_of,
    curves_of,
    split_words,
    splits_of,
    trust_of,
)
from relcast.ui.evaluation.values import draw_fan, draw_numbers
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall
from relcast.ui.results import Scores, headline, scores_of
from relcast.ui.scoreboard import ImportancePanel, draw_scores
from relcast.ui.trials import draw_leaderboard, leaderboard_of, notes_of

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "draw_task", "show_model"]

ROOM = "/models"
_QUERIES = "/queries"
_VERSIONS = 10


@dataclass(frozen=True)
class _View:
    model: ModelRecord
    name: str
    alive: bool
    versions: tuple[ModelRecord, ...]


@page(ROOM)
async def show_model(request: Request, model_id: str, split: str | None = None) -> None:
    """The page ``/models/{id}``; ``split`` chooses ``test`` (first) or ``validation``."""
    view = await ask(_load, Hall.of(request).platform, model_id)
    model, report = view.model, view.model.evaluation
    above = Crumb(view.name, f"{_QUERIES}/{model.query_id}" if view.alive else ROOM)
    with page_frame("Evaluation", ROOM, above=above) as top:
        with top:
            _actions(model)
        splits = splits_of(report)
        chosen = split if split in splits else next(iter(splits), "test")
        _head(model, splits, chosen)
        trust = trust_of(report)
        draw_alarm(trust)
        scores = scores_of(report, chosen)
        with html.div().classes("rc-grid"):
            with card("Beside the baselines"):
                if scores is None:
                    note("This model has no evaluation.")
                else:
                    draw_scores(scores)
            with html.div().classes("rc-stack"):
                draw_trust(trust)
                _split(view)
        draw_task(report, model.task_type, chosen, scores)
        draw_groups(curves_of(report, chosen))
        draw_cohorts(cohorts_of(report))
        with html.div().classes("rc-grid"):
            ImportancePanel(report)
            entries = leaderboard_of(report)
            if entries:
                draw_leaderboard(
                    entries, str(report.get("tune_metric", "")), notes_of(model.lineage)
                )
        _versions(view)
        _details(model)


def draw_task(
    report: Mapping[str, Any], task_type: TaskType, split: str, scores: Scores | None
) -> None:
    """Draw the pictures that fit the task type."""
    curves = curves_of(report, split)
    measured = (report.get("model") or {}).get(split) or {}
    if not curves:
        with card("Curves"):
            note("This model was evaluated before there were curves. Retraining makes them.")
        return
    if task_type is TaskType.BINARY_CLASSIFICATION:
        draw_binary(curves)
    elif task_type is TaskType.MULTICLASS_CLASSIFICATION:
        draw_classes(curves, measured.get("per_class") or {})
    elif task_type is TaskType.MULTILABEL_CLASSIFICATION:
        draw_labels(curves, measured.get("per_class") or {})
    elif task_type in (TaskType.REGRESSION, TaskType.FORECASTING):
        draw_fan(curves, measured.get("per_step") or ())
        draw_numbers(curves)
    else:
        draw_ranking(curves, scores)


def _load(platform: Platform, model_id: str) -> _View:
    model = platform.model(model_id)
    try:
        query = platform.query(model.query_id)
    except NotFound:  # deleted since; its models stay readable
        return _View(model, model.query_id, False, (model,))
    return _View(model, query.name or query.id, True, tuple(platform.models(query.id)))


def _actions(model: ModelRecord) -> None:
    link_button("Explain a prediction", href(model.id, "explain"), icon="help", look="main")
    link_button("Holdout CSV", f"/downloads/{model.job_id}/holdout.csv", icon="download")
    link_button("Parquet", f"/downloads/{model.job_id}/holdout.parquet")


def _head(model: ModelRecord, splits: list[str], chosen: str) -> None:
    with html.div().classes("rc-row"):
        tag(words.task_name(model.task_type))
        tag("promoted" if model.promoted else "not promoted")
        with html.span().classes("rc-note"):
            html.span("trained ")
            time_of(model.created_at)
        if len(splits) > 1:
            with html.nav(**{"aria-label": "Split"}).classes("rc-filters"):
                for name in splits:
                    link = html.a(f"On {name}", href=href(model.id, split=name))
                    current = "true" if name == chosen else "false"
                    link.classes("rc-filter").props["aria-current"] = current


def _split(view: _View) -> None:
    sentences = split_words(view.model.evaluation, view.model.lineage)
    if sentences:
        with card("The split"), html.div().classes("rc-stack rc-stack--tight"):
            for sentence in sentences:
                html.p(sentence)


def _versions(view: _View) -> None:
    if len(view.versions) < 2:
        return
    with card("Versions of this model", aside="newest first", flush=True):
        with table(("Trained", "", ">Figure", ">Best baseline"), rows=True):
            for model in view.versions[:_VERSIONS]:
                figure = headline(model.evaluation)
                with html.tr().classes("rc-best" if model.id == view.model.id else ""):
                    with html.td():
                        link = html.a(words.moment(model.created_at), href=href(model.id))
                        link.classes("rc-row-link")
                    here = "this one" if model.id == view.model.id else ""
                    cell(", ".join(filter(None, (here, "promoted" if model.promoted else ""))))
                    cell(
                        ""
                        if figure is None
                        else f"{words.metric_name(figure.metric)} {words.number(figure.value)}",
                        right=True,
                    )
                    cell("" if figure is None else words.number(figure.baseline), right=True)
        if len(view.versions) > _VERSIONS:
            note(f"The newest {_VERSIONS} of {len(view.versions):,}.")


def _details(model: ModelRecord) -> None:
    made = model.lineage.get("model") or {}
    with card("Details"), facts():
        fact("Model", model.id).classes("rc-mono")
        with fact("Training"):
            html.a(model.job_id, href=f"/jobs/{model.job_id}").classes("rc-mono")
        fact("Snapshot", model.snapshot_id).classes("rc-mono")
        if intervals := model.evaluation.get("intervals"):
            fact("Intervals", str(intervals))
        if measured := model.evaluation.get("validation_of"):
            fact("Validation figures of", str(measured))
        if versions := made.get("versions"):
            fact("Made with", ", ".join(f"{name} {v}" for name, v in versions.items()))
        fact("Query", model.lineage.get("query", "")).classes("rc-mono rc-wrap")
