"""What entities and items are, as categories and numbers that pairs can be compared by.

A label is a category column of the row, of a row that it points to, or which row that is; a column
of lists gives several. Only whether two rows share a label counts, never which it is, so that
nothing is kept from one snapshot to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.schema import Column, Link, Stype
from relcast.learners.features.columns import Columns, target_columns
from relcast.relations import Relations, convert

if TYPE_CHECKING:
    from relcast.pql.ast import CheckedQuery

__all__ = ["Label", "Labels", "labels_of", "numbers_of"]

Index = npt.NDArray[np.int64]
_SIGNS = ("|", ";", ",")


@dataclass(frozen=True)
class Label:
    """Where a row's label stands.

    Attributes:
        table: The table of the rows.
        path: Links upwards to the row that has it.
        column: The column there; None: which row that is.
        sign: What joins several labels in one text; None where a cell is one label, or a list.
    """

    table: str
    path: tuple[Link, ...]
    column: str | None
    sign: str | None = None

    @property
    def holder(self) -> str:
        """The table that the column stands in."""
        return self.path[-1].to if self.path else self.table

    @property
    def text(self) -> str:
        """What a person reads."""
        if self.column is not None:
            return f"{self.holder}.{self.column}"
        return f"{self.path[-1].table}.{self.path[-1].foreign_key}"

    def to_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "path": [link.to_json() for link in self.path],
            "column": self.column,
            "sign": self.sign,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Label:
        path = tuple(Link.from_json(link) for link in obj["path"])
        return cls(obj["table"], path, obj["column"], obj["sign"])


@dataclass(frozen=True)
class Labels:
    """The labels of every row.

    Attributes:
        indptr: int64[rows + 1]; ``codes[indptr[r]:indptr[r + 1]]`` are row r's labels.
        codes: int64[labels], below ``width``.
    """

    indptr: Index
    codes: Index
    width: int

    @classmethod
    def read(cls, relations: Relations, label: Label) -> Labels:
        """Read a snapshot's labels."""
        rows = np.arange(relations.table(label.table).rows)
        for link in label.path:
            up = np.append(relations.link(link).parent, -1)
            rows = up[rows]
        if label.column is None:
            return cls._single(rows, relations.table(label.holder).rows)
        column = relations.table(label.holder).column(label.column)
        if label.sign is None and column.kind == "category":
            codes = np.append(column.values, -1)[rows].astype(np.int64)
            return cls._single(codes, len(column.dictionary))
        own = cls._several(convert.one_array(column.raw()), label.sign)
        return own.take(rows)

    @classmethod
    def _single(cls, codes: npt.NDArray[Any], width: int) -> Labels:
        here = codes >= 0
        return cls(_running(here), codes[here].astype(np.int64), max(1, width))

    @classmethod
    def _several(cls, cells: pa.Array, sign: str | None) -> Labels:
        if sign is not None:
            cells = pc.split_pattern(cells.cast(pa.string()), sign)
        lengths = pc.list_value_length(cells).fill_null(0).to_numpy().astype(np.int64)
        flat = cells.flatten().cast(pa.string())
        flat = pc.utf8_trim_whitespace(flat)
        sound = pc.and_kleene(pc.is_valid(flat), pc.not_equal(flat, "")).fill_null(False)
        kept = sound.to_numpy(zero_copy_only=False)
        encoded = flat.filter(sound).dictionary_encode()
        owner = np.repeat(np.arange(len(lengths)), lengths)[kept]
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(
            _running(np.bincount(owner, minlength=len(lengths))),
            codes,
            max(1, len(encoded.dictionary)),
        )

    def take(self, rows: Index) -> Labels:
        """Return the labels of chosen rows; a row of -1 has none."""
        lengths = np.append(np.diff(self.indptr), 0)[rows]
        indptr = _running(lengths)
        inside = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
        return Labels(
            indptr, self.codes[np.repeat(self.indptr[rows], lengths) + inside], self.width
        )

    def first(self) -> npt.NDArray[np.int32]:
        """Return each row's first label, -1 where it has none."""
        padded = np.append(self.codes, -1)
        found = padded[np.minimum(self.indptr[:-1], len(self.codes))]
        return np.where(np.diff(self.indptr) > 0, found, -1).astype(np.int32)


def labels_of(
    relations: Relations, query: CheckedQuery, table: str, until: int | None
) -> list[Label]:
    """Return the labels of a table's rows: own columns, links, columns behind links.

    Columns whose values are not known with their row, and rows that come and go, are left out.
    """
    graph = relations.graph
    columns = Columns(relations, query, until)
    banned = set() if query.temporal else target_columns(query.query.target)
    answer = {part.path[-1] for part in _static_targets(query)}
    found: list[Label] = []

    def own(name: str, path: tuple[Link, ...]) -> None:
        categories = set(columns.of(name).categories)
        for column in graph.table(name).columns:
            if not _settled(column):
                continue
            if column.name in categories:
                array = relations.table(name).column(column.name)
                if len(array.dictionary) > 1:
                    found.append(Label(table, path, column.name))
            elif column.stype is Stype.multicategorical and (name, column.name) not in banned:
                kind = relations.table(name).column(column.name)
                listed = column.dtype.is_list
                found.append(Label(table, path, column.name, None if listed else _sign(kind.raw())))

    own(table, ())
    for link in graph.links_from(table):
        arrays = relations.table(link.to)
        if link in answer or arrays.time is not None or arrays.end_time is not None:
            continue
        if not _settled(graph.table(table).column(link.foreign_key)):
            continue
        found.append(Label(table, (link,), None))
        own(link.to, (link,))
        for second in graph.links_from(link.to):
            above = relations.table(second.to)
            settled = _settled(graph.table(link.to).column(second.foreign_key))
            if settled and above.time is None and above.end_time is None:
                found.append(Label(table, (link, second), None))
    return found


def numbers_of(
    relations: Relations, query: CheckedQuery, table: str, until: int | None
) -> list[str]:
    """Return the number columns of a table that are known with their row."""
    names = Columns(relations, query, until).of(table).numbers
    schema = relations.graph.table(table)
    return [name for name in names if _settled(schema.column(name))]


def _static_targets(query: CheckedQuery) -> list[Any]:
    from relcast.pql.ast import aggregations

    return [] if query.temporal else [a for a in aggregations(query.query.target) if a.path]


def _settled(column: Column) -> bool:
    """Tell whether a column's values are known with their row, and stay."""
    return column.known_at is None and column.known_after is None and not column.mutable


def _sign(raw: pa.ChunkedArray) -> str:
    """Return the sign that joins labels in most texts."""
    texts = convert.one_array(raw).cast(pa.string())
    count = [pc.sum(pc.match_substring(texts, sign)).as_py() or 0 for sign in _SIGNS]
    return _SIGNS[int(np.argmax(count))]


def _running(lengths: npt.NDArray[Any]) -> Index:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
