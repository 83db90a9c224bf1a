"""The target's value at any entity and moment, and the population at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.core.errors import TaskError
from relcast.pql import CheckedQuery
from relcast.tasks.anchors import Frame
from relcast.tasks.examples import Examples, Lists
from relcast.tasks.label_sql import LISTS
from relcast.tasks.labels import Labeller
from relcast.tasks.moments import Moved
from relcast.tasks.offsets import from_datetime
from relcast.tasks.scan import Session, open_session
from relcast.tasks.targets import (
    MULTILABEL,
    are_numbers,
    class_indices,
    collect,
    encode,
    list_indices,
    numbers,
)

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["evaluate_target", "examples_at", "living", "population"]


def population(
    snapshot: Snapshot,
    query: CheckedQuery,
    anchor: datetime | int,
    *,
    threads: int = 1,
    memory_limit: str | None = None,
) -> npt.NDArray[np.int64]:
    """Return the entity rows (ascending) that a temporal query is about at an anchor.

    Eligible entities for which WHERE holds; ``anchor`` is a time or ns UTC. Depends on no row later
    than the anchor.
    """
    moment = from_datetime(anchor) if isinstance(anchor, datetime) else int(anchor)
    with open_session(snapshot, threads=threads, memory_limit=memory_limit) as session:
        return living(session, query, moment)[0]


def evaluate_target(
    snapshot: Snapshot,
    query: CheckedQuery,
    entity_rows: npt.ArrayLike,
    anchors: npt.ArrayLike,
    *,
    windows_back: int = 0,
    classes: tuple[Any, ...] | None = None,
    threads: int = 1,
    memory_limit: str | None = None,
) -> npt.NDArray[np.float64] | Lists:
    """Return a temporal query's target at any (entity row, anchor) pairs, eligible or not.

    Args:
        snapshot: The tables.
        query: A temporal query.
        entity_rows: int64[n] dense entity rows.
        anchors: int64[n] ns UTC.
        windows_back: How many window lengths L the target's windows are moved into the past: with k
            of them ``(a + start - k L, a + end - k L]``, counted from ``a`` at once. 1 is the
            newest value that was complete at the anchor. All windows of a forecast are moved by k
            of their own lengths: window i is then what window i - k was, so k = h is the newest
            horizon that was complete. A window that ends at or before the anchor is read as it was
            known then, as those of WHERE are.
        classes: The classes that the answer indexes, for targets that have some.
        threads: Threads of the SQL engine.
        memory_limit: Of the SQL engine.

    Returns:
        float64[n]: 0 or 1, a number, or an index into ``classes``; NaN where the target is NULL or
        is none of the classes. For forecasts float64[n, h], where one NULL window makes the row
        NaN. For lists n ``Lists``: indices into ``classes``, without those that are none of them,
        or dense rows for links; empty where the target is NULL.

    Raises ``task.classes_needed`` for lists of classes without ``classes``.
    """
    entity = np.asarray(entity_rows, dtype=np.int64)
    anchor = np.asarray(anchors, dtype=np.int64)
    if classes is None and query.task_type in MULTILABEL:
        raise TaskError(
            "The target is a list of classes, and no classes were given to index",
            code="task.classes_needed",
            hint="Give classes, such as those of a training table.",
        )
    moved = None
    if windows_back:
        frame = Frame.of(query)
        moved = Moved(windows_back * frame.length, frame.unit)
    with open_session(snapshot, threads=threads, memory_limit=memory_limit) as session:
        labeller = Labeller(session, query, where=False, assuming=False, moved=moved)
        found = [labels.target for labels in labeller.pairs(entity, anchor)]
    lists = query.task_type in LISTS
    nothing = pa.large_list(pa.int64()) if lists else pa.float64()
    target = pa.chunked_array(found) if found else pa.chunked_array([], nothing)
    if lists:
        return list_indices(target, classes)
    if classes is not None:
        return class_indices(target, classes)
    values = numbers(target)
    return values.reshape(-1, query.forecast_length) if query.forecast_length else values


def examples_at(
    snapshot: Snapshot,
    query: CheckedQuery,
    anchors: npt.ArrayLike | None = None,
    *,
    among: npt.NDArray[np.int64] | None = None,
    threads: int = 1,
    memory_limit: str | None = None,
) -> tuple[Examples, dict[str, int]]:
    """Label every eligible entity at the given anchors, with no plan and no split.

    Args:
        snapshot: The tables.
        query: A checked query; WHERE and ASSUMING are applied.
        anchors: int64 ns UTC, distinct and ascending; None for a static query.
        among: int64[k], the only dense entity rows that are looked at; None is all.
        threads: Threads of the SQL engine.
        memory_limit: Of the SQL engine.

    Returns:
        The examples in order of (anchor, entity row), and those dropped, by reason.
    """
    moments = np.asarray([] if anchors is None else anchors, dtype=np.int64)
    with open_session(snapshot, threads=threads, memory_limit=memory_limit) as session:
        labeller = Labeller(session, query, among=among)
        batches = labeller.grid(moments) if query.temporal else [labeller.static()]
        most = labeller.rows * max(1, len(moments))
        found = collect(batches, plain=are_numbers(query), most=most)
    encoded = encode(query, found)
    examples = Examples(
        entity=found.entity,
        anchor=found.moment(moments) if query.temporal else None,
        target=encoded.target,
        classes=encoded.classes,
        lists=encoded.lists,
    )
    return examples, dict(found.dropped)


def living(
    session: Session, query: CheckedQuery, moment: int
) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Return the entity rows of a temporal query at an anchor, and the others counted by reason."""
    labeller = Labeller(session, query, target=False, assuming=False)
    found = collect(labeller.grid(np.array([moment], dtype=np.int64)), targets=False)
    return found.entity, dict(found.dropped)
