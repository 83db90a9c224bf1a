"""Rows that name their entity by key: times and dense entity rows, of those that name one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.tasks import kernels
from relcast.tasks.key_index import KeyIndex
from relcast.tasks.offsets import Times

__all__ = ["rows_of_entities"]


def rows_of_entities(
    rows: pa.Table, index: KeyIndex, threads: int, *, ordered: bool
) -> tuple[Times, npt.NDArray[np.int32], npt.NDArray[np.int64] | None, bool]:
    """Return times and entities of the rows whose key names one, in their order.

    Args:
        rows: ``entity``, a key, and ``time``, without NULL.
        index: The dense rows by key.
        threads: Each takes some of the batches, as they were read; nothing is copied before.
        ordered: Whether anybody asks which rows they are.

    Returns:
        Times, entities, which rows they are (None: all; empty unless ``ordered``), and whether the
        times ascend.
    """
    batches = rows.select(["entity", "time"]).to_batches()
    starts = np.cumsum([0, *(len(batch) for batch in batches)]).tolist()
    found = np.empty(starts[-1], dtype=np.int32)
    ends = np.zeros(len(batches) + 1, dtype=np.int64)
    ascending = np.ones(len(batches), dtype=np.bool_)
    edges = np.linspace(0, len(batches), threads + 1).astype(np.int64).tolist()

    def find(part: range) -> None:
        for n in part:
            key = batches[n].column(0).to_numpy()
            ends[n + 1] = index.write(key, found[starts[n] : starts[n + 1]])

    def keep(part: range) -> None:
        for n in part:
            here, there = slice(starts[n], starts[n + 1]), slice(ends[n], ends[n + 1])
            time = batches[n].column(1).to_numpy()
            place = order[there] if ordered else order
            ascending[n] = kernels.keep_rows(
                found[here], time, starts[n], times[there], entities[there], place
            )

    parts = [range(start, stop) for start, stop in pairwise(edges)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(find, parts))
        np.cumsum(ends, out=ends)
        kept = int(ends[-1])
        times, entities = np.empty(kept, dtype=np.int64), np.empty(kept, dtype=np.int32)
        order = np.empty(kept if ordered and kept < len(found) else 0, dtype=np.int64)
        ordered = len(order) > 0
        list(pool.map(keep, parts))
    borders = ends[1:-1][(ends[1:-1] > 0) & (ends[1:-1] < kept)]
    ascends = bool(ascending.all() and (times[borders - 1] <= times[borders]).all())
    return times, entities, None if kept == len(found) else order, ascends
