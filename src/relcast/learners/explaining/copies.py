"""An entity several times over, each time without some of its rows.

"What would be predicted without these three orders?" is asked of copies of the entity's row: a copy
has the entity's columns, points to what the entity points to, and owns the entity's children but
for those that are left out. One pass over a model's features then answers for all copies. The
children stay where they are for everybody else: a parent's statistics, a whole table's average; and
the copies are part of no whole (``TableArrays.counted``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.schema import Link
from relcast.relations import ColumnArray, LinkArrays, Relations, TableArrays

__all__ = ["Omission", "with_copies"]

Index = npt.NDArray[np.int64]
Omission = Mapping[Link, Index]
"""By link to the entity table: dense rows of its table that a copy does not own."""


def with_copies(
    relations: Relations, table: str, row: int, omissions: Sequence[Omission]
) -> tuple[Relations, Index]:
    """Return relations with a copy of one row for each omission, and the copies' dense rows.

    Args:
        relations: The snapshot's arrays, which are not changed.
        table: The entity table.
        row: Dense row of the entity.
        omissions: What each copy lacks.

    Returns:
        Relations that share every array that is the same, and int64[len(omissions)].
    """
    count = len(omissions)
    before = relations.table(table)
    rows = np.arange(before.rows, before.rows + count, dtype=np.int64)
    tables = {**relations.tables, table: _longer_table(before, row, count)}
    links = {}
    for link, arrays in relations.links.items():
        grown = arrays
        if link.table == table:
            grown = replace(grown, parent=_frozen(_repeated(arrays.parent, row, count)))
        if link.to == table:
            nobody = np.empty(0, dtype=np.int64)
            without = [omission.get(link, nobody) for omission in omissions]
            grown = _with_children(grown, row, without)
        links[link] = grown
    return replace(relations, tables=tables, links=links), rows


@dataclass(frozen=True)
class _LongerColumn(ColumnArray):
    """A column with the value of one row again at its end, ``count`` times."""

    row: int = 0
    count: int = 0
    key: bool = False

    def raw(self) -> pa.ChunkedArray:
        found = super().raw()
        again = pa.nulls(self.count, found.type)  # a copy has no key: nobody points to it
        if not self.key:
            again = pa.concat_arrays([found.slice(self.row, 1).combine_chunks()] * self.count)
        return pa.chunked_array([*found.chunks, again], found.type)


def _longer_table(table: TableArrays, row: int, count: int) -> TableArrays:
    key = table.table.primary_key

    def longer(column: ColumnArray) -> ColumnArray:
        values = column.values
        return _LongerColumn(
            name=column.name,
            kind=column.kind,
            values=_frozen(_repeated(values, row, count)) if len(values) else values,
            parquet=column.parquet,
            dictionary_path=column.dictionary_path,
            row=row,
            count=count,
            key=column.name == key,
        )

    columns = {name: longer(column) for name, column in table.columns.items()}
    time, end = table.table.time_column, table.table.end_time_column
    return replace(
        table,
        rows=table.rows + count,
        copies=count,
        copy_of=row,
        time=None if time is None else columns[time].values,
        end_time=None if end is None else columns[end].values,
        columns=columns,
    )


def _with_children(link: LinkArrays, row: int, without: Sequence[Index]) -> LinkArrays:
    begin, end = int(link.indptr[row]), int(link.indptr[row + 1])
    own = np.asarray(link.child[begin:end])
    kept = [np.flatnonzero(~np.isin(own, rows)) for rows in without]
    ends = link.indptr[-1] + np.cumsum([len(places) for places in kept], dtype=np.int64)
    places = np.concatenate([np.empty(0, dtype=np.int64), *kept]) + begin

    def grown(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return _frozen(np.concatenate([values, values[places]]))

    return replace(
        link,
        indptr=_frozen(np.concatenate([link.indptr, ends])),
        child=grown(link.child),
        child_time=None if link.child_time is None else grown(link.child_time),
    )


def _repeated(values: npt.NDArray[Any], row: int, count: int) -> npt.NDArray[Any]:
    return np.concatenate([values, np.repeat(values[row : row + 1], count)])


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view, as mapped arrays are, so that kernels compile once."""
    view = values.view()
    view.setflags(write=False)
    return view
