"""What a caller decides about a table before it is copied; the rest is inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from relcast.core.delays import Delay
from relcast.core.schema import Column, Dtype, Stype, Table

__all__ = ["INFER", "Infer", "TableSpec"]


class Infer(Enum):
    """The type of ``INFER``."""

    INFER = "infer"


INFER: Final = Infer.INFER
"""Take what the data say; None, in its place, means that there is none."""

Role = str | None | Literal[Infer.INFER]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """How a table is to be read.

    Attributes:
        name: The table's name in the graph (its name at the source may be another).
        primary_key: Column, None (no key) or INFER.
        time_column: Column, None (rows are always known) or INFER.
        end_time_column: Column after which a row no longer holds, or None. INFER gives None:
            that a row ends is for people to say.
        dtypes: How columns are to be read; others are inferred.
        stypes: What columns mean; others are inferred.
        columns: The columns to copy, in order; None is all. Key, times and what says when values
            are known are always copied.
        known_at: By column, the time column from which its values are known.
        known_after: By column, how long after that (or after the row's time) they are known.
        mutable: Columns that are overwritten in place. Nothing of these three is ever inferred.
    """

    name: str
    primary_key: Role = INFER
    time_column: Role = INFER
    end_time_column: Role = INFER
    dtypes: Mapping[str, Dtype] = field(default_factory=dict)
    stypes: Mapping[str, Stype] = field(default_factory=dict)
    columns: Sequence[str] | None = None
    known_at: Mapping[str, str] = field(default_factory=dict)
    known_after: Mapping[str, Delay] = field(default_factory=dict)
    mutable: Sequence[str] = ()

    @classmethod
    def of(cls, table: Table) -> TableSpec:
        """Return the specification that leaves nothing open: read the table as it is described."""
        return cls(
            name=table.name,
            primary_key=table.primary_key,
            time_column=table.time_column,
            end_time_column=table.end_time_column,
            dtypes={c.name: c.dtype for c in table.columns},
            stypes={c.name: c.stype for c in table.columns},
            columns=tuple(c.name for c in table.columns),
            known_at={c.name: c.known_at for c in table.columns if c.known_at is not None},
            known_after={c.name: c.known_after for c in table.columns if c.known_after is not None},
            mutable=tuple(c.name for c in table.columns if c.mutable),
        )

    def column(self, name: str, dtype: Dtype, stype: Stype) -> Column:
        """Return a column with what is said of when its values are known."""
        return Column(
            name,
            dtype,
            stype,
            self.known_at.get(name),
            self.known_after.get(name),
            name in self.mutable,
        )

    def clocks(self) -> tuple[str, ...]:
        """Return the columns that say when others are known: times and durations."""
        delays = (d.column for d in self.known_after.values() if d.column is not None)
        return tuple(dict.fromkeys((*self.known_at.values(), *delays)))

    def roles(self) -> dict[str, str]:
        """Return the roles that name a column."""
        named = {
            "primary_key": self.primary_key,
            "time_column": self.time_column,
            "end_time_column": self.end_time_column,
        }
        return {role: column for role, column in named.items() if isinstance(column, str)}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value; roles that are inferred and what is not said are left out."""
        roles = {
            "primary_key": self.primary_key,
            "time_column": self.time_column,
            "end_time_column": self.end_time_column,
        }
        said: dict[str, Any] = {}
        if self.known_at:
            said["known_at"] = dict(self.known_at)
        if self.known_after:
            said["known_after"] = {name: d.to_json() for name, d in self.known_after.items()}
        if self.mutable:
            said["mutable"] = list(self.mutable)
        return {
            "name": self.name,
            "dtypes": {name: dtype.value for name, dtype in self.dtypes.items()},
            "stypes": {name: stype.value for name, stype in self.stypes.items()},
            "columns": None if self.columns is None else list(self.columns),
            **{role: column for role, column in roles.items() if column is not INFER},
            **said,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TableSpec:
        return cls(
            name=obj["name"],
            primary_key=obj.get("primary_key", INFER),
            time_column=obj.get("time_column", INFER),
            end_time_column=obj.get("end_time_column", INFER),
            dtypes={name: Dtype(dtype) for name, dtype in obj.get("dtypes", {}).items()},
            stypes={name: Stype(stype) for name, stype in obj.get("stypes", {}).items()},
            columns=None if obj.get("columns") is None else tuple(obj["columns"]),
            known_at=dict(obj.get("known_at", {})),
            known_after={name: Delay.of(d) for name, d in obj.get("known_after", {}).items()},
            mutable=tuple(obj.get("mutable", ())),
        )
