"""Why a table of examples has too little in it, where the copy of its tables lost rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relcast.core.errors import TaskError
from relcast.pql import CheckedQuery
from relcast.pql.ast import aggregations

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["telling_losses"]

_MUCH = 0.05
_TOO_LITTLE = frozenset(
    {
        "task.empty_table",
        "task.no_complete_window",
        "task.no_rows",
        "task.one_class",
        "task.too_few_anchors",
        "task.too_few_rows",
    }
)


@contextmanager
def telling_losses(snapshot: Snapshot, query: CheckedQuery) -> Iterator[None]:
    """Add to an error of too few examples what the copies of the query's tables left out.

    Only a twentieth or more of a table's rows is told.
    """
    try:
        yield
    except TaskError as error:
        lost = _losses(snapshot, query) if error.code in _TOO_LITTLE else []
        if lost:
            error.message = f"{error.message}. {' '.join(lost)}"
            error.args = (error.message,)
        raise


def _losses(snapshot: Snapshot, query: CheckedQuery) -> list[str]:
    used = [query.entity_table]
    for part in (query.query.target, query.query.where, query.query.assuming):
        for node in aggregations(part):
            used += [link.table for link in node.path]
    found = []
    for name in dict.fromkeys(used):
        report = snapshot.tables[name].report
        lost = report.rows_read - report.rows_kept
        if lost and lost >= _MUCH * report.rows_read:
            why = ", ".join(f"{count:,} by {reason}" for reason, count in report.dropped.items())
            found.append(
                f"When {name} was copied, {lost:,} of its {report.rows_read:,} rows were left out "
                f"({why})."
            )
    return found
