"""What trees of a forecast are asked for: the target, or its distance from a simple forecast.

``answer = base + unit * score``: the base is what a rule says of the step (or zero), the unit one
number for everybody or the example's own level. A tree of a level's unit weighs each row by that
level, so that the sum of its errors is the sum of errors in the target's unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.forecasting.past import Rule

__all__ = ["Frame"]

Float = npt.NDArray[np.float64]

_MOST = 1e6
"""Units that a label may be away from its base; a float32 inside LightGBM holds it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A way to ask.

    Attributes:
        base: The rule whose forecast is taken away.
        relative: Whether the unit is the example's level.
        scale: The unit where it is not.
    """

    base: Rule
    relative: bool
    scale: float

    @property
    def name(self) -> str:
        """What a person reads."""
        what = "target" if self.base.kind == "nothing" else f"distance from {self.base.name}"
        return f"{what}, in levels" if self.relative else what

    def unit(self, level: Float) -> Float:
        """Return the unit of every example, float64[n], from its level float64[n]."""
        return level if self.relative else np.full(len(level), self.scale)

    def encode(self, label: Float, base: Float, level: Float) -> Float:
        """Turn labels float64[n, h] with bases float64[n, h] into what trees learn."""
        away = (label - base) / self.unit(level)[:, None]
        return np.asarray(np.clip(away, -_MOST, _MOST))

    def decode(self, score: Float, base: Float, level: Float) -> Float:
        """Turn scores float64[n, h] into answers in the target's unit."""
        return base + self.unit(level)[:, None] * score

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base.to_json(),
            "relative": self.relative,
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Frame:
        scale = float(obj["scale"])
        if not 0 < scale < np.inf:
            raise ValueError("a forecast's unit is no positive number")
        return cls(Rule.from_json(obj["base"]), bool(obj["relative"]), scale)
