"""The head of a batch prediction: its first rows, each with its strongest reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relcast.outputs import read_first_rows, read_reasons

__all__ = ["PredictionPreview", "read_preview"]


@dataclass(frozen=True, slots=True)
class PredictionPreview:
    """The first rows of a batch prediction.

    Attributes:
        columns: The columns' names, in order.
        rows: Values by row and column as Python has them; times are naive and in UTC.
        reasons: For each row the strongest reasons of its entity, ``{"feature", "value",
            "contribution", ...}``, strongest first; empty where none were written.
        rows_per_entity: How many rows in a row belong to one entity: 1, or the classes of a
            multiclass prediction.
        num_entities: Entities that were scored; None when the job did not say.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    reasons: tuple[tuple[Mapping[str, Any], ...], ...]
    rows_per_entity: int
    num_entities: int | None


def read_preview(
    predictions: Path, reasons: Path | None, num_entities: int | None, limit: int
) -> PredictionPreview:
    """Read the first ``limit`` rows of a Parquet file of predictions and their reasons.

    The reasons lie in a file of their own, one entry for each entity in the order of the rows.
    """
    table, total = read_first_rows(predictions, limit)
    each = max(1, total // num_entities) if num_entities else 1
    stored = [] if reasons is None else read_reasons(reasons)
    by_entity = [tuple(entry["reasons"]) for entry in stored[: -(-limit // each)]]
    columns = [column.to_pylist() for column in table.columns]
    return PredictionPreview(
        columns=tuple(table.column_names),
        rows=tuple(zip(*columns, strict=True)),
        reasons=tuple(
            by_entity[row // each] if row // each < len(by_entity) else ()
            for row in range(table.num_rows)
        ),
        rows_per_entity=each,
        num_entities=num_entities,
    )
