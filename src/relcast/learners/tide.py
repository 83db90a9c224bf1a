"""Labels beside the tide: a number is learned as what lies above or below the known level of all.

Over years the level of all labels moves: fields grow, prices rise. What was learned of an entity
then comes out too high for all, and features say nothing of it that a shrunk line or a leaf of old
rows could follow. The tide is one feature that is the same for everybody: the mean of the target's
own column over the newest rows of its table, as it is known at each anchor. Labels less the tide
are learned, and predictions get it back. Folds do not tell reliably which of both is better, only
that both err differently; so where rows are few each learner learns both ways, and all are blended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.learner import Trained, Work
from relcast.learners.mixture import merged
from relcast.learners.protocol import (
    Asked,
    Contributions,
    Fold,
    Packed,
    Predictor,
    Quantiles,
    Reason,
    Target,
)

if TYPE_CHECKING:
    from relcast.learners.features import Feature, FeatureSet
    from relcast.relations import Relations

__all__ = ["FanOnTide", "OnTide", "Tide", "on_tide", "tide_of", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_METRICS = frozenset({"mae", "mse", "rmse"})
"""They judge labels less the tide as they judge labels."""

_MOST_ROWS = 20_000
_ALL = 1_000_000


@dataclass(frozen=True)
class Tide:
    """The level of all labels as it is known at an anchor.

    Attributes:
        features: One feature, the same for everybody.
        fill: Its value where it is missing.
    """

    features: FeatureSet
    fill: float

    @classmethod
    def of(cls, features: FeatureSet, relations: Relations, asked: Asked, threads: int) -> Tide:
        """Return the tide of one feature; where it is missing it is what it mostly is elsewhere."""
        empty = cls(features, np.nan).at(relations, asked, threads)
        there = empty[~np.isnan(empty)]
        return cls(features, float(np.median(there)) if len(there) else 0.0)

    name = "on the tide"

    def suits(self, _family: str) -> bool:
        """Tell whether a learner learns this way as well: all do."""
        return True

    def ask(self, work: Work) -> Work:
        """Return work on labels less the tide."""

        def below(fold: Fold) -> Fold:
            return self.below(work.relations, fold, work.settings.threads)

        newer = None if work.newer is None else below(work.newer)
        return replace(work, train=below(work.train), valid=below(work.valid), newer=newer)

    def answer(self, trained: Trained[Any], work: Work) -> Trained[Any]:
        """Return learners of labels less the tide as learners of labels."""
        level = self.at(work.relations, work.train.asked, work.settings.threads)
        base = float(level.mean())
        validated = on_tide(trained.validated, self, base)
        model = validated
        if trained.model is not trained.validated:
            model = on_tide(trained.model, self, base)
        return replace(trained, model=model, validated=validated)

    def at(self, relations: Relations, asked: Asked, threads: int) -> Float:
        """Return the level at each example, float64[n]."""
        found = self.features.compute(
            relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        values = found.values[:, 0].astype(np.float64)
        return np.where(np.isnan(values), self.fill, values)

    def below(self, relations: Relations, fold: Fold, threads: int) -> Fold:
        """Return a fold with its labels less the tide."""
        return replace(fold, label=fold.label - self.at(relations, fold.asked, threads))


def tide_of(
    relations: Relations,
    target: Target,
    features: FeatureSet,
    train: Fold,
    *,
    metric: str,
    threads: int,
) -> Tide | None:
    """Return the tide of a number's labels; None where there is none, or rows are many.

    Of several windows that which comes nearest to the mean labels of anchors, and nearer than one
    number for all of them.

    Args:
        relations: The snapshot.
        target: What is predicted.
        features: Candidate features; the tide is one of them.
        train: Training rows.
        metric: The tune metric.
        threads: Threads to use.
    """
    if target.task_type is not TaskType.REGRESSION or metric not in _METRICS:
        return None
    if train.asked.anchor is None or len(train) > _MOST_ROWS:
        return None
    _, which = np.unique(train.asked.anchor, return_inverse=True)
    rows = np.bincount(which)
    levels = np.bincount(which, weights=train.label) / rows

    def missed(found: Float) -> float:
        """Return how far labels of one anchor lie from what was said of them, on average."""
        told = np.bincount(which, weights=found) / rows
        return float(rows @ np.abs(levels - told)) / len(train)

    best, least = None, missed(np.full(len(train), float(np.median(train.label))))
    for place in np.flatnonzero([_is_level(f, features) for f in features.features]).tolist():
        tide = Tide.of(features.select([place]), relations, train.asked, threads)
        loss = missed(tide.at(relations, train.asked, threads))
        if loss < least:
            best, least = tide, loss
    return best


def _is_level(feature: Feature, features: FeatureSet) -> bool:
    """Tell the mean of the target's own column over the newest rows of its whole table."""
    recipe, target = feature.recipe, features.target
    if target is None or recipe.stream is None or recipe.value is None:
        return False
    part = target.aggregations[0]
    whole = feature.shared and not recipe.stream.down and recipe.stream.by is None
    newest = recipe.family == "numbers" and recipe.measure == "mean" and recipe.width > 0
    column = (recipe.value.table, recipe.value.column) == (part.table, part.column)
    return whole and newest and column and recipe.value.kind in ("own", "target")


@dataclass(frozen=True)
class OnTide:
    """A learner of labels less the tide, with the tide given back.

    Attributes:
        base: The tide of the mean training row, which explanations count from.
    """

    inner: Predictor
    tide: Tide
    base: float

    @property
    def name(self) -> str:
        return f"{self.inner.name} on the tide"

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        said = self.inner.predict(relations, asked, threads=threads)
        return said + self.tide.at(relations, asked, threads)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the learner's reasons and the level, which moves every score by what it is."""
        found = self.inner.explain(relations, asked, top=_ALL, threads=threads)
        level = self.tide.at(relations, asked, threads)
        feature = self.tide.features.features[0]
        reasons, rest = [], found.rest.copy()
        for row, mine in enumerate(found.reasons):
            moved = Reason(
                feature=feature.name,
                table=feature.table,
                column=feature.column,
                window=feature.window,
                value=float(level[row]),
                contribution=float(level[row]) - self.base,
            )
            every = merged([(1.0, (*mine, moved))])
            reasons.append(tuple(every[: max(0, top)]))
            rest[row] += sum(reason["contribution"] for reason in every[max(0, top) :])
        return Contributions(found.raw + level, found.base + self.base, tuple(reasons), rest)

    def pack(self) -> Packed:
        packed = self.inner.pack()
        config = {
            "kind": "on_tide",
            "inner": dict(packed.config),
            "features": self.tide.features.to_json(),
            "fill": self.tide.fill,
            "base": self.base,
        }
        return Packed(config, packed.arrays, packed.texts)


@dataclass(frozen=True)
class FanOnTide(OnTide):
    """The same with the quantiles of the learner."""

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        inner = cast("Quantiles", self.inner)
        spread = inner.quantiles(relations, asked, levels=levels, threads=threads)
        return spread + self.tide.at(relations, asked, threads)[:, None]


def on_tide(inner: Predictor, tide: Tide, base: float) -> OnTide:
    """Return a learner of labels less the tide as a learner of labels."""
    kind = FanOnTide if isinstance(inner, Quantiles) else OnTide
    return kind(inner, tide, base)


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> OnTide:
    """Rebuild what was packed; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    from relcast.learners import contenders
    from relcast.learners.features import FeatureSet

    features = FeatureSet.from_json(config["features"])
    fill, base = float(config["fill"]), float(config["base"])
    if len(features.features) != 1 or not np.isfinite([fill, base]).all():
        raise ValueError("the level of all is no single number")
    if config["inner"]["kind"] in ("mixture", "on_tide"):
        raise ValueError("a level stands on one learner")
    inner = cast("Predictor", contenders.unpack(config["inner"], arrays, texts, target))
    return on_tide(inner, Tide(features, fill), base)
