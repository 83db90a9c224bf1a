"""Build a snapshot's arrays once, beside it, atomically; later calls map what is there.

The build goes to a directory of its own and is renamed into place when it is complete, so that a
reader sees all of it or nothing, and of two builders at once one wins and the other uses its work.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relcast.core.ids import content_id
from relcast.core.schema import Column, Dtype, Graph, Link, Stype, Table
from relcast.relations import convert, kernels
from relcast.relations.arrays import Kind, Relations

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["FORMAT", "build"]

FORMAT = 4
"""Version of the layout on disk; a new one is built beside the old."""


def build(snapshot: Snapshot, directory: Path | None = None) -> Relations:
    """Return the snapshot's arrays, building them when they are not there yet.

    Args:
        snapshot: An immutable snapshot; its id names the build.
        directory: Where builds stand; by default the snapshot's own directory.
    """
    base = directory or snapshot.path
    final = base / content_id("relations", [FORMAT, snapshot.id])
    parquet = {name: Path(table.path) for name, table in snapshot.tables.items()}
    if not (final / "manifest.json").exists():
        base.mkdir(parents=True, exist_ok=True)
        staging = base / f".{final.name}-{secrets.token_hex(6)}"
        try:
            _write(snapshot, parquet, staging)
            _publish(staging, final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Relations.load(final, parquet)


def _publish(staging: Path, final: Path) -> None:
    try:
        staging.rename(final)
    except OSError:
        # Another builder was first; its arrays are the same.
        if not (final / "manifest.json").exists():
            raise


def _write(snapshot: Snapshot, parquet: Mapping[str, Path], root: Path) -> None:
    root.mkdir()
    tables: dict[str, Any] = {}
    times: dict[str, Array64 | None] = {}
    for number, (name, table) in enumerate(snapshot.graph.tables.items()):
        where = root / f"table{number}"
        where.mkdir()
        file = pq.ParquetFile(parquet[name])
        columns = [
            _write_column(parquet[name], column, table, where, f"column{k}")
            for k, column in enumerate(table.columns)
        ]
        order, times[name] = _time_order(table, parquet[name])
        np.save(where / "order.npy", _narrow(order, file.metadata.num_rows), allow_pickle=False)
        del order
        tables[name] = {
            "directory": where.name,
            "rows": file.metadata.num_rows,
            "parquet": str(parquet[name]),
            "columns": columns,
        }
    links = []
    for number, link in enumerate(snapshot.graph.links):
        where = root / f"link{number}"
        where.mkdir()
        order = np.load(root / tables[link.table]["directory"] / "order.npy", allow_pickle=False)
        timed = _write_link(snapshot.graph, link, parquet, order, times[link.table], where)
        links.append({"link": link.to_json(), "directory": where.name, "timed": timed})
    manifest = {
        "format": FORMAT,
        "snapshot_id": snapshot.id,
        "graph": snapshot.graph.to_json(),
        "proposals": {
            name: [asdict(found) for found in table.report.late]
            for name, table in snapshot.tables.items()
        },
        "tables": tables,
        "links": links,
    }
    text = json.dumps(manifest, indent=1)
    with (root / "manifest.json").open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


Array64 = npt.NDArray[np.int64]


def _kind(column: Column, table: Table) -> Kind:
    """Say how a column is held: roles first, then meaning, then storage."""
    clocks = {c.known_at for c in table.columns}
    if column.name in (table.time_column, table.end_time_column) or column.name in clocks:
        return "time"
    if column.dtype.is_list:
        return "list"
    if column.dtype in (Dtype.unsupported, Dtype.binary) or column.stype is Stype.unsupported:
        return "unsupported"
    if column.stype is Stype.categorical:
        return "category"
    if column.dtype.is_time:
        return "time"
    if column.dtype.is_number or column.dtype is Dtype.bool:
        return "number"
    return "text"


def _write_column(
    parquet: Path, column: Column, table: Table, where: Path, stem: str
) -> dict[str, Any]:
    kind = _kind(column, table)
    entry = {"name": column.name, "kind": kind, "stem": stem, "stored": True}
    if kind in ("text", "list", "unsupported"):
        return {**entry, "stored": False}
    raw = pq.read_table(parquet, columns=[column.name]).column(0)
    if kind == "number":
        values: npt.NDArray[Any] = convert.numbers(raw)
    elif kind == "time":
        values = convert.times(raw)
    else:
        values, words = convert.categories(raw)
        (where / f"{stem}.json").write_text(json.dumps(words), "utf-8")
    np.save(where / f"{stem}.npy", values, allow_pickle=False)
    return entry


def _time_order(table: Table, parquet: Path) -> tuple[Array64, Array64 | None]:
    """Return the rows ordered by (time, primary key or content, row), and the times.

    Rows without a time are left out: they are never known.
    """
    rows = pq.ParquetFile(parquet).metadata.num_rows
    if table.primary_key is not None:
        key = pq.read_table(parquet, columns=[table.primary_key]).column(0)
        order = pc.sort_indices(convert.one_array(key)).to_numpy().astype(np.int64)
    else:
        order = np.argsort(_content_hash(table, parquet, rows), kind="stable")
    if table.time_column is None:
        return order, None
    time = convert.times(pq.read_table(parquet, columns=[table.time_column]).column(0))
    order = order[time[order] != convert.NOT_A_TIME]
    return order[np.argsort(time[order], kind="stable")], time


def _content_hash(table: Table, parquet: Path, rows: int) -> npt.NDArray[np.uint64]:
    """Hash each row by its values, so that a table without a key has an order of its own.

    Rows with one hash are equal rows (or a collision of 64 bits), so that their order is no
    matter. Times count as distances to the row's own time, so that the calendar does not. When a
    row ends does not count, nor what is known later than its row, what says when that is, or what
    is overwritten: it is written later, and would reorder what an anchor before it sees.
    """
    late: set[str | None] = {c.name for c in table.columns if c.mutable or table.is_late(c.name)}
    late |= {table.end_time_column}
    total = np.zeros(rows, dtype=np.uint64)
    base = np.zeros(rows, dtype=np.int64)
    if table.time_column is not None:
        base = convert.times(pq.read_table(parquet, columns=[table.time_column]).column(0))
    for column in table.columns:
        if column.dtype.is_list or column.dtype is Dtype.unsupported:
            continue
        if column.name in late:
            continue
        raw = pq.read_table(parquet, columns=[column.name]).column(0)
        array = convert.one_array(raw)
        if pa.types.is_nested(array.type):
            continue
        if column.dtype.is_time:
            time = convert.times(raw)
            missing = time == convert.NOT_A_TIME
            array = pa.array(time - base, mask=missing)
        encoded = array.dictionary_encode()
        words = pd.util.hash_array(np.asarray(encoded.dictionary.cast(pa.string()), dtype=object))
        codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        mixed = np.append(words, np.uint64(0x9E3779B97F4A7C15))[codes]
        total = (total ^ mixed) * np.uint64(0x100000001B3)
    return total


def _narrow(rows: Array64, count: int) -> npt.NDArray[Any]:
    return rows.astype(np.int32) if count < np.iinfo(np.int32).max else rows


def _write_link(
    graph: Graph,
    link: Link,
    parquet: Mapping[str, Path],
    order: npt.NDArray[Any],
    time: Array64 | None,
    where: Path,
) -> bool:
    key = graph.table(link.to).primary_key
    parents = convert.one_array(pq.read_table(parquet[link.to], columns=[key]).column(0))
    children = pq.read_table(parquet[link.table], columns=[link.foreign_key]).column(0)
    parent = convert.match_keys(convert.one_array(children), parents)
    del children
    indptr, child = kernels.group_by_parent(parent, order, len(parents))
    child = _narrow(child, len(parent))
    np.save(where / "parent.npy", parent, allow_pickle=False)
    np.save(where / "indptr.npy", indptr, allow_pickle=False)
    np.save(where / "child.npy", child, allow_pickle=False)
    if time is not None:
        np.save(where / "child_time.npy", time[child], allow_pickle=False)
    return time is not None
