"""Make prediction tables: the entities that a query is about, at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.errors import TaskError
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.anchors import Frame
from relcast.tasks.evaluate import living
from relcast.tasks.extent import data_range
from relcast.tasks.labels import Labeller
from relcast.tasks.offsets import from_datetime, text
from relcast.tasks.scan import Session, open_session
from relcast.tasks.tables import PredictionTable

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["make_prediction_table"]


def make_prediction_table(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    anchor: datetime | None = None,
    progress: Progress = SILENT,
    *,
    threads: int = 1,
    memory_limit: str | None = None,
) -> PredictionTable:
    """Make the table of entities to score: the eligible ones at one anchor, WHERE applied.

    The anchor is the latest time in the target's tables unless given, and may lie in the future; a
    static query has none, and scores the entities whose target is NULL, or for links all entities.
    ASSUMING is taken as true. ``FOR t.pk IN (...)`` keeps the keys it names.

    Raises ``task.anchor_too_early`` for an anchor before the usable range; ``task.no_rows`` when no
    entity is eligible; ``task.unknown_entity`` when a key of ``FOR`` is in no row.
    """
    with (
        progress.stage("Predicting", unit="rows") as stage,
        open_session(snapshot, threads=threads, memory_limit=memory_limit) as session,
    ):
        if query.temporal:
            moment = _prediction_anchor(session, query, anchor)
            entity, dropped = living(session, query, moment)
        else:
            moment = None
            entity, dropped = _without_target(session, query)
        stage.update(len(entity), len(entity))
    table = relations.table(query.entity_table)
    if query.query.keys is not None:
        named = table.key_index(pa.array(list(query.query.keys)))
        unknown = int((named < 0).sum())
        if unknown:
            raise TaskError(
                f"{unknown} of the {len(named)} keys after FOR are no {query.entity_table}."
                f"{query.query.entity.column}",
                code="task.unknown_entity",
                hint="Name keys that are in the table.",
            )
        kept = np.isin(entity, named)
        if (~kept).any():
            dropped["not named after FOR"] = int((~kept).sum())
        entity = entity[kept]
    if len(entity) == 0:
        raise TaskError(
            f"There is no row of {query.entity_table} to score"
            + (f" at {text(moment)}" if moment is not None else ", whose target is empty")
            + _because(dropped),
            code="task.no_rows",
            hint="Choose another anchor or widen WHERE. A static query scores the rows whose "
            "target is empty; others can be given as rows of your own.",
        )
    return PredictionTable(
        query=query,
        snapshot_id=snapshot.id,
        entity=entity,
        anchor=None if moment is None else np.full(len(entity), moment, dtype=np.int64),
        dropped=dropped,
        entity_keys=table.keys(),
    )


def _prediction_anchor(session: Session, query: CheckedQuery, anchor: datetime | None) -> int:
    data, frame = data_range(session, query), Frame.of(query)
    if anchor is None:
        return data.end
    moment, begin = from_datetime(anchor), frame.begin(data)
    if moment < begin:
        raise TaskError(
            f"The anchor {text(moment)} is before {text(begin)}, where the usable data begins",
            code="task.anchor_too_early",
            hint=f"Choose an anchor from {text(begin)} on; the latest data is of {text(data.end)}.",
        )
    return moment


def _without_target(
    session: Session, query: CheckedQuery
) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Return the entities of a static query whose target is NULL, and the others by reason.

    Of links it is all entities: what is listed for one says nothing about what else it may link to.
    """
    labels = Labeller(session, query, assuming=False).static()
    if query.task_type is TaskType.STATIC_LINK_PREDICTION:
        unknown = np.ones(len(labels.entity), dtype=np.bool_)
    else:
        unknown = labels.target.is_null().to_numpy(zero_copy_only=False)
    dropped = {
        "entity without a key": labels.considered - len(labels.entity),
        "WHERE does not hold": int((~labels.chosen).sum()),
        "target is known": int((labels.chosen & ~unknown).sum()),
    }
    return labels.entity[labels.chosen & unknown], {k: v for k, v in dropped.items() if v}


def _because(dropped: dict[str, int]) -> str:
    return f" ({', '.join(f'{n:,}: {why}' for why, n in dropped.items())})" if dropped else ""
