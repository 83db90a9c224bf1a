"""Training and prediction tables: arrays for learners, Arrow and Parquet for people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.examples import Examples
from relcast.tasks.offsets import iso
from relcast.tasks.report import TrainingTableReport
from relcast.tasks.saved import dense_rows, read_table, write_table
from relcast.tasks.splits import SPLITS

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["PredictionTable", "TrainingTable"]


@dataclass(frozen=True)
class TrainingTable:
    """Examples with their targets, split into train, val and test.

    Attributes:
        query: The query; a categorical column with two values makes it binary.
        snapshot_id: The snapshot whose rows ``examples.entity`` names.
        examples: The rows, in ascending order of (anchor, entity row); none is left out of a split.
        report: What is in the table and what was dropped.
        entity_keys: The primary key of every row of the entity table.
        item_keys: For links, the primary key of every row of the table whose rows are listed.
        lag_timesteps, year_over_year: What the plan says of a forecast's inputs, for who trains.
    """

    query: CheckedQuery
    snapshot_id: str
    examples: Examples
    report: TrainingTableReport
    entity_keys: pa.Array = field(repr=False)
    item_keys: pa.Array | None = field(default=None, repr=False)
    lag_timesteps: int | None = None
    year_over_year: bool | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def keys(self) -> pa.Array:
        """Return the entity's primary key of every row, in its own type."""
        return self.entity_keys.take(pa.array(self.examples.entity))

    def take(self, rows: npt.NDArray[Any]) -> TrainingTable:
        """Return the rows at these places, or where this mask holds; the report stays as it is."""
        return replace(self, examples=self.examples.take(rows))

    def to_arrow(self) -> pa.Table:
        """Return ``ENTITY[, TIMESTAMP], TARGET[, WEIGHT], SPLIT``.

        ``ENTITY`` has the key's own type, ``TIMESTAMP`` is timestamp[ns], ``SPLIT`` is train, val
        or test. ``TARGET`` is bool (binary), float64 (regression), the class's own value
        (multiclass), list<double> (forecasting), list<class value> (multilabel) or list<item key>
        (links); no list has a NULL in it.
        """
        examples = self.examples
        columns: dict[str, Any] = {"ENTITY": self.keys()}
        if examples.anchor is not None:
            columns["TIMESTAMP"] = pa.array(examples.anchor).view(pa.timestamp("ns"))
        columns["TARGET"] = self._target()
        if examples.weight is not None:
            columns["WEIGHT"] = pa.array(examples.weight)
        if examples.split is not None:
            columns["SPLIT"] = pa.array(np.array(SPLITS)[examples.split], type=pa.string())
        return pa.table(columns)

    def _target(self) -> pa.Array:
        target, classes, lists = self.examples.target, self.examples.classes, self.examples.lists
        if lists is not None:
            known = self.item_keys if classes is None else pa.array(classes)
            if known is None:
                raise TaskError("A training table of links cannot be written without its items")
            return _as_lists(lists.offsets, known.take(pa.array(lists.values)))
        if target is None:
            raise TaskError("A training table without targets cannot be written")
        if target.ndim == 2:
            return _as_lists(np.arange(len(target) + 1) * target.shape[1], pa.array(target.ravel()))
        if classes is not None:
            return pa.array(classes).take(pa.array(target.astype(np.int64)))
        if self.query.task_type is TaskType.BINARY_CLASSIFICATION:
            return pa.array(target == 1)
        return pa.array(target)

    def save(self, path: Path | str) -> None:
        """Write the table as Parquet: a temporary name beside it, fsync, rename."""
        classes = self.examples.classes
        details = {
            "kind": "training table",
            "snapshot": self.snapshot_id,
            "query": self.query.text,
            "task_type": self.query.task_type.value,
            "classes": None if classes is None else list(classes),
            "report": self.report.to_json(),
            "lag_timesteps": self.lag_timesteps,
            "year_over_year": self.year_over_year,
        }
        write_table(self.to_arrow(), Path(path), details)

    @classmethod
    def load(
        cls, path: Path | str, snapshot: Snapshot, relations: Relations, query: CheckedQuery
    ) -> TrainingTable:
        """Read a saved table; its entities are found by their keys in ``relations``.

        Raises ``task.unreadable_table`` for a file of another kind or another query.
        """
        from relcast.tasks.own_rows import read_saved

        rows, details = read_table(Path(path), "training table", query)
        return read_saved(rows, details, snapshot.id, relations, query)


def _as_lists(offsets: npt.NDArray[np.int64], values: pa.Array) -> pa.Array:
    """Return lists, with long offsets where there are more values than short ones can count."""
    if len(values) <= np.iinfo(np.int32).max:
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


@dataclass(frozen=True)
class PredictionTable:
    """The entities to score.

    Attributes:
        query: The query.
        snapshot_id: What the rows were made from.
        entity: int64[n] dense rows of the entity table.
        anchor: int64[n] ns UTC; None for a static query.
        dropped: Entities, or rows given, that are not in the table, by reason.
    """

    query: CheckedQuery
    snapshot_id: str
    entity: npt.NDArray[np.int64]
    anchor: npt.NDArray[np.int64] | None
    dropped: dict[str, int]
    entity_keys: pa.Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.entity)

    @property
    def anchor_text(self) -> str | None:
        """The newest anchor in ISO 8601; None for a static query or without rows."""
        if self.anchor is None or len(self.anchor) == 0:
            return None
        return iso(self.anchor.max())

    def keys(self) -> pa.Array:
        """Return the entity's primary key of every row, in its own type."""
        return self.entity_keys.take(pa.array(self.entity))

    def take(self, rows: npt.NDArray[Any]) -> PredictionTable:
        """Return the rows at these places, or where this mask holds."""
        anchor = None if self.anchor is None else self.anchor[rows]
        return replace(self, entity=self.entity[rows], anchor=anchor)

    def to_arrow(self) -> pa.Table:
        """Return ``ENTITY[, TIMESTAMP]``."""
        columns: dict[str, Any] = {"ENTITY": self.keys()}
        if self.anchor is not None:
            columns["TIMESTAMP"] = pa.array(self.anchor).view(pa.timestamp("ns"))
        return pa.table(columns)

    def save(self, path: Path | str) -> None:
        """Write the table as Parquet: a temporary name beside it, fsync, rename."""
        details = {
            "kind": "prediction table",
            "snapshot": self.snapshot_id,
            "query": self.query.text,
            "task_type": self.query.task_type.value,
            "dropped": self.dropped,
        }
        write_table(self.to_arrow(), Path(path), details)

    @classmethod
    def load(
        cls, path: Path | str, snapshot: Snapshot, relations: Relations, query: CheckedQuery
    ) -> PredictionTable:
        """Read a saved table; its entities are found by their keys in ``relations``.

        Raises ``task.unreadable_table`` for a file of another kind or another query.
        """
        rows, details = read_table(Path(path), "prediction table", query)
        entity = dense_rows(rows.column("ENTITY"), relations, query.entity_table)
        anchor = None
        if "TIMESTAMP" in rows.column_names:
            anchor = rows.column("TIMESTAMP").cast(pa.int64()).to_numpy()
        keys = relations.table(query.entity_table).keys()
        return cls(query, snapshot.id, entity, anchor, dict(details.get("dropped", {})), keys)
