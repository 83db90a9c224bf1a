"""Windows that move over rows in order of time: one value for each window and entity, on arrays.

Rows stand in ascending order of time; the window i covers the rows ``[low[i], high[i])`` by place,
and both ends ascend with i. Windows may overlap as much as they like: a row is looked at a few
times, not once for each window that it lies in. Results are arrays ``[windows, entities]``.

    n  windows    E  entities    m  rows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.tasks import kernels

__all__ = ["Windows", "counts", "distinct", "earliest", "extremes", "latest", "totals"]

Integers = npt.NDArray[np.int64]
Entities = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """The places of the rows of each window, and how many entities there are.

    Attributes:
        low: int64[n], ascending: the first row of each window.
        high: int64[n], ascending: the row behind the last; at least ``low``.
        entities: E; rows name an entity by a number below it.
    """

    low: Integers
    high: Integers
    entities: int

    def __len__(self) -> int:
        return len(self.low)

    def empty(self, dtype: npt.DTypeLike) -> Array:
        """Return an array ``[n, E]`` to be filled."""
        return np.empty((len(self), self.entities), dtype=dtype)

    def moves(self) -> Iterator[tuple[int, bool, slice, slice]]:
        """Yield for each window: its number, whether to begin anew, the rows to add and to remove.

        Begins anew where that looks at fewer rows.
        """
        low, high = self.low.tolist(), self.high.tolist()
        nothing = slice(0, 0)
        for n, (first, stop) in enumerate(zip(low, high, strict=True)):
            if n:
                moved = high[n - 1] + first - low[n - 1]
                if stop - first > stop - moved and first < high[n - 1]:
                    yield n, False, slice(high[n - 1], stop), slice(low[n - 1], first)
                    continue
            yield n, True, slice(first, stop), nothing


def counts(entity: Entities, windows: Windows) -> Array:
    """Return the number of rows: int32[n, E]."""
    found = windows.empty(np.int32)
    for n, anew, entering, leaving in windows.moves():
        state = found[n]
        state[:] = 0 if anew else found[n - 1]
        kernels.count(state, entity[entering], 1)
        if leaving.stop > leaving.start:
            kernels.count(state, entity[leaving], -1)
    return found


def totals(entity: Entities, value: Integers, windows: Windows) -> Integers:
    """Return the sums of whole numbers: int64[n, E]. The caller sees to it that they fit."""
    found = windows.empty(np.int64)
    for n, anew, entering, leaving in windows.moves():
        state = found[n]
        state[:] = 0 if anew else found[n - 1]
        kernels.add(state, entity[entering], value[entering], 1)
        if leaving.stop > leaving.start:
            kernels.add(state, entity[leaving], value[leaving], -1)
    return found


def extremes(
    entity: Entities, value: Array, windows: Windows, choose: np.ufunc, nothing: Any
) -> Array:
    """Return the least or greatest value, ``nothing`` without a row: [n, E] in the values' type.

    ``choose`` is ``np.minimum`` or ``np.maximum``. Windows that share the row where the first of
    them ends are put together from what lies before it and behind it (van Herk's algorithm).
    """
    found = windows.empty(value.dtype)
    low, high = windows.low.tolist(), windows.high.tolist()
    first = 0
    while first < len(low):
        split = high[first]
        stop = first + 1
        while stop < len(low) and low[stop] < split:
            stop += 1
        state, done = np.full(windows.entities, nothing, dtype=value.dtype), split
        for n in range(stop - 1, first - 1, -1):
            choose.at(state, entity[low[n] : done], value[low[n] : done])
            found[n], done = state, low[n]
        state, done = np.full(windows.entities, nothing, dtype=value.dtype), split
        for n in range(first + 1, stop):
            choose.at(state, entity[done : high[n]], value[done : high[n]])
            done = high[n]
            choose(found[n], state, out=found[n])
        first = stop
    return found


def latest(entity: Entities, windows: Windows) -> Array:
    """Return the place of the last row, -1 without one: [n, E], int32 where that is enough."""
    dtype = np.int32 if len(entity) < np.iinfo(np.int32).max else np.int64
    found = windows.empty(dtype)
    state = np.full(windows.entities, -1, dtype=dtype)
    done = int(windows.low[0]) if len(windows) else 0
    for n, (low, high) in enumerate(zip(windows.low.tolist(), windows.high.tolist(), strict=True)):
        done = max(done, low)
        kernels.last_places(state, entity[done : max(done, high)], done, low, found[n])
        done = max(done, high)
    return found


def earliest(entity: Entities, windows: Windows) -> Integers:
    """Return the place of the first row, -1 without one: int64[n, E]."""
    found = windows.empty(np.int64)
    beyond = np.iinfo(np.int64).max
    state = np.full(windows.entities, beyond, dtype=np.int64)
    done = int(windows.high[-1]) if len(windows) else 0
    for n in range(len(windows) - 1, -1, -1):
        low, high = int(windows.low[n]), int(windows.high[n])
        done = min(done, high)
        if low < done:
            state[entity[low:done][::-1]] = np.arange(low, done)[::-1]
            done = low
        np.copyto(found[n], state)
        found[n][state >= high] = -1
    return found


def distinct(entity: Entities, code: Integers, codes: int, windows: Windows) -> Integers:
    """Return the number of different codes (below ``codes``): int64[n, E]."""
    overlap = bool((windows.low[1:] < windows.high[:-1]).any())
    count = _moving_distinct if overlap else _separate_distinct
    return count(entity, code, codes, windows)


def _separate_distinct(entity: Entities, code: Integers, codes: int, windows: Windows) -> Integers:
    found = windows.empty(np.int64)
    for n, (low, high) in enumerate(zip(windows.low.tolist(), windows.high.tolist(), strict=True)):
        key = np.sort(entity[low:high] * np.int64(codes) + code[low:high])
        found[n] = np.bincount(_different(key) // codes, minlength=windows.entities)
    return found


def _moving_distinct(entity: Entities, code: Integers, codes: int, windows: Windows) -> Integers:
    """Count how often each (entity, code) is in the window; those that are there at all count."""
    found = windows.empty(np.int64)
    if not len(windows):
        return found
    begin, end = int(windows.low[0]), int(windows.high[-1])
    known, held = np.unique(
        entity[begin:end] * np.int64(codes) + code[begin:end], return_inverse=True
    )
    owner = known // codes
    times = np.zeros(len(known), dtype=np.int64)
    state = np.zeros(windows.entities, dtype=np.int64)

    def change(rows: slice, step: int, op: Callable[[Array, Array, Array], None]) -> None:
        """Add or remove rows, and count the owners of what appears or disappears by it."""
        moved = held[rows.start - begin : rows.stop - begin]
        before = times[moved] == 0
        op(times, moved, np.ones(len(moved), dtype=np.int64))
        changed = before if step > 0 else times[moved] == 0
        op(state, owner[_different(np.sort(moved[changed]))], np.int64(1))  # type: ignore[arg-type]

    for n, anew, entering, leaving in windows.moves():
        if anew:
            state[:] = 0
            times[:] = 0
        if entering.stop > entering.start:
            change(entering, 1, np.add.at)
        if leaving.stop > leaving.start:
            change(leaving, -1, np.subtract.at)
        found[n] = state
    return found


def _different(ordered: Array) -> Array:
    """Return the different values of an ascending array."""
    if len(ordered) == 0:
        return ordered
    new = np.empty(len(ordered), dtype=np.bool_)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]
