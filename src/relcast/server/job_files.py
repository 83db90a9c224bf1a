"""What jobs made, as files to download: which there are, their URLs, and their bytes.

Files leave only by name through ``Platform.output_path``, which keeps them inside the home.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from relcast.catalog import JobKind, JobRecord
from relcast.core.clock import utc_now
from relcast.core.errors import InvalidRequest, NotFound
from relcast.outputs import read_reasons
from relcast.server.platform_of import platform_of
from relcast.server.routing import API
from relcast.server.signing import DOWNLOAD_LIFETIME, signed_url

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.jobs import Platform

__all__ = ["Download", "downloads", "file_answer", "file_url", "preview", "table_urls"]

MAIN_FILES = {
    JobKind.prediction: "predictions.parquet",
    JobKind.training_table: "training_table.parquet",
    JobKind.prediction_table: "prediction_table.parquet",
    JobKind.training: "holdout.parquet",
}
"""The table that a job of each kind makes."""

_CSV_ROWS = 50_000


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
        return StreamingResponse(_csv(path), media_type="text/csv", headers=_attach(job, name))
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


def _csv(path: Path) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    with pq.ParquetFile(path) as file:
        header = True
        for batch in file.iter_batches(batch_size=_CSV_ROWS):
            sink = pa.BufferOutputStream()
            csv.write_csv(
                _flat(pa.Table.from_batches([batch])),
                sink,
                csv.WriteOptions(include_header=header),
            )
            header = False
            yield sink.getvalue().to_pybytes()
        if header:
            names = ",".join(f'"{n}"' for n in file.schema_arrow.names)
            yield f"{names}\n".encode()


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with lists as text, since CSV has none."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            text = pa.array([None if v is None else str(v) for v in table[index].to_pylist()])
            table = table.set_column(index, field.name, text)
    return table


def preview(request: Request, job_id: str, limit: int) -> dict[str, Any]:
    """Return the first rows of a batch prediction, each with its strongest reasons.

    Raises ``job.wrong_kind`` for other jobs and ``job.not_done`` before the end.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    platform = platform_of(request)
    job = platform.job(job_id)
    if job.kind is not JobKind.prediction:
        raise InvalidRequest(
            f"Job {job_id} is of kind {job.kind.value}, not a batch prediction",
            code="job.wrong_kind",
            hint="Ask for the predictions of a job of kind prediction.",
        )
    with pq.ParquetFile(platform_file(platform, job)) as file:
        batch = next(file.iter_batches(batch_size=limit), None)
        columns = file.schema_arrow.names
    rows = [] if batch is None else _plain(pa.Table.from_batches([batch]))
    reasons = _reasons(platform, job)
    return {
        "columns": columns,
        "rows": rows,
        "reasons": [reasons.get(str(row.get("ENTITY")), []) for row in rows],
        "num_entities": (job.result or {}).get("num_entities"),
    }


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as JSON values; times as ISO 8601 in UTC."""
    rows: list[dict[str, Any]] = table.to_pylist()
    return [{k: _json_value(v) for k, v in row.items()} for row in rows]


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_json_value(v) for v in value]
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return text if "T" not in text or "+" in text else f"{text}Z"
    return str(value)


def _reasons(platform: Platform, job: JobRecord) -> dict[str, list[dict[str, Any]]]:
    name = (job.result or {}).get("reasons")
    if not name:
        return {}
    entries = read_reasons(platform.output_path(job.id, Path(str(name)).name))
    return {str(entry["entity"]): list(entry["reasons"]) for entry in entries}
