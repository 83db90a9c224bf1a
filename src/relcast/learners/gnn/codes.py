"""How each column enters the network: encoders fitted on what the training side knew.

Needs no torch. A number becomes its distance from the median in interquartile ranges (compressed by
the inverse hyperbolic sine) and a flag for missing; a category a place in an embedding, beyond a
bound a bucket of a hash; a time its parts of the calendar and its distance to the cut-off; a text
buckets of its words and pairs of words; a list buckets of its elements. Everything is by name and
by value, so that the codes of one snapshot read any later one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.core.schema import Column, Stype, Table
from relcast.learners.features.columns import target_columns
from relcast.pql.ast import CheckedQuery
from relcast.relations import NEVER, NOT_A_TIME, ColumnArray, Relations

__all__ = ["ColumnCode", "TableCode", "bucket_of", "fit_codes"]

MOST_WORDS = 512
HASHED = 64
TEXT_BUCKETS = 1024
LIST_BUCKETS = 512
_MOST_FITTED = 1_000_000
_PARTS = 6
_SPREADS = 5

Kind = Literal["number", "category", "time", "text", "list"]
Known = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnCode:
    """One column as the network reads it.

    Attributes:
        column: Its name.
        kind: How it is read.
        centre, scale: ``number`` only.
        words: ``category`` only: those with an embedding of their own, most frequent first.
        buckets: Buckets of the hash that other words, or all, share.
    """

    column: str
    kind: Kind
    centre: float = 0.0
    scale: float = 1.0
    words: tuple[str, ...] = ()
    buckets: int = 0

    @property
    def channels(self) -> int:
        """Numbers that the column gives."""
        return {"number": 2, "time": _PARTS + 2}.get(self.kind, 0)

    @property
    def places(self) -> int:
        """Embeddings that the column has; the first is that of a missing value."""
        if self.kind in ("number", "time"):
            return 0
        return 1 + len(self.words) + self.buckets


@dataclass(frozen=True, slots=True)
class TableCode:
    """The columns of one table, and the unit of time that distances are measured in.

    Attributes:
        unit: ns; the horizon of the query, or a year.
        moment: ns UTC from which distances are measured where there is no cut-off.
        timed: Whether the row's own time gives ages (besides its calendar, a column like others).
    """

    table: str
    columns: tuple[ColumnCode, ...]
    unit: int
    moment: int
    timed: bool

    @property
    def channels(self) -> int:
        """Numbers per row: the columns', the ages' and one that says that the row is there."""
        return 1 + self.ages + sum(c.channels for c in self.columns)

    @property
    def ages(self) -> int:
        return 1 + _SPREADS if self.timed else 0

    @property
    def places(self) -> int:
        return sum(c.places for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TableCode:
        columns = tuple(
            ColumnCode(
                str(c["column"]),
                c["kind"],
                float(c["centre"]),
                float(c["scale"]),
                tuple(map(str, c["words"])),
                int(c["buckets"]),
            )
            for c in obj["columns"]
        )
        if any(c.kind not in ("number", "category", "time", "text", "list") for c in columns):
            raise ValueError("a column of the network is of no known kind")
        return cls(
            str(obj["table"]), columns, int(obj["unit"]), int(obj["moment"]), bool(obj["timed"])
        )


def bucket_of(word: str, buckets: int) -> int:
    """Return the bucket of a word, the same in every process."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % buckets


def fit_codes(
    relations: Relations,
    query: CheckedQuery,
    tables: Sequence[str],
    *,
    until: int | None,
    unit: int,
    closed: AbstractSet[tuple[str, str]] = frozenset(),
) -> tuple[TableCode, ...]:
    """Fit the columns of these tables on the rows and values that are known at ``until``.

    Left out are ``closed`` columns (table, column), keys and identifiers, what a static target is
    computed from, the time at which a row ends, what says when another column is known, and what
    never varies. ``until`` None knows everything.
    """
    hidden = set() if query.temporal else target_columns(query.query.target)
    hidden |= {(link.table, link.foreign_key) for link in relations.graph.links}
    hidden |= closed
    return tuple(
        _fit_table(relations, name, {c for t, c in hidden if t == name}, until, unit)
        for name in tables
    )


def _fit_table(
    relations: Relations,
    name: str,
    hidden: set[str],
    until: int | None,
    unit: int,
) -> TableCode:
    arrays = relations.table(name)
    table = arrays.table
    hidden |= _hidden(table)
    known = np.ones(arrays.rows, dtype=np.bool_)
    if arrays.time is not None:
        known = arrays.time != NOT_A_TIME
        if until is not None:
            known &= arrays.time <= until
    moment = 0 if until is None else until
    if until is None and arrays.time is not None and known.any():
        moment = int(arrays.time[known].max())
    found = []
    for column in table.columns:
        if column.name in hidden:
            continue
        seen = known
        late = arrays.value_known(column.name)
        if late is not None:
            seen = known & (late <= (NEVER - 1 if until is None else until))
        code = _fit_column(column, arrays.column(column.name), seen)
        if code is not None:
            found.append(code)
    return TableCode(name, tuple(found), unit, moment, arrays.time is not None)


def _hidden(table: Table) -> set[str]:
    """Return the columns that no network reads, by their roles."""
    found = {table.primary_key, table.end_time_column}
    for column in table.columns:
        if column.stype in (Stype.ID, Stype.image, Stype.unsupported):
            found.add(column.name)
        if column.known_at is not None and column.known_at != table.time_column:
            found.add(column.known_at)
        if column.known_after is not None:
            found.add(column.known_after.column)
    return {name for name in found if name is not None}


def _fit_column(column: Column, array: ColumnArray, seen: Known) -> ColumnCode | None:
    if not seen.any():
        return None
    match array.kind:
        case "number":
            return _fit_number(column.name, array.values[seen])
        case "category":
            codes = array.values[seen]
            if codes.min() == codes.max():
                return None
            counts = np.bincount(codes[codes >= 0], minlength=len(array.dictionary))
            order = np.lexsort((np.arange(len(counts)), -counts))
            words = [array.dictionary[k] for k in order[:MOST_WORDS] if counts[k] > 0]
            buckets = HASHED if int((counts > 0).sum()) > MOST_WORDS else 1
            return ColumnCode(column.name, "category", words=tuple(words), buckets=buckets)
        case "time":
            return ColumnCode(column.name, "time")
        case "text":
            return ColumnCode(column.name, "text", buckets=TEXT_BUCKETS)
        case "list":
            return ColumnCode(column.name, "list", buckets=LIST_BUCKETS)
        case _:
            return None


def _fit_number(name: str, values: npt.NDArray[Any]) -> ColumnCode | None:
    if len(values) > _MOST_FITTED:
        values = np.sort(values)[:: -(-len(values) // _MOST_FITTED)]
    there = values[np.isfinite(values)].astype(np.float64)
    if not len(there) or (len(there) == len(values) and there.min() == there.max()):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        low, centre, high = np.quantile(there, [0.25, 0.5, 0.75])
        spread = (high - low) / 1.349
        spread = spread if spread > 0 else there.std()
    usable = bool(np.isfinite([spread, centre]).all() and spread > 0)
    if not usable:
        return ColumnCode(name, "number")
    return ColumnCode(name, "number", float(centre), float(spread))
