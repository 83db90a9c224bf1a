"""From the staged table to the snapshot's file: which rows stay, and how each cell is read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import expressions as exp

from relcast.snapshots.arrow_types import FINAL_TYPES
from relcast.snapshots.proposal import ColumnProposal, TableProposal
from relcast.snapshots.readings import is_present, read_as
from relcast.snapshots.records import IngestReport
from relcast.snapshots.staging import Staged

__all__ = ["fsync_directory", "write_table"]

_ROW_GROUP = 131_072
_REASONS = ("null_key", "null_time", "unreadable_time")


def write_table(staged: Staged, proposal: TableProposal, path: Path) -> IngestReport:
    """Write the kept rows, in the source's order, to a Parquet file, and sync it to disk."""
    table = proposal.table
    schema = pa.schema([(c.name, FINAL_TYPES[c.dtype]) for c in table.columns])
    later = _later_duplicates(staged, proposal)
    query = exp.select(
        exp.column("rowid"),
        exp.alias_(_drop_reason(staged, proposal), "reason"),
        *[exp.alias_(_cell(staged, c), f"v{i}") for i, c in enumerate(proposal.columns)],
        *[exp.alias_(_lost(staged, c), f"l{i}") for i, c in enumerate(proposal.columns)],
    )
    width = len(proposal.columns)
    dropped = dict.fromkeys((*_REASONS, "duplicate_key"), 0)
    unreadable = np.zeros(width, dtype=np.int64)
    kept_rows, last = 0, -1
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            pending: list[pa.RecordBatch] = []
            waiting = 0
            for batch in staged.batches(query):
                places = batch.column(0).to_numpy()
                if len(places) and (places[0] <= last or (np.diff(places) <= 0).any()):
                    raise RuntimeError("rows came back in another order than the source's")
                last = int(places[-1]) if len(places) else last
                reasons = batch.column(1).to_numpy(zero_copy_only=False)
                for code, reason in enumerate(_REASONS, start=1):
                    dropped[reason] += int((reasons == code).sum())
                again = _member(places, later) & (reasons == 0)
                dropped["duplicate_key"] += int(again.sum())
                mask = pa.array((reasons == 0) & ~again)
                kept = batch.filter(mask)
                unreadable += [kept.column(2 + width + i).true_count for i in range(width)]
                arrays = [kept.column(2 + i).cast(field.type) for i, field in enumerate(schema)]
                pending.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
                waiting += kept.num_rows
                kept_rows += kept.num_rows
                if waiting >= _ROW_GROUP:
                    writer.write_table(pa.Table.from_batches(pending), row_group_size=_ROW_GROUP)
                    pending, waiting = [], 0
            if pending or not kept_rows:
                rest = pa.Table.from_batches(pending, schema=schema)
                writer.write_table(rest, row_group_size=_ROW_GROUP)
        file.flush()
        os.fsync(file.fileno())
    names = [c.column.name for c in proposal.columns]
    return IngestReport(
        rows_read=staged.rows,
        rows_kept=kept_rows,
        dropped={reason: count for reason, count in dropped.items() if count},
        unreadable={n: int(c) for n, c in zip(names, unreadable, strict=True) if c},
    )


def fsync_directory(path: Path) -> None:
    """Make renames in a directory last through a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cell(staged: Staged, column: ColumnProposal) -> exp.Expr:
    return read_as(staged.columns[column.column.name], column.reading)


def _lost(staged: Staged, column: ColumnProposal) -> exp.Expr:
    """Say whether a value was there that the reading could not read."""
    of = staged.columns[column.column.name]
    if of.type.is_presence:
        return exp.false()
    return exp.and_(is_present(of), _cell(staged, column).is_(exp.null()))


def _drop_reason(staged: Staged, proposal: TableProposal) -> exp.Expr:
    """Return 0 for a row that stays, else the number of the reason."""
    by_name = {c.column.name: c for c in proposal.columns}
    key, time = proposal.table.primary_key, proposal.table.time_column
    reason = exp.case()
    conditions: list[tuple[exp.Expr, int]] = []
    if key is not None:
        conditions.append((_cell(staged, by_name[key]).is_(exp.null()), 1))
    if time is not None:
        conditions.append((exp.not_(is_present(staged.columns[time])), 2))
        conditions.append((_cell(staged, by_name[time]).is_(exp.null()), 3))
    if not conditions:
        return exp.Literal.number(0)
    for condition, code in conditions:
        reason = reason.when(condition, exp.Literal.number(code))
    return reason.else_(exp.Literal.number(0))


def _later_duplicates(staged: Staged, proposal: TableProposal) -> npt.NDArray[np.int64]:
    """Return the places, ascending, of rows whose key an earlier row that stays has."""
    key = proposal.table.primary_key
    if key is None or not staged.rows:
        return np.empty(0, dtype=np.int64)
    value = _cell(staged, next(c for c in proposal.columns if c.column.name == key))
    stays = exp.EQ(this=_drop_reason(staged, proposal), expression=exp.Literal.number(0))
    counts = exp.select(
        exp.func("count", value.copy()), exp.Count(this=exp.Distinct(expressions=[value.copy()]))
    ).where(stays)
    present, distinct = staged.values(counts)[0]
    if present == distinct:
        return np.empty(0, dtype=np.int64)
    firsts = (
        exp.select(exp.alias_(exp.func("min", exp.column("rowid")), "place"))
        .from_("raw")
        .where(stays.copy())
        .group_by(value.copy())
    )
    later = (
        exp.select("rowid")
        .where(stays.copy())
        .where(exp.column("rowid").isin(query=firsts).not_())
        .order_by("rowid")
    )
    places = staged.table(later).column(0)
    return np.asarray(places.to_numpy(), dtype=np.int64)


def _member(
    places: npt.NDArray[np.int64], ascending: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(len(places), dtype=bool)
    at = np.searchsorted(ascending, places)
    found: npt.NDArray[np.bool_] = ascending[np.minimum(at, len(ascending) - 1)] == places
    return found
