"""The target's value at any entity and moment, and the population at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.pql import CheckedQuery
from relcast.tasks.anchors import Frame
from relcast.tasks.examples import Examples
from relcast.tasks.labels import Labeller
from relcast.tasks.offsets import from_datetime, shift
from relcast.tasks.scan import Session, open_session
from relcast.tasks.targets import class_indices, collect, encode, numbers

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
) -> npt.NDArray[np.float64]:
    """Return a temporal query's target at any (entity row, anchor) pairs, eligible or not.

    Args:
        snapshot: The tables.
        query: A temporal query.
        entity_rows: int64[n] dense entity rows.
        anchors: int64[n] ns UTC.
        windows_back: How many window lengths the target's windows are moved into the past; 1 is the
            newest value that was complete at the anchor.
        classes: For multiclass targets, the classes that the answer indexes.
        threads: Threads of the SQL engine.
        memory_limit: Of the SQL engine.

    Returns:
        float64[n]: 0 or 1, a number, or an index into ``classes``; NaN where the target is NULL or
        is none of the classes.
    """
    entity = np.asarray(entity_rows, dtype=np.int64)
    anchor = np.asarray(anchors, dtype=np.int64)
    frame = Frame.of(query)
    origin = shift(anchor, -windows_back * frame.length, frame.unit) if windows_back else None
    result = np.full(len(entity), np.nan)
    with open_session(snapshot, threads=threads, memory_limit=memory_limit) as session:
        labeller = Labeller(session, query, where=False, assuming=False)
        for labels in labeller.pairs(entity, anchor, origin):
            values = labels.target
            result[labels.pair] = (
                numbers(values) if classes is None else class_indices(values, classes)
            )
    return result


def examples_at(
    snapshot: Snapshot,
    query: CheckedQuery,
    anchors: npt.ArrayLike | None = None,
    *,
    threads: int = 1,
    memory_limit: str | None = None,
) -> tuple[Examples, dict[str, int]]:
    """Label every eligible entity at the given anchors, with no plan and no split.

    Args:
        snapshot: The tables.
        query: A checked query; WHERE and ASSUMING are applied.
        anchors: int64 ns UTC, distinct and ascending; None for a static query.
        threads: Threads of the SQL engine.
        memory_limit: Of the SQL engine.

    Returns:
        The examples in order of (anchor, entity row), and those dropped, by reason.
    """
    moments = np.asarray([] if anchors is None else anchors, dtype=np.int64)
    with open_session(snapshot, threads=threads, memory_limit=memory_limit) as session:
        labeller = Labeller(session, query)
        found = collect(labeller.grid(moments) if query.temporal else [labeller.static()])
    target, classes = encode(query, found)
    examples = Examples(
        entity=found.entity,
        anchor=moments[found.anchor] if query.temporal else None,
        target=target,
        classes=classes,
    )
    return examples, dict(found.dropped)


def living(
    session: Session, query: CheckedQuery, moment: int
) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Return the entity rows of a temporal query at an anchor, and the others counted by reason."""
    labeller = Labeller(session, query, target=False, assuming=False)
    found = collect(labeller.grid(np.array([moment], dtype=np.int64)), targets=False)
    return found.entity, dict(found.dropped)
