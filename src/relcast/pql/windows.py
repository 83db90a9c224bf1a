"""Windows: in which direction they look, and what they need."""

from __future__ import annotations

from enum import StrEnum

from relcast.core.schema import Table
from relcast.pql.ast import Aggregation, Unit, Window
from relcast.pql.literals import name_text
from relcast.pql.scope import Scope
from relcast.pql.values import label

__all__ = ["MOST", "Clause", "check_window"]

MOST = {
    Unit.seconds: 100 * 366 * 86_400,
    Unit.minutes: 100 * 366 * 1_440,
    Unit.hours: 100 * 366 * 24,
    Unit.days: 100 * 366,
    Unit.weeks: 100 * 53,
    Unit.months: 100 * 12,
}
"""The farthest bound in each unit, about a hundred years; times are 64-bit nanoseconds."""


class Clause(StrEnum):
    """Where an aggregation stands; the text is used in messages."""

    target = "the target"
    where = "WHERE"
    assuming = "ASSUMING"


def check_window(
    node: Aggregation, clause: Clause, table: Table | None, scope: Scope, *, temporal: bool
) -> None:
    """Note what is wrong with the window of an aggregation.

    In the target and in ASSUMING ``0 <= start < end``; in WHERE ``start < end <= 0``.
    """
    window, place = node.window, node.position
    name = f"{node.kind.value}({label(node.column)})"
    if clause is Clause.where and not temporal:
        scope.add(
            "pql.temporal_filter_in_static_query",
            f"WHERE aggregates by {name}, and this query has no anchor time to look back from",
            "Compare plain columns in WHERE, or predict an aggregation over a window.",
            place,
        )
        return
    if clause is Clause.target and not temporal:
        return
    if table is not None and table.time_column is None:
        scope.add(
            "pql.table_without_time",
            f"{name} needs a window, and the table {name_text(table.name)} has no time column",
            f"Set the time column of {name_text(table.name)}, or aggregate another table.",
            node.column.position,
        )
        return
    if window is None:
        example = "-30, 0, days" if clause is Clause.where else "0, 30, days"
        scope.add(
            "pql.window_required",
            f"{name} has no window",
            f"Say which time it covers: {node.kind.value}({label(node.column)}, {example}).",
            place,
        )
        return
    _check_bounds(window, clause, name, scope)


def _check_bounds(window: Window, clause: Clause, name: str, scope: Scope) -> None:
    start, end, place = window.start, window.end, window.position
    most = MOST[window.unit]
    if start is not None and start >= end:
        swapped = f" Write {end}, {start}." if start > end else ""
        scope.add(
            "pql.invalid_window",
            f"The window of {name} ends at {end}, which is not after its start at {start}",
            f"The start comes first and lies before the end.{swapped}",
            place,
        )
    elif abs(end) > most or abs(start or 0) > most:
        scope.add(
            "pql.invalid_window",
            f"The window of {name} reaches farther than a hundred years",
            f"Bounds in {window.unit.value} reach to {most}; -INF as a start in WHERE takes all "
            "of the past.",
            place,
        )
    elif clause is Clause.where:
        if end > 0:
            scope.add(
                "pql.future_window_in_filter",
                f"The window of {name} in WHERE ends {end} {window.unit.value} after the anchor "
                "time, which is not known then",
                f"Look back, such as {-end}, 0; a condition on the future belongs into ASSUMING.",
                place,
            )
    elif start is None or start < 0:
        scope.add(
            "pql.past_window_in_target",
            f"The window of {name} in {clause.value} begins before the anchor time",
            "Begin at 0 or later; a condition on the past belongs into WHERE.",
            place,
        )
