"""A blend of boosted trees over the features of a ``FeatureSet``, as a predictor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import booster_text, boosting
from relcast.learners.calibration import Calibration
from relcast.learners.protocol import Asked, Contributions, Packed, Reason, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["ClassMap", "Member", "TreeModel", "chunks"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_CHUNK_BYTES = 128 * 2**20
_MOST_CLASSES = 60
_LARGEST = float(np.finfo(np.float64).max)


def chunks(rows: int, features: int) -> Iterator[slice]:
    """Yield slices of at most 128 MB of features each, so that scoring needs bounded memory."""
    step = max(256, _CHUNK_BYTES // (4 * max(1, features)))
    for begin in range(0, rows, step):
        yield slice(begin, min(rows, begin + step))


@dataclass(frozen=True, slots=True)
class Member:
    """One booster of a blend: LightGBM's text, its weight, and the settings it was grown with."""

    text: str
    weight: float
    iterations: int
    config: Mapping[str, Any]


@dataclass(frozen=True)
class ClassMap:
    """Which classes have trees of their own; the others share one output by their frequency.

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

    def spread(self, probability: Float) -> Float:
        """Turn float64[n, outputs] into float64[n, classes]."""
        out = np.zeros((len(probability), len(self.share)))
        if self.outputs > len(self.own):
            out += probability[:, -1:] * self.share
        out[:, self.own] = probability[:, : len(self.own)]
        return out


@dataclass(frozen=True)
class TreeModel:
    """A weighted mean of boosters in raw space, then the task's link.

    Binary: log odds, then ``calibration``. Multiclass: a score per output, softmax, ``classes``.
    Regression: ``centre + scale * score``.
    """

    name: str
    target: Target
    features: FeatureSet
    members: tuple[Member, ...]
    calibration: Calibration = field(default_factory=Calibration)
    centre: float = 0.0
    scale: float = 1.0
    classes: ClassMap | None = None

    @cached_property
    def _boosters(self) -> tuple[Any, ...]:
        return tuple(boosting.load(member.text) for member in self.members)

    @property
    def outputs(self) -> int:
        return 1 if self.classes is None else self.classes.outputs

    def raw(self, values: Values, threads: int) -> Float:
        """Return raw scores of a matrix float32[n, f]: float64[n] or float64[n, outputs]."""
        total: Float = np.zeros(0)
        for member, booster in zip(self.members, self._boosters, strict=True):
            part = member.weight * boosting.raw_scores(booster, values, threads)
            total = part if total.shape != part.shape else total + part
        if self.target.task_type is TaskType.REGRESSION:
            with np.errstate(over="ignore"):
                return np.clip(self.centre + self.scale * total, -_LARGEST, _LARGEST)
        return total

    def link(self, raw: Float) -> Float:
        """Turn raw scores into probabilities or values."""
        if self.target.task_type is TaskType.BINARY_CLASSIFICATION:
            return self.calibration.apply(raw)
        if self.classes is not None:
            exponent = np.exp(raw - raw.max(axis=1, keepdims=True))
            return self.classes.spread(exponent / exponent.sum(axis=1, keepdims=True))
        return raw

    def matrix(self, relations: Relations, asked: Asked, threads: int) -> Values:
        """Compute the features of examples, float32[n, f]."""
        found = self.features.compute(relations, asked.entity, asked.known, threads=threads)
        values: Values = found.values
        return values

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        parts = [
            self.link(self.raw(self.matrix(relations, asked.take(rows), threads), threads))
            for rows in chunks(len(asked), len(self.features.features))
        ]
        if not parts:
            empty = (0, self.target.width) if self.target.classes is not None else (0,)
            return np.zeros(empty)
        return np.concatenate(parts)

    def shap(self, values: Values, threads: int) -> Float:
        """Return TreeSHAP in the raw score's unit: float64[n, outputs, f + 1], base value last."""
        total = np.zeros((len(values), self.outputs, values.shape[1] + 1))
        for member, booster in zip(self.members, self._boosters, strict=True):
            total += member.weight * boosting.contributions(booster, values, threads)
        if self.target.task_type is TaskType.REGRESSION:
            with np.errstate(over="ignore"):
                total *= self.scale
                total[:, :, -1] += self.centre
        return total

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        raws, bases, rests = [], [], []
        reasons: list[tuple[Reason, ...]] = []
        # TreeSHAP holds a number per feature and output, so that a chunk is shorter than a score's.
        for rows in chunks(len(asked), 2 * len(self.features.features) * self.outputs):
            values = self.matrix(relations, asked.take(rows), threads)
            shap = self.shap(values, threads)
            raw = self.raw(values, threads)
            if self.classes is not None:
                best = raw.argmax(axis=1)
                if output is not None:
                    best = self.classes.encode(output[rows].astype(np.float64)).astype(np.int64)
                shap = shap[np.arange(len(raw)), best][:, None, :]
                raw = raw[np.arange(len(raw)), best]
            moved = shap[:, 0, :-1]
            order = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, : max(0, top)]
            strongest = np.take_along_axis(moved, order, axis=1)
            raws.append(raw)
            bases.append(shap[:, 0, -1])
            rests.append(moved.sum(axis=1) - strongest.sum(axis=1))
            reasons.extend(
                tuple(
                    self._reason(int(f), float(values[row, f]), float(moved[row, f]))
                    for f in order[row]
                    if moved[row, f] != 0.0
                )
                for row in range(len(values))
            )
        if not raws:
            none = np.zeros(0)
            return Contributions(none, none, (), none)
        return Contributions(
            np.concatenate(raws), np.concatenate(bases), tuple(reasons), np.concatenate(rests)
        )

    def _reason(self, number: int, value: float, contribution: float) -> Reason:
        feature = self.features.features[number]
        shown: float | str | None = None if np.isnan(value) else value
        if feature.kind == "category" and feature.categories is not None and shown is not None:
            code = int(value)
            inside = 0 <= code < len(feature.categories)
            shown = feature.categories[code] if inside else None
        return Reason(
            feature=feature.name,
            table=feature.table,
            column=feature.column,
            window=feature.window,
            value=shown,
            contribution=contribution,
        )

    def pack(self) -> Packed:
        config: dict[str, Any] = {
            "kind": "trees",
            "name": self.name,
            "calibration": self.calibration.to_json(),
            "centre": self.centre,
            "scale": self.scale,
            "features": self.features.to_json(),
            "members": [
                {
                    "file": f"trees-{number}.txt",
                    "weight": member.weight,
                    "iterations": member.iterations,
                    "config": dict(member.config),
                }
                for number, member in enumerate(self.members)
            ],
        }
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self.classes is not None:
            arrays = {"classes.own": self.classes.own, "classes.share": self.classes.share}
        texts = {f"trees-{n}.txt": member.text for n, member in enumerate(self.members)}
        return Packed(config, arrays, texts)

    @classmethod
    def unpack(
        cls,
        config: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        texts: Mapping[str, str],
        target: Target,
    ) -> TreeModel:
        """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        from relcast.learners.features import FeatureSet

        features = FeatureSet.from_json(config["features"])
        classes = None
        if target.classes is not None:
            classes = ClassMap(arrays["classes.own"], arrays["classes.share"])
            own, share = classes.own, classes.share
            if (
                own.dtype != np.int64
                or share.dtype != np.float64
                or share.shape != (target.width,)
                or not ((own >= 0) & (own < target.width)).all()
                or len(np.unique(own)) != len(own)
            ):
                raise ValueError("the class map does not fit the classes")
        outputs = 1 if classes is None else classes.outputs
        members = []
        for entry in config["members"]:
            text = texts[entry["file"]]
            booster_text.check(text, features=len(features.features), outputs=outputs)
            weight = float(entry["weight"])
            if not 0 < weight <= 1:
                raise ValueError("a member's weight is not between 0 and 1")
            members.append(Member(text, weight, int(entry["iterations"]), entry["config"]))
        if not members:
            raise ValueError("there is no booster")
        return cls(
            name=config["name"],
            target=target,
            features=features,
            members=tuple(members),
            calibration=Calibration.from_json(config["calibration"]),
            centre=float(config["centre"]),
            scale=float(config["scale"]),
            classes=classes,
        )
