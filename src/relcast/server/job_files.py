"""What jobs made, as files to download: which there are, their URLs, and their bytes.

Files leave only by name through ``Platform.output_path``, which keeps them inside the home.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from relcast.catalog import JobKind, JobRecord
from relcast.core.clock import utc_now
from relcast.core.errors import NotFound
from relcast.outputs import csv_of
from relcast.server.platform_of import platform_of
from relcast.server.routing import API
from relcast.server.signing import DOWNLOAD_LIFETIME, signed_url

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Download", "downloads", "file_answer", "file_url", "preview", "table_urls"]

MAIN_FILES = {
    JobKind.prediction: "predictions.parquet",
    JobKind.training_table: "training_table.parquet",
    JobKind.prediction_table: "prediction_table.parquet",
    JobKind.training: "holdout.parquet",
}
"""The table that a job of each kind makes."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that can be fetched without a key until it expires."""

    name: str
    format: str
    url: str
    expires_at: datetime


def file_url(request: Request, job_id: str, name: str) -> str:
    """Return a signed URL of one file of a job."""
    return signed_url(request, "GET", f"{API}/files/{job_id}/{name}")


def downloads(request: Request, job_id: str) -> list[Download]:
    """Return every file of a finished job, tables as Parquet and as CSV.

    Raises ``job.not_done`` (409) and ``job.not_found``.
    """
    platform = platform_of(request)
    job = platform.job(job_id)
    platform_file(platform, job)  # raises while the job is not done
    expires = utc_now() + DOWNLOAD_LIFETIME
    found = []
    for name in _names(job):
        stem = name.rsplit(".", maxsplit=1)[0]
        forms = [f"{stem}.parquet", f"{stem}.csv"] if name.endswith(".parquet") else [name]
        for form in forms:
            url = file_url(request, job.id, form)
            found.append(Download(stem, form.rsplit(".", maxsplit=1)[-1], url, expires))
    return found


def table_urls(request: Request, job: JobRecord) -> list[str]:
    """Return signed URLs of the Parquet files of a finished job, in their order."""
    platform_file(platform_of(request), job)
    return [file_url(request, job.id, n) for n in _names(job) if n.endswith(".parquet")]


def platform_file(platform: Platform, job: JobRecord, name: str | None = None) -> Path:
    """Return the path of a file of a job; without a name, of its first table."""
    return platform.output_path(job.id, name or _names(job)[0])


def _names(job: JobRecord) -> list[str]:
    """Return the files' names of a job, tables first."""
    result = job.result or {}
    main = MAIN_FILES.get(job.kind)
    if main is None:
        raise NotFound(
            f"A job of kind {job.kind.value} makes no files to download",
            code="file.not_found",
            hint="Predictions, training tables, prediction tables and trainings do.",
        )
    names = [str(n) for n in result.get("files") or () if str(n).endswith((".parquet", ".csv"))]
    names = [Path(n).name for n in names] or [main]
    if result.get("reasons"):
        names.append(Path(str(result["reasons"])).name)
    return names


def file_answer(request: Request, job_id: str, name: str) -> Response:
    """Send a file of a job; a name ending in ``.csv`` is made of the Parquet file on the way."""
    platform = platform_of(request)
    job = platform.job(job_id)
    if name not in _names(job) and name.removesuffix(".csv") + ".parquet" in _names(job):
        path = platform_file(platform, job, name.removesuffix(".csv") + ".parquet")
        return StreamingResponse(csv_of(path), media_type="text/csv", headers=_attach(job, name))
    if name not in _names(job):
        raise NotFound(
            f"Job {job_id} has no file of this name",
            code="file.not_found",
            hint="GET /jobs/{id}/files lists the files of a job.",
        )
    path = platform_file(platform, job, name)
    kind = _TYPES.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, headers=_attach(job, name))


_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/json",
}


def _attach(job: JobRecord, name: str) -> dict[str, str]:
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    return {"Content-Disposition": f'attachment; filename="{job.id}-{safe}"'}


def preview(platform: Platform, job_id: str, limit: int) -> dict[str, Any]:
    """Return the first rows of a batch prediction as JSON; times as ISO 8601 in UTC.

    Raises as ``Platform.prediction_preview`` does.
    """
    head = platform.prediction_preview(job_id, limit)
    return {
        "columns": list(head.columns),
        "rows": [
            {name: _json_value(value) for name, value in zip(head.columns, row, strict=True)}
            for row in head.rows
        ],
        "reasons": [[dict(reason) for reason in reasons] for reasons in head.reasons],
        "num_entities": head.num_entities,
    }


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_json_value(v) for v in value]
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return text if "T" not in text or "+" in text else f"{text}Z"
    return str(value)
