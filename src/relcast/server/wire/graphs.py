"""Graph definitions: column groups as links, and back.

A group stands for one destination table: it holds the destination's primary key first and every
foreign key that points to it after that.
"""

from __future__ import annotations

from collections.abc import Mapping

from kumoapi.graph import ColumnKey, ColumnKeyGroup, GraphDefinition

from relcast.core.errors import SchemaError
from relcast.core.schema import Graph, Link, Table
from relcast.server.wire.tables import table_of, wire_table
from relcast.sources import SourceRef

__all__ = ["graph_of", "links_of", "wire_graph", "wire_groups"]


def graph_of(definition: GraphDefinition) -> Graph:
    """Return our graph; raises the ``schema.*`` errors of ``Graph`` and of ``links_of``."""
    tables = {name: table_of(name, table) for name, table in definition.tables.items()}
    return Graph(tables=tables, links=links_of(tables, definition.col_groups))


def links_of(tables: Mapping[str, Table], groups: list[ColumnKeyGroup]) -> tuple[Link, ...]:
    """Return the links of column groups; raises ``schema.group_without_key``."""
    graph = Graph(tables=tables)
    links = []
    for group in groups:
        members = list(group.columns)
        for key in members:
            graph.table(key.table_name).column(key.col_name)
        target = next((k for k in members if tables[k.table_name].primary_key == k.col_name), None)
        if target is None:
            named = ", ".join(f"{k.table_name}.{k.col_name}" for k in members)
            raise SchemaError(
                f"None of the linked columns {named} is a primary key",
                code="schema.group_without_key",
                hint="A link points to a table's primary key; set it first.",
            )
        links += [
            Link(key.table_name, key.col_name, target.table_name)
            for key in members
            if key != target
        ]
    return tuple(dict.fromkeys(links))


def wire_groups(graph: Graph) -> list[ColumnKeyGroup]:
    """Return one group for each table that links point to, its primary key first."""
    groups = []
    for name, table in graph.tables.items():
        incoming = sorted(graph.links_to(name))
        if incoming and table.primary_key is not None:
            members = [ColumnKey(name, table.primary_key)]
            members += [ColumnKey(link.table, link.foreign_key) for link in incoming]
            groups.append(ColumnKeyGroup(columns=tuple(dict.fromkeys(members))))
    return groups


def wire_graph(graph: Graph, sources: Mapping[str, SourceRef]) -> GraphDefinition:
    """Return the wire form of a graph."""
    return GraphDefinition(
        tables={name: wire_table(table, sources[name]) for name, table in graph.tables.items()},
        col_groups=wire_groups(graph),
    )
