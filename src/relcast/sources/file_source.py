"""What all sources made of files share: schema, preview, marks and reading of one table's files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from relcast.core.errors import InvalidRequest, NotFound, SourceError, nearest
from relcast.sources.csv_files import CsvTable, inspect_csv, preview_csv, read_csv
from relcast.sources.files import TableFiles
from relcast.sources.parquet_files import parquet_schema, preview_parquet, read_parquet

__all__ = ["FileSource"]

_REMEMBERED = 64
_MOST_PREVIEW_ROWS = 10_000


class FileSource(ABC):
    """A source whose tables are files; subclasses say which tables there are.

    What was found out about a text table (delimiter, types) is remembered by its fingerprint, so
    that asking for schema, preview and rows in turn looks through the file once.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._inspected: OrderedDict[str, CsvTable] = OrderedDict()

    @abstractmethod
    def _tables(self) -> dict[str, list[TableFiles]]:
        """Return the tables by name."""

    @abstractmethod
    def _label(self, path: Path) -> str:
        """Return how messages name a file."""

    def list_tables(self) -> list[str]:
        """Return the tables' names in alphabetical order."""
        return sorted(self._tables())

    def files(self, name: str) -> TableFiles:
        """Return a table's files.

        Raises ``source.unknown_table`` with a near name, and ``source.ambiguous_table`` when
        several files or formats claim the name.
        """
        tables = self._tables()
        found = tables.get(name)
        if not found:
            raise NotFound(
                f"There is no table {name!r} in this source",
                code="source.unknown_table",
                hint=nearest(name, sorted(tables)),
            )
        if len(found) > 1:
            claims = " and ".join(self._label(files.paths[0]) for files in found)
            raise SourceError(
                f"The table {name!r} is ambiguous: {claims}",
                code="source.ambiguous_table",
                hint="Remove or rename all but one of them.",
            )
        return found[0]

    def schema(self, name: str) -> pa.Schema:
        """Return the columns' names and types; for text tables, as found over all rows."""
        files = self.files(name)
        with self._naming(files):
            if files.format == "parquet":
                return parquet_schema(files.paths)
            return self._inspect(files).schema

    def preview(self, name: str, rows: int) -> pa.Table:
        """Return the first ``rows`` rows (0 to 10,000)."""
        if not 0 <= rows <= _MOST_PREVIEW_ROWS:
            raise InvalidRequest(
                f"A preview of {rows} rows was asked for",
                code="source.bad_preview",
                hint=f"Ask for 0 to {_MOST_PREVIEW_ROWS:,} rows.",
            )
        files = self.files(name)
        with self._naming(files):
            if files.format == "parquet":
                return preview_parquet(files.paths, rows)
            return preview_csv(files.paths, self._inspect(files), rows)

    def fingerprint(self, name: str) -> str:
        """Return a cheap mark of the files (paths, sizes, times of change)."""
        files = self.files(name)
        with self._naming(files):
            return files.fingerprint()

    def digest(self, name: str) -> str:
        """Return the SHA-256 over format and bytes of the parts, in order."""
        files = self.files(name)
        with self._naming(files):
            return files.digest()

    def read(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield all rows, in the order of parts and lines.

        Raises ``source.changed`` when the files changed since reading began: what was yielded is
        then no one version of the table and must be thrown away.
        """
        files = self.files(name)
        with self._naming(files):
            before = files.fingerprint()
            if files.format == "parquet":
                yield from read_parquet(files.paths)
            else:
                yield from read_csv(files.paths, self._inspect(files), self._threads)
            if self.files(name).fingerprint() != before:
                raise SourceError(
                    f"The table {name!r} changed while it was read",
                    code="source.changed",
                    hint="Start again when nothing writes to its files.",
                )

    def _inspect(self, files: TableFiles) -> CsvTable:
        mark = files.fingerprint()
        known = self._inspected.get(mark)
        if known is None:
            known = self._inspected[mark] = inspect_csv(files.paths, self._threads)
            while len(self._inspected) > _REMEMBERED:
                self._inspected.popitem(last=False)
        return known

    @contextmanager
    def _naming(self, files: TableFiles) -> Iterator[None]:
        """Let messages name files as the user knows them, not as they lie on this machine."""
        try:
            yield
        except SourceError as error:
            message = error.message
            for path in files.paths:
                message = message.replace(str(path), self._label(path))
            raise SourceError(
                message, code=error.code, hint=error.hint, faults=error.faults
            ) from error
