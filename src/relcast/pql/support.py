"""Which of the language's task types can be trained by now, said in one place."""

from __future__ import annotations

from relcast.core.errors import PqlError
from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery
from relcast.pql.catalogue import fault

__all__ = ["SUPPORTED", "require_supported"]

SUPPORTED = frozenset(
    {
        TaskType.BINARY_CLASSIFICATION,
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.REGRESSION,
    }
)
"""The task types that learners exist for."""


def require_supported(checked: CheckedQuery) -> CheckedQuery:
    """Return the query, or refuse to train it because no learner knows its task type yet.

    It guards what fits or uses a model: fitting, and jobs that train, retrain or predict. Training
    tables, prediction tables and statistics are made for every task type and do not ask here.
    Raises ``pql.task_not_supported_yet``.
    """
    if checked.task_type in SUPPORTED:
        return checked
    query = checked.query
    known = ", ".join(sorted(t.value for t in SUPPORTED))
    position = query.problem.position if query.problem is not None else None
    raise PqlError.of(
        [
            fault(
                "pql.task_not_supported_yet",
                f"The query is right and asks for {checked.task_type.value}, which cannot be "
                f"trained yet; {known} can",
                "Generate its training table, or predict a number or a condition, such as "
                "COUNT(orders.*, 0, 30, days) > 0.",
                position or query.position,
            )
        ]
    )
