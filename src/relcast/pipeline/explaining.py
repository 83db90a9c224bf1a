"""Explain the score of one entity, named as people name it: by key, time, class, item or step."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from relcast.core.clock import anchor_time
from relcast.core.errors import InvalidRequest, nearest
from relcast.core.schema import TaskType

if TYPE_CHECKING:
    from relcast.learners import FittedModel
    from relcast.learners.explaining import Explanation
    from relcast.relations import Relations

__all__ = ["explain"]

_NEAR = 10_000


def explain(
    model: FittedModel,
    relations: Relations,
    entity: Any,
    anchor: str | datetime | None = None,
    *,
    output: Any = None,
    top: int = 10,
    threads: int = 1,
) -> Explanation:
    """Explain one entity's score.

    Args:
        model: The model.
        relations: Arrays of a snapshot with the model's columns.
        entity: Primary key of the entity.
        anchor: When; None takes the latest time in the tables that the target reads. A static
            query has none.
        output: Which of several predictions: a class, the key of an item, or the step of a forecast
            from 1. None takes the best class or item, and the first step.
        top: Reasons to list, 1 to 100.
        threads: Threads to use.

    Raises ``explain.unknown_entity``, ``explain.output``, ``explain.top`` and
    ``predict.anchor``.
    """
    if not 1 <= top <= 100:
        raise InvalidRequest(f"top is {top}", code="explain.top", hint="Ask for 1 to 100 reasons.")
    return model.explain_entity(
        relations,
        _row_of(relations, model.query.entity_table, entity),
        _moment(model, relations, anchor),
        output=_place(model, relations, output),
        top=top,
        threads=threads,
    )


def _row_of(relations: Relations, table: str, key: Any) -> int:
    arrays = relations.table(table)
    row = int(arrays.key_index([key])[0])
    if row < 0:
        some = [str(k) for k in arrays.keys().slice(0, _NEAR).to_pylist()]
        raise InvalidRequest(
            f"There is no row {key!r} in {table!r}",
            code="explain.unknown_entity",
            hint=nearest(str(key), some),
        )
    return row


def _moment(model: FittedModel, relations: Relations, anchor: str | datetime | None) -> int | None:
    from relcast.pql.ast import aggregations
    from relcast.relations import NOT_A_TIME
    from relcast.tasks.offsets import from_datetime

    given = anchor_time(anchor)
    if given is not None or not model.query.temporal:
        return None if given is None else from_datetime(given)
    tables = dict.fromkeys(part.column.table for part in aggregations(model.query.query.target))
    times = [time for name in tables if (time := relations.table(name).time) is not None]
    newest = max((int(time.max()) for time in times if len(time)), default=NOT_A_TIME)
    if newest == NOT_A_TIME:
        raise InvalidRequest(
            "The tables that the target reads hold no time",
            code="predict.anchor",
            hint="Name the anchor time.",
        )
    return newest


def _place(model: FittedModel, relations: Relations, output: Any) -> int | None:
    target = model.target
    if output is None:
        return None
    if target.classes is not None:
        names = [str(each) for each in target.classes]
        if str(output) in names:
            return names.index(str(output))
        raise _no_output(f"There is no class {output!r}", nearest(str(output), names))
    if target.items is not None:
        row = int(relations.table(target.items).key_index([output])[0])
        if row >= 0:
            return row
        raise _no_output(f"There is no row {output!r} in {target.items!r}", "Name an item's key.")
    if target.task_type is TaskType.FORECASTING:
        whole = isinstance(output, int | np.integer) and not isinstance(output, bool)
        if whole and 1 <= output <= target.horizon:
            return int(output) - 1
        raise _no_output(f"There is no step {output!r}", f"Name a step from 1 to {target.horizon}.")
    raise _no_output(f"The model gives one prediction, and not {output!r}", "Leave output out.")


def _no_output(message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(message, code="explain.output", hint=hint)
