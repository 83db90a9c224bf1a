"""The compiled loops of this room: rows by key, and what windows add up.

All release the GIL and are cached on disk, so that a process compiles them at most once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["add", "count", "find_rows", "join_two", "keep_rows", "last_places"]


@njit(nogil=True, cache=True)
def count(state: Any, entity: Any, step: int) -> None:
    """Add ``step`` to an entity's count for each of its rows, in place."""
    for e in entity:
        state[e] += step


@njit(nogil=True, cache=True)
def add(state: Any, entity: Any, value: Any, sign: int) -> None:
    """Add each row's whole number, times ``sign``, to its entity's sum, in place."""
    for row in range(len(entity)):
        state[entity[row]] += sign * value[row]


@njit(nogil=True, cache=True)
def last_places(state: Any, entity: Any, first: int, low: int, found: Any) -> None:
    """Note the place of each entity's last row, and write those from ``low`` on; -1 is none.

    ``entity`` are the rows from the place ``first`` on, ``state`` the last places before them.
    """
    for row in range(len(entity)):
        state[entity[row]] = first + row
    for e in range(len(state)):
        found[e] = state[e] if state[e] >= low else -1


@njit(nogil=True, cache=True)
def join_two(first: Any, second: Any, bits: int, scale: float, most: int, found: Any) -> int:
    """Write ``(first + second / 2**bits) * 2**bits * scale``, rounded once, for each sum.

    Returns how many sums are too large for that: those whose whole part is ``most`` or more in
    size; of them nothing is written that counts.
    """
    mask = (np.int64(1) << bits) - 1
    unit = float(np.int64(1) << bits)
    large = 0
    for n in range(len(first)):
        high = first[n] + (second[n] >> bits)
        if high >= most or high <= -most:
            large += 1
            found[n] = 0.0
        else:
            found[n] = (float(high) * unit + float(second[n] & mask)) * scale
    return large


@njit(nogil=True, cache=True)
def find_rows(key: Any, first: int, rows: Any, found: Any) -> None:
    """Write the dense row of each key, -1 for none.

    ``rows`` are those of the keys from ``first`` on, with a place before and behind.
    """
    last = first + len(rows) - 3
    for n in range(len(key)):
        row = -1
        if first <= key[n] <= last:
            row = rows[key[n] - first + 1]
        found[n] = row


@njit(nogil=True, cache=True)
def keep_rows(found: Any, time: Any, first: int, times: Any, entities: Any, order: Any) -> None:
    """Write time, entity and place of the rows that have an entity; ``first`` is the first place.

    An ``order`` of no length is not written.
    """
    place = 0
    for n in range(len(found)):
        if found[n] >= 0:
            times[place] = time[n]
            entities[place] = found[n]
            if len(order) > 0:
                order[place] = first + n
            place += 1
