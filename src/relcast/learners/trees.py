"""A blend of boosted trees over the features of a ``FeatureSet``, as a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import booster_text, boosting
from relcast.learners.calibration import Calibration
from relcast.learners.classes import ClassMap
from relcast.learners.protocol import Asked, Contributions, Packed, Target
from relcast.learners.reasons import blocks, chunks, explained
from relcast.learners.spread import Spread

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["ClassMap", "Member", "TreeFan", "TreeModel", "chunks"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Member:
    """One booster of a blend: LightGBM's text, its weight, and the settings it was grown with."""

    text: str
    weight: float
    iterations: int
    config: Mapping[str, Any]


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
            return self.classes.probabilities(raw)
        return raw

    def matrix(self, relations: Relations, asked: Asked, threads: int) -> Values:
        """Compute the features of examples, float32[n, f]."""
        found = self.features.compute(
            relations, asked.entity, asked.anchor, known=asked.known, threads=threads
        )
        values: Values = found.values
        return values

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        width = len(self.features.features)
        parts: list[Float] = []
        for rows in blocks(len(asked), width):
            values = self.matrix(relations, asked.take(rows), threads)
            some = chunks(len(values), width)
            parts.extend(self.link(self.raw(values[part], threads)) for part in some)
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
        def moved(rows: slice) -> tuple[Values, Float, Float, Float]:
            values = self.matrix(relations, asked.take(rows), threads)
            shap = self.shap(values, threads)
            raw = self.raw(values, threads)
            at, each = np.zeros(len(raw), dtype=np.int64), np.arange(len(raw))
            if self.classes is not None:
                at = self.classes.explained(raw, None if output is None else output[rows])
                raw = raw[each, at]
            return values, shap[each, at, :-1], raw, shap[each, at, -1]

        features = self.features.features
        return explained(features, len(asked), moved, top=top, outputs=self.outputs)

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
            arrays = self.classes.arrays()
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
            classes = ClassMap.of_arrays(arrays, target.width)
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
        made = TreeModel(
            name=config["name"],
            target=target,
            features=features,
            members=tuple(members),
            calibration=Calibration.from_json(config["calibration"]),
            centre=float(config["centre"]),
            scale=float(config["scale"]),
            classes=classes,
        )
        if target.task_type is not TaskType.REGRESSION:
            return made
        return TreeFan.of(made, Spread.of_arrays(arrays))


@dataclass(frozen=True)
class TreeFan(TreeModel):
    """Trees of a number that also say how sure they are."""

    spread: Spread = field(kw_only=True)

    @classmethod
    def of(cls, model: TreeModel, spread: Spread) -> TreeFan:
        """Return the same trees with a spread."""
        parts = {each.name: getattr(model, each.name) for each in fields(TreeModel)}
        return cls(**parts, spread=spread)

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        said = self.predict(relations, asked, threads=threads)
        return self.spread.around(said, levels)

    def pack(self) -> Packed:
        packed = super().pack()
        return Packed(packed.config, {**packed.arrays, **self.spread.arrays()}, packed.texts)
