"""What trees read of one step of one example: the past of its season, its calendar, its distance.

Rows are (example, step) pairs, the steps of an example one after another. Columns that are amounts
of the target can be divided by the example's level, so that entities of different sizes teach each
other; all other columns have no unit or keep theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relcast.learners.forecasting.grid import DAY, Grid, Season
from relcast.learners.forecasting.past import growth, mean_back, seasonal, shaped, take_lags

__all__ = ["StepColumns", "level_of"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_MEANS = (2, 4, 8, 13, 26, 52)
_FADES = (0.2, 0.5)
_SHORT = 60
"""A season of so few windows is averaged over several of its repetitions."""
_LEVEL = 8


def level_of(lags: Float, seasons: tuple[Season, ...], least: float) -> Float:
    """Return the size of each example's target: the mean size of its last windows, float64[n].

    A whole short season of them, so that the level does not swing with it; never below ``least``.
    """
    short = [s.length for s in seasons if s.length <= _SHORT]
    recent = mean_back(np.abs(lags), max(_LEVEL, *short) if short else _LEVEL)
    return np.where(np.isnan(recent), least, np.maximum(recent, least))


@dataclass(frozen=True, slots=True)
class StepColumns:
    """The columns of a step, in order.

    Attributes:
        grid: The windows.
        seasons: The rhythms that are looked at.
        reach: Windows that are looked back on.
        newest: How many of the last windows are columns by themselves.
    """

    grid: Grid
    seasons: tuple[Season, ...]
    reach: int
    newest: int

    @property
    def names(self) -> tuple[str, ...]:
        """What a person reads."""
        return tuple(name for name, _ in self._columns())

    @property
    def amounts(self) -> npt.NDArray[np.bool_]:
        """bool[c], which columns are amounts of the target."""
        return np.array([amount for _, amount in self._columns()])

    def _columns(self) -> list[tuple[str, bool]]:
        found = [("windows ahead", False), ("month of the step", False)]
        if self.grid.nanoseconds < 28 * DAY:
            found += [("day of the month of the step", False), ("week of the step", False)]
        if self.grid.nanoseconds < 7 * DAY:
            found.append(("weekday of the step", False))
        if self.grid.nanoseconds < DAY:
            found.append(("hour of the step", False))
        for season in self.seasons:
            name = f"{season.name} ({season.length} windows)"
            found.append((f"target one {name} before the step", True))
            found.append((f"target two times a {name} before the step", True))
            found.append((f"shape of a {name} at the step, on today's level", True))
            if season.length <= _SHORT:
                found.append((f"mean of the target over four times a {name} before", True))
            if season.length > 3:
                found.append((f"mean of the target around one {name} before the step", True))
                found.append((f"growth of the target since one {name} before", False))
        found += [(f"target {k + 1} windows back", True) for k in range(self.newest)]
        found += [(f"mean of the target over {k} windows", True) for k in self.means]
        found += [
            (f"mean of the target, fading by {int(100 * f)} % a window", True) for f in _FADES
        ]
        return [
            *found,
            ("deviation of the target over the last windows", True),
            ("share of the last windows without a target above zero", False),
            ("windows since the target was above zero", False),
            ("windows that are known", False),
            ("mean of the target over all windows", True),
            ("level of the target", False),
        ]

    @property
    def means(self) -> list[int]:
        """Over how many of the last windows means are taken."""
        return [k for k in _MEANS if k <= self.reach]

    def compute(self, lags: Float, ahead: Index, middles: Index, level: Float) -> Values:
        """Return every column of n examples and their h steps, float32[n * h, c].

        Args:
            lags: float64[n, reach].
            ahead: int64[n] windows from the origin to the first step.
            middles: int64[n, h] middles of the steps' windows.
            level: float64[n]; amounts are left as they are.
        """
        n, horizon = middles.shape
        names = self.names
        out = np.empty((n, horizon, len(names)), dtype=np.float32)
        still = _still(self, lags, level)
        width = still.shape[1]
        out[:, :, len(names) - width :] = _narrow(still)[:, None, :]
        grown = [growth(lags, season.length) for season in self.seasons]
        for step in range(horizon):
            columns = [(ahead + step).astype(np.float64), *self._calendar(middles[:, step])]
            for season, since in zip(self.seasons, grown, strict=True):
                columns += _of_season(season, lags, ahead + step, since)
            out[:, step, : len(names) - width] = _narrow(np.stack(columns, axis=1))
        return out.reshape(n * horizon, len(names))

    def _calendar(self, middle: Index) -> list[Float]:
        moments = middle.view("M8[ns]")
        days = moments.astype("M8[D]")
        months = days.astype("M8[M]")
        found = [months.astype(np.int64) % 12 + 1]
        if self.grid.nanoseconds < 28 * DAY:
            found.append((days - months.astype("M8[D]")).astype(np.int64) + 1)
            found.append((days - days.astype("M8[Y]").astype("M8[D]")).astype(np.int64) // 7 + 1)
        if self.grid.nanoseconds < 7 * DAY:
            found.append((days.astype(np.int64) + 3) % 7 + 1)
        if self.grid.nanoseconds < DAY:
            found.append((middle % DAY) // (3_600 * 10**9))
        return [part.astype(np.float64) for part in found]


def _of_season(season: Season, lags: Float, ahead: Index, since: Float) -> list[Float]:
    once = seasonal(lags, ahead, season.length, 0)
    found = [
        once,
        seasonal(lags, ahead, season.length, 1),
        shaped(lags, ahead, season.length),
    ]
    if season.length <= _SHORT:
        several = [seasonal(lags, ahead, season.length, back) for back in range(4)]
        found.append(mean_back(np.stack(several, axis=1), 4))
    if season.length > 3:
        place = (ahead // season.length + 1) * season.length - ahead - 1
        around = [take_lags(lags, place + offset) for offset in (-1, 0, 1)]
        found += [mean_back(np.stack(around, axis=1), 3), since]
    return found


def _still(columns: StepColumns, lags: Float, level: Float) -> Float:
    """Return the columns that all steps of an example share, float64[n, c']."""
    there = ~np.isnan(lags)
    above = there & (lags > 0)
    some = there[:, :_LEVEL].sum(axis=1).astype(np.float64)
    recent = lags[:, :_LEVEL]
    mean = mean_back(lags, _LEVEL)
    squares = np.where(there[:, :_LEVEL], (recent - mean[:, None]) ** 2, 0.0).sum(axis=1)
    some[some == 0] = np.nan
    found = [lags[:, k] for k in range(columns.newest)]
    found += [mean_back(lags, k) for k in columns.means]
    found += [_faded(lags, there, fade) for fade in _FADES]
    found += [
        np.sqrt(squares / some),
        1.0 - above[:, :_LEVEL].sum(axis=1) / some,
        np.where(above.any(axis=1), above.argmax(axis=1), np.nan),
        there.sum(axis=1).astype(np.float64),
        mean_back(lags, lags.shape[1]),
        level,
    ]
    return np.stack(found, axis=1)


def _faded(lags: Float, there: npt.NDArray[np.bool_], fade: float) -> Float:
    weight = (1.0 - fade) ** np.arange(lags.shape[1]) * there
    total = (weight * np.where(there, lags, 0.0)).sum(axis=1)
    whole = weight.sum(axis=1)
    return np.asarray(total / np.where(whole == 0, np.nan, whole))


def _narrow(values: Float) -> Values:
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).astype(np.float32)
