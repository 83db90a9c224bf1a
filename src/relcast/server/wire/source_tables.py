"""Source tables: ``S3SourceTable`` and its kin as ``SourceRef``, and Arrow types as dtypes.

On one machine without a cloud there are two kinds: uploads, and directories below the configured
data roots (named connectors, or plain paths given as the root of an ``S3Connector``).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from kumoapi.data_source import DataSourceType
from kumoapi.source_table import (
    ADLSSourceTable,
    FileType,
    GCSSourceTable,
    S3SourceTable,
    SourceTableType,
)

from relcast.core.errors import InvalidRequest
from relcast.core.schema import Dtype
from relcast.snapshots.arrow_types import staged_type
from relcast.sources import SourceRef

__all__ = [
    "UPLOAD_CONNECTORS",
    "Location",
    "dtype_of",
    "file_type_of",
    "location_of",
    "wire_source_table",
]

UPLOAD_CONNECTORS = {
    "parquet_upload_connector": FileType.PARQUET,
    "csv_upload_connector": FileType.CSV,
}
_FILES = (DataSourceType.S3, DataSourceType.GCS, DataSourceType.ADLS)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a request says that tables are: a known connector, or a root directory."""

    connector_id: str | None
    root: str | None
    table: str | None = None

    @classmethod
    def of(
        cls, source_type: DataSourceType, connector_id: str | None, root: str | None
    ) -> Location:
        """Check a request's source; raises ``connector.unsupported`` for warehouses."""
        if source_type not in _FILES:
            raise _unsupported(source_type)
        if connector_id is None and not root:
            raise InvalidRequest(
                "The request names neither a connector nor a root directory",
                code="connector.missing",
                hint="Upload the table, or give the connector a root_dir.",
            )
        return cls(connector_id, None if connector_id else plain_root(root or ""))


def plain_root(root: str) -> str:
    """Return the path of a root given as a path or a ``file://`` URL.

    Raises ``connector.unsupported`` for roots in an object store.
    """
    if root.startswith("file://"):
        return root.removeprefix("file://")
    if "://" in root:
        raise InvalidRequest(
            f"{root.split('://', maxsplit=1)[0]}:// is not a storage that this server reads",
            code="connector.unsupported",
            hint="Upload the tables with FileUploadConnector, or use a directory on the server.",
        )
    return root


def location_of(source: SourceTableType) -> Location:
    """Return where a wire source table is, with its table name."""
    if not isinstance(source, S3SourceTable | GCSSourceTable | ADLSSourceTable):
        raise _unsupported(source.data_source_type)
    path: str = {
        DataSourceType.S3: lambda s: s.s3_path,
        DataSourceType.GCS: lambda s: s.gcs_path,
        DataSourceType.ADLS: lambda s: s.adls_path,
    }[source.data_source_type](source)
    if source.connector_id is not None:
        name = source.source_table_name or _table_name(path)
        if not name:
            raise InvalidRequest(
                "The source table has neither a name nor a path",
                code="source.unnamed",
                hint="Set source_table_name.",
            )
        return Location(source.connector_id, None, name)
    plain = plain_root(path.rstrip("/"))
    root, _, last = plain.rpartition("/")
    if not last or not root:
        raise InvalidRequest(
            f"{path!r} is not the path of a table",
            code="source.unnamed",
            hint="Write it as <root>/<table>.parquet, <root>/<table>.csv or <root>/<table>/.",
        )
    return Location(None, root, _table_name(path))


def _table_name(path: str) -> str:
    """Return the table's name of a path: a directory's own, or a file's without its ending."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if path.endswith("/") or "." not in last else last.rpartition(".")[0]


def wire_source_table(ref: SourceRef, file_type: FileType | None) -> S3SourceTable:
    """Return the wire form of a source table.

    It always names a connector: the SDK rebuilds its connector object from that alone.
    """
    return S3SourceTable(
        s3_path="",
        connector_id=ref.connector_id,
        source_table_name=ref.table,
        file_type=file_type,
    )


def file_type_of(connector_id: str, asked: FileType | None) -> FileType | None:
    """Return the file type of a connector's tables where the connector decides it."""
    return UPLOAD_CONNECTORS.get(connector_id, asked)


def dtype_of(kind: pa.DataType) -> Dtype:
    """Return the dtype of an Arrow type, the one that ingestion suggests for it."""
    return staged_type(kind).dtype


def _unsupported(source_type: object) -> InvalidRequest:
    return InvalidRequest(
        f"{source_type} is not a source that this server reads",
        code="connector.unsupported",
        hint="Upload the tables with FileUploadConnector, or use a directory on the server.",
    )
