"""The arrays of a snapshot: tables, columns and links, memory-mapped and read-only.

Not for building them (``relcast.relations.build``) and not for what was known when
(``relcast.relations.asof``). A dense row is a row's place in its table's Parquet file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.errors import InternalError, SchemaError, nearest
from relcast.core.schema import Graph, Link, Table
from relcast.relations import convert, knowing

__all__ = ["NEVER", "NOT_A_TIME", "ColumnArray", "Kind", "LinkArrays", "Relations", "TableArrays"]

Kind = Literal["number", "category", "time", "text", "list", "unsupported"]
Array = npt.NDArray[Any]

NOT_A_TIME = convert.NOT_A_TIME
NEVER = knowing.NEVER
"""A time that no clock reaches: the anchor of an example that has none, "everything is known"."""


def load_array(path: Path) -> Array:
    """Map a ``.npy`` file read-only; an empty one cannot be mapped and is loaded."""
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:
        array = np.load(path, allow_pickle=False)
        array.setflags(write=False)
    return array


@dataclass(frozen=True)
class ColumnArray:
    """One column of a table.

    Attributes:
        name: The column's name.
        kind: ``number``: float32 or float64, NaN is missing (float64 only where float32 would
            lose digits); ``category``: int32 codes into ``dictionary``, -1 is missing; ``time``:
            int64 ns UTC, ``NOT_A_TIME`` is missing; the other kinds hold no ``values``, only
            ``raw()``.
        values: The array by dense row; empty for kinds that hold none.
        parquet: Where the column's raw values stand.
        dictionary_path: JSON list of the categories in ascending order; None for other kinds.
    """

    name: str
    kind: Kind
    values: Array
    parquet: Path
    dictionary_path: Path | None = None

    @cached_property
    def dictionary(self) -> list[str]:
        """The categories as text, by code; numbers and truth values are written out."""
        if self.dictionary_path is None:
            return []
        found: list[str] = json.loads(self.dictionary_path.read_text("utf-8"))
        return found

    @cached_property
    def dictionary_numbers(self) -> npt.NDArray[np.float64]:
        """The categories as numbers, by code; NaN where the text is no number."""
        return np.array([_number(text) for text in self.dictionary], dtype=np.float64)

    def numbers(self) -> npt.NDArray[np.float64]:
        """Return the column as float64, NaN where missing or (a category) not a number."""
        if self.kind == "number":
            return self.values.astype(np.float64)
        if self.kind == "category":
            padded = np.append(self.dictionary_numbers, np.nan)  # code -1 reads the last
            return padded[self.values]
        return np.full(len(self.values), np.nan)

    def raw(self) -> pa.ChunkedArray:
        """Read the column as the snapshot holds it, in row order."""
        return pq.read_table(self.parquet, columns=[self.name]).column(0)


@dataclass(frozen=True)
class TableArrays:
    """One table: its rows, times, keys and columns.

    Attributes:
        table: The table's schema.
        rows: Number of rows.
        time: int64[rows] ns UTC of the time column; None without one (always known).
        end_time: int64[rows] ns UTC; ``NOT_A_TIME`` never ends; None without an end time column.
        order: Dense rows in the order of (time, primary key or content, row), without the rows
            whose time is missing.
        parquet: The snapshot's file of the table.
        copies: How many of the last rows are row ``copy_of`` once more: they are asked about, and
            are no part of any whole. None outside of explanations.
        copy_of: The row that they are copies of.
    """

    table: Table
    rows: int
    time: npt.NDArray[np.int64] | None
    end_time: npt.NDArray[np.int64] | None
    order: Array
    parquet: Path
    columns: Mapping[str, ColumnArray] = field(repr=False)
    copies: int = 0
    copy_of: int = -1
    _known: dict[str, npt.NDArray[np.int64] | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def column(self, name: str) -> ColumnArray:
        """Return a column, or raise ``schema.unknown_column`` with a near name."""
        try:
            return self.columns[name]
        except KeyError:
            raise SchemaError(
                f"Table {self.table.name!r} has no column {name!r}",
                code="schema.unknown_column",
                hint=nearest(name, list(self.columns)),
            ) from None

    @property
    def counted(self) -> int:
        """How many rows are part of a whole: all of them but copies, which come last."""
        return self.rows - self.copies

    def originals(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows themselves, and of a copy the row that it is a copy of."""
        return np.where(rows < self.counted, rows, self.copy_of) if self.copies else rows

    def value_known(self, name: str) -> npt.NDArray[np.int64] | None:
        """Return from when each row's value of a column is known (``knowing.value_known``)."""
        if name not in self._known:
            self._known[name] = knowing.value_known(self, name)
        return self._known[name]

    def present(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which rows have a value of a column, bool[rows]."""
        column = self.column(name)
        match column.kind:
            case "number":
                return ~np.isnan(column.values)
            case "category":
                return np.asarray(column.values >= 0)
            case "time":
                return np.asarray(column.values != NOT_A_TIME)
            case _:
                raw = column.raw()
                return np.asarray(raw.is_valid().to_numpy(), dtype=np.bool_)

    @cached_property
    def _keys(self) -> pa.Array:
        key = self.table.primary_key
        if key is None:
            raise SchemaError(
                f"Table {self.table.name!r} has no primary key",
                code="schema.no_primary_key",
                hint="Set the table's primary key first.",
            )
        return convert.one_array(self.column(key).raw())

    def keys(self) -> pa.Array:
        """Return the primary key of every row, as stored; raises ``schema.no_primary_key``."""
        return self._keys

    def key_index(self, keys: pa.Array | pa.ChunkedArray | Sequence[Any] | Array) -> Array:
        """Return the dense row of each key (int64), -1 for a key that is null or unknown.

        Integers, whole floats and their texts are the same key (``7``, ``7.0``, ``"7"``).
        Raises ``schema.no_primary_key``.
        """
        return convert.match_keys(convert.key_array(keys), self._keys)


@dataclass(frozen=True)
class LinkArrays:
    """A foreign key stored both ways.

    Attributes:
        link: Which foreign key.
        parent: int64[children] dense row of the parent, -1 where the key is null or dangling.
        indptr: int64[parents + 1]; ``child[indptr[p]:indptr[p + 1]]`` are parent ``p``'s children.
        child: int32 or int64[edges] dense rows of children, sorted by (parent, child's time,
            child's primary key or, without one, its content, child row). Children whose time is
            missing are never known and not listed.
        child_time: int64[edges] ns UTC aligned with ``child``; None when the child has no time.
    """

    link: Link
    parent: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    child: Array
    child_time: npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class Relations:
    """A snapshot's tables and links as arrays; safe to share between threads (read-only).

    ``proposals`` are, by table, the columns that seem to be known later than their rows, though
    nobody said so: ``column``, ``known_at`` and ``reason``.
    """

    snapshot_id: str
    graph: Graph
    path: Path
    tables: Mapping[str, TableArrays]
    links: Mapping[Link, LinkArrays]
    proposals: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def table(self, name: str) -> TableArrays:
        """Return a table's arrays, or raise ``schema.unknown_table`` with a near name."""
        self.graph.table(name)
        return self.tables[name]

    def value_known(self, table: str, column: str) -> npt.NDArray[np.int64] | None:
        """Return from when each row's value of a column is known, int64[rows] ns UTC.

        Never before the row's own time; ``NEVER`` where it never is; None for a column whose values
        are known with their rows. Raises ``schema.unknown_table`` and ``schema.unknown_column``.
        """
        return self.table(table).value_known(column)

    def link(self, link: Link) -> LinkArrays:
        """Return a link's arrays, or raise ``schema.unknown_link``."""
        try:
            return self.links[link]
        except KeyError:
            raise SchemaError(
                f"There is no link {link} in this graph",
                code="schema.unknown_link",
                hint=f"There are: {', '.join(map(str, self.links)) or 'none'}.",
            ) from None

    @classmethod
    def load(cls, path: Path, parquet: Mapping[str, Path] | None = None) -> Relations:
        """Map the arrays below ``path``; ``parquet`` overrides where the tables' files stand.

        Raises ``relations.unreadable`` when the directory holds no complete build.
        """
        try:
            manifest = json.loads((path / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InternalError(
                f"The arrays at {path} cannot be read: {error}",
                code="relations.unreadable",
                hint="Delete the directory; it is built again from the snapshot.",
            ) from error
        graph = Graph.from_json(manifest["graph"])
        tables = {}
        for name, entry in manifest["tables"].items():
            file = (parquet or {}).get(name) or Path(entry["parquet"])
            tables[name] = _load_table(path, graph.table(name), entry, file)
        links = {}
        for entry in manifest["links"]:
            link = Link.from_json(entry["link"])
            where = path / entry["directory"]
            links[link] = LinkArrays(
                link=link,
                parent=load_array(where / "parent.npy"),
                indptr=load_array(where / "indptr.npy"),
                child=load_array(where / "child.npy"),
                child_time=load_array(where / "child_time.npy") if entry["timed"] else None,
            )
        proposals = manifest.get("proposals", {})
        return cls(manifest["snapshot_id"], graph, path, tables, links, proposals)


def _load_table(root: Path, table: Table, entry: Mapping[str, Any], file: Path) -> TableArrays:
    where = root / entry["directory"]
    nothing = np.empty(0, dtype=np.float32)
    columns = {
        c["name"]: ColumnArray(
            name=c["name"],
            kind=c["kind"],
            values=load_array(where / f"{c['stem']}.npy") if c["stored"] else nothing,
            parquet=file,
            dictionary_path=where / f"{c['stem']}.json" if c["kind"] == "category" else None,
        )
        for c in entry["columns"]
    }
    return TableArrays(
        table=table,
        rows=entry["rows"],
        time=columns[table.time_column].values if table.time_column else None,
        end_time=columns[table.end_time_column].values if table.end_time_column else None,
        order=load_array(where / "order.npy"),
        parquet=file,
        columns=columns,
    )


def _number(text: str) -> float:
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return float("nan")
