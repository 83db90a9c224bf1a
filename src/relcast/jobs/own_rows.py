"""Rows of the caller's own in place of generated ones: a table of a connector, an upload say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relcast.core.errors import TaskError, nearest
from relcast.sources import SourceRef

if TYPE_CHECKING:
    from relcast.pql import CheckedQuery
    from relcast.sources import Source

__all__ = ["OwnRows", "require_columns"]


@dataclass(frozen=True, slots=True)
class OwnRows:
    """Which table holds the rows.

    Attributes:
        ref: The connector and its table.
        weight: The column that weighs training rows, where it is not named ``WEIGHT``.
        allow_unmatched: Leave out rows whose ``ENTITY`` is no key rather than refuse them all.
    """

    ref: SourceRef
    weight: str | None = None
    allow_unmatched: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what a job's configuration holds of them."""
        return {**self.ref.to_json(), "weight": self.weight}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> OwnRows:
        return cls(SourceRef.from_json(obj), obj.get("weight"))


def require_columns(rows: OwnRows, source: Source, query: CheckedQuery, *, targets: bool) -> None:
    """Refuse rows without a needed column now, and not in a job that fails later.

    Raises ``source.unknown_table`` (404), ``source.*`` and ``task.missing_column``.
    """
    names = source.schema(rows.ref.table).names
    wanted = ["ENTITY"]
    wanted += ["TIMESTAMP"] if query.temporal else []
    wanted += ["TARGET"] if targets else []
    wanted += [rows.weight] if rows.weight is not None else []
    for name in wanted:
        if name not in names:
            raise TaskError(
                f"The table {rows.ref.table!r} of your own rows has no column {name}",
                code="task.missing_column",
                hint=f"Its columns are {', '.join(map(repr, names))}. {nearest(name, names)}",
            )
