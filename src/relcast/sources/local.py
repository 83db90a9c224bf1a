"""Tables in files on this machine: a directory of them, or a single file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relcast.core.errors import SourceError
from relcast.sources.file_source import FileSource
from relcast.sources.files import SUFFIXES, TableFiles, discover, require_inside, split_suffix

__all__ = ["LocalDirectory", "LocalFile"]


class LocalDirectory(FileSource):
    """The tables of one directory: ``<name>.csv``, ``<name>.parquet``, or a directory of parts.

    Args:
        root: The directory.
        roots: Directories that everything read must lie in once symbolic links are followed; None
            sets no bound (a library user reads own files).
        threads: Threads for reading text tables.

    Raises ``source.outside_roots`` (403), and ``source.unreadable`` when it is no directory.
    """

    def __init__(
        self, root: Path | str, *, roots: Sequence[Path] | None = None, threads: int = 1
    ) -> None:
        super().__init__(threads=threads)
        self._roots = None if roots is None else tuple(roots)
        self.root = require_inside(Path(root).expanduser(), self._roots)
        if not self.root.is_dir():
            raise SourceError(
                f"{root} is not a directory",
                code="source.unreadable",
                hint="Name the directory that holds the tables' files.",
            )

    @property
    def kind(self) -> str:
        return "directory"

    def _tables(self) -> dict[str, list[TableFiles]]:
        return discover(self.root, self._roots)

    def _label(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


class LocalFile(FileSource):
    """One file (or directory of parts) as a source of one table, named as the file is.

    Raises ``source.outside_roots`` (403), and ``source.unreadable`` when there is no such file or
    its ending is none that can be read.
    """

    def __init__(
        self, path: Path | str, *, roots: Sequence[Path] | None = None, threads: int = 1
    ) -> None:
        super().__init__(threads=threads)
        self.path = Path(path).expanduser().absolute()
        self._roots = None if roots is None else tuple(roots)
        require_inside(self.path, self._roots)
        self.table = split_suffix(self.path.name)[0]
        if self.table not in self._tables():
            raise SourceError(
                f"{path} is no file that can be read as a table",
                code="source.unreadable",
                hint=f"Files may end in {', '.join(SUFFIXES)}.",
            )

    @property
    def kind(self) -> str:
        return "file"

    def _tables(self) -> dict[str, list[TableFiles]]:
        resolved = require_inside(self.path, self._roots)
        if resolved.is_dir():
            found = discover(self.path.parent, self._roots).get(self.table, [])
            return (
                {self.table: [f for f in found if f.paths[0].parent == resolved]} if found else {}
            )
        suffix = split_suffix(self.path.name)[1]
        if not suffix:
            return {}
        return {self.table: [TableFiles(self.table, SUFFIXES[suffix], (resolved,))]}

    def _label(self, path: Path) -> str:
        return path.name
