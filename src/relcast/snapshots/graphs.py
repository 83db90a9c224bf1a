"""Tables and links put together to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relcast.core.schema import Graph, Link, Stype, Table

__all__ = ["link_graph"]


def link_graph(tables: Sequence[Table], links: Sequence[Link]) -> Graph:
    """Return the graph of tables and links, in which each foreign key's stype is ID.

    A link that is given twice stands once. Raises what ``Graph`` raises.
    """
    unique = tuple(dict.fromkeys(links))
    graph = Graph({t.name: t for t in tables}, unique)
    foreign = {(link.table, link.foreign_key) for link in unique}
    marked = {
        name: replace(
            table,
            columns=tuple(
                replace(c, stype=Stype.ID) if (name, c.name) in foreign else c
                for c in table.columns
            ),
        )
        for name, table in graph.tables.items()
    }
    return Graph(marked, unique)
