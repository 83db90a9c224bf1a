"""What speaks for a class, of every example and every class: five shares, as log ratios.

How frequent the class is; how often the example's own past windows held it; how often it came after
the latest class that the example had, and after all that it had (``affinity``); what the example's
features say (``linear``). Each is a share
between 0 and 1 that falls back to the class's frequency where it knows nothing, so that the log of
its ratio to the frequency is 0 there. A logistic regression of the five (``weights``) is the first
score of every pair; classes that it ranks low are not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import FeatureSet
from relcast.learners.multilabel.affinity import PROFILES, Affinity
from relcast.learners.multilabel.linear import Design
from relcast.learners.multilabel.memory import ClassMemory, Remembered
from relcast.learners.protocol import Asked

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["SIGNS", "Evidence", "Seen", "read_features"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

SIGNS = (
    "frequency of the class",
    "share of the own past windows that held the class",
    "how often the class follows the latest one",
    "how often the class follows what came before",
    "what the features say of the class",
)
_CHUNK_BYTES = 128 * 2**20
_BLOCK_BYTES = 4 * _CHUNK_BYTES
_OWN_WINDOWS = 1.0
"""Windows of the class's frequency that an own past is mixed with."""
_LEAST_RATIO = 0.05


@dataclass(frozen=True)
class Seen:
    """What was read of n examples.

    Attributes:
        values: float32[n, f] the entity's features.
        memory: The classes that they have had.
        signs: float32[5, n, classes] the log frequency, and four log ratios to it.
        score: float64[n, classes] the first score, log odds.
    """

    values: Values
    memory: Remembered
    signs: Values
    score: Float


@dataclass(frozen=True)
class Evidence:
    """Everything that the signs are computed from.

    Attributes:
        classes: The classes.
        features: The entity's features.
        memory: Its past classes; None where the target has none.
        prior: float64[classes] share of training examples that have the class, smoothed.
        recent: float64[classes] the same of the newest training examples.
        affinities: What follows the latest class, and what follows all of them; none without a
            memory.
        design, ridge: The regression, float64[d, classes] weights.
        weights: float64[6] of the first score: an intercept, then one for each sign.
    """

    classes: tuple[Any, ...]
    features: FeatureSet
    memory: ClassMemory | None
    prior: Float
    recent: Float
    affinities: tuple[Affinity, ...]
    design: Design
    ridge: Float
    weights: Float

    @property
    def width(self) -> int:
        return len(self.classes)

    def chunks(self, rows: int, extra: int = 0) -> Iterator[slice]:
        """Yield slices of examples for which everything takes at most 128 MB."""
        each = 64 * self.width + 8 * len(self.features.features) + extra
        step = max(16, _CHUNK_BYTES // each)
        for begin in range(0, rows, step):
            yield slice(begin, min(rows, begin + step))

    def parts(
        self, relations: Relations, asked: Asked, threads: int, extra: int = 0
    ) -> Iterator[tuple[slice, Seen]]:
        """Read examples in order, some at a time, with their places; ``extra`` as in ``chunks``.

        Features of half a gigabyte of examples are computed at once, since every computation begins
        with what all rows of the snapshot cost; what is made of them for every class, of ``chunks``
        of these.
        """
        step = max(16, _BLOCK_BYTES // (64 + 4 * len(self.features.features)))
        for begin in range(0, len(asked), step):
            block = asked.take(slice(begin, begin + step))
            values = read_features(self.features, relations, block, threads)
            memory = self.recall(relations, block)
            for part in self.chunks(len(block), extra):
                some = memory.take(np.arange(part.start, part.stop))
                signs = self.signs(values[part], some, self.affinities, self.ridge)
                seen = Seen(values[part], some, signs, self.score(signs))
                yield slice(begin + part.start, begin + part.stop), seen

    def recall(self, relations: Relations, asked: Asked) -> Remembered:
        """Return the classes that examples have had."""
        if self.memory is None:
            return Remembered.nothing(len(asked))
        return self.memory.recall(relations, asked)

    def signs(
        self,
        values: Values,
        memory: Remembered,
        affinities: tuple[Affinity, ...],
        ridge: Float,
    ) -> Values:
        """Return the signs float32[5, n, classes], by these tables."""
        n = len(values)
        signs = np.zeros((len(SIGNS), n, self.width), dtype=np.float32)
        signs[0] = np.log(self.prior / (1.0 - self.prior))
        # Most classes are none of the past: their ratio is the same for all of an example.
        mixed = memory.windows + _OWN_WINDOWS
        signs[1] = np.log(_OWN_WINDOWS / mixed)[:, None]
        rows, classes = memory.rows, memory.classes
        own = (_OWN_WINDOWS + memory.numbers[:, 0] / self.prior[classes]) / mixed[rows]
        signs[1, rows, classes] = np.log(own)
        for number, (affinity, of) in enumerate(zip(affinities, PROFILES, strict=False)):
            found, rest = affinity.score(of(memory, self.width))
            ratio = found.data / self.prior[found.col] + rest[found.row]
            sign = signs[2 + number]
            sign[:] = np.log(np.maximum(rest, _LEAST_RATIO))[:, None]
            sign[found.row, found.col] = np.log(np.maximum(ratio, _LEAST_RATIO))
        if len(ridge):
            moved = self.design.apply(values, ridge)
            signs[4] = np.log(np.maximum(1.0 + moved / self.prior, _LEAST_RATIO))
        return signs

    def score(self, signs: Values) -> Float:
        """Return the first score, float64[n, classes]."""
        total = np.full(signs.shape[1:], self.weights[0])
        for weight, sign in zip(self.weights[1:], signs, strict=True):
            total += weight * sign
        return total

    def to_json(self) -> dict[str, Any]:
        return {
            "features": self.features.to_json(),
            "remembers": self.memory is not None,
            "weights": self.weights.tolist(),
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        found = {"prior": self.prior, "recent": self.recent, "ridge": self.ridge}
        found |= self.design.arrays()
        for number, affinity in enumerate(self.affinities):
            found |= affinity.arrays(f"affinity.{number}")
        return found

    @classmethod
    def unpack(
        cls,
        obj: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        classes: tuple[Any, ...],
    ) -> Evidence:
        """Rebuild the evidence; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        features = FeatureSet.from_json(obj["features"])
        design = Design.of_arrays(arrays, len(features.features))
        prior, recent, ridge = arrays["prior"], arrays["recent"], arrays["ridge"]
        weights = np.array(obj["weights"], dtype=np.float64)
        memory: ClassMemory | None = None
        affinities: tuple[Affinity, ...] = ()
        if obj["remembers"]:
            if features.target is None:
                raise ValueError("a memory of classes needs the target")
            memory = ClassMemory(features.entity_table, features.target, classes)
            affinities = tuple(
                Affinity.of_arrays(f"affinity.{number}", arrays, len(classes))
                for number in range(len(PROFILES))
            )
        sound = (
            prior.shape == recent.shape == (len(classes),)
            and all(a.dtype == np.float64 for a in (prior, recent, ridge))
            and bool(((prior > 0) & (prior < 1) & (recent > 0) & (recent < 1)).all())
            and ridge.shape == (len(design.means), len(classes))
            and weights.shape == (1 + len(SIGNS),)
            and bool(np.isfinite(weights).all())
        )
        if not sound:
            raise ValueError("what speaks for classes does not fit them")
        return cls(classes, features, memory, prior, recent, affinities, design, ridge, weights)


def read_features(features: FeatureSet, relations: Relations, asked: Asked, threads: int) -> Values:
    """Return the entity's features, float32[n, f], of what each example may see."""
    if not features.features:
        return np.zeros((len(asked), 0), dtype=np.float32)
    known = asked.known
    if known is None or asked.anchor is None or (known == asked.anchor).all():
        known = None
    values: Values = features.compute(
        relations, asked.entity, asked.anchor, known=known, threads=threads
    ).values
    return values
