"""The rows around an entity that a model could see at an anchor: what they say, and when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.clock import isoformat
from relcast.core.schema import Dtype, Link
from relcast.relations import NOT_A_TIME, Relations, TableArrays, known_slices, rows_known

__all__ = ["Nearby", "cells_of", "moment_text", "nearby_rows"]

Index = npt.NDArray[np.int64]

_COLUMNS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Nearby:
    """The known children of one entity over one link, newest last.

    Attributes:
        link: From the children to the entity.
        rows: int64[m] dense rows of the newest of them.
        count: How many are known in all; ``m`` or more.
    """

    link: Link
    rows: Index
    count: int


def nearby_rows(
    relations: Relations, table: str, row: int, until: int | None, *, most: int
) -> tuple[Nearby, ...]:
    """Return the newest ``most`` known children of an entity over every link.

    Args:
        relations: The snapshot's arrays.
        table: The entity table.
        row: Dense row of the entity.
        until: Time up to which rows are known, ns UTC; None knows all.
        most: Rows per link.
    """
    owner = np.array([row], dtype=np.int64)
    at = None if until is None else np.array([until], dtype=np.int64)
    found = []
    for link in relations.graph.links_to(table):
        arrays = relations.link(link)
        begin, end = known_slices(arrays, owner, at)
        rows = arrays.child[int(begin[0]) : int(end[0])].astype(np.int64)
        anchors = None if at is None else np.repeat(at, len(rows))
        rows = rows[rows_known(relations.table(link.table), rows, anchors)]
        found.append(Nearby(link, rows[max(0, len(rows) - most) :], len(rows)))
    return tuple(found)


def cells_of(table: TableArrays, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return the cells of some rows as stored: key and time first, then the first columns.

    At most eight columns; only the row groups that hold a row are read.
    """
    import pyarrow.parquet as pq

    names = _shown(table)
    if not len(rows) or not names:
        return [{} for _ in rows]
    with pq.ParquetFile(table.parquet) as file:
        sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        starts = [0, *np.cumsum(sizes).tolist()]
        groups: dict[int, list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(bisect_right(starts, row) - 1, []).append(place)
        out: list[dict[str, Any]] = [{} for _ in rows]
        for group, places in groups.items():
            part = file.read_row_group(group, columns=names)
            chosen = part.take([rows[p] - starts[group] for p in places]).to_pylist()
            for place, cells in zip(places, chosen, strict=True):
                out[place] = {name: _plain(cells[name]) for name in names}
    return out


def moment_text(time: int | None) -> str | None:
    """Return ns since 1970 UTC as ISO 8601 text; None for none and for "not a time"."""
    if time is None or time == NOT_A_TIME:
        return None
    return isoformat(_EPOCH + timedelta(microseconds=time // 1000))


def _shown(table: TableArrays) -> list[str]:
    schema = table.table
    first = [name for name in (schema.primary_key, schema.time_column) if name is not None]
    others = [
        column.name
        for column in schema.columns
        if column.name not in first
        and not column.dtype.is_list
        and column.dtype not in (Dtype.binary, Dtype.unsupported)
    ]
    return [*first, *others][:_COLUMNS]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return isoformat(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, Mapping | list | bytes | Path):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, int | float | str | bool | None) else str(value)
