"""Source tables: what there is before anybody makes a table of it."""

from __future__ import annotations

import pyarrow as pa
from fastapi import Request, Response
from kumoapi.data_source import DataSourceType
from kumoapi.source_table import (
    ADLSSourceTableRequest,
    GCSSourceTableRequest,
    S3SourceTableRequest,
    SourceColumn,
    SourceTableConfigRequest,
    SourceTableConfigResponse,
    SourceTableDataRequest,
    SourceTableDataResponse,
    SourceTableListRequest,
    SourceTableListResponse,
    SourceTableValidateRequest,
    SourceTableValidateResponse,
)
from kumoapi.typing import Dtype as WireDtype

from relcast.core.errors import InvalidRequest, UserError
from relcast.server.platform_of import platform_of
from relcast.server.routing import Routes
from relcast.server.wire.codec import wire_answer
from relcast.server.wire.places import resolve
from relcast.server.wire.source_tables import (
    UPLOAD_CONNECTORS,
    Location,
    dtype_of,
    file_type_of,
    wire_source_table,
)
from relcast.sources import UploadArea

__all__ = ["routes"]

routes = Routes("source tables")


@routes.post(
    "/source_tables/validate_table",
    scope="read",
    summary="Whether a source table is there and readable (SDK)",
    answer=SourceTableValidateResponse,
)
def validate_source_table(request: Request, body: SourceTableValidateRequest) -> Response:
    platform = platform_of(request)
    location = Location.of(body.source_type, body.connector_id, body.root_dir)
    try:
        ref = resolve(platform, location, body.table_name)
        platform.source(ref.connector_id).schema(ref.table)
    except UserError as error:
        return wire_answer(SourceTableValidateResponse(is_valid=False, msg=str(error)))
    return wire_answer(SourceTableValidateResponse(is_valid=True, msg=""))


@routes.post(
    "/source_tables/get_table_config",
    scope="read",
    summary="How a source table is written down (SDK)",
    answer=SourceTableConfigResponse,
    errors=(404,),
)
def get_table_config(request: Request, body: SourceTableConfigRequest) -> Response:
    # The SDK calls this many times for every graph that it saves: only a look into a folder.
    platform = platform_of(request)
    location = Location.of(body.source_type, body.connector_id, body.root_dir)
    ref = resolve(platform, location, body.table_name)
    platform.source(ref.connector_id).fingerprint(ref.table)  # raises when there is none
    table = wire_source_table(ref, file_type_of(ref.connector_id, body.file_type))
    return wire_answer({"source_table": table})


@routes.post(
    "/source_tables/list_tables",
    scope="read",
    summary="List the source tables of a connector or directory (SDK)",
    answer=SourceTableListResponse,
    errors=(404,),
)
def list_source_tables(request: Request, body: SourceTableListRequest) -> Response:
    platform = platform_of(request)
    location = Location.of(body.source_type, body.connector_id, body.root_dir)
    ref = resolve(platform, location, "")
    source = platform.source(ref.connector_id)
    names = source.list_tables()
    if isinstance(source, UploadArea):
        # One area holds the uploads of both connectors; each shows its own format.
        wanted = UPLOAD_CONNECTORS[ref.connector_id].value.lower()
        names = [name for name in names if source.files(name).format == wanted]
    return wire_answer(SourceTableListResponse(table_names=names))


@routes.post(
    "/source_tables/get_table_data",
    scope="read",
    summary="Columns, and on request the first rows, of source tables (SDK)",
    answer=list[SourceTableDataResponse],
    errors=(404,),
)
def get_table_data(request: Request, body: SourceTableDataRequest) -> Response:
    platform = platform_of(request)
    asked = body.source_table_request
    # Out of range, the wire type's own check puts its error where the number was.
    if not isinstance(body.sample_rows, int) or not 0 <= body.sample_rows <= 1000:
        raise InvalidRequest(
            f"sample_rows does not fit ({body.sample_rows})", hint="Ask for 0 to 1000 sample rows."
        )
    if isinstance(asked, S3SourceTableRequest):
        root = asked.s3_root_dir
    elif isinstance(asked, GCSSourceTableRequest):
        root = asked.gcs_root_dir
    elif isinstance(asked, ADLSSourceTableRequest):
        root = asked.adls_root_dir
    else:
        root = ""
    location = Location.of(DataSourceType(asked.source_type), asked.connector_id, root)
    names = asked.table_names
    if names is None:
        names = platform.source(resolve(platform, location, "").connector_id).list_tables()
    answers = []
    for name in names:
        ref = resolve(platform, location, name)
        source = platform.source(ref.connector_id)
        sample = source.preview(ref.table, body.sample_rows) if body.sample_rows else None
        answers.append(
            SourceTableDataResponse(
                table_name=name,
                cols=_columns(source.schema(ref.table)),
                sample_rows=None if sample is None else _rows(sample),
            )
        )
    return wire_answer(answers)


def _columns(schema: pa.Schema) -> list[SourceColumn]:
    return [
        SourceColumn(
            name=field.name,
            stype=None,
            dtype=WireDtype(dtype_of(field.type).value),
            is_primary=False,
        )
        for field in schema
    ]


def _rows(sample: pa.Table) -> str:
    """Return rows as the JSON table that ``pandas.read_json(orient="table")`` reads."""
    frame = sample.to_pandas()
    for column in frame.columns:
        # The format has one time zone and no lists of its own; text says them plainly.
        if str(frame[column].dtype).startswith("datetime64") and frame[column].dt.tz is not None:
            frame[column] = frame[column].dt.tz_convert("UTC").dt.tz_localize(None)
    return str(frame.to_json(orient="table", index=True, date_format="iso"))
