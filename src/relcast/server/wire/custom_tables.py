"""Modified training tables of the SDK: a table of one's own that is the generated one and a weight.

The SDK reads the generated table, adds a column, uploads it, and names it for the next training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from kumoapi.jobs import CustomTrainingTable
from kumoapi.source_table import S3SourceTable, SourceTableType
from kumoapi.train import TrainingTableSpec

from relcast.core.errors import InvalidRequest, TaskError
from relcast.jobs.own_rows import OwnRows
from relcast.outputs import read_first_rows
from relcast.server.wire.places import resolve, source_of
from relcast.server.wire.source_tables import Location, plain_root
from relcast.sources import SourceRef

if TYPE_CHECKING:
    from relcast.catalog import JobRecord
    from relcast.jobs import Platform

__all__ = ["custom_rows", "validate_custom_table"]

_KEPT = ("ENTITY", "TIMESTAMP", "TARGET")


def custom_rows(platform: Platform, custom: CustomTrainingTable) -> OwnRows:
    """Return where the rows of a modified training table are; raises ``training_table.custom``."""
    return _rows(platform, custom.source_table, custom.table_mod_spec)


def validate_custom_table(
    platform: Platform,
    job: JobRecord,
    source: SourceTableType,
    spec: TrainingTableSpec,
    *,
    count: bool,
) -> None:
    """Check a modified training table against the generated one of a job.

    Its columns must be there, and the weight hold numbers; with ``count``, it must have as many
    rows. Raises ``training_table.custom``, ``task.missing_column``, ``task.bad_weight``,
    ``job.not_done`` and ``source.*``.
    """
    rows = _rows(platform, source, spec)
    opened = platform.source(rows.ref.connector_id)
    schema = opened.schema(rows.ref.table)
    original, total = read_first_rows(platform.output_path(job.id, "training_table.parquet"), 1)
    wanted = [n for n in _KEPT if n in original.column_names]
    wanted += [rows.weight] if rows.weight is not None else []
    missing = [n for n in wanted if n not in schema.names]
    if missing:
        raise TaskError(
            f"The modified training table has no column {missing[0]}",
            code="task.missing_column",
            hint=f"Its columns are {', '.join(map(repr, schema.names))}. Take the generated table "
            "with all its columns, and add one.",
        )
    kind = schema.field(rows.weight).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise TaskError(
            f"The weight column {rows.weight} holds {kind}, no numbers",
            code="task.bad_weight",
            hint="Name a column of numbers that are not negative.",
        )
    if count:
        found = sum(batch.num_rows for batch in opened.read(rows.ref.table))
        if found != total:
            raise TaskError(
                f"The modified training table has {found:,} rows, the generated one {total:,}",
                code="training_table.custom",
                hint="Change no rows; only a weight column may be added.",
            )


def _rows(platform: Platform, source: SourceTableType, spec: TrainingTableSpec) -> OwnRows:
    if spec.weight_col is None or spec.feats or spec.candidate_col_name is not None:
        raise InvalidRequest(
            "A modified training table can add a weight column and nothing else",
            code="training_table.custom",
            hint="Set weight_col, and neither feats nor candidate_col_name.",
        )
    return OwnRows(_place(platform, source), weight=spec.weight_col)


def _place(platform: Platform, source: SourceTableType) -> SourceRef:
    # The SDK gives a plain directory and the table's name apart from each other.
    if (
        isinstance(source, S3SourceTable)
        and source.connector_id is None
        and source.source_table_name
        and source.s3_path.endswith("/")
    ):
        root = plain_root(source.s3_path).rstrip("/")
        return resolve(platform, Location(None, root), source.source_table_name)
    return source_of(platform, source)
