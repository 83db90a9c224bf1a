"""Saved tables: Parquet with what the rows alone do not say beside them."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.errors import SourceError, TaskError
from relcast.pql import CheckedQuery
from relcast.relations import Relations

__all__ = ["dense_rows", "read_table", "write_table"]

_METADATA = b"relcast"


def write_table(rows: pa.Table, path: Path, details: dict[str, Any]) -> None:
    """Write rows and their details as Parquet: a temporary name beside it, fsync, rename."""
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


def read_table(path: Path, kind: str, query: CheckedQuery) -> tuple[pa.Table, dict[str, Any]]:
    """Read rows and details; raises ``task.unreadable_table`` for another kind or query."""
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


def dense_rows(keys: Any, relations: Relations, table: str) -> npt.NDArray[np.int64]:
    """Return the dense rows of saved keys; raises ``task.unreadable_table`` where one has none."""
    found = relations.table(table).key_index(keys).astype(np.int64, copy=False)
    missing = int((found < 0).sum())
    if missing:
        raise TaskError(
            f"{missing:,} keys of the saved table are no {table} of this snapshot",
            code="task.unreadable_table",
            hint="Load it with the snapshot it was made from, or make it again.",
        )
    return found
