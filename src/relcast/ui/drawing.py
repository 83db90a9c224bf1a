"""Plots of lines, points, bars and bands on two axes, drawn as SVG, with their figures as a table.

The picture stretches with its card; its words stand beside it as text, so that they never do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from nicegui import html, ui
from nicegui.element import Element

from relcast.ui import words
from relcast.ui.elements import cell, fold, note, table

__all__ = ["Axis", "Plot", "Series", "draw_plot", "draw_table", "percent"]

_WIDTH, _HEIGHT = 600.0, 240.0
_LISTED = 25

Point = tuple[float, float]


def percent(value: float) -> str:
    """Write a share of one: ``0.25`` is ``25 %``."""
    return f"{100 * value:.0f} %"


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour.

    Attributes:
        name: Stands in the legend.
        points: (x, y), in the order in which a line goes.
        kind: ``bars`` and ``stems`` stand on zero, bars as wide as the space between them; a
            ``band`` goes along the points and back along ``back``.
        look: Colour: ``main`` (the model), ``base`` (what it is compared with), ``quiet``, ``a`` to
            ``f`` (one of several), ``up`` and ``down``.
        back: Of a band, the points of its other edge.
        dashed: Whether a line is dashed.
    """

    name: str
    points: Sequence[Point]
    kind: Literal["line", "dots", "stems", "bars", "band"] = "line"
    look: str = "main"
    back: Sequence[Point] = ()
    dashed: bool = False

    @property
    def everything(self) -> Sequence[Point]:
        return [*self.points, *self.back]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its name, how its numbers are written, and its ends where they are not the data's.

    ``ends`` are words in the place of the numbers of its two ends.
    """

    name: str
    low: float | None = None
    high: float | None = None
    form: Callable[[float], str] = words.number
    ends: tuple[str, str] | None = None

    def span(self, values: Sequence[float]) -> tuple[float, float]:
        low = self.low if self.low is not None else min(values)
        high = self.high if self.high is not None else max(values)
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def texts(self, low: float, high: float) -> tuple[str, str]:
        return self.ends or (self.form(low), self.form(high))


class Plot:
    """A drawn plot; ``mark`` moves a point over it."""

    def __init__(self, svg: Element, x: tuple[float, float], y: tuple[float, float]) -> None:
        self._svg, self._x, self._y = svg, x, y
        self._mark: Element | None = None

    def mark(self, x: float | None, y: float | None) -> None:
        """Show one point; None hides it."""
        if self._mark is None:
            with self._svg:
                self._mark = ui.element("path").classes("rc-mark")
        there = x is not None and y is not None
        self._mark.props["d"] = _dot(self.place(x or 0.0, y or 0.0)) if there else ""
        self._mark.update()

    def place(self, x: float, y: float) -> Point:
        return _place((x, y), self._x, self._y)


def draw_plot(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    label: str,
) -> Plot | None:
    """Draw series in one picture; ``label`` says in a sentence what is to be seen.

    Points that are not finite are left out. Returns None, with a note, where none is left.
    """
    kept = [_finite(one) for one in series]
    kept = [one for one in kept if one.points]
    values = [point for one in kept for point in one.everything]
    if not values:
        note(f"{label}: there is nothing to draw.")
        return None
    bottom = [0.0] if any(one.kind == "bars" for one in kept) else []
    across = x.span([p[0] for p in values])
    up = y.span([*(p[1] for p in values), *bottom])
    with html.figure().classes("rc-plot"):
        html.span(y.name).classes("rc-plot-y rc-note")
        with html.div().classes("rc-plot-scale"):
            for text in reversed(y.texts(*up)):
                html.span(text)
        svg = html.svg(
            viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
            preserveAspectRatio="none",
            role="img",
            **{"aria-label": label},
        ).classes("rc-plot-area")
        with svg:
            _lattice(up)
            for one in kept:
                _draw(one, across, up)
        with html.div().classes("rc-plot-foot"):
            first, last = x.texts(*across)
            html.span(first)
            html.span(x.name)
            html.span(last)
        if len(kept) > 1:
            with html.figcaption().classes("rc-legend"):
                for name, look in {one.name: one.look for one in kept}.items():
                    with html.span().classes("rc-legend-item"):
                        html.span().classes(f"rc-swatch rc-look--{look}")
                        html.span(name)
    return Plot(svg, across, up)


def draw_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "As a table"
) -> None:
    """Fold figures below a picture: all of them, or evenly chosen ones where they are many."""
    shown = list(rows)
    if len(rows) > _LISTED:
        step = (len(rows) - 1) / (_LISTED - 1)
        shown = [rows[round(k * step)] for k in range(_LISTED)]
    with fold(title):
        with table(heads):
            for row in shown:
                with html.tr():
                    for head, text in zip(heads, row, strict=True):
                        cell(text, right=head.startswith(">"))
        if len(shown) < len(rows):
            note(f"{len(shown)} of {len(rows):,} points, evenly chosen.")


def _finite(one: Series) -> Series:
    def good(points: Sequence[Point]) -> list[Point]:
        return [p for p in points if all(math.isfinite(v) for v in p)]

    return Series(one.name, good(one.points), one.kind, one.look, good(one.back), one.dashed)


def _place(point: Point, x: tuple[float, float], y: tuple[float, float]) -> Point:
    across = (point[0] - x[0]) / (x[1] - x[0]) * _WIDTH
    down = _HEIGHT - (point[1] - y[0]) / (y[1] - y[0]) * _HEIGHT
    return across, down


def _lattice(y: tuple[float, float]) -> None:
    levels = [0.0, _HEIGHT / 2, _HEIGHT]
    if y[0] < 0 < y[1]:
        levels.append(_place((0.0, 0.0), (0.0, 1.0), y)[1])
    for level in levels:
        line = {"x1": 0, "x2": _WIDTH, "y1": f"{level:.1f}", "y2": f"{level:.1f}"}
        ui.element("line").props.update(line)


def _draw(one: Series, x: tuple[float, float], y: tuple[float, float]) -> None:
    places = [_place(point, x, y) for point in one.points]
    dashed = " rc-dashed" if one.dashed else ""
    shape = ui.element("path").classes(f"rc-{one.kind} rc-look--{one.look}{dashed}")
    if one.kind == "dots" or (one.kind == "line" and len(places) == 1):
        # Round ends of lines without length: dots that stay round however the picture stretches.
        shape.classes(replace=f"rc-dots rc-look--{one.look}")
        shape.props["d"] = "".join(_dot(place) for place in places)
    elif one.kind == "bars":
        shape.props["d"] = _bars(places, _place((0.0, 0.0), x, y)[1])
    elif one.kind == "stems":
        base = _place((0.0, 0.0), x, y)[1]
        shape.classes(replace=f"rc-line rc-look--{one.look}")
        shape.props["d"] = "".join(f"M{a:.1f} {base:.1f}V{down:.1f}" for a, down in places)
    elif one.kind == "band":
        back = [_place(point, x, y) for point in reversed(one.back)]
        shape.props["d"] = _line([*places, *back]) + "z"
    else:
        shape.props["d"] = _line(places)


def _dot(place: Point) -> str:
    return f"M{place[0]:.1f} {place[1]:.1f}h0"


def _line(places: Sequence[Point]) -> str:
    return "M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in places)


def _bars(places: Sequence[Point], base: float) -> str:
    gaps = [b[0] - a[0] for a, b in pairwise(places)]
    wide = max(2.0, 0.86 * min(gaps)) if gaps else _WIDTH * 0.1
    return "".join(
        f"M{across - wide / 2:.1f} {base:.1f}V{down:.1f}h{wide:.1f}V{base:.1f}z"
        for across, down in places
    )
