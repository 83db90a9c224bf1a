"""The fan of a forecast: quantiles whose coverage is measured on rows that trees never saw.

Three boosters say the 10 %, 50 % and 90 % quantile of a step (pinball loss). What they say is taken
as a middle and two widths only; where each quantile lies, in widths from the middle, is read off
the validation rows. So any level can be asked, quantiles never cross, and the coverage is that of
the validation rows (split conformal prediction with a local width: Lei et al., 2018; conformalized
quantile regression: Romano et al., 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.forecasting.frames import Frame

__all__ = ["LEVELS", "Fan"]

Float = npt.NDArray[np.float64]

LEVELS = (0.1, 0.5, 0.9)
_PLACES = np.linspace(0.0, 1.0, 401)
_ENOUGH = 200
"""Validation examples from which every step has widths of its own."""
_LEAST_WIDTH = 0.02
"""Of the example's unit: where trees see no spread at all, there may be a little."""


@dataclass(frozen=True)
class Fan:
    """Quantiles around a middle.

    Attributes:
        frame: What the boosters were asked for.
        texts: Three boosters, for the levels 0.1, 0.5 and 0.9; none takes the point forecast as
            the middle and the frame's unit as both widths.
        widths: float64[h or 1, 401] distances from the middle, in widths, by level from 0 to 1.
    """

    frame: Frame
    texts: tuple[str, ...]
    widths: Float

    @classmethod
    def calibrated(
        cls, frame: Frame, texts: tuple[str, ...], label: Float, said: Float, unit: Float
    ) -> Fan:
        """Measure the widths on validation rows.

        Args:
            frame: What the boosters were asked for.
            texts: The boosters.
            label: float64[n, h].
            said: float64[n, h, 3] what the boosters say in the target's unit, ascending.
            unit: float64[n] the frame's unit.
        """
        lower, upper = _widths(said, unit)
        away = label - said[:, :, 1]
        measured = np.where(away < 0, away / lower, away / upper)
        parts = [measured.ravel()] if len(label) < _ENOUGH else list(measured.T)
        widths = np.stack([np.quantile(part, _PLACES) for part in parts])
        return cls(frame, texts, widths)

    def quantiles(self, said: Float, unit: Float, levels: Sequence[float]) -> Float:
        """Return float64[n, h, levels]; ``said`` and ``unit`` as in ``calibrated``."""
        lower, upper = _widths(said, unit)
        found = np.empty((*said.shape[:2], len(levels)))
        for number, level in enumerate(levels):
            away = np.array([np.interp(level, _PLACES, row) for row in self.widths])
            width = np.where(away < 0, lower, upper)
            found[:, :, number] = said[:, :, 1] + away * width
        return found

    def to_json(self) -> dict[str, Any]:
        return {"frame": self.frame.to_json(), "boosters": len(self.texts)}

    @classmethod
    def unpack(
        cls, obj: Mapping[str, Any], widths: Float, texts: Sequence[str], horizon: int
    ) -> Fan:
        """Rebuild a fan; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        sound = (
            len(texts) in (0, len(LEVELS))
            and widths.dtype == np.float64
            and widths.shape in ((1, len(_PLACES)), (horizon, len(_PLACES)))
            and bool(np.isfinite(widths).all())
            and bool((np.diff(widths, axis=1) >= 0).all())
        )
        if not sound:
            raise ValueError("the quantiles of a forecast do not fit it")
        return cls(Frame.from_json(obj["frame"]), tuple(texts), widths)


def _widths(said: Float, unit: Float) -> tuple[Float, Float]:
    least = _LEAST_WIDTH * unit[:, None]
    lower = np.maximum(said[:, :, 1] - said[:, :, 0], least)
    upper = np.maximum(said[:, :, 2] - said[:, :, 1], least)
    return lower, upper
