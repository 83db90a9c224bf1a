"""Uploads: files come in parts by signed URLs and go straight to disk."""

from __future__ import annotations

from collections.abc import Iterator

import anyio.from_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kumoapi.data_source import (
    CompleteFileUploadRequest,
    DeleteUploadedFileRequest,
    StartFileUploadRequest,
    StartFileUploadResponse,
)
from kumoapi.source_table import FileType
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from relcast.core.errors import InvalidRequest
from relcast.server.platform_of import platform_of
from relcast.server.routing import API, Routes
from relcast.server.signing import UPLOAD_LIFETIME, signed_url
from relcast.server.wire.codec import wire_answer
from relcast.server.wire.source_tables import UPLOAD_CONNECTORS
from relcast.sources import FileFormat

__all__ = ["PART_LIMIT", "routes"]

PART_LIMIT = 2**30
"""Largest part in bytes; the SDK sends parts of 100 MB."""

routes = Routes("uploads")


@routes.post(
    "/connectors/utils/start_file_upload",
    scope="train",
    summary="Begin an upload and get a signed URL for each part (SDK)",
    answer=StartFileUploadResponse,
)
def start_file_upload(request: Request, body: StartFileUploadRequest) -> Response:
    upload_id = platform_of(request).uploads.start(
        body.source_table_name, _format(body.connector_id), body.num_parts
    )
    # The SDK sends the parts to these URLs in the order of the object, not of its keys.
    urls = {
        number: signed_url(
            request, "PUT", f"{API}/uploads/{upload_id}/parts/{number}", UPLOAD_LIFETIME
        )
        for number in range(1, body.num_parts + 1)
    }
    return wire_answer(
        StartFileUploadResponse(
            temp_upload_path=f"uploads/{upload_id}", upload_id=upload_id, presigned_part_urls=urls
        )
    )


@routes.put(
    "/uploads/{upload_id}/parts/{number}",
    scope="signed",
    summary="Send one part of an upload; the URL carries its permission",
)
async def upload_part(request: Request, upload_id: str, number: int) -> Response:
    """Answer 200 with an `ETag`, which completing the upload asks for."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:14]) > PART_LIMIT:
        raise _too_large()
    stream = request.stream().__aiter__()

    async def next_chunk() -> bytes | None:
        try:
            return await stream.__anext__()
        except StopAsyncIteration:
            return None

    def chunks() -> Iterator[bytes]:
        size = 0
        while (chunk := anyio.from_thread.run(next_chunk)) is not None:
            size += len(chunk)
            if size > PART_LIMIT:
                raise _too_large()
            if chunk:
                yield chunk

    uploads = platform_of(request).uploads
    etag = await run_in_threadpool(uploads.write_part, upload_id, number, chunks())
    return Response(status_code=200, headers={"ETag": etag})


@routes.post(
    "/connectors/utils/complete_file_upload",
    scope="train",
    summary="End an upload: its parts become a table (SDK)",
    errors=(404, 409),
)
def complete_file_upload(request: Request, body: CompleteFileUploadRequest) -> Response:
    _format(body.connector_id)
    parts = [(p.part_number, p.etag) for p in body.parts_metadata]
    platform_of(request).uploads.complete(body.upload_id, body.source_table_name, parts)
    return JSONResponse({"source_table_name": body.source_table_name})


@routes.post(
    "/connectors/utils/delete_uploaded_file",
    scope="train",
    summary="Delete an uploaded table with all its parts (SDK)",
    errors=(404,),
)
def delete_uploaded_file(request: Request, body: DeleteUploadedFileRequest) -> Response:
    _format(body.connector_id)
    platform_of(request).uploads.delete(body.source_table_name)
    return JSONResponse({"source_table_name": body.source_table_name})


def _format(connector_id: str) -> FileFormat:
    try:
        return "csv" if UPLOAD_CONNECTORS[connector_id] is FileType.CSV else "parquet"
    except KeyError:
        raise InvalidRequest(
            f"{connector_id!r} is not an upload connector",
            code="connector.not_for_uploads",
            hint=f"Use one of: {', '.join(UPLOAD_CONNECTORS)}.",
        ) from None


def _too_large() -> HTTPException:
    return HTTPException(413, f"The part is larger than {PART_LIMIT // 2**20} MiB")
