"""Scores of many classes: a first score of all, trees on the likely ones, own trees for some.

Serves multilabel classification (independent probabilities) and multiclass classification with
more classes than one booster can have outputs for (probabilities that add up to one).
"""

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
from relcast.learners.multilabel.evidence import SIGNS, Evidence, Seen
from relcast.learners.multilabel.pairs import candidates, feature_at, pair_matrix, pair_names
from relcast.learners.protocol import Asked, Contributions, Packed, Reason, Target

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["ClassModel", "Member", "Own"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Member:
    """Trees over (example, class) pairs, and their weight in the blend."""

    text: str
    weight: float
    iterations: int
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Own:
    """Trees of one class alone."""

    number: int
    text: str


@dataclass(frozen=True)
class ClassModel:
    """A weighted mean of the first score and of trees, in log odds; then the task's link.

    Attributes:
        name: The name that the leaderboard shows.
        target: Multilabel or multiclass.
        evidence: What is read of examples and classes.
        first: The weight of the first score; with those of the members it adds up to one.
        members: Trees on the candidates of an example (see ``pairs.candidates``); other classes
            have the first score alone.
        own: Trees of single classes.
        share: Their part in the score of their class.
        calibration: From score to probability, multilabel only.
        sharpness: What scores are multiplied by before the softmax, multiclass only.
    """

    name: str
    target: Target
    evidence: Evidence
    first: float = 1.0
    members: tuple[Member, ...] = ()
    own: tuple[Own, ...] = ()
    share: float = 0.0
    calibration: Calibration = field(default_factory=Calibration)
    sharpness: float = 1.0

    @cached_property
    def _boosters(self) -> tuple[Any, ...]:
        return tuple(boosting.load(member.text) for member in self.members)

    @cached_property
    def _own_boosters(self) -> tuple[Any, ...]:
        return tuple(boosting.load(own.text) for own in self.own)

    def raw(self, seen: Seen, threads: int) -> Float:
        """Return the score of every class, float64[n, classes], log odds."""
        n = len(seen.score)
        total = seen.score.copy()
        rows = np.arange(n)
        if self.members:
            chosen = candidates(seen.score)
            pair_rows = np.repeat(rows, chosen.shape[1])
            matrix = pair_matrix(self.evidence, seen, pair_rows, chosen.ravel())
            score = self.first * seen.score[pair_rows, chosen.ravel()]
            for member, booster in zip(self.members, self._boosters, strict=True):
                score += member.weight * boosting.raw_scores(booster, matrix, threads)
            total[pair_rows, chosen.ravel()] = score
        for own, booster in zip(self.own, self._own_boosters, strict=True):
            matrix = pair_matrix(self.evidence, seen, rows, np.full(n, own.number))
            alone = boosting.raw_scores(booster, matrix, threads)
            total[:, own.number] = (1 - self.share) * total[:, own.number] + self.share * alone
        return total

    def link(self, raw: Float) -> Float:
        """Turn scores into probabilities."""
        if self.target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            sharp = self.sharpness * raw
            exponent = np.exp(sharp - sharp.max(axis=1, keepdims=True))
            return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
        return self.calibration.apply(raw)

    def predict(self, relations: Relations, asked: Asked, *, threads: int) -> Float:
        """Return the probability of every class, float64[n, classes]."""
        out = np.empty((len(asked), self.evidence.width))
        for rows, values in self.predict_parts(relations, asked, threads=threads):
            out[rows] = values
        return out

    def predict_parts(
        self, relations: Relations, asked: Asked, *, threads: int
    ) -> Iterator[tuple[slice, Float]]:
        """Yield the same some examples at a time, in order, with their places."""
        for rows, seen in self._parts(relations, asked, threads):
            yield rows, self.link(self.raw(seen, threads))

    def explain(
        self,
        relations: Relations,
        asked: Asked,
        *,
        top: int,
        threads: int,
        output: Index | None = None,
    ) -> Contributions:
        """Return the reasons of one class of each example: ``output`` int64[n], else the best."""
        found = []
        for rows, seen in self._parts(relations, asked, threads):
            raw = self.raw(seen, threads)
            chosen = raw.argmax(axis=1) if output is None else output[rows]
            found.append(self._explain(seen, raw, chosen.astype(np.int64), top, threads))
        if not found:
            none = np.zeros(0)
            return Contributions(none, none, (), none)
        return Contributions(
            np.concatenate([part.raw for part in found]),
            np.concatenate([part.base for part in found]),
            tuple(reasons for part in found for reasons in part.reasons),
            np.concatenate([part.rest for part in found]),
        )

    def _parts(
        self, relations: Relations, asked: Asked, threads: int
    ) -> Iterator[tuple[slice, Seen]]:
        pairs = min(self.evidence.width, 200) if self.members else 0
        width = len(pair_names(self.evidence))
        return self.evidence.parts(relations, asked, threads, extra=8 * pairs * width)

    def _explain(
        self, seen: Seen, raw: Float, chosen: Index, top: int, threads: int
    ) -> Contributions:
        n = len(chosen)
        rows = np.arange(n)
        matrix = pair_matrix(self.evidence, seen, rows, chosen)
        likely = (candidates(seen.score) == chosen[:, None]).any(axis=1) & bool(self.members)
        first = np.where(likely, self.first, 1.0)
        moved = np.zeros((n, matrix.shape[1] + 1))
        signs = seen.signs[:, rows, chosen].astype(np.float64)
        moved[:, : len(SIGNS)] = (first * self.evidence.weights[1:, None] * signs).T
        moved[:, -1] = first * self.evidence.weights[0]
        some = np.flatnonzero(likely)
        if len(some):
            for member, booster in zip(self.members, self._boosters, strict=True):
                shap = boosting.contributions(booster, matrix[some], threads)[:, 0]
                moved[some] += member.weight * shap
        for own, booster in zip(self.own, self._own_boosters, strict=True):
            mine = np.flatnonzero(chosen == own.number)
            if len(mine):
                shap = boosting.contributions(booster, matrix[mine], threads)[:, 0]
                moved[mine] = (1 - self.share) * moved[mine] + self.share * shap
        parts = moved[:, :-1]
        order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, : max(0, top)]
        strongest = np.take_along_axis(parts, order, axis=1)
        reasons = tuple(
            tuple(
                self._reason(int(k), float(matrix[row, k]), float(parts[row, k]))
                for k in order[row]
                if parts[row, k] != 0.0
            )
            for row in range(n)
        )
        rest = parts.sum(axis=1) - strongest.sum(axis=1)
        return Contributions(raw[rows, chosen], moved[:, -1], reasons, rest)

    def _reason(self, column: int, value: float, contribution: float) -> Reason:
        feature = feature_at(self.evidence, column)
        shown: float | str | None = None if np.isnan(value) else value
        if feature is None:
            name = pair_names(self.evidence)[column]
            if name == "class":
                shown = str(self.evidence.classes[int(value)])
            target = self.evidence.features.target
            part = None if target is None else target.aggregations[0]
            return Reason(
                feature=name,
                table=self.evidence.features.entity_table if part is None else part.table,
                column=None if part is None else part.column,
                window=None,
                value=shown,
                contribution=contribution,
            )
        if feature.kind == "category" and feature.categories is not None and shown is not None:
            code = int(value)
            shown = feature.categories[code] if 0 <= code < len(feature.categories) else None
        return Reason(
            feature=feature.name,
            table=feature.table,
            column=feature.column,
            window=feature.window,
            value=shown,
            contribution=contribution,
        )

    def pack(self) -> Packed:
        """Return what a bundle needs to build it again."""
        config: dict[str, Any] = {
            "kind": "multilabel",
            "name": self.name,
            "evidence": self.evidence.to_json(),
            "first": self.first,
            "members": [
                {
                    "weight": member.weight,
                    "iterations": member.iterations,
                    "config": dict(member.config),
                }
                for member in self.members
            ],
            "own": [own.number for own in self.own],
            "share": self.share,
            "calibration": self.calibration.to_json(),
            "sharpness": self.sharpness,
        }
        texts = {f"pairs-{k}.txt": member.text for k, member in enumerate(self.members)}
        texts |= {f"class-{own.number}.txt": own.text for own in self.own}
        return Packed(config, self.evidence.arrays(), texts)

    @classmethod
    def unpack(
        cls,
        config: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        texts: Mapping[str, str],
        target: Target,
    ) -> ClassModel:
        """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        evidence = Evidence.unpack(config["evidence"], arrays, tuple(target.classes or ()))
        columns = len(pair_names(evidence))

        def sound(name: str) -> str:
            booster_text.check(texts[name], features=columns, outputs=1)
            return texts[name]

        members = tuple(
            Member(
                sound(f"pairs-{number}.txt"),
                float(entry["weight"]),
                int(entry["iterations"]),
                entry["config"],
            )
            for number, entry in enumerate(config["members"])
        )
        numbers = [int(number) for number in config["own"]]
        own = tuple(Own(number, sound(f"class-{number}.txt")) for number in numbers)
        first, share, sharpness = (float(config[name]) for name in ("first", "share", "sharpness"))
        weights = [first, share, *(member.weight for member in members)]
        if not all(0 <= weight <= 1 for weight in weights) or not 0 < sharpness < np.inf:
            raise ValueError("a weight is not between 0 and 1")
        if not all(0 <= number < evidence.width for number in numbers):
            raise ValueError("there are trees of a class that there is not")
        calibration = Calibration.from_json(config["calibration"])
        return cls(
            config["name"],
            target,
            evidence,
            first,
            members,
            own,
            share,
            calibration,
            sharpness,
        )
