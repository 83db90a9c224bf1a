"""The compiled loops of this room: rows by key, and what windows add up.

All release the GIL and are cached on disk, so that a process compiles them at most once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "add",
    "count",
    "count_bits",
    "cut",
    "ends_of_bits",
    "find_rows",
    "join_two",
    "keep_rows",
    "last_places",
    "mark_twins",
    "squares",
    "take_bits",
]


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
def cut(value: Any, first: float, bits: int, parts: Any) -> None:
    """Write ``value * first`` as whole numbers, ``bits`` bits in each part behind the highest."""
    unit = float(np.int64(1) << bits)
    for n in range(len(value)):
        rest = value[n] * first
        for part in range(len(parts)):
            whole = np.floor(rest)
            parts[part, n] = np.int64(whole)
            rest = (rest - whole) * unit


@njit(nogil=True, cache=True)
def find_rows(key: Any, first: int, rows: Any, found: Any) -> int:
    """Write the dense row of each key, -1 for none; return how many there are.

    ``rows`` are those of the keys from ``first`` on, with a place before and behind.
    """
    last = first + len(rows) - 3
    count = 0
    for n in range(len(key)):
        row = -1
        if first <= key[n] <= last:
            row = rows[key[n] - first + 1]
        found[n] = row
        count += row >= 0
    return count


@njit(nogil=True, cache=True)
def keep_rows(found: Any, time: Any, first: int, times: Any, entities: Any, order: Any) -> bool:
    """Write time, entity and place of the rows that have an entity; ``first`` is the first place.

    An ``order`` of no length is not written. Returns whether the times ascend.
    """
    place = 0
    ascends = True
    for n in range(len(found)):
        if found[n] >= 0:
            times[place] = time[n]
            ascends &= place == 0 or times[place - 1] <= time[n]
            entities[place] = found[n]
            if len(order) > 0:
                order[place] = first + n
            place += 1
    return ascends


@njit(nogil=True, cache=True)
def mark_twins(time: Any, entity: Any, last: Any, twin: Any) -> int:
    """Mark the rows that share time and entity with another; return how many there are.

    Times ascend; ``last`` has a place for each entity, -1 at first.
    """
    start = 0
    count = 0
    for n in range(len(time)):
        if n == 0 or time[n] != time[start]:
            start = n
            if n + 1 == len(time) or time[n + 1] != time[n]:
                continue  # alone
        before = last[entity[n]]
        if before >= start:
            count += 2 - twin[before]
            twin[before] = 1
            twin[n] = 1
        last[entity[n]] = n
    return count


@njit(nogil=True, cache=True)
def squares(value: Any, first: int, length: int, center: float) -> float:
    """Return the sum of the squared differences from a center, of a part.

    The part is halved and halved again (pairwise summation): the error grows with the logarithm of
    the length (Higham 1993).
    """
    if length > 128:
        half = length // 2
        half -= half % 8
        left = squares(value, first, half, center)
        return left + squares(value, first + half, length - half, center)
    return _few_squares(value, first, length, center)


@njit(nogil=True, cache=True)
def _few_squares(value: Any, first: int, length: int, center: float) -> float:
    """Add in eight lanes, so that an addition does not wait for the one before."""
    a = b = c = d = e = f = g = h = 0.0
    whole = first + length - length % 8
    for n in range(first, whole, 8):
        a += (value[n] - center) * (value[n] - center)
        b += (value[n + 1] - center) * (value[n + 1] - center)
        c += (value[n + 2] - center) * (value[n + 2] - center)
        d += (value[n + 3] - center) * (value[n + 3] - center)
        e += (value[n + 4] - center) * (value[n + 4] - center)
        f += (value[n + 5] - center) * (value[n + 5] - center)
        g += (value[n + 6] - center) * (value[n + 6] - center)
        h += (value[n + 7] - center) * (value[n + 7] - center)
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for n in range(whole, first + length):
        total += (value[n] - center) * (value[n] - center)
    return total


@njit(nogil=True, cache=True)
def count_bits(bits: Any, bins: Any) -> None:
    """Count floats by their first 16 bits, in the order of the floats; ``bins`` are [4, 2**16].

    Each row counts every fourth: equal values one after another do not wait for each other.
    """
    for n in range(len(bits)):
        ordered = bits[n] ^ ((bits[n] >> 63) & 0x7FFFFFFFFFFFFFFF)
        bins[n & 3, (ordered >> 48) + 32768] += 1


@njit(nogil=True, cache=True)
def ends_of_bits(bits: Any, first: int, last: int) -> tuple[int, int]:
    """Return the least and the greatest of the floats of some bins, as bits in their order."""
    low, high = (first - 32768) << 48, ((last - 32767) << 48) - 1
    least, most = high, low
    for n in range(len(bits)):
        ordered = bits[n] ^ ((bits[n] >> 63) & 0x7FFFFFFFFFFFFFFF)
        inside = low <= ordered <= high
        least = min(least, ordered if inside else high)
        most = max(most, ordered if inside else low)
    return least, most


@njit(nogil=True, cache=True)
def take_bits(bits: Any, first: int, last: int, found: Any) -> None:
    """Write the floats of some bins as bits; ``found`` has a place more than there are."""
    low, high = (first - 32768) << 48, ((last - 32767) << 48) - 1
    place = 0
    for n in range(len(bits)):
        ordered = bits[n] ^ ((bits[n] >> 63) & 0x7FFFFFFFFFFFFFFF)
        found[place] = bits[n]
        place += low <= ordered <= high
