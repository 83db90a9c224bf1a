"""Tables, columns, links and graphs: what the data is, said once for every room.

A graph here is pure description. Where tables come from is a matter of ``relcast.sources``; what
they held at one moment is a matter of ``relcast.snapshots``. The words of ``Dtype`` and ``Stype``
are those of the public SDK, so that the wire needs no second vocabulary.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from relcast.core.delays import Delay
from relcast.core.errors import SchemaError, nearest

__all__ = ["Column", "Dtype", "Graph", "Link", "Stype", "Table", "TaskType"]


class Dtype(StrEnum):
    """How a column is stored."""

    bool = "bool"
    int = "int"
    byte = "byte"
    int16 = "int16"
    int32 = "int32"
    int64 = "int64"
    float = "float"
    float32 = "float32"
    float64 = "float64"
    string = "string"
    binary = "binary"
    date = "date"
    time = "time"
    timedelta = "timedelta"
    floatlist = "floatlist"
    intlist = "intlist"
    stringlist = "stringlist"
    unsupported = "unsupported"

    @property
    def is_integer(self) -> builtins.bool:
        return self in _INTEGERS

    @property
    def is_number(self) -> builtins.bool:
        """Whether values add up: integers, floats and durations."""
        return self in _INTEGERS or self in _FLOATS or self is Dtype.timedelta

    @property
    def is_time(self) -> builtins.bool:
        return self in (Dtype.date, Dtype.time)

    @property
    def is_list(self) -> builtins.bool:
        return self in (Dtype.floatlist, Dtype.intlist, Dtype.stringlist)


_INTEGERS = frozenset({Dtype.int, Dtype.byte, Dtype.int16, Dtype.int32, Dtype.int64})
_FLOATS = frozenset({Dtype.float, Dtype.float32, Dtype.float64})


class Stype(StrEnum):
    """What a column means, which decides how it is encoded."""

    numerical = "numerical"
    categorical = "categorical"
    multicategorical = "multicategorical"
    ID = "ID"
    text = "text"
    timestamp = "timestamp"
    sequence = "sequence"
    image = "image"
    unsupported = "unsupported"


class TaskType(StrEnum):
    """What kind of prediction a query asks for."""

    BINARY_CLASSIFICATION = "binary_classification"
    MULTICLASS_CLASSIFICATION = "multiclass_classification"
    MULTILABEL_CLASSIFICATION = "multilabel_classification"
    MULTILABEL_RANKING = "multilabel_ranking"
    REGRESSION = "regression"
    TEMPORAL_LINK_PREDICTION = "temporal_link_prediction"
    STATIC_LINK_PREDICTION = "static_link_prediction"
    FORECASTING = "forecasting"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        known_at: The time column of the same table from which a row's value is known; None: known
            with the row.
        known_after: How long after ``known_at`` (without one, after the row's time) it is known.
        mutable: Whether values are overwritten in place, so that what they were is lost.
    """

    name: str
    dtype: Dtype
    stype: Stype
    known_at: str | None = None
    known_after: Delay | None = None
    mutable: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value; what nobody said of when values are known is left out."""
        obj: dict[str, Any] = {
            "name": self.name,
            "dtype": self.dtype.value,
            "stype": self.stype.value,
        }
        if self.known_at is not None:
            obj["known_at"] = self.known_at
        if self.known_after is not None:
            obj["known_after"] = self.known_after.to_json()
        if self.mutable:
            obj["mutable"] = True
        return obj

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Column:
        delay = obj.get("known_after")
        return cls(
            obj["name"],
            Dtype(obj["dtype"]),
            Stype(obj["stype"]),
            obj.get("known_at"),
            None if delay is None else Delay.of(delay),
            bool(obj.get("mutable", False)),
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns in order, and which of them are key, time and end time.

    Raises ``schema.unknown_column`` when a role, ``known_at`` or ``known_after`` names a column
    that the table lacks; ``schema.duplicate_column`` when two columns share a name;
    ``schema.bad_known_at`` and ``schema.bad_delay`` for a column that is no time, or no duration;
    ``schema.known_without_time`` for a delay after nothing; ``schema.known_role`` where a key or a
    time of the row is to be known later, or to be mutable.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: str | None = None
    time_column: str | None = None
    end_time_column: str | None = None

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(
                    f"Table {self.name!r} has two columns named {name!r}",
                    code="schema.duplicate_column",
                    hint="Rename one of them at the source.",
                )
        for role in (self.primary_key, self.time_column, self.end_time_column):
            if role is not None:
                self.column(role)
        for column in self.columns:
            if column.known_at is not None or column.known_after is not None or column.mutable:
                self._check_known(column)

    def _check_known(self, column: Column) -> None:
        place = f"{self.name}.{column.name}"
        roles = {
            self.primary_key: "primary key",
            self.time_column: "time column",
            self.end_time_column: "end time column",
        }
        if column.name in roles:
            raise SchemaError(
                f"{place} is the {roles[column.name]}, and cannot be known later than its row or "
                "be mutable",
                code="schema.known_role",
                hint="Say it of the columns that are filled in or overwritten later.",
            )
        if column.known_at is not None:
            moment = self.column(column.known_at)
            if not moment.dtype.is_time:
                raise SchemaError(
                    f"{place} is to be known at {moment.name}, which is {moment.dtype.value} and "
                    "no time",
                    code="schema.bad_known_at",
                    hint="Name a column of times, or say how long after its row it is known.",
                )
        delay = column.known_after
        if delay is None:
            return
        if self.time_column is None and column.known_at is None:
            raise SchemaError(
                f"{place} is to be known {delay} after its row, but table {self.name!r} has no "
                "time column",
                code="schema.known_without_time",
                hint="Set the table's time column, or name the column's known_at.",
            )
        if delay.column is not None:
            _check_delay(place, delay, self.column(delay.column))

    def column(self, name: str) -> Column:
        """Return the column of that name, or raise ``schema.unknown_column`` with a near name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(
            f"Table {self.name!r} has no column {name!r}",
            code="schema.unknown_column",
            hint=nearest(name, [c.name for c in self.columns]),
        )

    def known_by(self, name: str) -> tuple[str | None, Delay | None] | None:
        """Return the time column and the delay that say from when a column is known.

        None for a column that is known with its row. A column that says when others are known is
        itself known only then, unless it says of itself something else (``0 seconds``: with its
        row). Raises ``schema.unknown_column``.
        """
        own = self.column(name)
        if own.known_at is not None or own.known_after is not None:
            return own.known_at, own.known_after
        if name in (self.primary_key, self.time_column, self.end_time_column):
            return None
        for column in self.columns:
            delay = column.known_after
            if column.known_at == name:
                return name, None
            if delay is not None and delay.column == name:
                return column.known_at, delay
        return None

    def is_late(self, name: str) -> bool:
        """Return whether values of a column may be known later than their rows."""
        return self.known_by(name) is not None

    def has_column(self, name: str) -> bool:
        return any(c.name == name for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "columns": [c.to_json() for c in self.columns],
            "primary_key": self.primary_key,
            "time_column": self.time_column,
            "end_time_column": self.end_time_column,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Table:
        return cls(
            name=obj["name"],
            columns=tuple(Column.from_json(c) for c in obj["columns"]),
            primary_key=obj.get("primary_key"),
            time_column=obj.get("time_column"),
            end_time_column=obj.get("end_time_column"),
        )


def _check_delay(place: str, delay: Delay, column: Column) -> None:
    if column.dtype is Dtype.timedelta:
        if delay.unit is None:
            return
        what, hint = f"{column.name}, whose values are durations already", "Leave the unit out."
    elif not column.dtype.is_number:
        what = f"{column.name}, which is {column.dtype.value} and no duration"
        hint = "Name a column of numbers with their unit, or a column of durations."
    elif delay.unit is None:
        what = f"{column.name}, whose numbers have no unit"
        hint = f"Say it: '{column.name} minutes'."
    else:
        return
    raise SchemaError(f"{place} is to be known after {what}", code="schema.bad_delay", hint=hint)


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A foreign key: ``table.foreign_key`` points to the primary key of ``to``."""

    table: str
    foreign_key: str
    to: str

    def __str__(self) -> str:
        return f"{self.table}.{self.foreign_key} -> {self.to}"

    def to_json(self) -> dict[str, Any]:
        return {"table": self.table, "foreign_key": self.foreign_key, "to": self.to}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Link:
        return cls(obj["table"], obj["foreign_key"], obj["to"])


@dataclass(frozen=True)
class Graph:
    """Tables and the links between them.

    Raises ``schema.unknown_table``, ``schema.unknown_column``, ``schema.link_without_key`` (the
    table pointed to has no primary key) or ``schema.late_key`` (a foreign key that is known later
    than its row) on construction.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        for link in self.links:
            if self.table(link.table).is_late(link.foreign_key):
                raise SchemaError(
                    f"{link.table}.{link.foreign_key} links its rows to {link.to!r}, and cannot be "
                    "known later than they are",
                    code="schema.late_key",
                    hint="Keep what is assigned later in a table of its own, with its own time.",
                )
            if self.table(link.to).primary_key is None:
                raise SchemaError(
                    f"Link {link} points to a table that has no primary key",
                    code="schema.link_without_key",
                    hint=f"Set the primary key of {link.to!r} first.",
                )

    def table(self, name: str) -> Table:
        """Return the table of that name, or raise ``schema.unknown_table`` with a near name."""
        try:
            return self.tables[name]
        except KeyError:
            raise SchemaError(
                f"There is no table {name!r} in this graph",
                code="schema.unknown_table",
                hint=nearest(name, list(self.tables)),
            ) from None

    def links_from(self, table: str) -> Iterator[Link]:
        """Yield the links whose foreign key stands in ``table``."""
        return (link for link in self.links if link.table == table)

    def links_to(self, table: str) -> Iterator[Link]:
        """Yield the links that point to ``table``."""
        return (link for link in self.links if link.to == table)

    def to_json(self) -> dict[str, Any]:
        return {
            "tables": [t.to_json() for t in self.tables.values()],
            "links": [link.to_json() for link in self.links],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Graph:
        tables = [Table.from_json(t) for t in obj["tables"]]
        return cls(
            tables={t.name: t for t in tables},
            links=tuple(Link.from_json(link) for link in obj["links"]),
        )
