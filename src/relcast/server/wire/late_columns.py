"""Definitions as the SDK sends them, with our fields beside its own: when a column is known.

The SDK neither sends nor reads ``known_at``, ``known_after`` and ``mutable``. A definition without
them is the SDK's to the byte, in both directions.
"""

from __future__ import annotations

from typing import Any

from kumoapi import graph as wire_graphs
from kumoapi import table as wire_tables
from pydantic.dataclasses import dataclass

from relcast.core.delays import Delay
from relcast.core.schema import Table

__all__ = [
    "Column",
    "GraphDefinition",
    "GraphValidationRequest",
    "TableDefinition",
    "TableValidationRequest",
    "facts_of",
    "with_facts",
]


_OURS = ("known_at", "known_after", "mutable")


@dataclass(frozen=True)
class Column(wire_tables.Column):  # type: ignore[misc]
    """A column, and when its values are known.

    Attributes:
        known_at: The time column of the table from which values are known.
        known_after: How long after that, or after the row's time: ``6 hours``, ``air_time
            minutes``, or an object of ``amount`` or ``column`` with ``unit``.
        mutable: Whether values are overwritten in place.
    """

    known_at: str | None = None
    known_after: str | dict[str, str | float] | None = None
    mutable: bool = False


@dataclass
class TableDefinition(wire_tables.TableDefinition):  # type: ignore[misc]
    """A table whose columns may say when they are known."""

    cols: list[Column]


@dataclass
class GraphDefinition(wire_graphs.GraphDefinition):  # type: ignore[misc]
    """A graph of such tables."""

    tables: dict[str, TableDefinition]


@dataclass
class TableValidationRequest:
    """A table to check."""

    table_definition: TableDefinition


@dataclass
class GraphValidationRequest:
    """A graph to check."""

    graph_definition: GraphDefinition


def facts_of(column: wire_tables.Column) -> dict[str, Any]:
    """Return what a column of the wire says of itself; raises ``schema.bad_delay``."""
    if not isinstance(column, Column):
        return {}
    delay = column.known_after
    return {
        "known_at": column.known_at or None,
        "known_after": None if delay is None else Delay.of(delay),
        "mutable": column.mutable,
    }


def with_facts(definition: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return a table's definition as JSON, with our fields where its columns say something.

    The SDK's own writer leaves out what its classes do not know.
    """
    named = {c.name: c.to_json() for c in table.columns}
    columns = [
        {**c, **{k: v for k, v in named[c["name"]].items() if k in _OURS}}
        for c in definition["cols"]
    ]
    return {**definition, "cols": columns}
