"""A table as it would be read: every decision with its reason, before anything is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relcast.core.errors import SchemaError, nearest
from relcast.core.schema import Column, Dtype, Stype, Table
from relcast.snapshots.dtypes import DtypeChoice, choose_dtype
from relcast.snapshots.key_values import KeyValues, staged_key_values
from relcast.snapshots.primary_keys import Candidate, choose_primary_key
from relcast.snapshots.profile import profile_table
from relcast.snapshots.readings import Reading
from relcast.snapshots.spec import INFER, TableSpec
from relcast.snapshots.staging import Staged, stage_table
from relcast.snapshots.stypes import choose_stype
from relcast.snapshots.time_columns import choose_time_column
from relcast.sources import Source

__all__ = ["ColumnProposal", "TableProposal", "infer_table", "propose", "wanted_columns"]


@dataclass(frozen=True, slots=True)
class ColumnProposal:
    """How one column would be read, what it means, and why."""

    column: Column
    reading: Reading
    dtype_reason: str
    stype_reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            **self.column.to_json(),
            "form": self.reading.form,
            "dtype_reason": self.dtype_reason,
            "stype_reason": self.stype_reason,
        }


@dataclass(frozen=True, slots=True)
class TableProposal:
    """A typed table with a reason for each decision.

    Attributes:
        table: What would be copied.
        columns: The columns' readings with reasons, in order.
        rows: Rows at the source.
        primary_key_reason, time_column_reason: Why these, or why none.
        primary_key_candidates, time_column_candidates: What else was looked at, best first.
        keys: Distinct values of columns that may take part in links, for ``infer_links``.
    """

    table: Table
    columns: tuple[ColumnProposal, ...]
    rows: int
    primary_key_reason: str
    primary_key_candidates: tuple[Candidate, ...]
    time_column_reason: str
    time_column_candidates: tuple[Candidate, ...]
    keys: Mapping[str, KeyValues] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.table.name

    def key_values(self, column: str) -> KeyValues | None:
        """Return the distinct values of a column that may take part in links, else None."""
        return self.keys.get(column)

    def reasons(self) -> dict[str, Any]:
        """Return all reasons as a JSON value."""
        return {
            "columns": [c.to_json() for c in self.columns],
            "primary_key": self.primary_key_reason,
            "primary_key_candidates": [c.to_json() for c in self.primary_key_candidates],
            "time_column": self.time_column_reason,
            "time_column_candidates": [c.to_json() for c in self.time_column_candidates],
        }

    def to_json(self) -> dict[str, Any]:
        return {"table": self.table.to_json(), "rows": self.rows, **self.reasons()}


def infer_table(
    source: Source,
    source_table: str,
    spec: TableSpec | None = None,
    *,
    threads: int = 1,
    memory_limit_mb: int = 1024,
) -> TableProposal:
    """Look at all rows of a source's table and say how it would be read, and why.

    What ``spec`` decides is kept. Raises ``schema.unknown_column``, ``schema.bad_dtype``,
    ``schema.no_columns``, and whatever reading the source raises.
    """
    spec = spec or TableSpec(source_table)
    only = wanted_columns(spec, source.schema(source_table).names)
    with stage_table(
        source, source_table, only, threads=threads, memory_limit_mb=memory_limit_mb
    ) as staged:
        return propose(staged, spec, with_keys=True)


def wanted_columns(spec: TableSpec, names: list[str]) -> list[str]:
    """Return the columns to copy; raise ``schema.unknown_column`` for any that is not there."""
    timing = (*spec.known_at, *spec.known_after, *spec.mutable, *spec.clocks())
    asked = (*(spec.columns or ()), *spec.roles().values(), *spec.dtypes, *spec.stypes, *timing)
    for name in asked:
        if name not in names:
            raise SchemaError(
                f"Table {spec.name!r} has no column {name!r} at its source",
                code="schema.unknown_column",
                hint=nearest(name, names),
            )
    if spec.columns is None:
        return names
    return list(dict.fromkeys((*spec.columns, *spec.roles().values(), *timing)))


def propose(staged: Staged, spec: TableSpec, *, with_keys: bool = False) -> TableProposal:
    """Decide how a staged table is read."""
    profiles = profile_table(staged)
    roles = spec.roles()
    timed = {roles.get("time_column"), roles.get("end_time_column"), *spec.known_at.values()}
    choices: dict[str, DtypeChoice] = {}
    stypes: dict[str, Stype] = {}
    why: dict[str, str] = {}
    for name, profile in profiles.items():
        asked = spec.stypes.get(name)
        try:
            choices[name] = choose_dtype(
                staged, profile, spec.dtypes.get(name), asked, timed=name in timed
            )
        except SchemaError as error:
            place = f"Table {spec.name!r}: {error.message}"
            raise SchemaError(place, code=error.code, hint=error.hint) from None
        stypes[name], why[name] = choose_stype(name, choices[name].reading.dtype, profile)
        if asked is not None:
            stypes[name], why[name] = asked, "asked for"
    key_candidates: tuple[Candidate, ...] = ()
    if spec.primary_key is INFER:
        key, key_reason, key_candidates = choose_primary_key(
            staged, spec.name, profiles, choices, stypes
        )
    else:
        key, key_reason = spec.primary_key, "asked for"
    time, time_reason, time_candidates = choose_time_column(spec.name, profiles, choices)
    if spec.time_column is not INFER:
        time, time_reason = spec.time_column, "asked for"
    end = None if spec.end_time_column is INFER else spec.end_time_column
    if key is not None:
        _require_key(spec.name, key, choices[key].reading.dtype)
        if key not in spec.stypes:
            stypes[key], why[key] = Stype.ID, "is the primary key"
    columns = tuple(
        ColumnProposal(
            spec.column(name, choice.reading.dtype, stypes[name]),
            choice.reading,
            choice.reason,
            why[name],
        )
        for name, choice in choices.items()
    )
    table = Table(spec.name, tuple(c.column for c in columns), key, time, end)
    keys = {}
    if with_keys:
        for proposed in columns:
            values = staged_key_values(
                staged, proposed.column, proposed.reading, is_key=proposed.column.name == key
            )
            if values is not None:
                keys[proposed.column.name] = values
    return TableProposal(
        table, columns, staged.rows, key_reason, key_candidates, time_reason, time_candidates, keys
    )


def _require_key(table: str, key: str, dtype: Dtype) -> None:
    if not (
        dtype.is_integer
        or dtype.is_time
        or dtype in (Dtype.string, Dtype.bool)
        or dtype in (Dtype.float32, Dtype.float64)
    ):
        raise SchemaError(
            f"Column {table}.{key} is {dtype} and cannot be a primary key",
            code="schema.bad_key",
            hint="Name a column of whole numbers or text.",
        )
