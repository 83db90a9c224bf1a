"""The files that make up one table: which they are, what marks them, what they hold.

A table is one file or a directory of parts of one format. Not for what is inside the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relcast.core.errors import Forbidden, SourceError

__all__ = ["SUFFIXES", "FileFormat", "TableFiles", "discover", "require_inside", "split_suffix"]

FileFormat = Literal["csv", "parquet"]

SUFFIXES: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".csv.zst": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".tsv.zst": "csv",
}

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class TableFiles:
    """One table's files, all of one format, in the order in which they are read."""

    name: str
    format: FileFormat
    paths: tuple[Path, ...]

    def fingerprint(self) -> str:
        """Return a mark of paths, sizes and times of change, without opening the files."""
        mark = hashlib.sha256(self.format.encode())
        for path in self.paths:
            stat = self._stat(path)
            text = f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}\0{stat.st_ctime_ns}"
            mark.update(text.encode(errors="surrogateescape") + b"\0")
        return mark.hexdigest()

    def digest(self) -> str:
        """Return the SHA-256 over format and bytes of the parts, in order."""
        total = hashlib.sha256(self.format.encode())
        for path in self.paths:
            # The suffix decides how the bytes are read (.tsv, .gz), so it is content too.
            suffix = split_suffix(path.name)[1]
            part = hashlib.sha256(suffix.encode() + b"\0")
            try:
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        part.update(chunk)
            except OSError as error:
                raise unreadable(path, error) from error
            total.update(part.digest())
        return total.hexdigest()

    def size(self) -> int:
        """Return the bytes of all parts."""
        return sum(self._stat(path).st_size for path in self.paths)

    @staticmethod
    def _stat(path: Path) -> os.stat_result:
        try:
            return path.stat()
        except OSError as error:
            raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> SourceError:
    """Return the error of a file that the operating system does not let us read."""
    return SourceError(
        f"{path} cannot be read: {error.strerror or error}",
        code="source.unreadable",
        hint="Check that the file is still there and that this user may read it.",
    )


def split_suffix(name: str) -> tuple[str, str]:
    """Return ``("t", ".csv.gz")`` for ``t.csv.gz``; the suffix is empty when it is none of ours."""
    folded = name.casefold()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if folded.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def require_inside(path: Path, roots: Sequence[Path] | None) -> Path:
    """Return the path with symbolic links resolved; raise ``source.outside_roots`` if it leaves.

    ``roots`` None sets no bound.
    """
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise SourceError(
            f"{path} cannot be opened",
            code="source.unreadable",
            hint="Check the spelling of the path, and that it is not a broken symbolic link.",
        ) from error
    if roots is not None and not any(resolved.is_relative_to(r.resolve()) for r in roots):
        raise Forbidden(
            f"{path} lies outside the directories that may be read",
            code="source.outside_roots",
            hint="Name its directory in RELCAST_DATA_ROOTS, or move the file below one of them.",
        )
    return resolved


def discover(root: Path, roots: Sequence[Path] | None) -> dict[str, list[TableFiles]]:
    """Return the tables below ``root`` by name; several entries where a name is ambiguous.

    A table is ``<name>.<suffix>``, or a directory ``<name>`` or ``<name>.<suffix>`` with parts
    directly below it. Hidden files and ones that begin with ``_`` are passed over, and so are
    entries that cannot be opened or lead outside ``roots``.
    """
    found: dict[str, list[TableFiles]] = {}
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise unreadable(root, error) from error
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        name, suffix = split_suffix(entry.name)
        try:
            resolved = require_inside(entry, roots)
            parts = _parts(resolved, roots) if resolved.is_dir() else (resolved,)
        except (SourceError, Forbidden):
            continue
        if resolved.is_file() and suffix:
            found.setdefault(name, []).append(TableFiles(name, SUFFIXES[suffix], parts))
        elif resolved.is_dir() and parts:
            formats = {SUFFIXES[split_suffix(p.name)[1]] for p in parts}
            for kind in sorted(formats):
                chosen = tuple(p for p in parts if SUFFIXES[split_suffix(p.name)[1]] == kind)
                found.setdefault(name, []).append(TableFiles(name, kind, chosen))
    return found


def _parts(directory: Path, roots: Sequence[Path] | None) -> tuple[Path, ...]:
    names = [p for p in sorted(directory.iterdir()) if not p.name.startswith((".", "_"))]
    return tuple(require_inside(p, roots) for p in names if split_suffix(p.name)[1] and p.is_file())
