"""The first rows of a batch prediction, each with its strongest reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import html

from relcast.core.errors import NotFound
from relcast.outputs import read_reasons
from relcast.ui import words
from relcast.ui.elements import cell, table

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Preview", "Reason", "draw_preview", "load_preview"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature of one row: its readable name, its value, and which way it pushed the score."""

    feature: str
    value: str
    push: float


@dataclass(frozen=True, slots=True)
class Preview:
    """The head of a prediction: columns, rows of values, reasons by the text of the entity."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    reasons: Mapping[str, tuple[Reason, ...]]


def load_preview(platform: Platform, job_id: str, limit: int = 8) -> Preview | None:
    """Read the head of a finished prediction; None when its files are gone."""
    import pyarrow.parquet as pq

    try:
        path = platform.output_path(job_id, "predictions.parquet")
    except NotFound:
        return None
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=limit), None)
        columns = tuple(file.schema_arrow.names)
    if batch is None:
        return Preview(columns, (), {})
    values = [column.to_pylist() for column in batch.columns]
    rows = tuple(zip(*values, strict=True)) if values else ()
    return Preview(columns, rows, _reasons(platform, job_id, limit))


def _reasons(platform: Platform, job_id: str, limit: int) -> dict[str, tuple[Reason, ...]]:
    try:
        stored = read_reasons(platform.output_path(job_id, "reasons.json"))
    except NotFound:
        return {}
    return {str(row["entity"]): _row_reasons(row["reasons"]) for row in stored[:limit]}


def _row_reasons(lines: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            feature=str(line.get("feature", "")),
            value=_cause(line.get("value")),
            push=float(line.get("contribution", 0.0)),
        )
        for line in lines
    )


def _cause(value: Any) -> str:
    # No thousands separators: a year is a value too.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def draw_preview(preview: Preview, *, reasons: int = 3) -> None:
    """Draw the rows; a reason that raises the score carries ▲, one that lowers it ▼."""
    explained = any(preview.reasons.values())
    columns = list(zip(*preview.rows, strict=True)) or [() for _ in preview.columns]
    places = [_places(column) for column in columns]
    heads = [_head(n, c) for n, c in zip(preview.columns, columns, strict=True)]
    heads += ["Strongest reasons"] if explained else []
    with table(heads):
        before = None
        for row in preview.rows:
            entity = str(row[0])
            # Multiclass: several rows for an entity; its reasons stand at the first.
            found = () if entity == before else preview.reasons.get(entity, ())
            before = entity
            with html.tr():
                for value, digits in zip(row, places, strict=True):
                    cell(_text(value, digits), classes="rc-num")
                if explained:
                    with html.td().style("min-width: 260px"):
                        for reason in found[:reasons]:
                            _reason(reason)


def _reason(reason: Reason) -> None:
    up = reason.push >= 0
    with html.div().classes("rc-note"):
        mark = html.span("▲ " if up else "▼ ").classes("rc-up" if up else "rc-down")
        mark.props["title"] = "raises the score" if up else "lowers the score"
        html.span(f"{reason.feature} = {reason.value}")


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
