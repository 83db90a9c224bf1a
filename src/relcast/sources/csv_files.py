"""Reading text tables with DuckDB: types from all rows, and errors that name file and line.

Every value is first read as text; a column gets a type only when each of its values has it, so
that one odd value deep in a file makes a text column and never a failure halfway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
from sqlglot import expressions as exp

from relcast.core.errors import SourceError
from relcast.sources.csv_layout import CsvLayout, sniff_layout

__all__ = ["NULL_WORDS", "CsvTable", "inspect_csv", "preview_csv", "read_csv"]

NULL_WORDS = ("", "NA", "N/A", "#N/A", "NULL", "null", "NaN", "nan", r"\N")
"""Unquoted cells that mean a missing value; a quoted "NA" is the text NA."""

_BATCH_ROWS = 65_536
_SAMPLE_ROWS = 2_000
_KINDS = ("integer", "float", "bool", "date", "time")
_WIDER = {"integer": "float", "date": "time", "float": None, "bool": None, "time": None}
_FLOAT = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity)"
_CODE = r"[+-]?0[0-9]+"
_WHOLE = r"[+-]?[0-9]+"
_LONG = r"[+-]?[0-9]{19,}"
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?"
)
_ARROW = {"integer": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.string()}
_LINE = re.compile(r"CSV Error on Line: (\d+)\s*\n(.*?)\n(.*)", re.DOTALL)
_COUNTS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """How a text table is written, and the type that all values of each column have."""

    layout: CsvLayout
    kinds: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        types = [
            pa.timestamp("us") if kind in {"time", "date"} else _ARROW[kind] for kind in self.kinds
        ]
        types = [pa.date32() if k == "date" else t for k, t in zip(self.kinds, types, strict=True)]
        return pa.schema(list(zip(self.layout.names, types, strict=True)))


def inspect_csv(paths: tuple[Path, ...], threads: int = 1) -> CsvTable:
    """Find how the parts are written and, in one pass over all rows, the columns' types.

    Types are whole numbers, numbers, truth values (true/false), ISO 8601 dates and times, else
    text. Digits with leading zeros (postal codes) stay text, and so do whole numbers of which some
    are too long for 64 bits (identifiers).
    Raises what ``read_csv`` raises.
    """
    layout = sniff_layout(paths[0])
    for path in paths[1:]:
        other = sniff_layout(path)
        if other != layout:
            raise SourceError(
                f"{path} is written otherwise than {paths[0].name}: columns {other.names} at "
                f"{other.delimiter!r}, not {layout.names} at {layout.delimiter!r}",
                code="source.parts_differ",
                hint="Write all parts of a table with the same header and delimiter.",
            )
    with _connection(threads) as connection, _named_errors(paths):
        _scan(connection, paths, layout)
        first = exp.select("*").from_("cells").limit(_SAMPLE_ROWS)
        guess = _passing(connection, dict.fromkeys(range(len(layout.names)), _KINDS), first)
        kinds = {i: "text" for i, kind in guess.items() if kind == ""}
        left = {i: (kind,) if kind else _KINDS for i, kind in guess.items() if kind != ""}
        while left:
            passed = _passing(connection, left, exp.to_table("cells"))
            kinds |= {i: kind or "text" for i, kind in passed.items() if kind != ""}
            # A column that is no longer what its first rows were may still be the next wider kind.
            wider = {i: _WIDER[left[i][-1]] for i, kind in passed.items() if kind == ""}
            kinds |= {i: "text" for i, kind in wider.items() if kind is None}
            left = {i: (kind,) for i, kind in wider.items() if kind is not None}
        kinds |= _too_long(connection, [i for i, kind in kinds.items() if kind == "float"])
    return CsvTable(layout, tuple(kinds[i] for i in range(len(layout.names))))


def _passing(
    connection: duckdb.DuckDBPyConnection,
    candidates: Mapping[int, tuple[str, ...]],
    rows: exp.Table | exp.Select,
) -> dict[int, str | None]:
    """Return per column the first candidate that all its values are.

    The answer is "" where none is, and None where the column holds no value at all.
    """
    counts: list[exp.Expr] = [exp.func("count", exp.Star())]
    for i, kinds in candidates.items():
        counts.append(exp.func("count", _cell(i)))
        counts.extend(exp.func("count_if", _is(kind, _cell(i))) for kind in kinds)
    source = rows.subquery("first_rows") if isinstance(rows, exp.Select) else rows
    row = connection.sql(exp.select(*counts).from_(source).sql("duckdb")).fetchall()[0]
    answers: dict[int, str | None] = {}
    place = 1
    for i, kinds in candidates.items():
        present, matching = row[place], row[place + 1 : place + 1 + len(kinds)]
        place += 1 + len(kinds)
        fitting = [kind for kind, count in zip(kinds, matching, strict=True) if count == present]
        answers[i] = None if present == 0 else (fitting[0] if fitting else "")
    return answers


def _too_long(
    connection: duckdb.DuckDBPyConnection, floats: list[int]
) -> dict[int, Literal["text"]]:
    """Return the columns of numbers that are whole throughout, and too long for whole numbers.

    They are identifiers, which as floats would no longer be told apart: they stay text. A column
    with a fraction or an exponent holds amounts.
    """
    if not floats:
        return {}
    counts: list[exp.Expr] = []
    for i in floats:
        counts.append(exp.func("count_if", exp.not_(_matches(_cell(i), _WHOLE))))
        counts.append(exp.func("count_if", _matches(_cell(i), _LONG)))
    row = connection.sql(exp.select(*counts).from_("cells").sql("duckdb")).fetchall()[0]
    pairs = zip(floats, row[::2], row[1::2], strict=True)
    return {i: "text" for i, fractions, long in pairs if long and not fractions}


def read_csv(
    paths: tuple[Path, ...], table: CsvTable, threads: int = 1
) -> Iterator[pa.RecordBatch]:
    """Yield all rows, in order and in the types of ``table``.

    Raises ``source.broken_row`` with file, line and what was found; ``source.encoding``;
    ``source.unreadable`` for a broken compression; ``source.changed`` when a value no longer has
    the type that the inspection found.
    """
    with _connection(threads) as connection, _named_errors(paths):
        _scan(connection, paths, table.layout)
        columns = [
            exp.alias_(_typed(_cell(i), kind), f"c{i}", quoted=True)
            for i, kind in enumerate(table.kinds)
        ]
        query = exp.select(*columns).from_("cells").sql("duckdb")
        for batch in _batches(connection, query):
            arrays = [
                column.cast(field.type)
                for column, field in zip(batch.columns, table.schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def preview_csv(paths: tuple[Path, ...], table: CsvTable, rows: int) -> pa.Table:
    """Return the first rows."""
    taken: list[pa.RecordBatch] = []
    left = rows
    if rows > 0:
        for batch in read_csv(paths, table):
            taken.append(batch.slice(0, left))
            left -= taken[-1].num_rows
            if left <= 0:
                break
    return pa.Table.from_batches(taken, schema=table.schema)


@contextmanager
def _connection(threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        config={"threads": threads, "preserve_insertion_order": True, "memory_limit": "1GB"}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _scan(
    connection: duckdb.DuckDBPyConnection, paths: tuple[Path, ...], layout: CsvLayout
) -> None:
    """Make the view ``cells``: every value as text, columns ``c0``, ``c1`` and so on."""
    # Every option is given, since DuckDB's own sniffer takes a file with one broken row for a
    # file of one column and would hide the fault. Columns go by number: names are the user's.
    table = connection.read_csv(
        # The stub knows single paths only; a list is read in order.
        [_literal(path) for path in paths],  # type: ignore[arg-type]
        sep=layout.delimiter,
        header=layout.header,
        columns={f"c{i}": "VARCHAR" for i in range(len(layout.names))},
        quotechar='"',
        escapechar='"',
        na_values=list(NULL_WORDS),
        allow_quoted_nulls=False,
        strict_mode=True,
        auto_detect=False,
        compression=_compression(paths[0]),
    )
    table.create_view("cells")


def _batches(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    reader = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
    return iter(() if reader is None else reader)


def _compression(path: Path) -> Literal["gzip", "zstd", "none"]:
    match path.suffix.casefold():
        case ".gz":
            return "gzip"
        case ".zst":
            return "zstd"
        case _:
            return "none"


def _literal(path: Path) -> str:
    """Return the path so that DuckDB's globbing takes each character for itself."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _cell(i: int) -> exp.Expr:
    return exp.func("nullif", exp.column(f"c{i}", quoted=True), exp.Literal.string(""))


def _is(kind: str, value: exp.Expr) -> exp.Expr:
    """Say whether a cell is a value of that kind."""

    def readable(as_type: str) -> exp.Expr:
        return exp.TryCast(this=value.copy(), to=_type(as_type)).is_(exp.null()).not_()

    def matches(pattern: str) -> exp.Expr:
        return _matches(value, pattern)

    match kind:
        case "integer":
            # Printed again it must be the same text, so +5, 007 and 1e5 are none.
            whole = exp.TryCast(this=value.copy(), to=_type("BIGINT"))
            return exp.EQ(this=exp.cast(whole, _type("VARCHAR")), expression=value.copy())
        case "float":
            return exp.and_(readable("DOUBLE"), matches(_FLOAT), exp.not_(matches(_CODE)))
        case "bool":
            return exp.func("lower", value.copy()).isin("true", "false")
        case "date":
            ten = exp.EQ(this=exp.func("length", value.copy()), expression=exp.Literal.number(10))
            return exp.and_(readable("TIMESTAMPTZ"), matches(_TIME), ten)
        case _:
            return exp.and_(readable("TIMESTAMPTZ"), matches(_TIME))


def _matches(value: exp.Expr, pattern: str) -> exp.Expr:
    return exp.Anonymous(
        this="regexp_full_match", expressions=[value.copy(), exp.Literal.string(pattern)]
    )


def _type(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")


def _typed(value: exp.Expr, kind: str) -> exp.Expr:
    match kind:
        case "integer":
            return exp.cast(value, _type("BIGINT"))
        case "float":
            return exp.cast(value, _type("DOUBLE"))
        case "bool":
            return exp.cast(value, _type("BOOLEAN"))
        case "date":
            return exp.cast(value, _type("DATE"))
        case "time":
            return exp.cast(exp.cast(value, _type("TIMESTAMPTZ")), _type("TIMESTAMP"))
        case _:
            return value


@contextmanager
def _named_errors(paths: tuple[Path, ...]) -> Iterator[None]:
    """Turn DuckDB's errors into ours, with the file's name, the line and what was found."""
    try:
        yield
    except duckdb.Error as error:
        raise _explain(str(error), paths) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{paths[0]} is not UTF-8 text: {error.reason}",
            code="source.encoding",
            hint="Save the file as UTF-8 (with or without byte order mark).",
        ) from error


def _explain(text: str, paths: tuple[Path, ...]) -> SourceError:
    told = re.search(r"file = (.+)", text)
    by_text = {_literal(path): path for path in paths} | {str(path): path for path in paths}
    path = by_text.get(told.group(1).strip(), paths[0]) if told else _named_in(text, paths)
    place = _LINE.search(text)
    if place is None:
        if "Conversion Error" in text or "Could not convert" in text:
            return SourceError(
                f"{path} changed while it was read: {text.splitlines()[0][:200]}",
                code="source.changed",
                hint="Start again when nothing writes to the file.",
            )
        return SourceError(
            f"{path} cannot be read as a text table: {text.splitlines()[0][:300]}",
            code="source.unreadable",
            hint="Check that the file is whole, is compressed as its ending says, and ends its "
            "lines in one way.",
        )
    line, found, reason = int(place.group(1)), place.group(2), place.group(3)
    shown = found.removeprefix("Original Line:").strip()[:120]
    if "unicode" in reason or "utf-8" in reason:
        return SourceError(
            f"{path}, line {line}, is not UTF-8 text: {shown}",
            code="source.encoding",
            hint="Save the file as UTF-8 (with or without byte order mark).",
        )
    counts = _COUNTS.search(reason)
    if counts:
        what = f"{counts.group(2)} fields where the header has {counts.group(1)}"
    elif "unterminated quote" in reason:
        what = "a double quote is opened and never closed"
    else:
        what = "the line cannot be split into fields"
    return SourceError(
        f"{path}, line {line}: {what}: {shown}",
        code="source.broken_row",
        hint='Mend that line: put fields that hold the delimiter between double quotes ("), and '
        "write a double quote inside them twice.",
    )


def _named_in(text: str, paths: tuple[Path, ...]) -> Path:
    return next((path for path in paths if str(path) in text or _literal(path) in text), paths[0])
