"""Fewer points of a curve: evenly left out, first and last kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["evenly", "plain"]

_MOST_POINTS = 200


def evenly(count: int, most: int = _MOST_POINTS) -> npt.NDArray[np.int64]:
    """Return the places of at most ``most`` of ``count`` points, with the first and the last."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.unique(np.rint(np.linspace(0, count - 1, most)).astype(np.int64))


def plain(values: Iterable[float]) -> list[float | None]:
    """Return numbers as JSON has them: what is not finite is None."""
    return [float(v) if math.isfinite(v) else None for v in values]
