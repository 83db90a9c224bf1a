"""Predictive queries: the wire's ``PQueryResource`` and what a check of one says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kumoapi.common import ValidationResponse
from kumoapi.graph import GraphDefinition
from kumoapi.pquery import PQueryResource

from relcast.catalog.records import GraphRecord, QueryRecord
from relcast.core.errors import UserError
from relcast.core.settings import Compatibility
from relcast.pql import describe
from relcast.server.wire.codec import validation
from relcast.server.wire.graphs import graph_of, wire_graph
from relcast.server.wire.places import known_sources

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["validate_query", "wire_query"]


def wire_query(record: QueryRecord, graph: GraphRecord) -> PQueryResource:
    """Return the wire form of a saved query."""
    return PQueryResource(
        query_string=record.text,
        graph=wire_graph(graph.graph, graph.sources),
        name=record.name,
        desc=record.description,
    )


def validate_query(
    platform: Platform,
    text: str,
    definition: GraphDefinition,
    *,
    compatibility: Compatibility | None = None,
) -> ValidationResponse:
    """Check a query against a graph definition: every fault with its place, or a restatement."""
    try:
        graph = graph_of(definition)
        sources = known_sources(platform, definition)
        saved = None if sources is None else platform.saved_graph(graph, sources)
        checked = platform.check_query(text, graph, saved, compatibility=compatibility)
        notes = [(checked.task_type.value, describe(checked))]
        notes += [(x.code, f"{x.message}. {x.hint}") for x in checked.extensions]
    except UserError as error:
        return validation(error)
    return validation(
        warnings=[(w.code, f"{w.message} {w.hint}".strip()) for w in checked.warnings],
        notes=notes,
    )
