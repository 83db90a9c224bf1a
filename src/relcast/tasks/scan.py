"""A snapshot's tables in DuckDB: one bounded in-memory session, names and keys made safe.

Tables are read from the snapshot's Parquet files; a row's dense index is its place in the file.
Columns are found by their place, never by their name, because DuckDB folds the case of names.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from relcast.core.errors import InternalError, TaskError
from relcast.core.schema import Link, Table
from relcast.relations import build, longest_wait
from relcast.tasks.conditions import Kind, number
from relcast.tasks.late_sql import delayed, not_before
from relcast.tasks.offsets import EARLIEST, LATEST
from relcast.tasks.sql import double, entries_of_text, without_nan

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["Catalog", "Scan", "Session", "open_session"]

_INTEGERS = frozenset(
    {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
        "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    }
)  # fmt: skip
_MICROSECOND_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "DATE"})
# DuckDB reads a duration as its number of ticks; its value is in seconds.
_DURATIONS = {"DURATION_S": 1, "DURATION_MS": 10**3, "DURATION_US": 10**6, "DURATION_NS": 10**9}
_ROW = "file_row_number"
_BYTES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True)
class Scan:
    """One table as a view: SQL for its rows, columns, times and keys.

    Attributes:
        table: The table's schema.
        view: Name of the view.
        row_name: The column that holds the dense row index.
        rows: Number of rows.
        names: SQL name of each column.
        types: DuckDB type of each column.
    """

    table: Table
    view: str
    row_name: str
    rows: int
    names: Mapping[str, str]
    types: Mapping[str, str]

    def relation(self, alias: str) -> exp.Expr:
        """Return the view under an alias, for FROM and JOIN."""
        return exp.to_table(self.view).as_(alias, quoted=True, table=True)

    def row(self, alias: str) -> exp.Expr:
        return exp.column(self.row_name, table=alias, quoted=True)

    def raw(self, name: str, alias: str) -> exp.Expr:
        """Return a column as it stands in the file."""
        self.table.column(name)
        return exp.column(self.names[name], table=alias, quoted=True)

    def kind(self, name: str) -> Kind:
        """Return how ``value`` gives a column."""
        kind = self.types[name]
        if kind in _INTEGERS:
            return "integer"
        if kind == "BOOLEAN":
            return "bool"
        if kind == "FLOAT":
            return "single"
        if kind == "DOUBLE" or kind.startswith(("DECIMAL", "DURATION")):
            return "double"
        if kind in _MICROSECOND_TIMES or kind == "TIMESTAMP_NS":
            return "time"
        return "text"

    def value(self, name: str, alias: str) -> exp.Expr:
        """Return a column ready to compare: NaN is NULL, a time is int64 ns."""
        column = self.raw(name, alias)
        match self.kind(name):
            case "time":
                return self._nanoseconds(column, self.types[name])
            case "double" if self.types[name].startswith("DECIMAL"):
                return exp.cast(column, "DOUBLE")
            case "double" if self.types[name] in _DURATIONS:
                per_second = number(_DURATIONS[self.types[name]])
                return exp.Div(this=exp.cast(column, "DOUBLE"), expression=per_second)
            case "single" | "double":
                return without_nan(column)
            case "text" if self.types[name] not in ("VARCHAR", "BLOB"):
                return exp.cast(column, "VARCHAR")
            case _:
                return column

    def is_list(self, name: str) -> bool:
        """Return whether a column holds lists."""
        return self.types[name].endswith("]")

    def elements(self, name: str, alias: str) -> exp.Expr:
        """Return a column's elements as a list: those of a list, or of a text of several."""
        column = self.raw(name, alias)
        if not self.is_list(name):
            return entries_of_text(column)
        element = self.types[name][: self.types[name].rindex("[")]
        if element.startswith("DECIMAL"):
            element = "DOUBLE"
        return exp.cast(column, f"{element}[]")

    def time(self, alias: str) -> exp.Expr | None:
        """Return the time column as int64 ns; None without one."""
        name = self.table.time_column
        return None if name is None else self.value(name, alias)

    def end_time(self, alias: str) -> exp.Expr | None:
        """Return the end time column as int64 ns, NULL never ends; None without one."""
        name = self.table.end_time_column
        return None if name is None else self.value(name, alias)

    def known(self, name: str, alias: str) -> exp.Expr | None:
        """Return from when a row's value is known as int64 ns, NULL never is; None: with its row.

        What ``Relations.value_known`` is on arrays.
        """
        said = self.table.known_by(name)
        if said is None:
            return None
        known_at, delay = said
        time = self.time(alias)
        base = time if known_at is None else self.value(known_at, alias)
        if base is None:
            raise InternalError(f"{self.table.name}.{name} is known after nothing")
        length = None
        if delay is not None and delay.column is not None:
            length = self.value(delay.column, alias)
        return not_before(delayed(base, delay, length), time)

    def nanoseconds(self, name: str, value: exp.Expr) -> exp.Expr:
        """Return a value of a time column, such as the greatest, as int64 ns; order is kept."""
        return self._nanoseconds(value, self.types[name])

    @staticmethod
    def _nanoseconds(column: exp.Expr, kind: str) -> exp.Expr:
        if kind == "TIMESTAMP_NS":
            return exp.func("epoch_ns", column)
        # Years that nanoseconds cannot say (an end time of 9999) stop at the edge; order is kept.
        microseconds = exp.func("epoch_us", exp.cast(column, "TIMESTAMP"))
        low, high = number(-(-EARLIEST // 1000)), number(LATEST // 1000)
        within = (
            exp.Case()
            .when(exp.LT(this=microseconds, expression=low), low.copy())
            .when(exp.GT(this=microseconds.copy(), expression=high), high.copy())
            .else_(microseconds.copy())
        )
        return exp.Mul(this=exp.paren(within), expression=number(1000))


class Catalog(ABC):
    """Tables as SQL sees them: all that the SQL of labels is written from."""

    @abstractmethod
    def scan(self, name: str) -> Scan:
        """Return a table's rows, columns, times and keys as SQL."""

    @abstractmethod
    def wait(self, table: str, column: str) -> int:
        """Return how long after its row a value of a column becomes known at the most, ns."""

    def join_on(self, link: Link, child: str, parent: str) -> exp.Expr:
        """Return the condition that joins a foreign key to the primary key that it points to.

        Keys of different types are compared as text: ``7``, ``7.0`` and ``'7'`` are one key.
        """
        source, target = self.scan(link.table), self.scan(link.to)
        key = target.table.primary_key
        if key is None:
            raise TaskError(
                f"Table {link.to!r} has no primary key", hint="Set the table's primary key first."
            )
        left, right = source.types[link.foreign_key], target.types[key]
        a, b = source.raw(link.foreign_key, child), target.raw(key, parent)
        if left != right and not (left in _INTEGERS and right in _INTEGERS):
            a, b = _as_text(a, left), _as_text(b, right)
        return exp.EQ(this=a, expression=b)


class Session(Catalog):
    """One DuckDB connection over one snapshot."""

    def __init__(self, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection) -> None:
        self.snapshot = snapshot
        self.connection = connection
        self._scans: dict[str, Scan] = {}

    @property
    def threads(self) -> int:
        """The threads that the engine may take."""
        rows = self.connection.sql("SELECT current_setting('threads')").fetchall()
        return int(rows[0][0])

    @property
    def memory(self) -> int:
        """The bytes that the engine may take."""
        rows = self.connection.sql("SELECT current_setting('memory_limit')").fetchall()
        number, unit = str(rows[0][0]).split()
        return int(float(number) * _BYTES[unit])

    def scan(self, name: str) -> Scan:
        """Return the view of a table, made on first use."""
        if name not in self._scans:
            self._scans[name] = self._open(name)
        return self._scans[name]

    def wait(self, table: str, column: str) -> int:
        """Return how long after its row a value of a column becomes known at the most, ns."""
        return longest_wait(build(self.snapshot).table(table), column)

    def fetch(self, query: exp.Expr) -> pa.Table:
        """Run a query and return its rows."""
        with _sql_errors():
            return self.connection.sql(query.sql("duckdb")).to_arrow_table()

    def materialise(self, name: str, query: exp.Expr) -> None:
        """Store a query's rows as a temporary table, in place of one of that name."""
        create = exp.Create(
            this=exp.to_table(name),
            kind="TABLE",
            expression=query,
            replace=True,
            properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
        )
        with _sql_errors():
            self.connection.execute(create.sql("duckdb"))

    def register(self, name: str, table: pa.Table) -> None:
        """Make Arrow rows readable under a name."""
        self.connection.register(name, table)

    def _open(self, name: str) -> Scan:
        found = self.snapshot.tables[name]
        path = _literal_path(Path(found.path))
        schema = pq.read_schema(found.path)
        columns = schema.names
        numbered = _ROW not in {c.lower() for c in columns}
        rows = self.connection.sql(_rows_of(path, numbered=numbered).sql("duckdb"))
        view = f"table_{len(self._scans)}"
        row_name = _ROW
        if not numbered:
            row_name = next(n for n in (f"row_{i}" for i in range(len(columns) + 1))
                            if n not in {c.lower() for c in rows.columns})  # fmt: skip
            rows = rows.project(f'*, row_number() OVER () - 1 AS "{row_name}"')
        rows.create_view(view)
        return Scan(
            table=self.snapshot.graph.table(name),
            rows=pq.read_metadata(found.path).num_rows,
            view=view,
            row_name=row_name,
            names=dict(zip(columns, rows.columns, strict=False)),
            types={
                field.name: f"DURATION_{field.type.unit.upper()}"
                if pa.types.is_duration(field.type)
                else str(kind)
                for field, kind in zip(schema, rows.types, strict=False)
            },
        )


@contextmanager
def open_session(
    snapshot: Snapshot, *, threads: int = 1, memory_limit: str | None = None
) -> Iterator[Session]:
    """Open a session of at most ``threads`` and ``memory_limit`` (``"2GB"``).

    Without a limit it takes half of the machine's free memory. It spills to a temporary directory;
    everything is gone when the block ends.
    """
    with ExitStack() as stack:
        spill = stack.enter_context(tempfile.TemporaryDirectory(prefix="relcast-labels-"))
        config: dict[str, Any] = {
            "threads": max(1, threads),
            "memory_limit": memory_limit or f"{psutil.virtual_memory().available // 2**21}MiB",
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        connection = stack.enter_context(duckdb.connect(":memory:", config=config))
        yield Session(snapshot, connection)


@contextmanager
def _sql_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise TaskError(
            f"The labels need more memory than they were given: {error}",
            code="task.out_of_memory",
            hint="Give more memory, free space for temporary files, or use fewer anchors.",
        ) from error
    except duckdb.Error as error:
        raise InternalError(f"A label query failed: {error}", code="task.sql_failed") from error


def _as_text(key: exp.Expr, kind: str) -> exp.Expr:
    """Write a key as text as ``relations`` does: a whole float like the integer, NaN is no key."""
    if kind not in ("FLOAT", "DOUBLE"):
        return exp.cast(key, "VARCHAR")
    wide = exp.cast(without_nan(key), "DOUBLE")
    exact = exp.LT(this=exp.Abs(this=wide), expression=double(repr(2.0**53)))
    same = exp.EQ(this=exp.Floor(this=wide.copy()), expression=wide.copy())
    whole = exp.cast(exp.cast(wide.copy(), "BIGINT"), "VARCHAR")
    return (
        exp.Case().when(exp.and_(exact, same), whole).else_(exp.cast(without_nan(key), "VARCHAR"))
    )


def _rows_of(path: str, *, numbered: bool) -> exp.Select:
    """Return a file's rows, with their numbers where no column has that name.

    The statistics of a Parquet file leave NaN out, so the engine is told not to go by them.
    """
    options = {_ROW: numbered, "hive_partitioning": False, "can_have_nan": True}
    given = [
        exp.EQ(this=exp.column(name), expression=exp.true() if value else exp.false())
        for name, value in options.items()
    ]
    source = exp.Anonymous(this="read_parquet", expressions=[exp.Literal.string(path), *given])
    return exp.select(exp.Star()).from_(exp.Table(this=source))


def _literal_path(path: Path) -> str:
    """Escape what a glob would read, so that a path means itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
