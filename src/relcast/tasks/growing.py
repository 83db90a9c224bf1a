"""An array that grows at its end: values are copied once, to where they stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Growing"]

_LEAST = 2**16
_MOST = 2**27


class Growing:
    """Values of one type, added a batch at a time.

    Room that nothing is written to takes no memory, and is given back at the end. So a generous
    guess of the length costs nothing, and a poor one a copy.
    """

    def __init__(self, dtype: npt.DTypeLike, guess: int = 0) -> None:
        """``guess`` is about how many values there will be at the most."""
        try:
            self._values = np.empty(min(max(guess, _LEAST), _MOST), dtype=dtype)
        except MemoryError:  # a machine that promises no more than it has
            self._values = np.empty(_LEAST, dtype=dtype)
        self._length = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values of a type that this one holds."""
        stop = self._length + len(values)
        if stop > len(self._values):
            larger = np.empty(max(stop, 2 * len(self._values)), dtype=self._values.dtype)
            larger[: self._length] = self._values[: self._length]
            self._values = larger
        self._values[self._length : stop] = values
        self._length = stop

    def done(self) -> npt.NDArray[Any]:
        """Return the values; nothing can be added afterwards."""
        found, self._values = self._values, np.empty(0, dtype=self._values.dtype)
        found.resize(self._length, refcheck=False)
        self._length = 0
        return found
