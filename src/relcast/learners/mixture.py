"""A blend of different learners: a weighted mean of what they say, in the space where it is fair.

Probabilities meet as log odds (binary, labels) or logarithms (classes), numbers as they are. The
weights are chosen greedily on validation; the members stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.features.memory import sharing
from relcast.learners.protocol import (
    Asked,
    Contributions,
    Packed,
    Predictor,
    Quantiles,
    Reason,
    Target,
)

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["FanMixture", "Mixture", "merged", "mixed", "mixture_of", "unpack"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ODDS = frozenset({TaskType.BINARY_CLASSIFICATION, TaskType.MULTILABEL_CLASSIFICATION})
_LEAST = 1e-9
_ALL = 1_000_000
_MOST_MEMBERS = 8


@dataclass(frozen=True)
class Mixture:
    """Learners of one task with their weights, which add up to one."""

    target: Target
    weights: tuple[float, ...]
    members: tuple[Predictor, ...]

    @property
    def name(self) -> str:
        return "blend of " + " and ".join(member.name for member in self.members)

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        with sharing(relations):  # members read much the same features
            said = [m.predict(relations, asked, threads=threads) for m in self.members]
        return mixed(self.target, said, self.weights)

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the members' contributions to their raw scores, weighed and added up."""
        width = self.target.width
        if output is None and self.target.classes is not None:
            output = self.predict(relations, asked, threads=threads).argmax(axis=1)
        chosen = {} if output is None or width == 1 else {"output": output}
        parts = [
            member.explain(relations, asked, top=_ALL, threads=threads, **chosen)
            for member in self.members
        ]
        weighed = list(zip(self.weights, parts, strict=True))
        reasons, rests = [], np.zeros(len(asked))
        for row in range(len(asked)):
            every = merged([(w, part.reasons[row]) for w, part in weighed])
            reasons.append(tuple(every[: max(0, top)]))
            rests[row] = sum(reason["contribution"] for reason in every[max(0, top) :])
        return Contributions(
            raw=_sum(weighed, "raw"),
            base=_sum(weighed, "base"),
            reasons=tuple(reasons),
            rest=_sum(weighed, "rest") + rests,
        )

    def pack(self) -> Packed:
        members: list[dict[str, Any]] = []
        arrays: dict[str, npt.NDArray[Any]] = {}
        texts: dict[str, str] = {}
        for number, (weight, member) in enumerate(zip(self.weights, self.members, strict=True)):
            packed = member.pack()
            members.append({"weight": weight, "config": dict(packed.config)})
            arrays |= {f"m{number}.{name}": array for name, array in packed.arrays.items()}
            texts |= {f"m{number}-{name}": text for name, text in packed.texts.items()}
        return Packed({"kind": "mixture", "members": members}, arrays, texts)


@dataclass(frozen=True)
class FanMixture(Mixture):
    """The same with quantiles: those of the first member that has some, around the blend."""

    def quantiles(
        self, relations: Relations, asked: Asked, *, levels: Sequence[float], threads: int
    ) -> Float:
        member = next(m for m in self.members if isinstance(m, Quantiles))
        spread = member.quantiles(relations, asked, levels=levels, threads=threads)
        own = cast("Predictor", member).predict(relations, asked, threads=threads)
        moved = self.predict(relations, asked, threads=threads) - own
        return spread + moved[..., None]


def mixture_of(
    target: Target, weights: Sequence[float] | Float, members: Sequence[Predictor]
) -> Mixture:
    """Return a blend of the members that weigh something."""
    kept = [(float(w), m) for w, m in zip(weights, members, strict=True) if w > 0]
    fan = any(isinstance(member, Quantiles) for _, member in kept)
    kind = FanMixture if fan else Mixture
    return kind(target, tuple(w for w, _ in kept), tuple(m for _, m in kept))


def mixed(target: Target, said: Sequence[Float], weights: Sequence[float] | Float) -> Float:
    """Return the weighted mean of predictions of one task."""
    total = np.zeros(said[0].shape)
    for weight, values in zip(weights, said, strict=True):
        total += weight * _to_space(target, values)
    return _from_space(target, total)


def _to_space(target: Target, values: Float) -> Float:
    if target.task_type in _ODDS:
        inside = np.clip(values, _LEAST, 1 - _LEAST)
        return np.asarray(np.log(inside) - np.log1p(-inside))
    if target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return np.asarray(np.log(np.maximum(values, _LEAST)))
    return values


def _from_space(target: Target, values: Float) -> Float:
    if target.task_type in _ODDS:
        return np.asarray(1.0 / (1.0 + np.exp(-values)))
    if target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        exponent = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
    return values


def _sum(parts: Sequence[tuple[float, Contributions]], name: str) -> Float:
    total: Float = np.sum([weight * getattr(part, name) for weight, part in parts], axis=0)
    return total


def merged(parts: Sequence[tuple[float, tuple[Reason, ...]]]) -> list[Reason]:
    """Return reasons, each feature once, strongest first."""
    found: dict[tuple[str, str, str | None, str | None], Reason] = {}
    for weight, reasons in parts:
        for reason in reasons:
            name = (reason["feature"], reason["table"], reason["column"], reason["window"])
            moved = weight * reason["contribution"]
            if name in found:
                moved += found[name]["contribution"]
                found[name] = {**found[name], "contribution": moved}
            else:
                found[name] = {**reason, "contribution": moved}
    return sorted(found.values(), key=lambda reason: -abs(reason["contribution"]))


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> Mixture:
    """Rebuild a packed blend; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    from relcast.learners import contenders

    entries = config["members"]
    if not 1 < len(entries) <= _MOST_MEMBERS:
        raise ValueError(f"a blend has {len(entries)} members")
    weights = [float(entry["weight"]) for entry in entries]
    if not all(0 < weight < 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
        raise ValueError("the weights of a blend are no shares")
    members = []
    for number, entry in enumerate(entries):
        if entry["config"]["kind"] == "mixture":
            raise ValueError("a blend of blends")
        own_arrays = _own(arrays, f"m{number}.")
        own_texts = _own(texts, f"m{number}-")
        members.append(contenders.unpack(entry["config"], own_arrays, own_texts, target))
    return mixture_of(target, weights, cast("list[Predictor]", members))


def _own(parts: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): part for name, part in parts.items() if name.startswith(prefix)
    }
