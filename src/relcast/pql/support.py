"""Which of the language's task types can be trained by now, said in one place."""

from __future__ import annotations

from relcast.core.errors import PqlError
from relcast.core.schema import TaskType
from relcast.pql.ast import AggregationKind, CheckedQuery, aggregations
from relcast.pql.catalogue import fault

__all__ = ["SUPPORTED", "require_supported"]

SUPPORTED = frozenset(
    {
        TaskType.BINARY_CLASSIFICATION,
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.REGRESSION,
    }
)


def require_supported(checked: CheckedQuery) -> CheckedQuery:
    """Return the query, or raise ``pql.task_not_supported_yet`` when nothing trains it yet."""
    query = checked.query
    if checked.task_type not in SUPPORTED:
        known = ", ".join(sorted(t.value for t in SUPPORTED))
        position = query.problem.position if query.problem is not None else None
        raise PqlError.of(
            [
                fault(
                    "pql.task_not_supported_yet",
                    f"The query is right and asks for {checked.task_type.value}, which cannot be "
                    f"trained yet; {known} can",
                    "Predict a number or a condition, such as COUNT(orders.*, 0, 30, days) > 0.",
                    position or query.position,
                )
            ]
        )
    for part in (query.target, query.where, query.assuming):
        for node in aggregations(part):
            if node.kind is AggregationKind.LIST_DISTINCT:
                raise PqlError.of(
                    [
                        fault(
                            "pql.task_not_supported_yet",
                            "A condition on LIST_DISTINCT cannot be trained yet",
                            "Count with a filter inside: COUNT(t.* WHERE t.c = 'x', …) > 0.",
                            node.position,
                        )
                    ]
                )
    return checked
