"""Open the source that a path means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relcast.sources.base import Source
from relcast.sources.files import split_suffix
from relcast.sources.local import LocalDirectory, LocalFile

__all__ = ["open_source"]


def open_source(
    path: Path | str, *, roots: Sequence[Path] | None = None, threads: int = 1
) -> Source:
    """Return the source at ``path``: a directory of tables, or a single table.

    A file, and a directory named like one (``orders.parquet/``), is a single table. Raises
    ``source.unreadable`` and, when ``roots`` bound what may be read, ``source.outside_roots``.
    """
    place = Path(path).expanduser()
    if place.is_dir() and not split_suffix(place.absolute().name)[1]:
        return LocalDirectory(place, roots=roots, threads=threads)
    return LocalFile(place, roots=roots, threads=threads)
