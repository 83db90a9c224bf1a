"""A source's table in a database of our own for as long as it is looked at and copied.

The rows are loaded once into a DuckDB file with columns named by number, so that no name of the
user's ever meets SQL, and ``rowid`` is the row's place at the source. Memory is bounded: DuckDB
spills to the same directory, which is removed at the end.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import expressions as exp

from relcast.core.errors import SchemaError, SourceError, nearest
from relcast.core.progress import Stage
from relcast.snapshots.arrow_types import StagedType, stage_array, staged_type
from relcast.sources import Source

__all__ = ["Staged", "StagedColumn", "connect", "stage_table"]

_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class StagedColumn:
    """A column of the source: its name, its place in the staged table, and its type there."""

    name: str
    index: int
    type: StagedType

    @property
    def cell(self) -> exp.Column:
        return exp.column(f"c{self.index}", quoted=True)


@dataclass(frozen=True, slots=True)
class Staged:
    """The staged table ``raw`` and the connection that reads it."""

    connection: duckdb.DuckDBPyConnection
    columns: Mapping[str, StagedColumn]
    rows: int

    def values(self, query: exp.Select) -> list[tuple[Any, ...]]:
        """Run a query over ``raw`` and return its rows."""
        return self.connection.sql(query.from_("raw").sql("duckdb")).fetchall()

    def table(self, query: exp.Select) -> pa.Table:
        """Run a query over ``raw`` and return its rows as Arrow."""
        answer = self.connection.sql(query.from_("raw").sql("duckdb")).to_arrow_table()
        return pa.table({}) if answer is None else answer

    def batches(self, query: exp.Select) -> Iterator[pa.RecordBatch]:
        """Run a query over ``raw`` and yield its rows in the source's order."""
        reader = self.connection.sql(query.from_("raw").sql("duckdb")).to_arrow_reader(_BATCH_ROWS)
        return iter(() if reader is None else reader)


@contextmanager
def connect(
    directory: Path, *, threads: int, memory_limit_mb: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a bounded DuckDB whose file and spills stand in ``directory``."""
    connection = duckdb.connect(
        str(directory / "staging.duckdb"),
        config={
            "threads": threads,
            "memory_limit": f"{memory_limit_mb}MB",
            "temp_directory": str(directory),
            "preserve_insertion_order": True,
        },
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextmanager
def stage_table(
    source: Source,
    name: str,
    only: Sequence[str] | None,
    *,
    parent: Path | None = None,
    threads: int = 1,
    memory_limit_mb: int = 1024,
    stage: Stage | None = None,
) -> Iterator[Staged]:
    """Load a source's table; ``only`` bounds the columns, None takes all.

    Raises ``schema.unknown_column`` with a near name, ``source.duplicate_column`` when two names
    are equal but for case (no database could tell them apart), and whatever reading raises.
    """
    columns = _columns(source.schema(name), name, only)
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="staging-", dir=parent))
    try:
        with connect(directory, threads=threads, memory_limit_mb=memory_limit_mb) as connection:
            rows = _load(connection, source, name, columns, stage)
            yield Staged(connection, {c.name: c for c in columns}, rows)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _columns(schema: pa.Schema, table: str, only: Sequence[str] | None) -> list[StagedColumn]:
    names = schema.names if only is None else list(dict.fromkeys(only))
    for name in names:
        if name not in schema.names:
            raise SchemaError(
                f"Table {table!r} has no column {name!r}",
                code="schema.unknown_column",
                hint=nearest(name, schema.names),
            )
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.casefold(), name)
        if other != name or schema.names.count(name) > 1:
            raise SourceError(
                f"Table {table!r} has two columns named {other!r} and {name!r}",
                code="source.duplicate_column",
                hint="Names must differ in more than case: rename one, or leave one out.",
            )
    return [
        StagedColumn(name, i, staged_type(schema.field(name).type)) for i, name in enumerate(names)
    ]


def _load(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    name: str,
    columns: Sequence[StagedColumn],
    stage: Stage | None,
) -> int:
    schema = pa.schema([(f"c{c.index}", c.type.arrow) for c in columns])
    rows = 0
    failure: list[Exception] = []

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        try:
            for batch in source.read(name):
                arrays = [
                    stage_array(batch.column(batch.schema.get_field_index(c.name)), c.type)
                    for c in columns
                ]
                rows += batch.num_rows
                if stage is not None:
                    stage.update(rows, unit="rows", detail=f"reading {name}")
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except Exception as error:
            # DuckDB would wrap what is raised here in an error of its own.
            failure.append(error)
            raise

    connection.register("incoming", pa.RecordBatchReader.from_batches(schema, batches()))
    try:
        query = exp.select("*").from_("incoming").ctas("raw").sql("duckdb")
        connection.execute(query)
    except Exception:
        if failure:
            raise failure[0] from None
        raise
    finally:
        connection.unregister("incoming")
    return rows
