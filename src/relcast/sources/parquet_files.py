"""Reading Parquet: one file or parts, batch by batch, with errors that name file and row group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relcast.core.errors import SourceError

__all__ = ["parquet_schema", "preview_parquet", "read_parquet"]

_BATCH_ROWS = 65_536


def parquet_schema(paths: tuple[Path, ...]) -> pa.Schema:
    """Return the columns of all parts; integers and floats of several widths become the widest.

    Raises ``source.empty`` for a file of 0 bytes or without columns, ``source.truncated`` for one
    that is no whole Parquet file, ``source.parts_differ`` when parts do not fit together.
    """
    schema: pa.Schema | None = None
    for path in paths:
        part = _open(path).schema_arrow.remove_metadata()
        if schema is None:
            schema = part
            continue
        if part.names != schema.names:
            raise SourceError(
                f"{path} has the columns {part.names}, but the parts before it have {schema.names}",
                code="source.parts_differ",
                hint="Write all parts of a table with the same columns in the same order.",
            )
        try:
            schema = pa.unify_schemas([schema, part], promote_options="permissive")
        except pa.ArrowException as error:
            raise SourceError(
                f"{path} has other column types than the parts before it: {error}",
                code="source.parts_differ",
                hint="Write all parts of a table with the same column types.",
            ) from error
    if schema is None:
        raise SourceError("A table without parts", code="source.empty", hint="Upload a part.")
    return schema


def read_parquet(paths: tuple[Path, ...]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the parts in order, in the types of ``parquet_schema``."""
    schema = parquet_schema(paths)
    for path in paths:
        file = _open(path)
        for group in range(file.num_row_groups):
            try:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group]):
                    yield _fit(batch, schema)
            except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
                raise SourceError(
                    f"{path} is damaged in row group {group} of {file.num_row_groups}: "
                    f"{_first_line(error)}",
                    code="source.damaged",
                    hint="Write or copy the file again; it was cut or changed on its way.",
                ) from error


def preview_parquet(paths: tuple[Path, ...], rows: int) -> pa.Table:
    """Return the first rows; reads no more than it must."""
    schema = parquet_schema(paths)
    taken: list[pa.RecordBatch] = []
    left = rows
    for path in paths:
        if left <= 0:
            break
        try:
            for batch in _open(path).iter_batches(batch_size=max(1, min(left, _BATCH_ROWS))):
                taken.append(_fit(batch.slice(0, left), schema))
                left -= taken[-1].num_rows
                if left <= 0:
                    break
        except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
            raise SourceError(
                f"{path} is damaged near its beginning: {_first_line(error)}",
                code="source.damaged",
                hint="Write or copy the file again; it was cut or changed on its way.",
            ) from error
    return pa.Table.from_batches(taken, schema=schema)


def _open(path: Path) -> pq.ParquetFile:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}",
            code="source.unreadable",
            hint="Check that the file is still there and that this user may read it.",
        ) from error
    if size == 0:
        raise SourceError(
            f"{path} is empty (0 bytes)",
            code="source.empty",
            hint="Write the table again; even a table without rows has a schema in Parquet.",
        )
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise SourceError(
            f"{path} is no whole Parquet file ({size:,} bytes): {_first_line(error)}",
            code="source.truncated",
            hint="The end of the file is missing or it is of another format; write it again.",
        ) from error
    if not schema.names:
        raise SourceError(
            f"{path} has no columns", code="source.empty", hint="Write at least one column."
        )
    return file


def _fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return batch
    arrays = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
