"""Baselines of a multilabel task: how frequent classes are, and what the entity had before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import FeatureSet
from relcast.learners.features.target import Target as WindowTarget
from relcast.learners.multilabel.gathering import labels_of, lists_of
from relcast.learners.multilabel.memory import ClassMemory, Remembered
from relcast.learners.protocol import Asked, Contributions, Packed, Predictor, Reason, Target

if TYPE_CHECKING:
    from relcast.learners.folds import Folds
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["FrequencyBaseline", "PastBaseline", "make_baselines", "unpack_baseline"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_CHUNK_BYTES = 128 * 2**20
_TRUSTED = 0.9
"""How much of a probability goes to what a baseline says; the rest to the class's frequency."""
_WHAT = {"share": "share of own past windows", "last": "last own window"}


@dataclass(frozen=True)
class FrequencyBaseline:
    """The share of training examples that have each class, float64[classes], for everybody."""

    target: Target
    answer: Float
    name: str = "class frequency"

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        return np.tile(self.answer, (len(asked), 1))

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        best = np.full(len(asked), int(self.answer.argmax())) if output is None else output
        raw = self.answer[best]
        return Contributions(raw, raw.copy(), ((),) * len(asked), np.zeros(len(asked)))

    def pack(self) -> Packed:
        config = {"kind": "multilabel", "baseline": "frequency"}
        return Packed(config, {"answer": self.answer}, {})


@dataclass(frozen=True)
class PastBaseline:
    """What the entity had before; the frequencies where it had nothing.

    Attributes:
        target: What is predicted.
        memory: Reads the past.
        answer: float64[classes] the frequencies.
        what: ``share``: the share of own past windows that held a class; ``last``: whether the
            window that holds the entity's last row did.
    """

    target: Target
    memory: ClassMemory
    answer: Float
    what: str
    name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _WHAT[self.what])

    def predict(self, relations: Relations, asked: Asked, *, threads: int = 1) -> Float:
        out = np.empty((len(asked), len(self.answer)))
        step = max(64, _CHUNK_BYTES // (8 * max(1, len(self.answer))))
        for begin in range(0, len(asked), step):
            part = slice(begin, begin + step)
            out[part] = self._of(self.memory.recall(relations, asked.take(part)))
        return out

    def _of(self, memory: Remembered) -> Float:
        known = memory.windows > 0
        trusted = np.where(known, _TRUSTED, 0.0)
        found = (1.0 - trusted)[:, None] * self.answer
        rows = memory.rows
        if self.what == "share":
            said = memory.numbers[:, 0] / memory.windows[rows]
        else:
            ages = np.floor(memory.numbers[:, 4])
            newest = np.full(len(memory.windows), np.inf)
            np.minimum.at(newest, rows, ages)
            said = (ages == newest[rows]).astype(np.float64)
        found[rows, memory.classes] += _TRUSTED * said
        return found

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int = 1,
        output: Index | None = None,
    ) -> Contributions:
        said = self.predict(relations, asked, threads=threads)
        chosen = said.argmax(axis=1) if output is None else output
        raw, base = said[np.arange(len(asked)), chosen], self.answer[chosen]
        part = self.memory.target.aggregations[0]
        reasons: list[tuple[Reason, ...]] = []
        for value, moved in zip(raw.tolist(), (raw - base).tolist(), strict=True):
            reason = Reason(
                feature=self.name,
                table=part.table,
                column=part.column,
                window=None,
                value=value,
                contribution=moved,
            )
            reasons.append((reason,) if top > 0 and moved != 0.0 else ())
        rest = raw - base if top <= 0 else np.zeros(len(raw))
        return Contributions(raw, base, tuple(reasons), rest)

    def pack(self) -> Packed:
        config = {
            "kind": "multilabel",
            "baseline": self.what,
            "entity_table": self.memory.entity_table,
            "target": self.memory.target.to_json(),
        }
        return Packed(config, {"answer": self.answer}, {})


def make_baselines(
    relations: Relations, query: CheckedQuery, folds: Folds, features: FeatureSet
) -> list[Predictor]:
    """Return the frequency of each class and, where the target has a past, what entities had."""
    target, train = folds.target, folds.train
    weight = np.ones(len(train)) if train.weight is None else train.weight
    labels = labels_of(lists_of(train), target.width)
    share = np.asarray(labels.multiply(weight[:, None]).sum(axis=0)).ravel() / weight.sum()
    found: list[Predictor] = [FrequencyBaseline(target, share)]
    shape = features.target
    if shape is None and query.temporal:
        shape = WindowTarget.of(query.query.target)
    memory = ClassMemory.of(relations, query.entity_table, shape, tuple(target.classes or ()))
    if memory is not None:
        found += [PastBaseline(target, memory, share, what) for what in ("share", "last")]
    return found


def unpack_baseline(
    config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], target: Target
) -> FrequencyBaseline | PastBaseline:
    """Rebuild a packed baseline; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    answer = arrays["answer"]
    if answer.shape != (target.width,) or answer.dtype != np.float64:
        raise ValueError("a baseline's answer has the wrong shape")
    if config["baseline"] == "frequency":
        return FrequencyBaseline(target, answer)
    if config["baseline"] not in _WHAT:
        raise ValueError(f"there is no baseline {config['baseline']!r} of classes")
    shape = WindowTarget.from_json(config["target"])
    memory = ClassMemory(str(config["entity_table"]), shape, tuple(target.classes or ()))
    return PastBaseline(target, memory, answer, config["baseline"])
