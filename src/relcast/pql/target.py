"""The target: what may be predicted, what may follow it, and the task type that results.

The table of task types in docs/pql.md is this module in words.
"""

from __future__ import annotations

from collections.abc import Mapping

from relcast.core.errors import Position
from relcast.core.schema import Stype, TaskType
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    Arithmetic,
    ColumnRef,
    Condition,
    Problem,
    ProblemKind,
    Query,
)
from relcast.pql.forecast import check_forecast
from relcast.pql.known import known_beforehand
from relcast.pql.literals import name_text
from relcast.pql.predictable import predictable, refuse_key
from relcast.pql.printer import to_text
from relcast.pql.scope import Scope
from relcast.pql.tree import comparisons, leaves
from relcast.pql.values import Kind, column_kind, label

__all__ = ["check_target"]

_ALWAYS_NUMBERS = frozenset(
    {
        AggregationKind.SUM,
        AggregationKind.AVG,
        AggregationKind.MEDIAN,
        AggregationKind.STDDEV,
    }
)
_COUNTS = frozenset({AggregationKind.COUNT, AggregationKind.COUNT_DISTINCT})
_MOST_RANKED = 10_000


def check_target(
    query: Query,
    scope: Scope,
    category_counts: Mapping[tuple[str, str], int],
) -> TaskType | None:
    """Return the task type of a resolved query, or None when there are faults in its way.

    Notes what cannot be predicted and what does not fit after the target.
    """
    target, problem = query.target, query.problem
    _check_top(problem, scope)
    match target:
        case ColumnRef():
            task = _column(target, problem, scope, category_counts)
        case Aggregation():
            task = _aggregation(target, problem, scope)
        case Arithmetic():
            _no_list(problem, "arithmetic gives a number", scope)
            task = TaskType.REGRESSION
        case _:
            task = _condition(target, scope)
            if task is not None:
                _no_list(problem, "a condition is true or false", scope)
    check_forecast(target, problem, scope)
    if problem is not None and problem.kind is ProblemKind.FORECAST and task is not None:
        return TaskType.FORECASTING
    return task


def _check_top(problem: Problem | None, scope: Scope) -> None:
    if problem is None or problem.kind is not ProblemKind.RANK:
        return
    k = problem.number
    if k is None or not 1 <= k <= _MOST_RANKED:
        scope.add(
            "pql.invalid_top_k",
            f"RANK TOP takes a whole number from 1 to {_MOST_RANKED}, not {k}",
            "Write how many to rank, such as RANK TOP 10.",
            problem.position,
        )


def _no_list(problem: Problem | None, why: str, scope: Scope) -> None:
    """Note CLASSIFY or RANK after a target that is no list."""
    if problem is None or problem.kind is ProblemKind.FORECAST:
        return
    words = "RANK TOP" if problem.kind is ProblemKind.RANK else "CLASSIFY"
    scope.add(
        "pql.stype_mismatch",
        f"{words} is for lists, and {why}",
        f"Remove {words}, or predict LIST_DISTINCT of a column.",
        problem.position,
    )


# -- plain columns --------------------------------------------------------------------------


def _column(
    target: ColumnRef,
    problem: Problem | None,
    scope: Scope,
    category_counts: Mapping[tuple[str, str], int],
) -> TaskType | None:
    dtype, stype = target.dtype, target.stype
    if dtype is None or stype is None or target.column is None:
        return None
    if not predictable(target, scope, target.position):
        return None
    name = label(target)
    if stype is Stype.multicategorical:
        return _list_task(problem, scope, target.position, name)
    forecast = problem is not None and problem.kind is ProblemKind.FORECAST
    if column_kind(dtype, stype) is Kind.boolean:
        _no_list(problem, f"{name} is true or false", scope)
        return TaskType.BINARY_CLASSIFICATION
    if stype is Stype.numerical:
        _no_list(problem, f"{name} is a number", scope)
        return TaskType.REGRESSION
    if not forecast:
        _no_list(problem, f"{name} has one category per row", scope)
    if category_counts.get((target.table, target.column)) == 2:
        return TaskType.BINARY_CLASSIFICATION
    return TaskType.MULTICLASS_CLASSIFICATION


# -- aggregations ---------------------------------------------------------------------------


def _aggregation(target: Aggregation, problem: Problem | None, scope: Scope) -> TaskType | None:
    name = f"{target.kind.value}({label(target.column)})"
    if target.kind is AggregationKind.LIST_DISTINCT:
        return _list_target(target, problem, scope)
    if target.kind in _COUNTS:
        _no_list(problem, f"{name} is a number", scope)
        return TaskType.REGRESSION
    column = target.column
    if column.dtype is None or column.stype is None or column.column is None:
        return None
    kind = column_kind(column.dtype, column.stype)
    if target.kind in _ALWAYS_NUMBERS:
        _no_list(problem, f"{name} is a number", scope)
        return TaskType.REGRESSION
    if target.kind in {AggregationKind.MIN, AggregationKind.MAX}:
        if kind is Kind.time:
            predictable(column, scope, column.position, to_text(target))
            return None
        _no_list(problem, f"{name} is a number", scope)
        return TaskType.REGRESSION
    if not predictable(column, scope, column.position, to_text(target)):
        return None
    _no_list(problem, f"{name} is one value", scope)
    if column.stype is Stype.multicategorical and kind is not Kind.list:
        scope.add(
            "pql.stype_mismatch",
            f"{name} would be a list, because {label(column)} is multicategorical",
            f"Predict whether it holds a value: COUNT({label(column)} WHERE {label(column)} "
            "CONTAINS 'x', 0, 30, days) > 0.",
            column.position,
        )
        return None
    if kind is Kind.boolean:
        return TaskType.BINARY_CLASSIFICATION
    if column.stype is Stype.numerical:
        return TaskType.REGRESSION
    return TaskType.MULTICLASS_CLASSIFICATION


def _list_target(target: Aggregation, problem: Problem | None, scope: Scope) -> TaskType | None:
    column, graph = target.column, scope.graph
    if column.dtype is None or column.stype is None or column.column is None:
        return None
    name = f"LIST_DISTINCT({label(column)})"
    is_link = any(x.foreign_key == column.column for x in graph.links_from(column.table))
    if column.column == graph.tables[column.table].primary_key:
        refuse_key(column, scope, column.position)
        return None
    if is_link and target.path == (target.items,):
        there = name_text(target.path[0].to)
        scope.add(
            "pql.nothing_to_predict",
            f"{label(column)} is what leads to the row of {there}, so that {name} holds that row "
            "alone",
            f"Count the rows by COUNT({name_text(column.table)}.*, 0, 30, days), or list another "
            "column.",
            column.position,
        )
        return None
    kind = column_kind(column.dtype, column.stype)
    listable = column.stype in {Stype.categorical, Stype.ID} or kind is Kind.boolean
    if not is_link and not listable:
        scope.add(
            "pql.stype_mismatch",
            f"LIST_DISTINCT lists categories or foreign keys, and {label(column)} is "
            f"{column.stype.value}",
            "Use SUM, AVG, MIN or MAX for numbers, or set the column's semantic type to "
            "categorical.",
            column.position,
        )
        return None
    task = _list_task(problem, scope, target.position, name)
    if task is not TaskType.MULTILABEL_RANKING or not is_link:
        return task
    if target.window is not None:
        return TaskType.TEMPORAL_LINK_PREDICTION
    own = graph.tables[column.table]
    timed = [own, *graph.tables.values()]
    timed = [t for t in timed if t.time_column is not None]
    if timed:
        scope.add(
            "pql.static_link_with_time",
            f"{name} has no window, and {name_text(timed[0].name)} has a time column",
            f"Give it a window: LIST_DISTINCT({label(column)}, 0, 30, days)."
            if timed[0] is own
            else f"Set the time column of {name_text(own.name)} and give the list a window, or "
            "take the tables with time out of the graph.",
            target.position,
        )
        return None
    return TaskType.STATIC_LINK_PREDICTION


def _list_task(
    problem: Problem | None, scope: Scope, position: Position | None, name: str
) -> TaskType | None:
    if problem is None:
        scope.add(
            "pql.problem_type_required",
            f"{name} gives a list, and the query does not say what to do with it",
            "Write RANK TOP k after it for the k most likely, or CLASSIFY for a yes or no each.",
            position,
        )
        return None
    if problem.kind is ProblemKind.FORECAST:
        return None
    if problem.kind is ProblemKind.CLASSIFY:
        return TaskType.MULTILABEL_CLASSIFICATION
    return TaskType.MULTILABEL_RANKING


# -- conditions -----------------------------------------------------------------------------


def _condition(target: Condition, scope: Scope) -> TaskType | None:
    operands = list(leaves(target))
    columns = [x for x in operands if isinstance(x, ColumnRef)]
    windows = [x for x in operands if isinstance(x, Aggregation)]
    if columns and windows:
        scope.add(
            "pql.static_and_temporal_mixed",
            f"The target compares the plain column {label(columns[0])} and aggregates over time",
            f"Move the condition on {label(columns[0])} to WHERE.",
            columns[0].position,
        )
        return None
    for column in columns:
        table = scope.graph.tables.get(column.table)
        if table is not None and column.column is not None and column.column == table.primary_key:
            refuse_key(column, scope, column.position)
    known = [known_beforehand(node) for node in comparisons(target)]
    if known[0] is not None and all(known):
        scope.add("pql.nothing_to_predict", *known[0], target.position)
    return TaskType.BINARY_CLASSIFICATION
