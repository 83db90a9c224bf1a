"""Files by signed URLs: whoever holds the URL may fetch it until it expires."""

from __future__ import annotations

from fastapi import Request, Response

from relcast.server.job_files import file_answer
from relcast.server.routing import Routes

__all__ = ["routes"]

routes = Routes("files")


@routes.get(
    "/files/{job_id}/{name}",
    scope="signed",
    summary="Fetch a file that a job made; the URL carries its permission",
    content={
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        "text/csv": {"schema": {"type": "string"}},
        "application/json": {"schema": {}},
    },
    errors=(409,),
)
def fetch_file(request: Request, job_id: str, name: str) -> Response:
    return file_answer(request, job_id, name)
