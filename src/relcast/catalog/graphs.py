"""Graphs: tables, links and sources under an id that is derived from their content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from relcast.catalog.database import Database
from relcast.catalog.records import GraphRecord
from relcast.catalog.tables import graph_names, graphs
from relcast.core.clock import Clock
from relcast.core.errors import NotFound, nearest
from relcast.core.ids import content_id
from relcast.core.schema import Graph
from relcast.sources import SourceRef

__all__ = ["Graphs"]


class Graphs:
    """The graphs of a catalog. A name points to one graph at a time: the last one named so."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(
        self,
        graph: Graph,
        sources: Mapping[str, SourceRef],
        name: str | None = None,
        reasons: Mapping[str, Any] | None = None,
    ) -> GraphRecord:
        """Store a graph; the same content again is the same record. A name moves to this graph."""
        definition, where = graph.to_json(), _where(sources)
        graph_id = _identity(graph, sources)
        now = self._clock()
        with self._database.write() as connection:
            if not connection.scalar(sa.select(sa.exists().where(graphs.c.id == graph_id))):
                connection.execute(
                    sa.insert(graphs).values(
                        id=graph_id,
                        definition=definition,
                        sources=where,
                        reasons=dict(reasons or {}),
                        created_at=now,
                    )
                )
            if name is not None:
                connection.execute(sa.delete(graph_names).where(graph_names.c.name == name))
                connection.execute(
                    sa.insert(graph_names).values(name=name, graph_id=graph_id, named_at=now)
                )
        return self.get(graph_id)

    def find(self, graph: Graph, sources: Mapping[str, SourceRef]) -> str | None:
        """Return the id of the graph of this content; None where it was never stored."""
        graph_id = _identity(graph, sources)
        with self._database.read() as connection:
            stored = connection.scalar(sa.select(sa.exists().where(graphs.c.id == graph_id)))
        return graph_id if stored else None

    def get(self, id_or_name: str) -> GraphRecord:
        """Return the graph of that id, failing that of that name; raises ``graph.not_found``."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(graphs.c.id == id_or_name)).one_or_none()
            if row is None:
                named = sa.select(graph_names.c.graph_id).where(graph_names.c.name == id_or_name)
                row = connection.execute(
                    _SELECT.where(graphs.c.id == named.scalar_subquery())
                ).one_or_none()
        if row is None:
            raise NotFound(
                f"There is no graph {id_or_name!r}",
                code="graph.not_found",
                hint=nearest(id_or_name, [g.name or g.id for g in self.all()]),
            )
        return _record(row)

    def all(self) -> list[GraphRecord]:
        """Return every graph, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT.order_by(graphs.c.created_at.desc(), graphs.c.id))
            return [_record(row) for row in rows]


# A graph may carry several names; the newest is the one that is shown.
_NEWEST_NAME = (
    sa.select(graph_names.c.name)
    .where(graph_names.c.graph_id == graphs.c.id)
    .order_by(graph_names.c.named_at.desc(), graph_names.c.name)
    .limit(1)
    .scalar_subquery()
)
_SELECT = sa.select(graphs, _NEWEST_NAME.label("name"))


def _where(sources: Mapping[str, SourceRef]) -> dict[str, dict[str, str]]:
    return {
        table: {"connector_id": ref.connector_id, "table": ref.table}
        for table, ref in sources.items()
    }


def _identity(graph: Graph, sources: Mapping[str, SourceRef]) -> str:
    return content_id("graph", {"graph": graph.to_json(), "sources": _where(sources)})


def _record(row: sa.Row[Any]) -> GraphRecord:
    return GraphRecord(
        id=row.id,
        name=row.name,
        graph=Graph.from_json(row.definition),
        sources={
            table: SourceRef(connector_id=ref["connector_id"], table=ref["table"])
            for table, ref in row.sources.items()
        },
        reasons=row.reasons,
        created_at=row.created_at,
    )
