"""Training and prediction tables: arrays for learners, Arrow and Parquet for people."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.clock import isoformat
from relcast.core.errors import SourceError, TaskError
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.examples import Examples
from relcast.tasks.offsets import to_datetime
from relcast.tasks.report import TrainingTableReport
from relcast.tasks.splits import SPLITS

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["PredictionTable", "TrainingTable"]

_METADATA = b"relcast"


@dataclass(frozen=True)
class TrainingTable:
    """Examples with their targets, split into train, val and test.

    Attributes:
        query: The query; a categorical column with two values makes it binary.
        snapshot_id: The snapshot whose rows ``examples.entity`` names.
        examples: The rows, in ascending order of (anchor, entity row); none is left out of a split.
        report: What is in the table and what was dropped.
    """

    query: CheckedQuery
    snapshot_id: str
    examples: Examples
    report: TrainingTableReport
    entity_keys: pa.Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    def keys(self) -> pa.Array:
        """Return the entity's primary key of every row, in its own type."""
        return self.entity_keys.take(pa.array(self.examples.entity))

    def to_arrow(self) -> pa.Table:
        """Return ``ENTITY[, TIMESTAMP], TARGET[, WEIGHT], SPLIT``.

        ``ENTITY`` has the key's own type, ``TIMESTAMP`` is timestamp[ns], ``TARGET`` is bool
        (binary), float64 (regression) or the class's own value, ``SPLIT`` is train, val or test.
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
        target, classes = self.examples.target, self.examples.classes
        if target is None:
            raise TaskError("A training table without targets cannot be written")
        if classes is not None:
            return pa.array(classes).take(pa.array(target.astype(np.int64)))
        if self.query.task_type.value == "binary_classification":
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
        }
        _write(self.to_arrow(), Path(path), details)

    @classmethod
    def load(
        cls, path: Path | str, snapshot: Snapshot, relations: Relations, query: CheckedQuery
    ) -> TrainingTable:
        """Read a saved table; its entities are found by their keys in ``relations``.

        Raises ``task.unreadable_table`` for a file of another kind or another query.
        """
        from relcast.tasks.own_rows import read_saved

        rows, details = _read(Path(path), "training table", query)
        return read_saved(rows, details, snapshot.id, relations, query)


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
        return isoformat(to_datetime(int(self.anchor.max())))

    def keys(self) -> pa.Array:
        """Return the entity's primary key of every row, in its own type."""
        return self.entity_keys.take(pa.array(self.entity))

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
        _write(self.to_arrow(), Path(path), details)

    @classmethod
    def load(
        cls, path: Path | str, snapshot: Snapshot, relations: Relations, query: CheckedQuery
    ) -> PredictionTable:
        """Read a saved table; its entities are found by their keys in ``relations``.

        Raises ``task.unreadable_table`` for a file of another kind or another query.
        """
        rows, details = _read(Path(path), "prediction table", query)
        table = relations.table(query.entity_table)
        entity = table.key_index(rows.column("ENTITY")).astype(np.int64, copy=False)
        if (entity < 0).any():
            raise TaskError(
                f"{int((entity < 0).sum())} rows of {path} name entities that are not in this "
                "snapshot",
                code="task.unreadable_table",
                hint="Load it with the snapshot it was made from, or make it again.",
            )
        anchor = None
        if "TIMESTAMP" in rows.column_names:
            anchor = rows.column("TIMESTAMP").cast(pa.int64()).to_numpy()
        return cls(
            query, snapshot.id, entity, anchor, dict(details.get("dropped", {})), table.keys()
        )


def _write(rows: pa.Table, path: Path, details: dict[str, Any]) -> None:
    metadata = {_METADATA: json.dumps(details).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with staging.open("wb") as file:
            pq.write_table(rows.replace_schema_metadata(metadata), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def _read(path: Path, kind: str, query: CheckedQuery) -> tuple[pa.Table, dict[str, Any]]:
    try:
        rows = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{path} cannot be read as Parquet: {error}",
            code="task.unreadable_table",
            hint="Make the table again.",
        ) from error
    details = json.loads((rows.schema.metadata or {}).get(_METADATA, b"{}"))
    if details.get("kind") != kind or details.get("query") != query.text:
        raise TaskError(
            f"{path} is not a {kind} of this query",
            code="task.unreadable_table",
            hint="To use rows of your own, give them as such: they are joined by their keys.",
        )
    return rows, details
