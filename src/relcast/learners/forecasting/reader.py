"""From examples to what trees of a forecast read, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import FeatureSet
from relcast.learners.forecasting.grid import Grid, Season
from relcast.learners.forecasting.past import Rule, forecast, lag_features, read_lags
from relcast.learners.forecasting.steps import StepColumns, level_of
from relcast.learners.protocol import Asked

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["Batch", "Reader"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_CHUNK_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Batch:
    """What is known of n examples and their h steps.

    Attributes:
        values: float32[n * h, c + f]: columns of the step, then the entity's features; amounts of
            the target in its own unit.
        level: float64[n] size of the example's target.
        bases: float64[n, h] by rule.
        amounts: bool[c + f], which columns are amounts of the target.
    """

    values: Values
    level: Float
    bases: Mapping[Rule, Float]
    amounts: npt.NDArray[np.bool_]

    @property
    def horizon(self) -> int:
        return len(self.values) // max(1, len(self.level))

    def matrix(self, *, relative: bool, step: int | None = None) -> Values:
        """Return the values, amounts divided by the level where ``relative``; of one step or all.

        Not a copy where nothing is divided.
        """
        values, level = self.values, np.repeat(self.level, self.horizon)
        if step is not None:
            values, level = values[step :: self.horizon], self.level
        if not relative:
            return values
        divided = values.copy()
        divided[:, self.amounts] /= level[:, None].astype(np.float32)
        return divided


@dataclass(frozen=True)
class Reader:
    """How examples are read.

    Attributes:
        grid: The windows.
        seasons: The rhythms that are looked at.
        reach: Windows that are looked back on.
        newest: How many of the last windows are columns by themselves, at most ``reach``.
        least: The least level of an example.
        otherwise: What rules say of an entity without a past.
        features: The entity's features; may be none. Holds the target's shape.
        columns: int64[c] which of the step's columns are read.
    """

    grid: Grid
    seasons: tuple[Season, ...]
    reach: int
    newest: int
    least: float
    otherwise: float
    features: FeatureSet
    columns: Index

    @cached_property
    def _lags(self) -> FeatureSet:
        return lag_features(self.features, self.reach)

    @cached_property
    def steps(self) -> StepColumns:
        return StepColumns(self.grid, self.seasons, self.reach, self.newest)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values' columns."""
        own = self.steps.names
        return (*(own[k] for k in self.columns), *(f.name for f in self.features.features))

    @property
    def categorical(self) -> list[int]:
        """Which of the values' columns are categories."""
        first = len(self.columns)
        kinds = [feature.kind for feature in self.features.features]
        return [first + k for k, kind in enumerate(kinds) if kind == "category"]

    def rules(self) -> tuple[Rule, ...]:
        """Return the simple forecasts that the windows allow, the plainest last."""
        found = []
        for season in self.seasons:
            found += [Rule(kind, season.length) for kind in ("season", "season mean", "shape")]
        found += [Rule("mean", k) for k in (2, 4, 8, 13, 26, 52) if k <= self.reach]
        return (*found, Rule("always"), Rule("last"))

    def chunks(self, rows: int) -> Iterator[slice]:
        """Yield slices of examples whose values and lags take at most 128 MB each."""
        width = len(self.columns) + len(self.features.features)
        each = 4 * self.grid.horizon * (width + len(self.steps.names)) + 40 * self.reach
        step = max(64, _CHUNK_BYTES // each)
        for begin in range(0, rows, step):
            yield slice(begin, min(rows, begin + step))

    def read(
        self, relations: Relations, asked: Asked, rules: Sequence[Rule], threads: int
    ) -> Batch:
        """Read examples, whatever their number; chunk by ``chunks`` to bound the memory."""
        n, horizon = len(asked), self.grid.horizon
        own, others = len(self.columns), len(self.features.features)
        values = np.empty((n * horizon, own + others), dtype=np.float32)
        level = np.empty(n)
        bases = {rule: np.empty((n, horizon)) for rule in rules}
        for part in self.chunks(n):
            some = asked.take(part)
            rows = slice(part.start * horizon, part.stop * horizon)
            origin, ahead = self.grid.origin(some)
            lags = read_lags(self._lags, relations, some.entity, origin, threads)
            level[part] = level_of(lags, self.seasons, self.least)
            for rule, base in bases.items():
                base[part] = forecast(rule, lags, ahead, horizon, self.otherwise)
            if some.anchor is None:
                raise AssertionError("a forecast has anchors")
            if own:
                middles = self.grid.middles(some.anchor)
                steps = self.steps.compute(lags, ahead, middles, level[part])
                values[rows, :own] = steps[:, self.columns]
            if others:
                found = self._entity(relations, some, threads)
                values[rows, own:] = np.repeat(found, horizon, axis=0)
        amounts = np.append(self.steps.amounts[self.columns], np.zeros(others, dtype=bool))
        return Batch(values, level, bases, amounts)

    def _entity(self, relations: Relations, asked: Asked, threads: int) -> Values:
        known = asked.known
        if known is None or asked.anchor is None or (known == asked.anchor).all():
            known = None
        return self.features.compute(
            relations, asked.entity, asked.anchor, known=known, threads=threads
        ).values

    def select(self, columns: Index, features: Index) -> Reader:
        """Return the reader of these columns of the step and these of the entity's features."""
        return replace(
            self, columns=self.columns[columns], features=self.features.select(features.tolist())
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "grid": self.grid.to_json(),
            "seasons": [[season.name, season.length] for season in self.seasons],
            "reach": self.reach,
            "newest": self.newest,
            "least": self.least,
            "otherwise": self.otherwise,
            "features": self.features.to_json(),
            "columns": self.columns.tolist(),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any], horizon: int) -> Reader:
        """Rebuild a reader; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        reader = cls(
            grid=Grid.from_json(obj["grid"]),
            seasons=tuple(Season(str(name), int(length)) for name, length in obj["seasons"]),
            reach=int(obj["reach"]),
            newest=int(obj["newest"]),
            least=float(obj["least"]),
            otherwise=float(obj["otherwise"]),
            features=FeatureSet.from_json(obj["features"]),
            columns=np.array(obj["columns"], dtype=np.int64),
        )
        if (
            reader.grid.horizon != horizon
            or reader.grid.length < 1
            or not 1 <= reader.reach <= 10_000
            or not 0 <= reader.newest <= reader.reach
            or not 0 < reader.least < np.inf
            or not np.isfinite(reader.otherwise)
            or any(season.length < 2 for season in reader.seasons)
            or reader.features.target is None
            or not ((reader.columns >= 0) & (reader.columns < len(reader.steps.names))).all()
        ):
            raise ValueError("the windows of a forecast do not fit it")
        return reader
