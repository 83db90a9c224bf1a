"""Files: a table as Parquet or CSV, written to a temporary name, flushed to disk and renamed.

A reader sees the old file or the new one, never a part of either.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcast.core.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "PARTITION",
    "atomic_path",
    "csv_of",
    "read_first_rows",
    "read_reasons",
    "write_parts",
    "write_reasons",
    "write_table",
]

PARTITION = "{{PARTITION}}"
"""In a file name: write several parts, each with its number in this place."""

_ROWS_PER_PART = 1_000_000
_ROWS_PER_CHUNK = 50_000


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it over.

    On an error the temporary file is removed and ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_table(table: pa.Table, path: Path) -> tuple[Path, ...]:
    """Write a table as ``.parquet`` or ``.csv``, by the name's suffix, and return the files.

    ``{{PARTITION}}`` in the name writes parts of a million rows. Raises ``output.unknown_format``.
    """
    if PARTITION in path.name:
        parts = range(max(1, -(-table.num_rows // _ROWS_PER_PART)))
        return tuple(
            file
            for part in parts
            for file in write_table(
                table.slice(part * _ROWS_PER_PART, _ROWS_PER_PART),
                path.with_name(path.name.replace(PARTITION, f"{part:05d}")),
            )
        )
    if path.suffix not in (".parquet", ".csv"):
        raise InvalidRequest(
            f"Cannot write {path.name!r}: its name ends neither in .parquet nor in .csv",
            code="output.unknown_format",
            hint="Name the file predictions.parquet or predictions.csv.",
        )
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, temporary, compression="zstd")
        else:
            from pyarrow import csv

            csv.write_csv(table, temporary)
    return (path,)


def write_parts(parts: Iterable[pa.Table], path: Path) -> tuple[int, tuple[str, ...]]:
    """Write tables of one schema, at least one, as one Parquet file; one is held at a time.

    Returns how many rows there are, and the names of the columns.
    """
    import pyarrow.parquet as pq

    rows, columns = 0, ()
    with atomic_path(path) as temporary, ExitStack() as open_:
        writer: pq.ParquetWriter | None = None
        for part in parts:
            if writer is None:
                columns = tuple(part.column_names)
                made = pq.ParquetWriter(temporary, part.schema, compression="zstd")
                writer = open_.enter_context(made)
            writer.write_table(part)
            rows += part.num_rows
        open_.close()  # the footer is written before the file is flushed and renamed
    return rows, columns


def read_first_rows(path: Path, limit: int) -> tuple[pa.Table, int]:
    """Return the first ``limit`` rows of a Parquet file, and how many rows it has in all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=limit), None)
        rows = file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
        return rows, file.metadata.num_rows


def csv_of(path: Path) -> Iterator[bytes]:
    """Yield a Parquet file as CSV with a header, some rows at a time, so that size is no matter."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    with pq.ParquetFile(path) as file:
        header = True
        for batch in file.iter_batches(batch_size=_ROWS_PER_CHUNK):
            sink = pa.BufferOutputStream()
            rows = _flat(pa.Table.from_batches([batch]))
            csv.write_csv(rows, sink, csv.WriteOptions(include_header=header))
            header = False
            yield sink.getvalue().to_pybytes()
        if header:
            sink = pa.BufferOutputStream()
            csv.write_csv(_flat(file.schema_arrow.empty_table()), sink)
            yield sink.getvalue().to_pybytes()


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with lists as text, since CSV has none."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            values = table[index].to_pylist()
            text = pa.array([None if v is None else str(v) for v in values], pa.string())
            table = table.set_column(index, field.name, text)
    return table


def write_reasons(
    reasons: Sequence[Sequence[Mapping[str, Any]]], keys: Sequence[Any], path: Path
) -> None:
    """Write, for each scored entity, its strongest reasons as JSON: ``[{entity, reasons}]``."""
    rows = [
        {"entity": key, "reasons": [dict(r) for r in entry]}
        for key, entry in zip(keys, reasons, strict=True)
    ]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, default=str, ensure_ascii=False))


def read_reasons(path: Path) -> list[dict[str, Any]]:
    """Read what ``write_reasons`` wrote; raises ``not_found`` when there is none."""
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text())
    except FileNotFoundError:
        raise NotFound(
            f"There are no reasons at {path.name}",
            hint="Run the batch prediction again with reasons switched on.",
        ) from None
    return rows
