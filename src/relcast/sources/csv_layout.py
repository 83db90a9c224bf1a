"""How a text table is written: delimiter and header, found in its first lines.

The types of the columns are a matter of all rows and stand in ``csv_files``.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import zstandard

from relcast.core.errors import SourceError

__all__ = ["CsvLayout", "sniff_layout"]

_HEAD_BYTES = 1 << 18
_DELIMITERS = (",", "\t", ";", "|")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """Delimiter, whether there is a header line, and the columns' names in order."""

    delimiter: str
    header: bool
    names: tuple[str, ...]


def sniff_layout(path: Path) -> CsvLayout:
    """Find delimiter and header of a text table in its first 256 KiB.

    The delimiter is the one of comma, tab, semicolon and bar that splits the most lines into
    the same number (above one) of fields; a ``.tsv`` file is split at tabs. The first line is
    the header unless it holds a number or a date.

    Raises ``source.empty`` (0 bytes or blank), ``source.encoding`` (not UTF-8),
    ``source.duplicate_column`` and ``source.unreadable`` (a broken compression).
    """
    text = _head(path)
    if not text.strip():
        raise SourceError(
            f"{path} is empty",
            code="source.empty",
            hint="A table without rows still needs its header line.",
        )
    tabs = ".tsv" in path.name.casefold()
    delimiter = "\t" if tabs else _delimiter(text)
    rows = _rows(text, delimiter)
    header = _has_header(rows)
    names = rows[0] if header else [f"column{i}" for i in range(len(rows[0]))]
    return CsvLayout(delimiter, header, _clean(names, path))


def _head(path: Path) -> str:
    name = path.name.casefold()
    try:
        with path.open("rb") as raw:
            if name.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as opened:
                    data = opened.read(_HEAD_BYTES)
            elif name.endswith(".zst"):
                with zstandard.ZstdDecompressor().stream_reader(raw) as opened:
                    data = opened.read(_HEAD_BYTES)
            else:
                data = raw.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise SourceError(
            f"{path} cannot be read: {error}",
            code="source.unreadable",
            hint="Check that the file is whole and that its ending tells its compression.",
        ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _encoding(path, "it is UTF-16")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        raise _encoding(path, f"byte {data.index(0)} is NUL")
    try:
        # A character may be cut at the end of what was read, so the decoder is not told the end.
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < _HEAD_BYTES)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _encoding(path, f"line {line} holds the byte 0x{data[error.start]:02x}") from error


def _encoding(path: Path, found: str) -> SourceError:
    return SourceError(
        f"{path} is not UTF-8 text: {found}",
        code="source.encoding",
        hint="Save the file as UTF-8 (with or without byte order mark).",
    )


def _rows(text: str, delimiter: str, limit: int = 200) -> list[list[str]]:
    """Return the first rows; the last one is left out where it may have been cut."""
    rows: list[list[str]] = []
    whole = len(text.encode()) < _HEAD_BYTES - 8
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > limit:
                break
    except csv.Error:
        pass  # the full reading names the line and what is wrong with it
    return rows[:-1] if len(rows) > 1 and not (whole and len(rows) <= limit) else rows


def _delimiter(text: str) -> str:
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        rows = _rows(text, delimiter)
        if not rows or len(rows[0]) < 2:
            continue
        width, agreeing = Counter(len(row) for row in rows).most_common(1)[0]
        # The header is the surest line: data lines may be broken, and are told of later.
        score = agreeing / len(rows) + (1.0 if width == len(rows[0]) else 0.0)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _has_header(rows: list[list[str]]) -> bool:
    first = [cell.strip() for cell in rows[0]]
    if any(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell) for cell in first):
        return False
    return any(first)


def _clean(names: list[str], path: Path) -> tuple[str, ...]:
    """Give nameless columns a name, and refuse a name that stands twice."""
    cleaned = [name.strip() or f"column{i}" for i, name in enumerate(names)]
    twice = [name for name, count in Counter(cleaned).items() if count > 1]
    if twice:
        raise SourceError(
            f"{path} has the column {twice[0]!r} more than once in its header",
            code="source.duplicate_column",
            hint="Give each column its own name.",
        )
    return tuple(cleaned)
