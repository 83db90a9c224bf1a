"""Predictive queries: the wire's ``PQueryResource`` and what a check of one says."""

from __future__ import annotations

from kumoapi.common import ValidationResponse
from kumoapi.graph import GraphDefinition
from kumoapi.pquery import PQueryResource

from relcast.catalog.records import GraphRecord, QueryRecord
from relcast.core.errors import UserError
from relcast.pql import check, describe
from relcast.server.wire.codec import validation
from relcast.server.wire.graphs import graph_of, wire_graph

__all__ = ["validate_query", "wire_query"]


def wire_query(record: QueryRecord, graph: GraphRecord) -> PQueryResource:
    """Return the wire form of a saved query."""
    return PQueryResource(
        query_string=record.text,
        graph=wire_graph(graph.graph, graph.sources),
        name=record.name,
        desc=record.description,
    )


def validate_query(text: str, definition: GraphDefinition) -> ValidationResponse:
    """Check a query against a graph definition: every fault with its place, or a restatement."""
    try:
        checked = check(text, graph_of(definition))
    except UserError as error:
        return validation(error)
    return validation(
        warnings=[(w.code, f"{w.message} {w.hint}".strip()) for w in checked.warnings],
        notes=[(checked.task_type.value, describe(checked))],
    )
