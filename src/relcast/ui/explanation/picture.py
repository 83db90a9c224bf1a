"""An explanation drawn: signed bars, rows on a time axis, their cells, and what would be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nicegui import html

from relcast.ui import words
from relcast.ui.drawing import Axis, Series, draw_plot
from relcast.ui.elements import card, cell, note, table
from relcast.ui.explanation.reading import Force, Near, Told

__all__ = ["draw_told"]


def draw_told(told: Told) -> None:
    """Draw the prediction, its reasons, the rows behind it, and what would be without them."""
    with card(), html.div().classes("rc-stack rc-stack--tight"):
        with html.div().classes("rc-headline"):
            html.span(words.number(told.prediction)).classes("rc-headline-value rc-told")
            html.span(_what(told)).classes("rc-strong rc-wrap")
        html.p(told.summary).classes("rc-sub rc-summary")
        if told.instead:
            with html.ul().classes("rc-said-list"):
                for sentence in told.instead:
                    html.li(sentence)
    with card("What pushed it", aside="▲ raises, ▼ lowers"):
        _forces(told)
    if told.rows:
        with card("The rows behind it", aside="effect: with the row less without it"):
            _axis(told)
        for name, rows in told.tables.items():
            with card(f"Rows of {name}", aside=words.count(len(rows), "row"), flush=True):
                _cells(rows)


def _what(told: Told) -> str:
    of = f" of {told.output}" if told.output else ""
    at = f" at {told.anchor}" if told.anchor else ""
    return f"prediction{of} for {told.entity}{at}"


def _forces(told: Told) -> None:
    with html.div().classes("rc-forces"):
        for force in told.forces:
            html.span(f"{force.name} = {force.value}").classes("rc-label")
            _bar(force)
            html.span(_signed(force.contribution)).classes("rc-right")
    note(
        f"On the model's own scale: it starts from {words.number(told.base)}, everything that is "
        f"not listed adds {_signed(told.rest)[2:]}, and it ends at {words.number(told.raw)}."
    )


def _bar(force: Force) -> None:
    up = force.contribution >= 0
    said = "raises" if up else "lowers"
    with html.div(
        role="img", **{"aria-label": f"{said} it by {abs(force.contribution):.3g}"}
    ).classes("rc-force"):
        wide = 50 * abs(force.share)
        left = 50.0 if up else 50.0 - wide
        side = html.span().classes(f"rc-look--{'up' if up else 'down'}")
        side.style(f"left: {left:.2f}%; width: {wide:.2f}%")


def _signed(value: float) -> str:
    return f"{'▲' if value >= 0 else '▼'} {value:+.3g}"


def _axis(told: Told) -> None:
    """Draw every row with a time as a stem: up where it raises, down where it lowers."""
    timed = [(row.time, row) for row in told.rows if row.time is not None]
    if not timed:
        note("These rows have no time.")
        return
    times = [time for time, _ in timed]
    end = told.moment or max(times)
    series = []
    for look, name, sign in (("up", "raises it", 1), ("down", "lowers it", -1)):
        stems = [(t.timestamp(), r.effect) for t, r in timed if r.effect * sign > 0]
        series.append(Series(name, stems, "stems", look=look))
        series.append(Series(name, stems, "dots", look=look))
    still = [(t.timestamp(), 0.0) for t, r in timed if r.effect == 0]
    series.append(Series("changes nothing", still, "dots", look="quiet"))
    most = max(abs(r.effect) for _, r in timed) or 1.0
    draw_plot(
        series,
        x=Axis(
            "time (UTC)",
            min(times).timestamp(),
            end.timestamp(),
            ends=(_day(min(times)), f"{_day(end)}{' (anchor)' if told.moment else ''}"),
        ),
        y=Axis("effect on the prediction", -most, most),
        label=f"{len(timed)} rows by time, each with its effect on the prediction",
    )
    if len(timed) < len(told.rows):
        note(f"{len(told.rows) - len(timed)} rows without time stand in the tables only.")


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _cells(rows: Sequence[Near]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row.cells))
    timed = any(row.time is not None for row in rows)
    with table((*(("When (UTC)",) if timed else ()), ">Effect", *names)):
        for row in rows:
            with html.tr():
                if timed:
                    cell("–" if row.time is None else _moment(row.time), classes="rc-nowrap")
                kind = "rc-up" if row.effect > 0 else "rc-down" if row.effect < 0 else ""
                cell(_signed(row.effect) if row.effect else "0", right=True, classes=kind)
                for name in names:
                    cell(words.cause(row.cells.get(name)), classes="rc-num")


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
