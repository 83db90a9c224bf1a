"""Rows of one entity at one time: which of them comes first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from relcast.tasks import kernels
from relcast.tasks.offsets import Times
from relcast.tasks.scan import Scan, Session
from relcast.tasks.sql import column

__all__ = ["twins"]

_TIED = "tied_rows"
Places = npt.NDArray[np.int64]


def twins(
    session: Session,
    scan: Scan,
    time: Times,
    entity: npt.NDArray[np.int32],
    row: Places,
    order: Places | None,
) -> tuple[Places, Places] | None:
    """Return the places of rows that share time and entity, and which of them belong there.

    In ascending order of time they go by primary key, then by row. None where there are no such
    rows; they are few as a rule, so that their keys are looked up.

    Args:
        session: Where the table is.
        scan: The table.
        time: int64[m], ascending.
        entity: int32[m].
        row: int64[M], rows of the table.
        order: int64[m], which of them these are; None: all of them.
    """
    if len(time) == 0:
        return None
    marked = np.zeros(len(time), dtype=np.uint8)
    last = np.full(int(entity.max()) + 1, -1, dtype=np.int64)
    if not kernels.mark_twins(time, entity, last, marked):
        return None
    tied = np.flatnonzero(marked)
    rank = _ranks(session, scan, row[tied if order is None else order[tied]])
    when, who = time[tied], entity[tied]
    return tied[np.lexsort((tied, who, when))], tied[np.lexsort((rank, who, when))]


def _ranks(session: Session, scan: Scan, row: Places) -> Places:
    """Return the place of each row among the others by primary key, then row."""
    session.register(_TIED, pa.table({"row": row}))
    keys = [scan.row("own")]
    if scan.table.primary_key is not None:
        keys.insert(0, scan.value(scan.table.primary_key, "own"))
    wanted = exp.select(column("row", _TIED)).from_(exp.to_table(_TIED))
    found = session.fetch(
        exp.select(scan.row("own").as_("row", quoted=True))
        .from_(scan.relation("own"))
        .where(exp.In(this=scan.row("own"), query=wanted.subquery()))
        .order_by(*(exp.Ordered(this=key, nulls_first=False) for key in keys))
    )
    ordered = found.column("row").to_numpy().astype(np.int64, copy=False)
    by_row = np.argsort(ordered)
    places: Places = by_row[np.searchsorted(ordered[by_row], row)]
    return places
