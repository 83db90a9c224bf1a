"""The first rows of a batch prediction, each with its strongest reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import html

from relcast.core.errors import NotFound
from relcast.jobs.previewing import PredictionPreview
from relcast.ui import words
from relcast.ui.elements import cell, table

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["draw_preview", "load_preview"]


def load_preview(platform: Platform, job_id: str, limit: int = 8) -> PredictionPreview | None:
    """Read the head of a finished prediction; None when its files are gone."""
    try:
        return platform.prediction_preview(job_id, limit)
    except NotFound:
        return None


def draw_preview(preview: PredictionPreview, *, reasons: int = 3) -> None:
    """Draw the rows; a reason that raises the score carries ▲, one that lowers it ▼."""
    explained = any(preview.reasons)
    columns = list(zip(*preview.rows, strict=True)) or [() for _ in preview.columns]
    places = [_places(column) for column in columns]
    heads = [_head(n, c) for n, c in zip(preview.columns, columns, strict=True)]
    heads += ["Strongest reasons"] if explained else []
    with table(heads):
        for number, row in enumerate(preview.rows):
            with html.tr():
                for value, digits in zip(row, places, strict=True):
                    cell(_text(value, digits), classes="rc-num")
                if explained:
                    with html.td().style("min-width: 260px"):
                        # Several rows for an entity: its reasons stand at the first.
                        if number % preview.rows_per_entity == 0:
                            for reason in preview.reasons[number][:reasons]:
                                _reason(reason)


def _reason(reason: Mapping[str, Any]) -> None:
    """Draw one feature of one row: its name, its value, and which way it pushed the score."""
    up = float(reason.get("contribution", 0.0)) >= 0
    with html.div().classes("rc-note"):
        mark = html.span("▲ " if up else "▼ ").classes("rc-up" if up else "rc-down")
        mark.props["title"] = "raises the score" if up else "lowers the score"
        html.span(f"{reason.get('feature', '')} = {_cause(reason.get('value'))}")


def _cause(value: Any) -> str:
    # No thousands separators: a year is a value too.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _head(name: str, column: Sequence[Any]) -> str:
    times = any(isinstance(value, datetime) for value in column)
    return f"{name} (UTC)" if times else name


def _places(column: Sequence[Any]) -> int:
    """Return the decimals of a whole column, so that its points stand below each other."""
    numbers = [abs(v) for v in column if isinstance(v, float) and math.isfinite(v)]
    return min(6, words.decimals(max(numbers, default=0.0)))


def _text(value: Any, places: int) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if isinstance(value, float):
        return f"{value:,.{places}f}"
    return "–" if value is None else str(value)
