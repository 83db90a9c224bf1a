"""Table definitions: the wire's ``TableDefinition`` as our ``Table``, and back."""

from __future__ import annotations

from kumoapi.table import Column as WireColumn
from kumoapi.table import TableDefinition
from kumoapi.typing import Dtype as WireDtype
from kumoapi.typing import Stype as WireStype

from relcast.core.errors import Fault, SchemaError
from relcast.core.schema import Column, Dtype, Stype, Table
from relcast.server.wire.late_columns import facts_of
from relcast.server.wire.source_tables import file_type_of, wire_source_table
from relcast.sources import SourceRef

__all__ = ["checked_table", "table_of", "wire_column", "wire_table"]


def table_of(name: str, definition: TableDefinition) -> Table:
    """Return our table; raises the ``schema.*`` errors of ``Table`` and of ``Delay``."""
    return Table(
        name=name,
        columns=tuple(
            Column(c.name, Dtype(c.dtype.value), Stype(c.stype.value), **facts_of(c))
            for c in definition.cols
        ),
        primary_key=definition.pkey or None,
        time_column=definition.time_col or None,
        end_time_column=definition.end_time_col or None,
    )


def checked_table(name: str, definition: TableDefinition) -> Table:
    """Return our table, or raise every fault of a definition at once.

    Raises ``schema.unknown_column``, ``schema.wrong_stype`` (a meaning that the stored type cannot
    have) and ``schema.bad_role`` (a key or time column of the wrong type).
    """
    table = table_of(name, definition)
    faults = [
        Fault(
            "schema.wrong_stype",
            f"{name}.{c.name} is stored as {c.dtype.value} and cannot mean {c.stype.value}",
            "Choose another semantic type, or change the data type.",
        )
        for c in definition.cols
        if not c.stype.supports_dtype(c.dtype)
    ]
    for role, column in (("time", table.time_column), ("end time", table.end_time_column)):
        if column is not None and table.column(column).stype is not Stype.timestamp:
            faults.append(
                Fault(
                    "schema.bad_role",
                    f"The {role} column {name}.{column} is not a timestamp but "
                    f"{table.column(column).stype.value}",
                    "Choose a column of times, or set its semantic type to timestamp.",
                )
            )
    if faults:
        raise SchemaError(
            faults[0].message, code=faults[0].code, hint=faults[0].hint, faults=faults
        )
    return table


def wire_column(column: Column) -> WireColumn:
    """Return the wire form of a column."""
    return WireColumn(
        name=column.name,
        stype=WireStype(column.stype.value),
        dtype=WireDtype(column.dtype.value),
    )


def wire_table(table: Table, ref: SourceRef) -> TableDefinition:
    """Return the wire form of a table and its source."""
    return TableDefinition(
        cols=[wire_column(c) for c in table.columns],
        source_table=wire_source_table(ref, file_type_of(ref.connector_id, None)),
        pkey=table.primary_key,
        time_col=table.time_column,
        end_time_col=table.end_time_column,
    )
