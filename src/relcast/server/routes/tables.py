"""Table definitions: inferred, checked and kept.

A saved table is kept as a graph of one table, so that its id is derived from its content in the
same way; only the prefix differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.common import ValidationResponse
from kumoapi.json_serde import to_json_dict
from kumoapi.table import TableMetadataRequest, TableMetadataResponse, TableResource

from relcast.catalog.records import GraphRecord
from relcast.core.errors import NotFound, SchemaError, UserError, nearest
from relcast.core.schema import Graph, Table
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import validation, wire_answer
from relcast.server.wire.late_columns import (
    TableDefinition,
    TableValidationRequest,
    with_facts,
)
from relcast.server.wire.places import source_of
from relcast.server.wire.tables import checked_table, table_of, wire_column, wire_table

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["SINGLE", "routes", "single_table_graph"]

SINGLE = "table"
"""The name of the only table in the graph that keeps a saved table."""

routes = Routes("tables")


@routes.post(
    "/tables/infer_metadata",
    scope="read",
    summary="Infer types, primary key and time column of a source table (SDK)",
    answer=TableMetadataResponse,
    errors=(404,),
)
def infer_metadata(request: Request, body: TableMetadataRequest) -> Response:
    platform = platform_of(request)
    ref = source_of(platform, body.source_table)
    proposal = platform.infer_table(ref)
    table: Table = proposal.table
    asked = [c.name for c in body.cols] or [c.name for c in table.columns]
    columns = [table.column(name) for name in asked]  # every one that was asked for

    def role(given: str | None, inferred: str | None) -> str | None:
        return given or (inferred if inferred in asked else None)

    return wire_answer(
        TableMetadataResponse(
            cols=[wire_column(c) for c in columns],
            source_table=body.source_table,
            pkey=role(body.pkey, table.primary_key),
            time_col=role(body.time_col, table.time_column),
            end_time_col=role(body.end_time_col, table.end_time_column),
        )
    )


@routes.post(
    "/tables/validate",
    scope="read",
    summary="Check a table definition against its source (SDK)",
    answer=ValidationResponse,
)
def validate_table(request: Request, body: TableValidationRequest) -> Response:
    platform = platform_of(request)
    definition = body.table_definition
    try:
        ref = source_of(platform, definition.source_table)
        table = checked_table(ref.table, definition)
        present = platform.source(ref.connector_id).schema(ref.table).names
    except UserError as error:
        return wire_answer(validation(error))
    missing = [
        SchemaError(
            f"The source table {ref.table!r} has no column {column.name!r}",
            code="schema.unknown_column",
            hint=nearest(column.name, present),
        )
        for column in table.columns
        if column.name not in present
    ]
    return wire_answer(validation(*missing))


@routes.post("/tables", scope="train", summary="Save a table definition (SDK)", errors=(404, 409))
def create_table(
    request: Request,
    body: TableDefinition,
    name_alias: str | None = None,
) -> Response:
    record = single_table_graph(platform_of(request), body, name_alias)
    return JSONResponse({"id": _Saved.of(record).id})


@routes.get(
    "/tables/{table_id}",
    scope="read",
    summary="Get a saved table by id or name (SDK)",
    answer=TableResource,
)
def get_table(request: Request, table_id: str) -> Response:
    platform = platform_of(request)
    stored = table_id.replace("table-", "graph-", 1) if table_id.startswith("table-") else None
    try:
        record = platform.graph(stored or f"{_ALIAS}{table_id}")
        saved = _Saved.of(record)
    except NotFound:
        raise NotFound(
            f"There is no saved table {table_id!r}",
            code="table.not_found",
            hint="Save the table first; the answer has its id.",
        ) from None
    table = record.graph.tables[SINGLE]
    resource = TableResource(
        id=saved.id, table=wire_table(table, record.sources[SINGLE]), name_alias=saved.alias
    )
    answer = to_json_dict(resource)
    return JSONResponse({**answer, "table": with_facts(answer["table"], table)})


_ALIAS = "table "


@dataclass(frozen=True, slots=True)
class _Saved:
    id: str
    alias: str | None

    @classmethod
    def of(cls, record: GraphRecord) -> _Saved:
        """Read a graph record as a saved table; raises ``table.not_found`` when it is none."""
        if list(record.graph.tables) != [SINGLE]:
            raise NotFound("There is no such saved table", code="table.not_found")
        alias = record.name.removeprefix(_ALIAS) if record.name else None
        return cls(record.id.replace("graph-", "table-", 1), alias)


def single_table_graph(
    platform: Platform, definition: TableDefinition, alias: str | None = None
) -> GraphRecord:
    """Keep a table definition as a graph of one table; the same content is the same id."""
    table = table_of(SINGLE, definition)
    ref = source_of(platform, definition.source_table)
    return platform.create_graph(
        Graph({SINGLE: table}), {SINGLE: ref}, name=f"{_ALIAS}{alias}" if alias else None
    )
