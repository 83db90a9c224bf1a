"""The first entities of a batch prediction: their scores, items or forecasts, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nicegui import html, ui

from relcast.core.errors import NotFound
from relcast.jobs.previewing import PredictionPreview
from relcast.ui import words
from relcast.ui.elements import cell, fold, table

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Scored", "Why", "draw_preview", "load_preview", "quantiles_of", "scored_of"]

Why = Callable[["Scored"], str]
"""The URL of the page that says why an entity got its score."""

_MOST_ROWS = 400
_ITEMS = 10
_HEADS = ("ENTITY", "TIMESTAMP", "ANCHOR_TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Scored:
    """An entity of a batch prediction: one row of the file, or several in a row.

    Attributes:
        key: The entity's primary key.
        anchor: When it was asked, naive UTC; None for a static query.
        rows: Its rows by column: one, one for each class or item (best first), or for each step.
        reasons: Why, strongest first; empty where none were written.
    """

    key: Any
    anchor: datetime | None
    rows: tuple[Mapping[str, Any], ...]
    reasons: tuple[Mapping[str, Any], ...] = ()

    @property
    def anchor_text(self) -> str:
        """The anchor as a URL carries it."""
        return "" if self.anchor is None else self.anchor.replace(tzinfo=UTC).isoformat()


def load_preview(platform: Platform, job_id: str, entities: int = 8) -> PredictionPreview | None:
    """Read the first entities of a finished prediction; None when its files are gone."""
    try:
        found = platform.prediction_preview(job_id, entities)
        if found.rows_per_entity > 1:
            rows = min(_MOST_ROWS, entities * found.rows_per_entity)
            found = platform.prediction_preview(job_id, rows)
    except NotFound:
        return None
    return found


def scored_of(preview: PredictionPreview) -> list[Scored]:
    """Put the rows of each entity together, in the order of the file.

    Reasons are given for whole entities in the order of the file; where lists are of different
    lengths they cannot be told apart by place and are left out.
    """
    times = "ANCHOR_TIMESTAMP" if "ANCHOR_TIMESTAMP" in preview.columns else "TIMESTAMP"
    groups: list[list[int]] = []
    named = [dict(zip(preview.columns, row, strict=True)) for row in preview.rows]
    before: object = object()
    for place, row in enumerate(named):
        who = (row.get("ENTITY"), row.get(times))
        if preview.rows_per_entity == 1 and "CLASS" not in row:
            before = object()  # every row is an entity, whatever its key
        if who != before:
            groups.append([])
        groups[-1].append(place)
        before = who
    each = preview.rows_per_entity
    even = all(len(group) == each for group in groups[:-1])
    return [
        Scored(
            key=named[group[0]].get("ENTITY"),
            anchor=_time(named[group[0]].get(times)),
            rows=tuple(named[place] for place in group),
            reasons=preview.reasons[group[0]] if even else (),
        )
        for group in groups
    ]


def quantiles_of(columns: Sequence[str]) -> list[tuple[float, str]]:
    """Return the levels of a prediction's quantile columns, ascending, each with its column."""
    found = []
    for column in columns:
        if column.startswith("q_"):
            try:
                found.append((float(column.removeprefix("q_")), column))
            except ValueError:  # a column of somebody else's
                continue
    return sorted(found)


def draw_preview(preview: PredictionPreview, *, reasons: int = 3, why: Why | None = None) -> None:
    """Draw the entities; a reason that raises the score carries ▲, one that lowers it ▼.

    ``why`` gives each entity a link to its explanation.
    """
    entities = scored_of(preview)
    if "CLASS" in preview.columns:
        show, heads = _ranked, ["Best first"]
    elif "ANCHOR_TIMESTAMP" in preview.columns:
        show, heads = _forecast, ["Forecast"]
    else:
        show, heads = None, [c for c in preview.columns if c not in _HEADS]
    places = {name: _places([row[at] for row in preview.rows]) for at, name in _at(preview)}
    timed = any(one.anchor is not None for one in entities)
    explained = any(one.reasons for one in entities)
    heads = ["ENTITY", *(["Anchor (UTC)"] if timed else []), *heads]
    heads += ["Strongest reasons"] if explained else []
    with table(heads):
        for one in entities:
            with html.tr():
                with html.td().classes("rc-num"):
                    html.div(_text(one.key, 0))
                    if why is not None:
                        link = html.a("Why?", href=why(one))
                        link.props["aria-label"] = f"Why does {one.key} get this score?"
                if timed:
                    cell(_text(one.anchor, 0), classes="rc-num rc-nowrap")
                if show is not None:
                    with html.td():
                        show(one)
                else:
                    for name, value in one.rows[0].items():
                        if name not in _HEADS:
                            cell(_text(value, places[name]), classes="rc-num")
                if explained:
                    with html.td().style("min-width: 260px"):
                        for reason in one.reasons[:reasons]:
                            _reason(reason)


def _at(preview: PredictionPreview) -> list[tuple[int, str]]:
    return list(enumerate(preview.columns))


def _ranked(one: Scored) -> None:
    """Draw classes or items in order, each with its score; a mark where it is said to hold."""
    with html.ol().classes("rc-ranked"):
        for number, row in enumerate(one.rows[:_ITEMS], 1):
            said = row.get("PREDICTED")
            with html.li().classes("rc-strong" if said else ""):
                html.span(f"{number}.").classes("rc-note")
                name = html.span(f"{row['CLASS']}{' ✓' if said else ''}").classes("rc-wrap")
                if said:
                    name.props["title"] = "said to hold"
                html.span(words.number(row.get("SCORE"), 3)).classes("rc-note")
    if len(one.rows) > _ITEMS:
        html.div(f"and {len(one.rows) - _ITEMS:,} more").classes("rc-note")


def _forecast(one: Scored) -> None:
    """Draw a small line over the steps, with the fan where there are quantiles, and the steps."""
    levels = quantiles_of(list(one.rows[0]))
    values = [_number(row.get("TARGET_PRED")) for row in one.rows]
    low = [_number(row[levels[0][1]]) for row in one.rows] if levels else []
    high = [_number(row[levels[-1][1]]) for row in one.rows] if levels else []
    first, last = words.number(values[0], 3), words.number(values[-1], 3)
    _fan(values, low, high, f"{len(values)} steps, from {first} to {last}")
    with fold(f"{first} to {last}"), table(("Step (UTC)", ">Value", *(f">{c}" for _, c in levels))):
        for row, value in zip(one.rows, values, strict=True):
            with html.tr():
                cell(_text(row.get("TIMESTAMP"), 0), classes="rc-nowrap")
                cell(words.number(value), right=True)
                for _, column in levels:
                    cell(words.number(_number(row[column])), right=True)


def _fan(values: list[float], low: list[float], high: list[float], label: str) -> None:
    wide, tall = 120.0, 34.0
    every = [v for v in (*values, *low, *high) if math.isfinite(v)]
    bottom, span = min(every, default=0.0), (max(every, default=1.0) - min(every, default=0.0)) or 1
    step = wide / max(1, len(values) - 1)

    def line(points: list[float], *, back: bool = False) -> str:
        places = [
            f"{k * step:.1f} {tall - (v - bottom) / span * tall:.1f}"
            for k, v in enumerate(points)
            if math.isfinite(v)
        ]
        return "L".join(reversed(places) if back else places)

    with html.svg(
        viewBox=f"0 0 {wide:.0f} {tall:.0f}",
        preserveAspectRatio="none",
        role="img",
        **{"aria-label": label},
    ).classes("rc-fan"):
        if low:
            band = ui.element("path").classes("rc-band rc-look--main")
            band.props["d"] = f"M{line(low)}L{line(high, back=True)}z"
        path = ui.element("path").classes("rc-line rc-look--main")
        path.props["d"] = f"M{line(values)}" + ("h0" if len(values) == 1 else "")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _reason(reason: Mapping[str, Any]) -> None:
    """Draw one feature of one row: its name, its value, and which way it pushed the score."""
    up = float(reason.get("contribution", 0.0)) >= 0
    with html.div().classes("rc-note"):
        mark = html.span("▲ " if up else "▼ ").classes("rc-up" if up else "rc-down")
        mark.props["title"] = "raises the score" if up else "lowers the score"
        html.span(f"{reason.get('feature', '')} = {words.cause(reason.get('value'))}")


def _places(column: Sequence[Any]) -> int:
    """Return the decimals of a whole column, so that its points stand below each other."""
    numbers = [abs(v) for v in column if isinstance(v, float) and math.isfinite(v)]
    return min(6, words.decimals(max(numbers, default=0.0)))


def _time(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _text(value: Any, places: int) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if isinstance(value, float):
        return f"{value:,.{places}f}"
    return "–" if value is None else str(value)
