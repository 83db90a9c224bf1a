"""Where tables come from: directories, files and uploads, read as Arrow batches.

A source lists its tables, previews them, marks their version and reads them. What the columns mean
is found in ``relcast.snapshots``.
"""

from __future__ import annotations

from relcast.sources.base import Source, SourceRef
from relcast.sources.files import FileFormat
from relcast.sources.local import LocalDirectory, LocalFile
from relcast.sources.opening import open_source
from relcast.sources.uploads import MOST_PARTS, UploadArea, UploadName

__all__ = [
    "MOST_PARTS",
    "FileFormat",
    "LocalDirectory",
    "LocalFile",
    "Source",
    "SourceRef",
    "UploadArea",
    "UploadName",
    "open_source",
]
