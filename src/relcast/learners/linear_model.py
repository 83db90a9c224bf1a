"""A linear model on point-in-time features, as a predictor: slopes on the columns of a design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.calibration import Calibration
from relcast.learners.classes import ClassMap
from relcast.learners.design import Design
from relcast.learners.protocol import Asked, Contributions, Packed, Target
from relcast.learners.reasons import blocks, chunks, explained
from relcast.learners.spread import Spread

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.relations import Relations

__all__ = ["LinearFan", "LinearModel", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class LinearModel:
    """Slopes on standardised columns, then the task's link.

    Attributes:
        slopes: float64[d, outputs].
        intercepts: float64[outputs]: the raw score of the mean training row.
        classes: Of a multiclass task, which classes have an output.
    """

    name: str
    target: Target
    features: FeatureSet
    design: Design
    slopes: Float
    intercepts: Float
    calibration: Calibration = field(default_factory=Calibration)
    classes: ClassMap | None = None

    def raw(self, values: Values) -> Float:
        """Return raw scores of a matrix float32[n, f]: float64[n], or float64[n, outputs]."""
        return self.score(self.design.apply(values))

    def score(self, columns: Float) -> Float:
        """Return raw scores of the design's columns float64[n, d], shaped as those of ``raw``."""
        found = self._sums(columns)
        if self.classes is not None:
            return np.asarray(found)
        return np.clip(found[:, 0], -_LARGEST, _LARGEST)

    def _sums(self, columns: Float) -> Float:
        """Return slopes times columns and the intercepts, float64[n, outputs].

        Row by row, and not as one product of matrices, whose last digits depend on how many rows
        are asked together: an entity scores the same alone as in any batch.
        """
        ordered = np.ascontiguousarray(columns)
        sums = [(ordered * slope).sum(axis=1) for slope in self.slopes.T]
        return np.stack(sums, axis=1) + self.intercepts

    def link(self, raw: Float) -> Float:
        """Turn raw scores into probabilities or values."""
        if self.target.task_type is TaskType.BINARY_CLASSIFICATION:
            return self.calibration.apply(raw)
        return raw if self.classes is None else self.classes.probabilities(raw)

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
            some = chunks(len(values), 4 * width)
            parts.extend(self.link(self.raw(values[part])) for part in some)
        if not parts:
            return np.zeros((0, self.target.width) if self.classes is not None else 0)
        return np.concatenate(parts)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return slope times column, added up by feature: exact, and zero for the mean row."""

        def moved(rows: slice) -> tuple[Values, Float, Float, Float]:
            values = self.matrix(relations, asked.take(rows), threads)
            columns = self.design.apply(values)
            raw = self._sums(columns)
            at = np.zeros(len(raw), dtype=np.int64)
            if self.classes is not None:
                chosen = None if output is None else output[rows]
                at = self.classes.explained(raw, chosen)
            each = columns * self.slopes[:, at].T
            parts = self.design.gathered(each, len(self.features.features))
            return values, parts, raw[np.arange(len(raw)), at], self.intercepts[at]

        return explained(self.features.features, len(asked), moved, top=top, outputs=1)

    def pack(self) -> Packed:
        config = {
            "kind": "linear",
            "name": self.name,
            "calibration": self.calibration.to_json(),
            "features": self.features.to_json(),
        }
        arrays = {**self.design.arrays(), "slopes": self.slopes, "intercepts": self.intercepts}
        if self.classes is not None:
            arrays |= self.classes.arrays()
        return Packed(config, arrays, {})


@dataclass(frozen=True)
class LinearFan(LinearModel):
    """A linear model of a number that also says how sure it is."""

    spread: Spread = field(kw_only=True)

    @classmethod
    def of(cls, model: LinearModel, spread: Spread) -> LinearFan:
        """Return the same model with a spread."""
        parts = {each.name: getattr(model, each.name) for each in fields(LinearModel)}
        return cls(**parts, spread=spread)

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        said = self.predict(relations, asked, threads=threads)
        return self.spread.around(said, levels)

    def pack(self) -> Packed:
        packed = super().pack()
        return Packed(packed.config, {**packed.arrays, **self.spread.arrays()}, packed.texts)


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    _texts: Mapping[str, str],
    target: Target,
) -> LinearModel:
    """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    from relcast.learners.features import FeatureSet

    features = FeatureSet.from_json(config["features"])
    design = Design.of_arrays(arrays, len(features.features))
    classes = None if target.classes is None else ClassMap.of_arrays(arrays, target.width)
    outputs = 1 if classes is None else classes.outputs
    slopes, intercepts = arrays["slopes"], arrays["intercepts"]
    if (
        slopes.shape != (len(design), outputs)
        or intercepts.shape != (outputs,)
        or not (slopes.dtype == intercepts.dtype == np.float64)
        or not (np.isfinite(slopes).all() and np.isfinite(intercepts).all())
    ):
        raise ValueError("the slopes of a linear model do not fit its columns")
    made = LinearModel(
        name=config["name"],
        target=target,
        features=features,
        design=design,
        slopes=slopes,
        intercepts=intercepts,
        calibration=Calibration.from_json(config["calibration"]),
        classes=classes,
    )
    if target.task_type is not TaskType.REGRESSION:
        return made
    return LinearFan.of(made, Spread.of_arrays(arrays))
