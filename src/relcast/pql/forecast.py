"""FORECAST n TIMEFRAMES: what can be forecast, and how far."""

from __future__ import annotations

from dataclasses import replace

from relcast.core.errors import Fault
from relcast.core.schema import Stype
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    Expression,
    Problem,
    ProblemKind,
    Query,
    aggregations,
)
from relcast.pql.catalogue import fault
from relcast.pql.printer import window_text
from relcast.pql.scope import Scope
from relcast.pql.tree import leaves
from relcast.pql.values import Kind, column_kind, label
from relcast.pql.windows import MOST

__all__ = ["check_forecast", "with_forecast"]

_NUMBERS = frozenset(
    {
        AggregationKind.SUM,
        AggregationKind.AVG,
        AggregationKind.MIN,
        AggregationKind.MAX,
        AggregationKind.MEDIAN,
        AggregationKind.STDDEV,
    }
)
_COUNTS = frozenset({AggregationKind.COUNT, AggregationKind.COUNT_DISTINCT})


def check_forecast(target: Expression, problem: Problem | None, scope: Scope) -> None:
    """Note FORECAST after something that is no number over a window, or that ends too far off."""
    if problem is None or problem.kind is not ProblemKind.FORECAST:
        return
    operands = list(leaves(target))
    if not any(isinstance(x, Aggregation) for x in operands):
        scope.add(
            "pql.forecast_needs_temporal",
            "FORECAST repeats a window over time, and the target has none",
            "Remove FORECAST, or predict an aggregation such as SUM(orders.amount, 0, 7, days).",
            problem.position,
        )
    elif not isinstance(target, Arithmetic) and not (
        isinstance(target, Aggregation) and _gives_number(target)
    ):
        scope.add(
            "pql.forecast_needs_number",
            "FORECAST needs a target that is a number",
            "Predict SUM, AVG, MIN, MAX, COUNT or COUNT_DISTINCT without a comparison.",
            problem.position,
        )
    else:
        _check_horizon(target, problem, scope)


def _check_horizon(target: Expression, problem: Problem, scope: Scope) -> None:
    """Note windows that differ, because one forecast repeats one window, and those too far off."""
    windows = [(x, x.window) for x in aggregations(target) if x.window is not None]
    if not windows:
        return
    _, first = windows[0]
    for node, window in windows[1:]:
        if window != first:
            name = f"{node.kind.value}({label(node.column)})"
            scope.add(
                "pql.invalid_window",
                f"FORECAST repeats one window, and {name} has another one than the first "
                "aggregation",
                f"Give all of them the window {window_text(first)}.",
                window.position,
            )
            return
    if first.start is None or first.start < 0 or problem.number is None:
        return
    most = MOST[first.unit]
    if first.start + problem.number * (first.end - first.start) > most:
        scope.add(
            "pql.invalid_window",
            f"FORECAST {problem.number} TIMEFRAMES reaches farther than a hundred years",
            f"Forecast fewer windows; in {first.unit.value} they reach to {most}.",
            problem.position,
        )


def with_forecast(query: Query, length: int) -> tuple[Query, list[Fault]]:
    """Return the query with FORECAST ``length`` TIMEFRAMES, and what speaks against that."""
    problem, place = query.problem, query.target.position
    if isinstance(length, bool) or length < 1:
        return query, [
            fault(
                "pql.syntax",
                f"The forecast length is a whole number of at least 1, not {length}",
                "Say how many windows to forecast, or leave it out.",
                place,
            )
        ]
    if problem is not None and problem.kind is not ProblemKind.FORECAST:
        return query, [
            fault(
                "pql.forecast_needs_number",
                f"A forecast of {length} windows is asked for, and the target is a list",
                "Leave the forecast length out, or predict a number over a window.",
                problem.position,
            )
        ]
    place = place if problem is None else problem.position
    return replace(query, problem=Problem(ProblemKind.FORECAST, length, place)), []


def _gives_number(node: Aggregation) -> bool:
    if node.kind in _COUNTS:
        return True
    column = node.column
    if node.kind is AggregationKind.LIST_DISTINCT:
        return False
    if column.dtype is None or column.stype is None:
        return True
    numeric = column_kind(column.dtype, column.stype) in {Kind.integer, Kind.number, Kind.duration}
    return node.kind in _NUMBERS or (numeric and column.stype is Stype.numerical)
