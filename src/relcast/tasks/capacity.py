"""How much memory a training table may take, and refusing one that would take more.

The labels' SQL engine has a limit of its own and spills to disk beyond it; the examples themselves
are arrays in memory. Their number is at most entities times anchors, so a table that cannot fit is
refused before it is computed, or while it grows, and never by the system's killer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import psutil
import pyarrow as pa

from relcast.core.errors import InvalidRequest
from relcast.pql import CheckedQuery
from relcast.tasks.anchors import Frame
from relcast.tasks.labels import BATCH, Labeller, Labels
from relcast.tasks.offsets import Times
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import UnusableTable

__all__ = ["Memory", "bounded", "check_room", "example_bytes"]

EXAMPLE_BYTES = 100
"""What one example takes at the most while a table is put together, without its target."""

_BATCH_BYTES = 500
_LEAST_ENGINE = 32
_TRIED = 5
_MARGIN = 1.5
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory that a training table may take.

    Attributes:
        engine: Of the SQL engine, as text that it reads.
        examples: Bytes of the examples.
        batch: Weight of one pass of the labels.
    """

    engine: str
    examples: int
    batch: int

    @classmethod
    def of(cls, limit: str | None) -> Memory:
        """Give half of the limit to the engine (32 MiB at the least) and half to the examples.

        A limit is a text such as ``2GB`` or ``512 MiB``; without one it is three quarters of the
        memory that is free now. Raises ``request.bad_memory_limit``.
        """
        whole = psutil.virtual_memory().available * 3 // 4 if limit is None else _bytes(limit)
        half = whole // 2
        batch = min(BATCH, max(1000, half // _BATCH_BYTES))
        return cls(f"{max(_LEAST_ENGINE, half // 2**20)}MiB", half, batch)


def _bytes(limit: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", limit)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) <= 0:
        raise InvalidRequest(
            f"The memory limit {limit!r} is no amount of memory",
            code="request.bad_memory_limit",
            hint="Write it as 2GB or 512MiB.",
        )
    return int(float(found[1]) * unit)


def example_bytes(query: CheckedQuery) -> int:
    """Return the bytes of an example, but for a list's values."""
    return EXAMPLE_BYTES + 24 * (query.forecast_length or 1)


def check_room(labeller: Labeller, plan: TablePlan, memory: Memory, anchors: Times) -> None:
    """Raise ``task.table_too_large`` when the examples of these anchors would not fit.

    Entities times anchors is the most that there can be. Where that does not fit, a few anchors are
    tried, as filters and absent targets can leave few of them: refused is what is well beyond.
    """
    query, per = labeller.query, example_bytes(labeller.query)
    if labeller.rows * len(anchors) * per <= memory.examples:
        return
    places = np.unique(np.linspace(0, len(anchors) - 1, _TRIED).astype(np.int64))
    kept = size = 0
    for labels in labeller.grid(anchors[places]):
        kept += _kept(labels)
        size += _list_bytes(labels)
    rows = kept * len(anchors) // len(places)
    held = size * len(anchors) // len(places)
    if rows * per + held > _MARGIN * memory.examples:
        raise _too_large(
            query, plan, memory, len(anchors), rows, f"{len(places)} anchors had {kept:,}"
        )


def bounded(
    batches: Iterable[Labels],
    query: CheckedQuery,
    plan: TablePlan,
    memory: Memory,
    anchors: int,
) -> Iterator[Labels]:
    """Pass batches on while the kept examples fit; else raise ``task.table_too_large``."""
    rows = held = 0
    for labels in batches:
        rows += _kept(labels)
        held += _list_bytes(labels)
        if rows * example_bytes(query) + held > memory.examples:
            done = int(labels.anchor.max(initial=-1)) + 1
            raise _too_large(
                query,
                plan,
                memory,
                anchors,
                rows * anchors // max(1, done),
                f"{done:,} anchors had {rows:,}",
            )
        yield labels


def _kept(labels: Labels) -> int:
    """Return how many examples are kept for their filters and a target that is there."""
    keep = labels.chosen & labels.assumed
    if labels.target.null_count:
        keep &= labels.target.is_valid().to_numpy(zero_copy_only=False)
    return int(np.count_nonzero(keep))


def _list_bytes(labels: Labels) -> int:
    """Return what the values of lists take, before and after they are indices."""
    kind = labels.target.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return 0
    return 3 * int(labels.target.nbytes)


def _too_large(
    query: CheckedQuery, plan: TablePlan, memory: Memory, anchors: int, rows: int, seen: str
) -> UnusableTable:
    frame = Frame.of(query)
    step = plan.timeframe_step or frame.length
    room = memory.examples // example_bytes(query)
    times = max(2, -(-rows // max(1, room)))
    mends = []
    if anchors // times >= 4:
        now = f"{step} {frame.unit.value} now: {anchors:,} anchors"
        mends.append(f"set timeframe_step={step * times} ({now})")
    mends.append("begin later with start_time")
    where = "in" if query.query.where is not None else "with"
    mends.append(f"choose fewer entities {where} WHERE")
    shown = ", ".join(mends)
    return UnusableTable(
        f"The training table would have about {rows:,} rows ({seen}); about {room:,} fit in the "
        f"{_shown(memory.examples)} that its examples may take",
        code="task.table_too_large",
        hint=f"{shown[0].upper()}{shown[1:]}, or give more memory.",
    )


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
