"""Rows beside the others of one parent at one moment: a race, a basket, a team on a day."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from relcast.relations import NEVER, LinkArrays

__all__ = ["MEASURES", "among", "shared_moments"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
MEASURES = ("relative", "ratio", "rank", "others", "size")
_ALWAYS = np.empty(0, dtype=np.int64)
_FEW = 24


def among(link: LinkArrays, values: Float, known: Rows, parents: int) -> tuple[Float, Rows]:
    """Return each row's measures among the rows with its parent and time, and when they are known.

    Args:
        link: Groups are its children of one parent at one time (of a table without times, all
            children of one parent).
        values: float64[children]; NaN has no part in a group.
        known: int64[children] from when each value is known; empty: with its row. A group is told
            when the last of its rows is, with or without a value.
        parents: How many parents have groups, the first ones: copies of one have none of their own.

    Returns:
        float64[5, children] in the order of ``MEASURES``: the value less the mean, over the mean,
        its rank (share of the others that have less, ties half), the mean of the others, and how
        many rows have a value. NaN where the row has no parent, no value (but for the last two) or
        nobody to compare with. int64[children], empty where ``known`` is.
    """
    time = _ALWAYS if link.child_time is None else link.child_time
    out = np.full((len(MEASURES), len(values)), np.nan)
    told = np.full(len(values) if len(known) else 0, NEVER, dtype=np.int64)
    _among(link.indptr[: parents + 1], time, link.child, values, known, out, told)
    return out, told


def shared_moments(link: LinkArrays, rows: npt.NDArray[np.bool_]) -> float:
    """Return the share of a link's children that have a sibling at their moment.

    ``rows`` bool[children] says which children count.
    """
    kept = rows[link.child]
    count = int(kept.sum())
    if count < 2:
        return 0.0
    owner = np.repeat(np.arange(len(link.indptr) - 1), np.diff(link.indptr))[kept]
    same = owner[1:] == owner[:-1]
    if link.child_time is not None:
        time = link.child_time[kept]
        same &= time[1:] == time[:-1]
    beside = np.append(same, False) | np.append(False, same)
    return float(beside.mean())


@njit(nogil=True, cache=True)
def _sort(values: Any) -> None:
    """Sort in place; most groups are of a few rows."""
    if len(values) > _FEW:
        values[:] = np.sort(values)
        return
    for i in range(1, len(values)):
        v = values[i]
        j = i - 1
        while j >= 0 and values[j] > v:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = v


@njit(nogil=True, cache=True)
def _among(
    indptr: Any,
    time: Any,
    child: Any,
    values: Any,
    known: Any,
    out: Any,
    told: Any,
) -> None:
    never = np.iinfo(np.int64).max
    most = 0
    for p in range(len(indptr) - 1):
        most = max(most, indptr[p + 1] - indptr[p])
    room = np.empty(most)
    for p in range(len(indptr) - 1):
        begin, stop = indptr[p], indptr[p + 1]
        while begin < stop:
            end = begin + 1
            while end < stop and (time.size == 0 or time[end] == time[begin]):
                end += 1
            count = 0
            latest = np.iinfo(np.int64).min
            for j in range(begin, end):
                row = child[j]
                # That a value is missing is known no earlier than the value would have been.
                if known.size > 0 and known[row] > latest:
                    latest = known[row]
                if np.isnan(values[row]) or (known.size > 0 and known[row] == never):
                    continue
                room[count] = values[row]
                count += 1
            # In the order of size, so that sums do not depend on the order of rows.
            ordered = room[:count]
            _sort(ordered)
            total = 0.0
            for v in ordered:
                total += v - ordered[0]
            for j in range(begin, end):
                row = child[j]
                v = values[row]
                there = not np.isnan(v) and (known.size == 0 or known[row] != never)
                if known.size > 0 and count > 0:
                    told[row] = latest
                if count == 0:
                    continue
                mean = ordered[0] + total / count
                out[4, row] = count
                if not there:
                    out[3, row] = mean
                    continue
                out[0, row] = v - mean
                if mean != 0.0:
                    out[1, row] = v / mean
                if count > 1:
                    low = np.searchsorted(ordered, v, side="left")
                    high = np.searchsorted(ordered, v, side="right")
                    out[2, row] = (low + 0.5 * (high - low - 1)) / (count - 1)
                    out[3, row] = ordered[0] + (total - (v - ordered[0])) / (count - 1)
            begin = end
