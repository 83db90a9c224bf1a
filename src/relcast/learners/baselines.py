"""Baselines: what a model must beat, under the same protocol as the learners.

They see what a model may see and nothing else: global figures are of training rows, an entity's
past labels count once their window is complete, and the target's own past window ends at the
anchor. Where an entity has no past they say what the global baseline says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.history import History, Statistic
from relcast.learners.protocol import Asked, Contributions, Packed, Reason, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = [
    "ConstantBaseline",
    "HistoryBaseline",
    "WindowBaseline",
    "global_baselines",
    "history_baselines",
    "unpack",
]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_CHUNK = 100_000
_OWN_SHARE = 0.9
"""How much of a class's probability goes to the one class that a baseline names."""


@dataclass(frozen=True)
class ConstantBaseline:
    """One answer for everybody: float64[width]."""

    name: str
    target: Target
    answer: Float

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        return _shaped(np.tile(self.answer, (len(asked), 1)), self.target)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        raw = _chosen(self.predict(relations, asked), output)
        return Contributions(raw, raw.copy(), ((),) * len(asked), np.zeros(len(asked)))

    def pack(self) -> Packed:
        return Packed({"kind": "constant", "name": self.name}, {"answer": self.answer}, {})


@dataclass(frozen=True)
class HistoryBaseline:
    """A statistic of the entity's own known labels, else the answer for everybody."""

    name: str
    target: Target
    statistic: Statistic
    history: History
    answer: Float

    def values(self, relations: Relations, asked: Asked) -> Float:
        """Return the statistic, float64[n]; NaN for an entity without a known label."""
        until = asked.known
        if until is None:
            return np.full(len(asked), np.nan)
        place = self.history.places(relations, asked.entity, until)
        running = np.append(self.history.running(self.statistic, self.target.width), np.nan)
        found: Float = running[place]
        return found

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        return _filled(self.values(relations, asked), self.answer, self.target)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        values = self.values(relations, asked)
        said = _filled(values, self.answer, self.target)
        return _one_reason(self, self.history.table, values, said, top, output)

    def pack(self) -> Packed:
        config = {
            "kind": "history",
            "name": self.name,
            "statistic": self.statistic,
            "table": self.history.table,
        }
        return Packed(config, {"answer": self.answer, **self.history.arrays()}, {})


@dataclass(frozen=True)
class WindowBaseline:
    """The target's own past: its value over the window that ends at the anchor, or its last one.

    ``features`` holds one feature, which is that value.
    """

    name: str
    target: Target
    features: FeatureSet
    answer: Float

    def values(self, relations: Relations, asked: Asked, threads: int) -> Float:
        """Return the past value (a class's index for multiclass), NaN where there is none."""
        parts = []
        for begin in range(0, max(1, len(asked)), _CHUNK):
            part = asked.take(slice(begin, begin + _CHUNK))
            found = self.features.compute(
                relations, part.entity, part.anchor, known=part.known, threads=threads
            )
            parts.append(found.values[:, 0].astype(np.float64))
        values = np.concatenate(parts)
        words = self.features.features[0].categories
        if self.target.classes is None:
            return values
        if words is None:  # a code that is a number, as float32 holds it
            place = {float(np.float32(c)): float(i) for i, c in enumerate(self.target.classes)}
            return np.array([place.get(value, np.nan) for value in values.tolist()])
        index_of = {str(c): float(i) for i, c in enumerate(self.target.classes)}
        classes = np.array([index_of.get(word, np.nan) for word in words] + [np.nan])
        return classes[np.where(np.isnan(values), len(words), values).astype(np.int64)]

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        return _filled(self.values(relations, asked, threads), self.answer, self.target)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        values = self.values(relations, asked, threads)
        table = self.features.features[0].table
        said = _filled(values, self.answer, self.target)
        return _one_reason(self, table, values, said, top, output)

    def pack(self) -> Packed:
        config = {"kind": "window", "name": self.name, "features": self.features.to_json()}
        return Packed(config, {"answer": self.answer}, {})


def global_baselines(
    target: Target, label: Float, weight: Float | None = None
) -> list[ConstantBaseline]:
    """Return the baselines that give everybody one answer, from training labels float64[n]."""
    w = np.ones(len(label)) if weight is None else weight
    if target.task_type is TaskType.REGRESSION:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.array([np.average(label, weights=w)])
        return [
            ConstantBaseline("global mean", target, mean),
            ConstantBaseline("global median", target, np.array([_median(label, w)])),
        ]
    if target.task_type is TaskType.BINARY_CLASSIFICATION:
        rate = float(np.average(label, weights=w))
        return [
            ConstantBaseline("prior", target, np.array([rate])),
            ConstantBaseline("most frequent", target, np.array([float(rate >= 0.5)])),
        ]
    share = np.bincount(label.astype(np.int64), weights=w, minlength=target.width) / w.sum()
    return [
        ConstantBaseline("prior", target, share),
        ConstantBaseline("most frequent", target, np.eye(target.width)[share.argmax()]),
    ]


def history_baselines(
    target: Target, history: History, answers: Mapping[str, Float]
) -> list[HistoryBaseline]:
    """Return the baselines of an entity's own past labels; ``answers`` are the global ones."""
    if target.task_type is TaskType.REGRESSION:
        chosen: tuple[tuple[str, Statistic, str], ...] = (
            ("entity mean", "mean", "global mean"),
            ("entity median", "median", "global median"),
            ("entity last", "last", "global median"),
        )
    elif target.task_type is TaskType.BINARY_CLASSIFICATION:
        chosen = (
            ("entity mean", "mean", "prior"),
            ("entity median", "median", "prior"),
            ("entity last", "last", "prior"),
        )
    else:
        chosen = (
            ("entity most frequent", "mode", "prior"),
            ("entity last", "last", "prior"),
        )
    return [HistoryBaseline(n, target, s, history, answers[a]) for n, s, a in chosen]


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],  # noqa: ARG001 - every reader is called alike
    target: Target,
) -> ConstantBaseline | HistoryBaseline | WindowBaseline:
    """Rebuild a packed baseline; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    answer = arrays["answer"]
    if answer.shape != (target.width,) or answer.dtype != np.float64:
        raise ValueError("a baseline's answer has the wrong shape")
    if config["kind"] == "constant":
        return ConstantBaseline(config["name"], target, answer)
    if config["kind"] == "window":
        from relcast.learners.features import FeatureSet

        features = FeatureSet.from_json(config["features"])
        if len(features.features) != 1:
            raise ValueError("the past window is not one feature")
        return WindowBaseline(config["name"], target, features, answer)
    if config["kind"] != "history" or config["statistic"] not in {"mean", "median", "last", "mode"}:
        raise ValueError(f"there is no baseline of kind {config['kind']!r}")
    history = History.of_arrays(config["table"], arrays)
    return HistoryBaseline(config["name"], target, config["statistic"], history, answer)


def _filled(values: Float, answer: Float, target: Target) -> Float:
    """Turn values (float64[n], NaN unknown) into predictions."""
    missing = np.isnan(values)
    if target.classes is None:
        return np.where(missing, answer[0], values)
    known = np.where(missing, 0, values).astype(np.int64)
    named = np.eye(target.width)[known] * _OWN_SHARE + answer * (1 - _OWN_SHARE)
    return np.where(missing[:, None], answer, named)


def _shaped(table: Float, target: Target) -> Float:
    return table if target.classes is not None else table[:, 0]


def _chosen(predicted: Float, output: Index | None) -> Float:
    """Return the column that is explained: the one that was asked for, else the best."""
    if predicted.ndim == 1:
        return predicted
    if output is None:
        best: Float = predicted.max(axis=1)
        return best
    return predicted[np.arange(len(predicted)), output]


def _one_reason(
    baseline: HistoryBaseline | WindowBaseline,
    table: str,
    values: Float,
    said: Float,
    top: int,
    output: Index | None,
) -> Contributions:
    name, answer, target = baseline.name, baseline.answer, baseline.target
    raw = _chosen(said, output)
    base = np.full(len(values), float(answer.max()))
    if target.classes is not None and output is not None:
        base = answer[output]
    moved = raw - base
    reasons: list[tuple[Reason, ...]] = []
    for value, change in zip(values.tolist(), moved.tolist(), strict=True):
        known = value == value  # noqa: PLR0124 - NaN is the missing value
        shown = None
        if known:
            shown = str(target.classes[int(value)]) if target.classes is not None else value
        reason = Reason(
            feature=name, table=table, column=None, window=None, value=shown, contribution=change
        )
        reasons.append((reason,) if known and top > 0 else ())
    rest = moved if top <= 0 else np.zeros(len(values))
    return Contributions(raw, base, tuple(reasons), rest)


def _median(values: Float, weight: Float) -> float:
    """Return the weighted median; the mean of the two middle values where they tie."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    half = total[-1] / 2
    low = int(np.searchsorted(total, half * (1 - 1e-12), side="left"))
    high = min(int(np.searchsorted(total, half * (1 + 1e-12), side="right")), len(values) - 1)
    return float(values[order[low]] + values[order[high]]) / 2
