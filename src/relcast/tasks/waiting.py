"""Which late values a query reads, and how long its labels wait for them.

A label is settled when its windows are over and every value in them is known: the end of its last
window and then the longest time that a value of the target's columns took to become known. What
took longer than anything that was known by the end of its table never becomes part of a label.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from relcast.core.errors import TaskError
from relcast.core.schema import Graph
from relcast.pql.ast import (
    Aggregation,
    And,
    Arithmetic,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Expression,
    IsNull,
    Not,
    Or,
    aggregations,
)
from relcast.relations import Relations, build, longest_wait
from relcast.tasks.anchors import Frame
from relcast.tasks.plan import TablePlan

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["check_mutable", "columns_read", "frame_of", "label_wait"]


def columns_read(node: Expression | int | Decimal | None) -> set[tuple[str, str]]:
    """Return the columns ``(table, column)`` that an expression reads, filters included."""
    return set(_columns(node))


def _columns(node: Expression | int | Decimal | None) -> Iterator[tuple[str, str]]:
    match node:
        case ColumnRef(table=table, column=str(column)):
            yield table, column
        case Comparison(operand=inner) | IsNull(operand=inner) | Not(condition=inner):
            yield from _columns(inner)
        case Aggregation(column=column, where=where):
            yield from _columns(column)
            yield from _columns(where)
        case (
            Arithmetic(left=left, right=right)
            | And(left=left, right=right)
            | Or(left=left, right=right)
        ):
            yield from _columns(left)
            yield from _columns(right)
        case _:
            return


def label_wait(relations: Relations, query: CheckedQuery) -> int:
    """Return how long after the end of its windows a label is settled at the latest, ns.

    0 for a static query, and where every value that the target reads is known with its row.
    """
    if not query.temporal:
        return 0
    read = columns_read(query.query.target)
    return max((longest_wait(relations.table(t), c) for t, c in sorted(read)), default=0)


def frame_of(query: CheckedQuery, data: Relations | Snapshot) -> Frame:
    """Return the frame of a temporal query, with the wait of its labels over some data.

    Raises ``task.not_temporal`` for a static query.
    """
    read = columns_read(query.query.target)
    if not any(data.graph.table(table).is_late(column) for table, column in read):
        return Frame.of(query)
    relations = data if isinstance(data, Relations) else build(data)
    return Frame.of(query, label_wait(relations, query))


def check_mutable(query: CheckedQuery, graph: Graph, plan: TablePlan) -> None:
    """Refuse a WHERE that reads what is overwritten in place at anchors of the past.

    Raises ``task.mutable_condition`` unless the plan allows it or the query is static.
    """
    where = query.query.where
    if plan.allow_mutable or not query.temporal or where is None:
        return
    read = columns_read(where)
    read |= {(k.table, k.foreign_key) for a in aggregations(where) for k in a.path}
    for table, column in sorted(read):
        if graph.table(table).column(column).mutable:
            raise TaskError(
                f"WHERE reads {table}.{column}, which is mutable: what it held at anchors of the "
                "past is lost",
                code="task.mutable_condition",
                hint="Leave the condition out, keep the column's history, or insist with "
                "allow_mutable.",
            )
