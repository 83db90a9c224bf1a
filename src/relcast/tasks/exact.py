"""Exact sums of floats on arrays: the same numbers that ``sums`` gives in SQL.

A float below ``2**top`` is cut into whole numbers that 64 bits can add; the sum is put together and
rounded once. So it does not depend on the order of the rows, and what left a window can be taken
away again without a trace.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.tasks import kernels

__all__ = ["Parts", "cut", "joined"]

_BITS = 92
_FEW = 2**16
"""Rows that two parts of 46 bits leave room for; three of 31 bits leave room for 2**32."""
_EXACT = 2**53

Parts = tuple[npt.NDArray[np.int64], ...]


def cut(value: npt.NDArray[np.float64], top: int, rows: int) -> Parts:
    """Return floats as whole numbers, the highest part first.

    Args:
        value: float64[m], each below ``2**top`` in size and a multiple of ``2**(top - 92)``.
        top: An exponent.
        rows: The most values that are added to one sum.
    """
    bits, parts = (_BITS // 2, 2) if rows < _FEW else (31, 3)
    found = np.empty((parts, len(value)), dtype=np.int64)
    kernels.cut(value, 2.0 ** (bits - top), bits, found)
    return tuple(found)


def joined(sums: Parts, top: int) -> npt.NDArray[Any]:
    """Return the sums as floats, rounded once; parts and result have one shape."""
    if len(sums) == 3:
        found = _slowly(sums, 31, np.ones(sums[0].shape, dtype=np.bool_), 93 - top)
        return found.reshape(sums[0].shape)
    bits = _BITS // 2
    found = np.empty(sums[0].shape)
    first, second = (part.ravel() for part in sums)
    flat = found.reshape(-1)
    if kernels.join_two(first, second, bits, 2.0 ** (top - _BITS), _EXACT, flat):
        large = np.abs(first + (second >> bits)) >= _EXACT
        flat[large] = _slowly((first, second), bits, large, _BITS - top)
    return found


def _slowly(
    sums: Parts, bits: int, where: npt.NDArray[np.bool_], behind: int
) -> npt.NDArray[np.float64]:
    """Put some sums together as whole numbers of any length, ``behind`` bits of them a fraction."""
    found = np.zeros(int(where.sum()))
    columns = [part[where] for part in sums]
    for n in np.flatnonzero(np.any(np.stack(columns) != 0, axis=0)).tolist():
        whole = 0
        for part in columns:
            whole = (whole << bits) + int(part[n])
        try:
            found[n] = math.ldexp(float(whole), -behind)
        except OverflowError:
            found[n] = math.inf if whole > 0 else -math.inf
    return found
