"""Finer labels: of a count that is to be above a number, the count itself.

Twice is more than once, and a yes or no does not tell. Where the label is a threshold of a count,
and rows are few, trees learn the count as well, by squares; what they say of it becomes a
probability by a logistic curve fitted to validation rows (Platt, 1999), and is blended with what
was learned of the labels as they are. On rel-f1 a blend of both is better than each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.learner import Trained, Work
from relcast.learners.protocol import Asked, Contributions, Fold, Packed, Predictor, Target
from relcast.learners.remade import Remade, remade
from relcast.learners.shrinkage import fit_logistic
from relcast.pql.ast import AggregationKind, Comparison, aggregations

if TYPE_CHECKING:
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Finer", "OfCounts", "finer_of", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST_ROWS = 20_000
_LEAST_VALUES = 3
_CLIP = 0.99
_PENALTY = 1e-6
_NUMBER = Target(TaskType.REGRESSION)


@dataclass(frozen=True)
class Finer:
    """The count behind a label.

    Attributes:
        sign: 1 where large counts are true, -1 where small ones are.
        most: Larger counts are learned as this one.
    """

    count: Remade
    sign: float
    most: float

    name = "on the count"

    def suits(self, family: str) -> bool:
        """Tell whether a learner learns this way as well: only trees gain by it."""
        return family == "trees"

    def ask(self, work: Work) -> Work:
        """Return work on the counts of the same rows."""

        def counted(fold: Fold) -> Fold:
            return replace(fold, label=self._counts(work.relations, fold))

        return replace(
            work,
            target=_NUMBER,
            train=counted(work.train),
            valid=counted(work.valid),
            newer=None if work.newer is None else counted(work.newer),
            settings=replace(work.settings, metric="mse", losses=None),
        )

    def answer(self, trained: Trained[Any], work: Work) -> Trained[Any]:
        """Return learners of counts as learners of labels; ``work`` is that on the labels."""
        valid, threads = work.valid, work.settings.threads
        said = trained.validated.predict(work.relations, valid.asked, threads=threads)
        spread = float(said.std()) or 1.0
        column = (said - said.mean())[:, None] / spread
        ones = np.ones(len(valid))
        *_, (slopes, intercepts) = fit_logistic(
            column, valid.label, ones, [_PENALTY * len(valid)], lambda: False
        )
        slope = float(slopes[0, 0]) / spread
        if slope * self.sign <= 0:  # validation turns the order around: chance, or no order at all
            slope = self.sign * 1e-3 / spread
        offset = float(intercepts[0]) - slope * float(said.mean())

        def of(model: Predictor) -> OfCounts:
            return OfCounts(model, slope, offset)

        validated = of(trained.validated)
        model = validated if trained.model is trained.validated else of(trained.model)
        # Trials were measured on counts, by another metric than the leaderboard's.
        trials = tuple(replace(trial, validation=float("nan")) for trial in trained.trials)
        return replace(trained, model=model, validated=validated, trials=trials)

    def _counts(self, relations: Relations, fold: Fold) -> Float:
        return np.minimum(np.nan_to_num(self.count.of(relations, fold.asked)), self.most)


def finer_of(
    relations: Relations, query: CheckedQuery, target: Target, train: Fold, valid: Fold
) -> Finer | None:
    """Return the count behind the labels of few rows; None where it is not measured to be it."""
    if target.task_type is not TaskType.BINARY_CLASSIFICATION or len(train) > _MOST_ROWS:
        return None
    parts = list(aggregations(query.query.target))
    counted = len(parts) == 1 and parts[0].kind is AggregationKind.COUNT
    if not counted or not isinstance(query.query.target, Comparison) or train.asked.anchor is None:
        return None
    count = remade(query, "value")
    if count is None:
        return None
    values = np.nan_to_num(
        np.concatenate([count.of(relations, fold.asked) for fold in (train, valid)])
    )
    true = np.concatenate([train.label, valid.label]) > 0.5
    if true.all() or not true.any() or len(np.unique(values)) < _LEAST_VALUES:
        return None
    if values[true].min() > values[~true].max():
        sign = 1.0
    elif values[true].max() < values[~true].min():
        sign = -1.0
    else:
        return None
    return Finer(count, sign, float(np.quantile(values, _CLIP, method="higher")))


@dataclass(frozen=True)
class OfCounts:
    """A learner of counts as one of probabilities: ``1 / (1 + exp(-(slope * count + offset)))``."""

    inner: Predictor
    slope: float
    offset: float

    @property
    def name(self) -> str:
        return f"{self.inner.name} on the count"

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        said = self.inner.predict(relations, asked, threads=threads)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(self._odds(said), -500.0, 500.0))))

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the learner's reasons in log odds."""
        found = self.inner.explain(relations, asked, top=top, threads=threads)
        reasons = tuple(
            tuple(
                cast("Any", {**reason, "contribution": self.slope * reason["contribution"]})
                for reason in each
            )
            for each in found.reasons
        )
        return Contributions(
            self._odds(found.raw), self._odds(found.base), reasons, self.slope * found.rest
        )

    def pack(self) -> Packed:
        packed = self.inner.pack()
        config = {
            "kind": "of_counts",
            "inner": dict(packed.config),
            "slope": self.slope,
            "offset": self.offset,
        }
        return Packed(config, packed.arrays, packed.texts)

    def _odds(self, said: Float) -> Float:
        return np.asarray(self.slope * said + self.offset)


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    _target: Target,
) -> OfCounts:
    """Rebuild what was packed; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    from relcast.learners import contenders

    slope, offset = float(config["slope"]), float(config["offset"])
    if not (np.isfinite([slope, offset]).all() and slope != 0):
        raise ValueError("the curve from counts to probabilities is none")
    if config["inner"]["kind"] in ("mixture", "on_tide", "of_counts"):
        raise ValueError("counts are learned by one learner")
    inner = contenders.unpack(config["inner"], arrays, texts, _NUMBER)
    return OfCounts(cast("Predictor", inner), slope, offset)
