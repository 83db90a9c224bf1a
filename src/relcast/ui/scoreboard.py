"""Metrics beside baselines, curves and importance, drawn with nothing but boxes and lines."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import html, ui

from relcast.ui import words
from relcast.ui.elements import cell, error_box, fold, note, table
from relcast.ui.results import Importance, Rival, Scores

__all__ = ["draw_curve", "draw_importance", "draw_scores"]

_SHOWN = 6  # metrics that fit a table before it gets wide; the others are folded


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
    shown = scores.metrics[: _SHOWN * 2]
    heads = ["", *(f">{words.metric_name(m)}" for m in shown)]
    best = {metric: scores.winner(metric) for metric in shown}
    with table(heads):
        for rival in scores.rivals:
            with html.tr():
                cell(rival.name, classes="rc-strong" if rival.is_model else "")
                for metric in shown:
                    figure = cell(_figure(rival, metric), right=True)
                    if best[metric] == rival.name:
                        figure.classes("rc-strong").props["title"] = "The best of this column"


def _figure(rival: Rival, metric: str) -> str:
    return words.number(rival.value(metric))


def draw_importance(lines: Sequence[Importance]) -> None:
    """Draw each line's share of all importance, its name above its bar: names are sentences."""
    longest = max((line.share for line in lines), default=1.0) or 1.0
    with html.div().classes("rc-shares"):
        for line in lines:
            html.span(line.name).classes("rc-label")
            with html.div().classes("rc-bar rc-bar--main"):
                html.span().style(f"width: {100 * line.share / longest:.2f}%")
            html.span(f"{100 * line.share:.1f} %").classes("rc-right")


def draw_curve(points: Sequence[tuple[float, float]], label: str, unit: str) -> None:
    """Draw a line through (x, y); the axes are named by their ends. Two points or more."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    width, height = 600.0, 150.0
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    dx, dy = (right - left) or 1.0, (top - bottom) or 1.0
    path = " ".join(
        f"{(x - left) / dx * width:.1f},{height - (y - bottom) / dy * height:.1f}"
        for x, y in points
    )
    with html.figure():
        with html.svg(
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            preserveAspectRatio="none",
            role="img",
            **{"aria-label": f"{label}: from {ys[0]:.4g} to {ys[-1]:.4g}"},
        ).classes("rc-curve"):
            for level in (0.0, height / 2, height):
                line = {"x1": 0, "x2": width, "y1": level, "y2": level}
                ui.element("line").props.update(line)
            ui.element("polyline").props["points"] = path
        with html.div().classes("rc-axis"):
            html.span(f"{unit} {words.amount(left)}")
            html.span(f"{label} {words.number(bottom)} to {words.number(top)}")
            html.span(f"{unit} {words.amount(right)}")
