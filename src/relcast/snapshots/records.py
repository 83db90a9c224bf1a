"""What the store keeps of a table and of a snapshot, as values that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from relcast.core.schema import Graph, Link, Table

__all__ = [
    "ColumnStatistics",
    "IngestReport",
    "LateProposal",
    "LinkHealth",
    "Snapshot",
    "TableSnapshot",
]


@dataclass(frozen=True, slots=True)
class LateProposal:
    """A column that may be known later than its rows.

    Attributes:
        column: Its name.
        known_at: The time column that its values come with; None where there is no such column.
        reason: The evidence.
    """

    column: str
    known_at: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What was read, kept and left out when a table was copied.

    Attributes:
        rows_read: Rows at the source.
        rows_kept: Rows in the snapshot.
        dropped: Rows left out, by reason: ``null_key`` (no primary key), ``null_time`` (no value in
            the time column), ``unreadable_time`` (a value there that is no time, or is outside 1677
            to 2262), ``duplicate_key`` (a later row with a key that an earlier kept row has). A row
            is counted once, under the first of these.
        unreadable: Values that could not be read as their column's dtype and are missing now, by
            column, over all rows that were kept.
        warnings: Sentences on what of this may disappoint (see ``relcast.snapshots.doubts``).
        late: Columns that seem to be filled in later than their rows come; nothing is done about
            them before somebody says so (see ``relcast.snapshots.late_values``).
    """

    rows_read: int
    rows_kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    late: tuple[LateProposal, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "dropped": dict(self.dropped),
            "unreadable": dict(self.unreadable),
            "warnings": list(self.warnings),
            "late": [asdict(proposal) for proposal in self.late],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> IngestReport:
        return cls(
            obj["rows_read"],
            obj["rows_kept"],
            obj["dropped"],
            obj.get("unreadable", {}),
            tuple(obj.get("warnings", ())),
            tuple(LateProposal(**proposal) for proposal in obj.get("late", ())),
        )


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What a column holds, over the rows that were kept.

    Attributes:
        column: Its name.
        count: Rows, with and without a value.
        nulls: Rows without a value.
        distinct: Different values; an estimate (within some percent) where ``exact`` is false.
        exact: Whether ``distinct`` is exact.
        minimum, maximum, mean, deviation: Of numbers; of lists, of their lengths.
        quantiles: Of numbers, by the share below: ``{"0.05": ...}``.
        histogram: Counts in bins of equal width from ``minimum`` to ``maximum``.
        top: The most frequent values with their counts, as text, the most frequent first.
        first, last: The earliest and latest time, ISO 8601 UTC.
        mean_length: Of text, in characters.
    """

    column: str
    count: int
    nulls: int
    distinct: int | None = None
    exact: bool = True
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    histogram: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    first: str | None = None
    last: str | None = None
    mean_length: float | None = None

    @property
    def null_share(self) -> float:
        """Nulls per row, 0 for a table without rows."""
        return self.nulls / self.count if self.count else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "null_share": self.null_share}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> ColumnStatistics:
        known = {k: v for k, v in obj.items() if k != "null_share"}
        known["histogram"] = tuple(known.get("histogram", ()))
        known["top"] = tuple((value, count) for value, count in known.get("top", ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """How well a foreign key meets the primary key that it points to.

    Attributes:
        link: The link.
        children, parents: Rows of the two tables.
        null: Child rows without a foreign key.
        matched: Child rows whose key is that of a parent.
        dangling: Child rows with a key that no parent has.
        parents_matched: Parent rows that at least one child points to.
        fan_out_mean: Children per parent, over all parents.
        fan_out_p99: Ninety-nine in a hundred parents have at most so many children.
        fan_out_max: The most children that one parent has.
        ambiguous: Whether another link joins the same two tables, so that queries must say which.
    """

    link: Link
    children: int
    parents: int
    null: int
    matched: int
    dangling: int
    parents_matched: int
    fan_out_mean: float
    fan_out_p99: float
    fan_out_max: int
    ambiguous: bool = False

    @property
    def match_rate(self) -> float:
        """Matched child rows per child row with a key; 1 where there is none."""
        keyed = self.matched + self.dangling
        return self.matched / keyed if keyed else 1.0

    @property
    def parent_match_rate(self) -> float:
        """Parents with a child per parent; 1 where there is no parent."""
        return self.parents_matched / self.parents if self.parents else 1.0

    @property
    def null_share(self) -> float:
        return self.null / self.children if self.children else 0.0

    @property
    def dangling_share(self) -> float:
        """Dangling child rows per child row."""
        return self.dangling / self.children if self.children else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "match_rate": self.match_rate,
            "parent_match_rate": self.parent_match_rate,
            "null_share": self.null_share,
            "dangling_share": self.dangling_share,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> LinkHealth:
        derived = {"match_rate", "parent_match_rate", "null_share", "dangling_share"}
        known = {k: v for k, v in obj.items() if k not in derived}
        return cls(**{**known, "link": Link.from_json(obj["link"])})


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """One table as it was at one moment, in one Parquet file that never changes.

    A row's place in the file is its dense row index; rows keep the source's order. Times are
    ``timestamp[ns]`` in UTC without zone. The columns stand in the order of ``table``.

    Attributes:
        id: ``table-<what is copied>@<from which content>``.
        path: The Parquet file.
        readings: Per column, how it was read and why (dtype and stype), in words.
    """

    id: str
    name: str
    path: Path
    rows: int
    table: Table
    report: IngestReport
    statistics: tuple[ColumnStatistics, ...]
    source_digest: str
    reasons: Mapping[str, Any] = field(default_factory=dict)

    def statistics_of(self, column: str) -> ColumnStatistics:
        """Return a column's statistics; raise ``schema.unknown_column`` if there is none."""
        self.table.column(column)
        return next(s for s in self.statistics if s.column == column)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "path": self.path.name,
            "rows": self.rows,
            "table": self.table.to_json(),
            "report": self.report.to_json(),
            "statistics": [s.to_json() for s in self.statistics],
            "source_digest": self.source_digest,
            "reasons": dict(self.reasons),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any], directory: Path) -> TableSnapshot:
        return cls(
            id=obj["id"],
            name=obj["name"],
            path=directory / obj["path"],
            rows=obj["rows"],
            table=Table.from_json(obj["table"]),
            report=IngestReport.from_json(obj["report"]),
            statistics=tuple(ColumnStatistics.from_json(s) for s in obj["statistics"]),
            source_digest=obj["source_digest"],
            reasons=obj.get("reasons", {}),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Tables as they were at one moment, and how they hang together.

    ``path`` is a directory of the snapshot's own; what is derived from it may stand below.
    """

    id: str
    path: Path
    graph: Graph
    tables: Mapping[str, TableSnapshot]
    links: tuple[LinkHealth, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "graph": self.graph.to_json(),
            "tables": {name: table.id for name, table in self.tables.items()},
            "links": [link.to_json() for link in self.links],
        }
