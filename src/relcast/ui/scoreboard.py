"""Metrics beside baselines, and importance, drawn with nothing but boxes and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import html, ui
from nicegui.element import Element

from relcast.ui import words
from relcast.ui.elements import Live, card, cell, error_box, fold, note, table
from relcast.ui.results import Headline, Importance, Scores, importance

__all__ = ["ImportancePanel", "draw_headline", "draw_importance", "draw_scores"]

_TOP = 12
_BY = {"features": "Feature", "columns": "Column", "tables": "Table", "windows": "Window"}


class ImportancePanel:
    """What matters, by feature, column, table or window; empty for a model that has none."""

    def __init__(self, report: Mapping[str, Any] | None) -> None:
        found = {by: importance(report, by, _TOP) for by in _BY}
        self._lines = {by: lines for by, lines in found.items() if lines}
        if not self._lines:
            return
        self._buttons: dict[str, Element] = {}
        with card("What matters most", aside="share of all importance"):
            with html.div(role="group", **{"aria-label": "Importance by"}).classes("rc-filters"):
                for by in self._lines:
                    made = html.button(_BY[by], type="button").classes("rc-filter")
                    self._buttons[by] = made.on("click", lambda by=by: self._turn(by), [])
            self._live = Live()
        self._turn(next(iter(self._lines)))

    def _turn(self, by: str) -> None:
        for name, made in self._buttons.items():
            made.props["aria-pressed"] = "true" if name == by else "false"
            made.update()
        self._live.show(by, lambda: draw_importance(self._lines[by]))


def draw_scores(scores: Scores) -> None:
    """Draw the headline with its interval, a bar for every rival, and the table of all metrics."""
    value, low, high = scores.model.metrics.get(scores.metric, (None, None, None))
    with html.div().classes("rc-stack"):
        with html.div():
            with html.div().classes("rc-headline"):
                html.span(words.number(value)).classes("rc-headline-value")
                html.span(_title(scores)).classes("rc-strong")
                if low is not None and high is not None:
                    interval = f"95 % interval {words.number(low)} to {words.number(high)}"
                    html.span(interval).classes("rc-note")
            if scores.verdict:
                html.p(scores.verdict).classes("rc-sub")
            if scores.chosen:
                html.p(scores.chosen).classes("rc-note rc-chosen")
        _bars(scores)
        for warning in scores.warnings:
            error_box(warning, tone="warn")
        with fold("All metrics"):
            _table(scores)
        note(_footing(scores))


def _title(scores: Scores) -> str:
    way = "smaller is better" if scores.smaller_is_better else "larger is better"
    return f"{words.metric_name(scores.metric)} on {scores.split}, {way}"


def _footing(scores: Scores) -> str:
    rows = "" if scores.rows is None else f"{words.count(scores.rows, 'row')} of {scores.split}. "
    regime = {
        "rolling": "Rolling: each example sees everything up to its own anchor time.",
        "frozen": "Frozen: no example sees anything after the start of its split.",
    }.get(scores.regime, "")
    return f"{rows}{regime}".strip()


def _bars(scores: Scores) -> None:
    with html.div().classes("rc-bars"):
        for rival in scores.rivals:
            bold = " rc-strong" if rival.is_model else ""
            html.span(rival.name).classes(f"rc-label{bold}")
            kind = " rc-bar--main" if rival.is_model else ""
            with html.div().classes(f"rc-bar{kind}"):
                html.span().style(f"width: {100 * scores.share(rival):.2f}%")
            html.span(words.number(rival.value(scores.metric))).classes(f"rc-right{bold}")


def _table(scores: Scores) -> None:
    heads = ["Metric", *(f">{rival.name}" for rival in scores.rivals)]
    with table(heads):
        for metric in scores.metrics:
            best = scores.winner(metric)
            with html.tr():
                cell(words.metric_name(metric))
                for rival in scores.rivals:
                    figure = cell(words.number(rival.value(metric)), right=True)
                    _, low, high = rival.metrics.get(metric, (None, None, None))
                    said = []
                    if low is not None and high is not None:
                        said.append(f"95 % interval {words.number(low)} to {words.number(high)}")
                    if best == rival.name:
                        figure.classes("rc-strong")
                        said.append("the best of this row")
                    if said:
                        figure.props["title"] = "; ".join(said)


def draw_importance(lines: Sequence[Importance]) -> None:
    """Draw each line's share of all importance, its name above its bar: names are sentences."""
    longest = max((line.share for line in lines), default=1.0) or 1.0
    with html.div().classes("rc-shares"):
        for line in lines:
            html.span(line.name).classes("rc-label")
            with html.div().classes("rc-bar rc-bar--main"):
                html.span().style(f"width: {100 * line.share / longest:.2f}%")
            html.span(f"{100 * line.share:.1f} %").classes("rc-right")


def draw_headline(figure: Headline) -> None:
    """Draw one figure of a list, whether it is better than the best baseline, and that one."""
    with html.div().classes("rc-nowrap"):
        value = html.span(f"{words.metric_name(figure.metric)} {words.number(figure.value)}")
        value.classes("rc-strong rc-num")
        if figure.beats is not None:
            mark = ui.icon("check_circle" if figure.beats else "cancel")
            mark.classes("rc-up" if figure.beats else "rc-down").style("margin-left: 6px")
            mark.props["aria-label"] = (
                "better than the best baseline" if figure.beats else "no better than the baseline"
            )
            mark.props["role"] = "img"
    if figure.baseline is not None:
        html.div(f"best baseline {words.number(figure.baseline)}").classes("rc-note rc-num")
