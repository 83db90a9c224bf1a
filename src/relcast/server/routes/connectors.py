"""Connectors: named directories of tables on this machine, and the two upload connectors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Request, Response
from fastapi.responses import JSONResponse
from kumoapi.data_source import (
    ConnectorResponse,
    CreateConnectorArgs,
    DataSourceType,
    FileConnectorResourceConfig,
    ResourceTimestamps,
)
from pydantic import Discriminator, Tag

from relcast.catalog.records import ConnectorRecord
from relcast.core.clock import parse_time
from relcast.core.errors import InvalidRequest
from relcast.server.answers import once
from relcast.server.bodies import ConnectorBody, NewConnector, stamp
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import aware, wire_answer
from relcast.server.wire.source_tables import UPLOAD_CONNECTORS, plain_root

__all__ = ["routes"]

routes = Routes("connectors")

_EPOCH = parse_time("2024-01-01")


def _form(body: Any) -> str:
    return "sdk" if isinstance(body, dict) and "config" in body else "ours"


AnyConnector = Annotated[
    Annotated[NewConnector, Tag("ours")] | Annotated[CreateConnectorArgs, Tag("sdk")],
    Discriminator(_form),
]

_EXAMPLES: dict[str, Any] = {
    "ours": {"value": {"name": "flights", "kind": "file", "root": "/srv/data/flights"}},
    "sdk": {
        "summary": "As the SDK sends it",
        "value": {"config": {"type": "file", "name": "flights", "root_dir": "/srv/data/flights"}},
    },
}


@routes.get(
    "/connectors", scope="read", summary="List connectors (SDK)", answer=list[ConnectorResponse]
)
def list_connectors(request: Request, data_source_type: str | None = None) -> Response:
    files = data_source_type in (None, *(t.value for t in (DataSourceType.S3,)))
    records = platform_of(request).connectors() if files else []
    return wire_answer([_wire(r) for r in records])


@routes.post(
    "/connectors",
    scope="train",
    summary="Name a directory of tables",
    answer=ConnectorBody,
    status=201,
    errors=(409,),
)
def create_connector(
    request: Request, body: Annotated[AnyConnector, Body(openapi_examples=_EXAMPLES)]
) -> Response:
    """Name a directory below the data roots (`RELCAST_DATA_ROOTS`).

    Takes our form (`name`, `kind`, `root`) and the SDK's (`config`); warehouses are refused.
    """
    if isinstance(body, CreateConnectorArgs):
        if not isinstance(body.config, FileConnectorResourceConfig):
            raise InvalidRequest(
                f"Connectors of type {body.config.type.value!r} are not supported",
                code="connector.unsupported",
                hint="Upload the tables, or name a directory on the server (type 'file').",
            )
        name, root = body.config.name, body.config.root_dir
    else:
        name, root = body.name, body.root

    def work(_: Any) -> Response:
        record = platform_of(request).create_connector(name, "file", plain_root(root))
        return JSONResponse(
            _ours(record), status_code=201, headers={"Location": f"/api/v1/connectors/{record.id}"}
        )

    return once(request, body, work)


@routes.get(
    "/connectors/{connector_id}",
    scope="read",
    summary="Get a connector by id or name (SDK)",
    answer=ConnectorResponse,
)
def get_connector(request: Request, connector_id: str) -> Response:
    if connector_id in UPLOAD_CONNECTORS:
        return wire_answer(
            ConnectorResponse(
                id=connector_id,
                timestamps=ResourceTimestamps(aware(_EPOCH), aware(_EPOCH)),
                config=FileConnectorResourceConfig(name=connector_id, root_dir=""),
            )
        )
    return wire_answer(_wire(platform_of(request).connector(connector_id)))


@routes.delete(
    "/connectors/{connector_id}",
    scope="train",
    summary="Forget a connector; its files stay",
    errors=(409,),
)
def delete_connector(request: Request, connector_id: str) -> Response:
    platform_of(request).delete_connector(connector_id)
    return JSONResponse({"id": connector_id})


def _wire(record: ConnectorRecord) -> ConnectorResponse:
    moment = aware(record.created_at)
    return ConnectorResponse(
        id=record.id,
        timestamps=ResourceTimestamps(created_at=moment, updated_at=moment),
        config=FileConnectorResourceConfig(name=record.name, root_dir=record.root or ""),
    )


def _ours(record: ConnectorRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "kind": record.kind,
        "root": record.root,
        "created_at": stamp(record.created_at),
    }
