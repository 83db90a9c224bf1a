"""Downloads of a job's files for a signed-in browser: Parquet as it is, CSV made on the way."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from relcast.core.errors import UserError
from relcast.outputs import csv_of
from relcast.ui.asking import ask
from relcast.ui.gate import Hall

__all__ = ["download"]

_FILES = frozenset({"predictions", "holdout", "training_table", "prediction_table"})


async def download(request: Request) -> Response:
    """Answer ``/downloads/{job}/{file}.csv`` and ``.parquet``; 404 when there is no such file."""
    job_id, file = request.path_params["job_id"], request.path_params["file"]
    name, _, suffix = file.rpartition(".")
    if name not in _FILES or suffix not in ("csv", "parquet"):
        return PlainTextResponse("There is no such file.", status_code=404)
    try:
        path = Path(await ask(Hall.of(request).platform.output_path, job_id, f"{name}.parquet"))
    except UserError as error:  # no such job, or it has not got so far
        return PlainTextResponse(error.message, status_code=error.status)
    filename = f"{job_id}-{file}"
    if suffix == "parquet":
        return FileResponse(path, filename=filename, media_type="application/vnd.apache.parquet")
    return StreamingResponse(
        csv_of(path),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
