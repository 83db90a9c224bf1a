"""Which classes of a multiclass task have an output of their own; the rest share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ClassMap"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST_CLASSES = 60


@dataclass(frozen=True)
class ClassMap:
    """Which classes have an output of their own; the others share one output by their frequency.

    Attributes:
        own: int64[m] classes with an output of their own, in the order of the outputs.
        share: float64[classes] how the last output is shared out; zero for classes in ``own``.
            All zero when every class has its own output (then there is no shared one).
    """

    own: Index
    share: Float

    @classmethod
    def of(cls, label: Float, weight: Float | None, width: int) -> ClassMap:
        """Give the 60 most frequent classes of the training labels an output of their own."""
        if width <= _MOST_CLASSES:
            return cls(np.arange(width), np.zeros(width))
        count = np.bincount(label.astype(np.int64), weights=weight, minlength=width)
        own = np.sort(np.argsort(-count, kind="stable")[: _MOST_CLASSES - 1])
        share = count + 1.0
        share[own] = 0.0
        return cls(own, share / share.sum())

    @property
    def outputs(self) -> int:
        return len(self.own) + int(self.share.any())

    def encode(self, label: Float) -> Float:
        """Return the output of each label's class, float64[n]."""
        output_of = np.full(len(self.share), len(self.own), dtype=np.int64)
        output_of[self.own] = np.arange(len(self.own))
        return output_of[label.astype(np.int64)].astype(np.float64)

    def explained(self, raw: Float, classes: Index | None) -> Index:
        """Return which output is explained, int64[n]: of ``classes``, or the best of each row."""
        if classes is None:
            return np.asarray(raw.argmax(axis=1))
        return self.encode(classes.astype(np.float64)).astype(np.int64)

    def probabilities(self, raw: Float) -> Float:
        """Turn raw scores float64[n, outputs] into probabilities float64[n, classes]."""
        exponent = np.exp(raw - raw.max(axis=1, keepdims=True, initial=-np.inf))
        return self.spread(exponent / exponent.sum(axis=1, keepdims=True))

    def spread(self, probability: Float) -> Float:
        """Turn float64[n, outputs] into float64[n, classes]."""
        out = np.zeros((len(probability), len(self.share)))
        if self.outputs > len(self.own):
            out += probability[:, -1:] * self.share
        out[:, self.own] = probability[:, : len(self.own)]
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the map as arrays for a bundle."""
        return {"classes.own": self.own, "classes.share": self.share}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], width: int) -> ClassMap:
        """Read the arrays of ``arrays()``; raises ``ValueError`` when they do not fit."""
        own, share = arrays["classes.own"], arrays["classes.share"]
        if (
            own.dtype != np.int64
            or share.dtype != np.float64
            or share.shape != (width,)
            or not ((own >= 0) & (own < width)).all()
            or len(np.unique(own)) != len(own)
        ):
            raise ValueError("the class map does not fit the classes")
        return cls(own, share)
