"""Where a model is good: its metric over time and by cohort, and prediction beside target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import html

from relcast.ui import words
from relcast.ui.drawing import Axis, Series, draw_plot, draw_table
from relcast.ui.elements import card, cell, fold, note, table
from relcast.ui.evaluation.reading import Cohort, Grouped, Span, groups_of, spans_of
from relcast.ui.results import is_smaller_better

__all__ = ["draw_cohorts", "draw_groups"]

_SHOWN = 6


def draw_groups(curves: Mapping[str, Any]) -> None:
    """Draw the tune metric of a split over time and by cohort, model beside baseline."""
    metric, baseline = str(curves.get("metric") or ""), str(curves.get("baseline") or "baseline")
    spans, grouped = spans_of(curves), groups_of(curves)
    if spans:
        with card("Over time", aside=f"{words.metric_name(metric)} by anchor"):
            _over_time(spans, metric, baseline)
    if grouped:
        with (
            card("By cohort", aside=_aside(metric), flush=True),
            html.div().classes("rc-even"),
        ):
            for one in grouped:
                _cohort(one, metric, baseline)


def _aside(metric: str) -> str:
    way = "smaller is better" if is_smaller_better(metric) else "larger is better"
    return f"{words.metric_name(metric)}, {way}"


def _over_time(spans: Sequence[Span], metric: str, baseline: str) -> None:
    if len(spans) > 1:
        places = list(enumerate(spans))
        draw_plot(
            [
                Series("model", [(float(k), s.model) for k, s in places if s.model is not None]),
                Series(
                    baseline,
                    [(float(k), s.baseline) for k, s in places if s.baseline is not None],
                    look="base",
                ),
            ],
            x=Axis("anchor", ends=(spans[0].name, spans[-1].name)),
            y=Axis(_aside(metric)),
            label=f"{words.metric_name(metric)} of model and {baseline} at {len(spans)} anchors",
        )
        rows = [
            (s.name, f"{s.rows:,}", words.number(s.model), words.number(s.baseline)) for s in spans
        ]
        draw_table(("Anchor (UTC)", ">Rows", ">Model", f">{baseline}"), rows)
        return
    one = spans[0]
    note(
        f"One anchor only, {one.name} UTC, with {words.count(one.rows, 'row')}: model "
        f"{words.number(one.model)}, {baseline} {words.number(one.baseline)}."
    )


def _cohort(one: Grouped, metric: str, baseline: str) -> None:
    with table((one.by, ">Rows", ">Model", f">{baseline}", "")):
        for group in one.groups:
            with html.tr():
                cell(group.name)
                cell(f"{group.rows:,}", right=True)
                cell(words.number(group.model), right=True)
                cell(words.number(group.baseline), right=True)
                cell(_which(group, metric), classes="rc-note")


def _which(group: Span, metric: str) -> str:
    if group.model is None or group.baseline is None or group.model == group.baseline:
        return ""
    less = group.model < group.baseline
    return "better" if less == is_smaller_better(metric) else "worse than the baseline"


def draw_cohorts(cohorts: Sequence[Cohort]) -> None:
    """Draw mean prediction beside mean target along features; where they part, it is wrong."""
    if not cohorts:
        return
    with card("Along the entity's features", aside=f"what matters most first; {cohorts[0].of}"):
        note("Mean prediction beside mean target of each group: where the two part, it is wrong.")
        with html.div().classes("rc-grid"):
            for cohort in cohorts[:_SHOWN]:
                _feature(cohort)
        if len(cohorts) > _SHOWN:
            with fold(f"{len(cohorts) - _SHOWN} more"), html.div().classes("rc-grid"):
                for cohort in cohorts[_SHOWN:]:
                    _feature(cohort)


def _feature(cohort: Cohort) -> None:
    with html.div():
        html.h3(cohort.feature).classes("rc-wrap")
        groups = cohort.groups
        draw_plot(
            [
                Series("target", [(float(k), g[3]) for k, g in enumerate(groups)], look="base"),
                Series("prediction", [(float(k), g[2]) for k, g in enumerate(groups)]),
            ],
            x=Axis("value", ends=(groups[0][0], groups[-1][0]) if groups else None),
            y=Axis(cohort.of),
            label=f"Prediction and target along {cohort.feature}, in {len(groups)} groups",
        )
        draw_table(
            ("Value", ">Rows", ">Prediction", ">Target"),
            [(g[0], f"{g[1]:,}", words.number(g[2]), words.number(g[3])) for g in groups],
        )
