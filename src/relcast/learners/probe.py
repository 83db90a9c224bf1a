"""The future-perturbation probe: change everything later than an anchor, and see what moves.

Rows later than the anchor get other values and other parents, values that become known later than
the anchor are others, ends of life later than the anchor move; nothing that is known at the anchor
changes. A model that only looks back gives the very same features and predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features.memory import remembering
from relcast.learners.protocol import Asked, Predictor, Ranked, Ranker, Said, ask
from relcast.learners.trees import TreeModel

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import ColumnArray, LinkArrays, Relations, TableArrays

__all__ = ["Probe", "perturbed", "probe_future"]

Index = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

_EXAMPLES = 256
_K = 20
_MOST_CELLS = 100_000_000
_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found.

    Attributes:
        ran: Whether it was run; ``reason`` says why not.
        anchors: Anchors that were probed.
        examples: Examples that were scored twice.
        rows: Rows that were changed, over all anchors.
        features_moved: Names of features that differ in any example.
        predictions_moved: Examples whose prediction differs.
    """

    ran: bool
    reason: str = ""
    anchors: int = 0
    examples: int = 0
    rows: int = 0
    features_moved: tuple[str, ...] = ()
    predictions_moved: int = 0

    @property
    def passed(self) -> bool:
        return self.ran and not self.features_moved and not self.predictions_moved

    def to_json(self) -> dict[str, Any]:
        return {
            "ran": self.ran,
            "reason": self.reason,
            "anchors": self.anchors,
            "examples": self.examples,
            "rows": self.rows,
            "features_moved": list(self.features_moved),
            "predictions_moved": self.predictions_moved,
            "passed": self.passed,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Probe:
        return cls(
            ran=obj["ran"],
            reason=obj["reason"],
            anchors=obj["anchors"],
            examples=obj["examples"],
            rows=obj["rows"],
            features_moved=tuple(obj["features_moved"]),
            predictions_moved=obj["predictions_moved"],
        )


def probe_future(
    relations: Relations,
    predictor: Predictor | Ranker,
    asked: Asked,
    *,
    seed: int,
    threads: int,
    features: FeatureSet | None = None,
) -> Probe:
    """Probe a fitted learner at the earliest, the middle and the latest anchor of the examples.

    ``features`` are watched beside its predictions; those of trees are their own.
    """
    if isinstance(predictor, TreeModel):
        features = predictor.features
    if asked.known is None or not len(asked):
        return Probe(ran=False, reason="The query is static: there is no future to change.")
    cells = sum(t.rows * len(t.columns) for t in relations.tables.values())
    if cells > _MOST_CELLS:
        return Probe(ran=False, reason=f"The snapshot has {cells:,} values; the probe copies them.")
    rng = np.random.default_rng([seed, 41])
    moments = np.unique(asked.known)
    chosen = np.unique(moments[[0, len(moments) // 2, -1]])
    examples = rows = moved = 0
    names: set[str] = set()
    for moment in chosen.tolist():
        places = np.flatnonzero(asked.known == moment)
        part = asked.take(np.sort(rng.permutation(places)[:_EXAMPLES]))
        other, changed = perturbed(relations, moment, rng)
        before = ask(predictor, relations, part, k=_K, threads=threads)
        with remembering(other):
            after = ask(predictor, other, part, k=_K, threads=threads)
            if features is not None:
                names |= _moved_features(features, relations, other, part, threads)
        moved += int(_differs(before, after).sum())
        examples += len(part)
        rows += changed
    return Probe(True, "", len(chosen), examples, rows, tuple(sorted(names)), moved)


def _differs(before: Said, after: Said) -> npt.NDArray[np.bool_]:
    """Return whether anything that was said of each example differs, bool[n]."""
    if isinstance(before, Ranked) and isinstance(after, Ranked):
        items = (before.items != after.items).any(axis=1)
        return np.asarray(items | _differs(before.scores, after.scores))
    old, new = np.asarray(before), np.asarray(after)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    return np.asarray(~same.reshape(len(old), -1).all(axis=1))


def _moved_features(
    features: FeatureSet, relations: Relations, other: Relations, asked: Asked, threads: int
) -> set[str]:
    before, after = (
        features.compute(data, asked.entity, asked.anchor, known=asked.known, threads=threads)
        for data in (relations, other)
    )
    same = (before.values == after.values) | (np.isnan(before.values) & np.isnan(after.values))
    return {features.features[i].name for i in np.flatnonzero(~same.all(axis=0))}


def perturbed(relations: Relations, moment: int, rng: np.random.Generator) -> tuple[Relations, int]:
    """Return relations in which everything later than ``moment`` differs, and how many rows do."""
    tables, later_of, changed = {}, {}, 0
    for name, table in relations.tables.items():
        later = (
            np.flatnonzero(table.time > moment)
            if table.time is not None
            else np.zeros(0, dtype=np.int64)
        )
        later_of[name] = later
        changed += len(later)
        tables[name] = _perturbed_table(table, later, moment, rng)
    links = {
        link: _perturbed_link(arrays, relations, later_of[link.table], rng)
        for link, arrays in relations.links.items()
    }
    return replace(relations, tables=tables, links=links), changed


def _perturbed_table(
    table: TableArrays, later: Index, moment: int, rng: np.random.Generator
) -> TableArrays:
    roles = {table.table.time_column, table.table.end_time_column, table.table.primary_key}
    columns = dict(table.columns)
    clocks = _clocks(table)
    for name, column in columns.items():
        if not len(column.values) or name in roles:
            continue
        known = table.value_known(name)
        rows = later if known is None else np.union1d(later, np.flatnonzero(known > moment))
        if not len(rows):
            continue
        if name in clocks:
            columns[name] = _perturbed_clock(column, rows, moment, rng)
        else:
            columns[name] = _perturbed_column(column, rows, rng)
    end_time = table.end_time
    if end_time is not None and table.table.end_time_column is not None:
        end_time = np.array(end_time)
        open_ = np.flatnonzero(end_time > moment)
        end_time[open_] = moment + rng.integers(1, 1000 * _DAY, len(open_))
        role = table.table.end_time_column
        columns[role] = replace(columns[role], values=end_time)
    return replace(table, columns=columns, end_time=end_time)


def _clocks(table: TableArrays) -> set[str | None]:
    """Return the columns that say when others are known."""
    columns = table.table.columns
    delays = {c.known_after.column for c in columns if c.known_after is not None}
    return delays | {c.known_at for c in columns}


def _perturbed_clock(
    column: ColumnArray, later: Index, moment: int, rng: np.random.Generator
) -> ColumnArray:
    """Move what is known later than ``moment``, and let it stay later."""
    values = np.array(column.values)
    ahead = rng.integers(1, 1000, len(later))
    if column.kind == "time":
        values[later] = moment + ahead * _DAY
    elif column.kind == "number":
        values[later] = values[later] + ahead.astype(values.dtype)
    return replace(column, values=values)


def _perturbed_column(column: ColumnArray, later: Index, rng: np.random.Generator) -> ColumnArray:
    values = np.array(column.values)
    if column.kind == "number":
        values[later] = rng.normal(0, 1e3, len(later)).astype(values.dtype)
    elif column.kind == "category":
        values[later] = rng.integers(-1, max(1, len(column.dictionary)), len(later))
    elif column.kind == "time":
        values[later] = rng.integers(-10_000 * _DAY, 10_000 * _DAY, len(later))
    return replace(column, values=values)


def _perturbed_link(
    link: LinkArrays, relations: Relations, later: Index, rng: np.random.Generator
) -> LinkArrays:
    if not len(later) or link.child_time is None:
        return link
    from relcast.relations.kernels import group_by_parent

    parents = relations.tables[link.link.to].rows
    parent = np.array(link.parent)
    parent[later] = rng.integers(-1, max(1, parents), len(later)) if parents else -1
    time = relations.tables[link.link.table].time
    if time is None:
        return link
    # Rows of one parent keep their order among equals, because the sort is stable.
    listed = link.child.astype(np.int64)
    order = listed[np.argsort(time[listed], kind="stable")]
    indptr, child = group_by_parent(parent, order, parents)
    return replace(
        link,
        parent=parent,
        indptr=indptr,
        child=child.astype(link.child.dtype),
        child_time=time[child],
    )
