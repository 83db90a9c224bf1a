"""The tune metric over time and by cohort, of the model and of the best baseline beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked, Fold
from relcast.tasks.offsets import iso

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["Grouped", "by_cohort", "over_time"]

Index = npt.NDArray[np.int64]

_MOST_SPANS = 60
_MOST_COLUMNS = 6
_MOST_VALUES = 10
_LETTERS = 80
_EVENTS = (0, 1, 3, 6, 11, 21, 51, 101)
"""Lower bounds of the groups by number of past events."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """How to measure a part of the rows.

    Attributes:
        metric: Name of the tune metric.
        baseline_name: The baseline beside it.
        model, baseline: int64[m] rows -> the metric there; None where it is not defined.
    """

    metric: str
    baseline_name: str
    model: Callable[[Index], float | None]
    baseline: Callable[[Index], float | None]

    def measured(self, rows: Index) -> dict[str, Any]:
        return {"rows": len(rows), "model": self.model(rows), "baseline": self.baseline(rows)}


def over_time(fold: Fold, grouped: Grouped) -> list[dict[str, Any]]:
    """Return the metric by anchor, oldest first; beyond 60 anchors neighbours go together."""
    anchor = fold.asked.anchor
    if anchor is None or not len(anchor):
        return []
    moments, code = np.unique(anchor, return_inverse=True)
    spans = np.array_split(np.arange(len(moments)), min(len(moments), _MOST_SPANS))
    found = []
    for span in spans:
        rows = np.flatnonzero((code >= span[0]) & (code <= span[-1]))
        times = {"from": iso(int(moments[span[0]])), "to": iso(int(moments[span[-1]]))}
        found.append({**times, **grouped.measured(rows)})
    return found


def by_cohort(
    relations: Relations, entity_table: str, fold: Fold, grouped: Grouped
) -> list[dict[str, Any]]:
    """Return the metric by values of the entity's own categorical columns, and by past events.

    At most six columns, those with the fewest values first, of each the ten values with the most
    rows; all others are one group. Past events are rows that point to the entity and were there at
    the time up to which the example may see.
    """
    asked = fold.asked
    if not len(asked):
        return []
    found = []
    for name, codes, words in _columns(relations, entity_table, asked):
        values, count = np.unique(codes, return_counts=True)
        order = values[np.argsort(-count, kind="stable")]
        groups = []
        for value in order[:_MOST_VALUES].tolist():
            word = "missing" if value < 0 else words[value][:_LETTERS]
            rows = np.flatnonzero(codes == value)
            groups.append({"value": word, **grouped.measured(rows)})
        rest = np.flatnonzero(np.isin(codes, order[_MOST_VALUES:]))
        if len(rest):
            groups.append({"value": "others", **grouped.measured(rest)})
        found.append({"by": f"{entity_table}.{name}", "groups": groups})
    events = _past_events(relations, entity_table, asked)
    if events is not None:
        place = np.searchsorted(_EVENTS, events, side="right") - 1
        groups = []
        for k in np.unique(place).tolist():
            low = _EVENTS[k]
            high = _EVENTS[k + 1] - 1 if k + 1 < len(_EVENTS) else None
            word = (
                f"{low} or more"
                if high is None
                else (f"{low} to {high}" if high > low else str(low))
            )
            groups.append({"value": word, **grouped.measured(np.flatnonzero(place == k))})
        found.append({"by": "number of past events", "groups": groups})
    return found


def _columns(
    relations: Relations, entity_table: str, asked: Asked
) -> list[tuple[str, Index, list[str]]]:
    """Return name, code of each example and words of the entity's own categories."""
    table = relations.table(entity_table)
    keys = {link.foreign_key for link in relations.graph.links_from(entity_table)}
    keys.add(table.table.primary_key or "")
    found = []
    for name, column in table.columns.items():
        if column.kind != "category" or name in keys or len(column.dictionary) < 2:
            continue
        codes = np.asarray(column.values)[asked.entity].astype(np.int64)
        if len(np.unique(codes)) > 1:
            found.append((name, codes, column.dictionary))
    found.sort(key=lambda each: len(each[2]))
    return found[:_MOST_COLUMNS]


def _past_events(relations: Relations, entity_table: str, asked: Asked) -> Index | None:
    """Return how many timed rows point to each entity by then; None where no such table is."""
    from relcast.relations import kernels

    if asked.known is None:
        return None
    total = None
    always = np.full(len(asked), np.iinfo(np.int64).min, dtype=np.int64)
    for link in relations.graph.links_to(entity_table):
        arrays = relations.links[link]
        if arrays.child_time is None:
            continue
        begin, end = np.empty((2, len(asked)), dtype=np.int64)
        kernels.bounds(
            arrays.indptr, arrays.child_time, asked.entity, always, asked.known, begin, end
        )
        total = end - begin if total is None else total + end - begin
    return total
