"""Checking a query against a snapshot: its graph, and how many values its columns have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relcast.pql import CheckedQuery
    from relcast.snapshots import ColumnStatistics, Snapshot

__all__ = ["category_counts", "check_against"]


def check_against(text: str, snapshot: Snapshot, **options: Any) -> CheckedQuery:
    """Check a query against a snapshot; a column with exactly two values is a binary target.

    ``options`` are those of ``relcast.pql.check``. Raises ``PqlError`` with every fault.
    """
    from relcast.pql import check

    return check(text, snapshot.graph, category_counts=category_counts(snapshot), **options)


def category_counts(snapshot: Snapshot) -> dict[tuple[str, str], int]:
    """Return the number of distinct values by (table, column), of columns where it was counted."""
    return {
        (table.name, column.column): count
        for table in snapshot.tables.values()
        for column in table.statistics
        if (count := _count(column)) is not None
    }


def _count(column: ColumnStatistics) -> int | None:
    # The most frequent values are counted, not estimated, and two of them are all there are.
    if column.top and len(column.top) <= 2:
        return len(column.top)
    return column.distinct if column.exact else None
