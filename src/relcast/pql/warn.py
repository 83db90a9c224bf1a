"""Warnings: what is legal and may still surprise."""

from __future__ import annotations

from collections.abc import Iterator

from relcast.core.errors import Fault
from relcast.core.schema import Graph
from relcast.pql.ast import ColumnRef, Query, aggregations
from relcast.pql.catalogue import fault
from relcast.pql.literals import name_text
from relcast.pql.tree import leaves

__all__ = ["warnings"]


def warnings(query: Query, graph: Graph, *, temporal: bool) -> Iterator[Fault]:
    """Yield the warnings of a resolved query that has no faults."""
    entity = graph.table(query.entity.table)
    if temporal and entity.time_column is None:
        name = name_text(entity.name)
        yield fault(
            "pql.entity_without_time",
            f"{name} has no time column, so that each of its rows counts as known at every anchor "
            "time, also before it existed",
            f"Set the time column of {name} to when a row came to be, or narrow WHERE to entities "
            "with a past.",
            query.entity.position,
        )
    for node in aggregations(query.target):
        for leaf in leaves(node.where):
            if isinstance(leaf, ColumnRef) and leaf.table == entity.name != node.column.table:
                yield fault(
                    "pql.target_filter_on_entity",
                    f"The filter inside {node.kind.value} uses the entity's own column, which "
                    "makes the target empty for the other entities and leaves them in",
                    "Move the condition to WHERE to leave those entities out.",
                    leaf.position,
                )
    windows = [
        node.window
        for part in (query.target, query.where, query.assuming)
        for node in aggregations(part)
        if node.window is not None
    ]
    for window in windows[1:]:
        if window.unit is not windows[0].unit:
            yield fault(
                "pql.mixed_units",
                f"Windows are given in {windows[0].unit.value} and in {window.unit.value}",
                "Each window keeps its own unit; use one unit if that was not meant.",
                window.position,
            )
            break
