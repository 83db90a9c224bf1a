"""Graphs: tables and their links, as the SDK defines them or as inferred from a connector."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.common import ValidationResponse
from kumoapi.graph import GraphDefinition as WireGraph
from kumoapi.graph import GraphResource
from kumoapi.json_serde import to_json_dict

from relcast.core.errors import SchemaError, UserError
from relcast.core.schema import Graph
from relcast.server.answers import graph_json, once
from relcast.server.bodies import GraphBody, NewGraph
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import finite, validation, wire_answer
from relcast.server.wire.graphs import graph_of, wire_graph
from relcast.server.wire.late_columns import (
    GraphDefinition,
    GraphValidationRequest,
    with_facts,
)
from relcast.server.wire.places import sources_of
from relcast.server.wire.tables import checked_table, table_of

__all__ = ["routes"]

routes = Routes("graphs")


@routes.post(
    "/graphs/from_source",
    scope="train",
    summary="Make a graph of a connector's tables, inferring what is not said",
    answer=GraphBody,
    status=201,
    errors=(404,),
)
def create_graph_from_source(request: Request, body: NewGraph) -> Response:
    """Infer types, primary keys, time columns and links of a connector's tables.

    `reasons` in the answer gives the evidence of every choice; `overrides` takes what inference
    gets wrong. Nothing is copied: training and prediction ingest the tables themselves.
    """
    overrides = body.overrides.model_dump(exclude_none=True, exclude_defaults=True)
    platform = platform_of(request)

    def work(_: Any) -> Response:
        record = platform.graph_from_source(
            body.connector_id, None, body.tables, overrides, name=body.name
        )
        return JSONResponse(
            graph_json(record),
            status_code=201,
            headers={"Location": f"/api/v1/graphs/{record.id}"},
        )

    return once(request, body, work)


@routes.post(
    "/graphs/validate",
    scope="read",
    summary="Check a graph definition (SDK)",
    answer=ValidationResponse,
)
def validate_graph(body: GraphValidationRequest) -> Response:
    definition = body.graph_definition
    found: list[UserError] = []
    for name, table in definition.tables.items():
        try:
            checked_table(name, table)
        except UserError as error:
            found.append(error)
    if not found:
        try:
            found += _key_clashes(graph_of(definition))
        except UserError as error:
            found.append(error)
    return wire_answer(validation(*found))


@routes.post(
    "/graphs/infer_links",
    scope="read",
    summary="Infer the links of a graph definition without links (SDK)",
    answer=WireGraph,
)
def infer_links(request: Request, body: GraphDefinition) -> Response:
    platform = platform_of(request)
    tables = {name: table_of(name, table) for name, table in body.tables.items()}
    proposals = platform.infer_links(Graph(tables=tables), sources_of(platform, body))
    graph = Graph(tables=tables, links=tuple(p.link for p in proposals))
    linked = wire_graph(graph, sources_of(platform, body))
    return _told(WireGraph(tables=body.tables, col_groups=linked.col_groups), graph)


@routes.post("/graphs", scope="train", summary="Save a graph definition (SDK)", errors=(404, 409))
def create_graph(
    request: Request,
    body: GraphDefinition,
    name_alias: str | None = None,
) -> Response:
    """Save a graph; the same definition has the same id."""
    platform = platform_of(request)
    record = platform.create_graph(graph_of(body), sources_of(platform, body), name=name_alias)
    return JSONResponse({"id": record.id})


@routes.get(
    "/graphs/{graph_id}",
    scope="read",
    summary="Get a saved graph by id or name (SDK)",
    answer=GraphResource,
)
def get_graph(request: Request, graph_id: str) -> Response:
    record = platform_of(request).graph(graph_id)
    resource = GraphResource(
        id=record.id, graph=wire_graph(record.graph, record.sources), name_alias=record.name
    )
    return _told(resource, record.graph)


def _told(answer: WireGraph | GraphResource, graph: Graph) -> Response:
    """Answer with a definition, and with our fields where columns say when they are known."""
    found = finite(to_json_dict(answer))
    tables = found.get("graph", found)["tables"]
    tables.update({name: with_facts(told, graph.table(name)) for name, told in tables.items()})
    return JSONResponse(found)


def _key_clashes(graph: Graph) -> list[SchemaError]:
    """Return one error for each link whose two columns can never be equal."""
    found = []
    for link in graph.links:
        key = graph.table(link.to).primary_key
        child = graph.table(link.table).column(link.foreign_key).dtype
        parent = graph.table(link.to).column(key or "").dtype
        if child.is_number != parent.is_number and not (child.is_time and parent.is_time):
            found.append(
                SchemaError(
                    f"{link.table}.{link.foreign_key} is stored as {child.value} but "
                    f"{link.to}.{key} as {parent.value}, so no row can match",
                    code="schema.key_clash",
                    hint="Link columns of the same type, or change the type of one at the source.",
                )
            )
    return found
