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
_BLOCK_BYTES = 4 * _CHUNK_BYTES


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
        """Yield slices of examples whose values take at most 128 MB."""
        width = len(self.columns) + len(self.features.features)
        each = 4 * self.grid.horizon * (width + len(self.steps.names)) + 40 * self.reach
        return _slices(rows, _CHUNK_BYTES // each)

    def read(
        self, relations: Relations, asked: Asked, rules: Sequence[Rule], threads: int
    ) -> Batch:
        """Read examples, whatever their number; ``parts`` bounds the memory."""
        n, horizon = len(asked), self.grid.horizon
        values = np.empty((n * horizon, len(self.names)), dtype=np.float32)
        level = np.empty(n)
        bases = {rule: np.empty((n, horizon)) for rule in rules}
        for rows, part in self.parts(relations, asked, rules, threads):
            values[rows.start * horizon : rows.stop * horizon] = part.values
            level[rows] = part.level
            for rule, base in bases.items():
                base[rows] = part.bases[rule]
        return Batch(values, level, bases, self._amounts)

    def parts(
        self, relations: Relations, asked: Asked, rules: Sequence[Rule], threads: int
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield examples in order, some at a time, with their places.

        Lags and features of half a gigabyte of examples are computed at once, since every
        computation begins with what all rows of the snapshot cost; what is made of them for every
        step, of ``chunks`` of these.
        """
        each = 20 * self.reach + 4 * len(self.features.features)
        for block in _slices(len(asked), _BLOCK_BYTES // each):
            whole = asked.take(block)
            origin, ahead = self.grid.origin(whole)
            lags = read_lags(self._lags, relations, whole.entity, origin, threads)
            entity = self._entity(relations, whole, threads)
            for part in self.chunks(len(whole)):
                batch = self._batch(whole.take(part), lags[part], ahead[part], entity[part], rules)
                yield slice(block.start + part.start, block.start + part.stop), batch

    def _batch(
        self, asked: Asked, lags: Float, ahead: Index, entity: Values, rules: Sequence[Rule]
    ) -> Batch:
        n, horizon = len(asked), self.grid.horizon
        own = len(self.columns)
        if asked.anchor is None:
            raise AssertionError("a forecast has anchors")
        values = np.empty((n * horizon, own + entity.shape[1]), dtype=np.float32)
        level = level_of(lags, self.seasons, self.least)
        if own:
            middles = self.grid.middles(asked.anchor)
            values[:, :own] = self.steps.compute(lags, ahead, middles, level)[:, self.columns]
        values[:, own:] = np.repeat(entity, horizon, axis=0)
        bases = {rule: forecast(rule, lags, ahead, horizon, self.otherwise) for rule in rules}
        return Batch(values, level, bases, self._amounts)

    @property
    def _amounts(self) -> npt.NDArray[np.bool_]:
        others = len(self.features.features)
        return np.append(self.steps.amounts[self.columns], np.zeros(others, dtype=bool))

    def _entity(self, relations: Relations, asked: Asked, threads: int) -> Values:
        if not self.features.features:
            return np.zeros((len(asked), 0), dtype=np.float32)
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


def _slices(rows: int, step: int) -> Iterator[slice]:
    step = max(64, step)
    for begin in range(0, rows, step):
        yield slice(begin, min(rows, begin + step))
