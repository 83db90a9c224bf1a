"""From split examples to a training table: report, refuse, leave out what no split takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.anchors import Frame
from relcast.tasks.checks import (
    check_classes,
    check_rows,
    check_targets,
    check_weights,
    warnings_of,
)
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.report import TrainingTableReport, UnusableTable, report_of
from relcast.tasks.splits import LEFT_OUT, Assigned, too_few_anchors
from relcast.tasks.tables import TrainingTable

__all__ = ["Found", "finish", "item_keys_of", "settled"]


@dataclass(frozen=True)
class Found:
    """What is known about a table beside its rows.

    Attributes:
        considered: Examples looked at: entities times anchors, or rows given.
        dropped: Examples that are not in the table, by reason.
        empty_anchors: Anchors without any example.
        rule: The text of the split; None where the rows say theirs.
        warnings: Sentences for the report.
        assigned: How anchors were given to splits; None for static rows, or rows that say theirs.
        mends: Says what would fill three splits, when asked.
    """

    considered: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    empty_anchors: int = 0
    rule: str | None = None
    warnings: tuple[str, ...] = ()
    assigned: Assigned | None = None
    mends: Callable[[], str] | None = None

    def report(
        self, query: CheckedQuery, relations: Relations, examples: Examples, threads: int = 1
    ) -> TrainingTableReport:
        """Report on examples, split or not."""
        return report_of(
            examples,
            binary=query.task_type is TaskType.BINARY_CLASSIFICATION,
            considered=self.considered,
            dropped=dict(self.dropped),
            empty_anchors=self.empty_anchors,
            warnings=self.warnings,
            item_keys=item_keys_of(query, relations),
            rule=self.rule,
            threads=threads,
        )


def finish(
    snapshot_id: str,
    relations: Relations,
    query: CheckedQuery,
    examples: Examples,
    found: Found,
    *,
    threads: int = 1,
) -> TrainingTable:
    """Turn split examples into a table; it does not depend on ``threads``.

    A static column with two values makes the query binary. The classes are those of all rows of
    the table, whatever their split. Raises ``task.bad_weight`` and ``task.too_many_classes``, and
    as ``UnusableTable`` ``task.too_few_anchors``, ``task.too_few_rows`` and ``task.one_class``.
    """
    query = settled(query, examples.classes)
    if examples.split is None or (examples.target is None and examples.lists is None):
        raise TaskError("A training table needs targets and a split")
    check_weights(examples)
    kept, split = examples, examples.split
    if (split == LEFT_OUT).any():
        kept = _without_unused_classes(examples.take(split != LEFT_OUT))
        split = split[split != LEFT_OUT]
    check_classes(query, kept.classes)
    report = found.report(query, relations, examples, threads)
    try:
        if found.assigned is not None and not found.assigned.fills:
            advice = found.mends() if found.mends is not None else ""
            raise too_few_anchors(found.assigned, Frame.of(query), advice)
        check_rows(split)
        check_targets(query, kept, split)
    except TaskError as error:
        raise UnusableTable.of(error, report) from None
    warnings = (*report.warnings, *warnings_of(query, kept, report))
    return TrainingTable(
        query=query,
        snapshot_id=snapshot_id,
        examples=kept,
        report=replace(report, warnings=warnings),
        entity_keys=relations.table(query.entity_table).keys(),
        item_keys=item_keys_of(query, relations),
    )


def settled(query: CheckedQuery, classes: tuple[Any, ...] | None) -> CheckedQuery:
    """Return the query, as binary where its static column turns out to have two values."""
    several = query.task_type is TaskType.MULTICLASS_CLASSIFICATION and not query.temporal
    if several and classes is not None and len(classes) == 2:
        return replace(query, task_type=TaskType.BINARY_CLASSIFICATION)
    return query


def item_keys_of(query: CheckedQuery, relations: Relations) -> pa.Array | None:
    """Return the keys of the rows that a link prediction ranks; None for other tasks."""
    return None if query.items is None else relations.table(query.items.to).keys()


def _without_unused_classes(examples: Examples) -> Examples:
    """Leave out classes of rows that were left out; the others keep their order."""
    if examples.classes is None:
        return examples
    values: Any
    if examples.lists is not None:
        values = examples.lists.values
    elif examples.target is not None:
        values = examples.target.astype(np.int64)
    else:
        return examples
    used, place = np.unique(values, return_inverse=True)
    if len(used) == len(examples.classes):
        return examples
    classes = tuple(examples.classes[i] for i in used.tolist())
    if examples.lists is not None:
        lists = Lists(examples.lists.offsets, place.astype(np.int64))
        return replace(examples, classes=classes, lists=lists)
    return replace(examples, classes=classes, target=place.astype(np.float64))
