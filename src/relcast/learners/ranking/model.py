"""A fitted ranking: candidates, trees over pairs, and popularity behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners import booster_text, boosting
from relcast.learners.packing import pack_keys, unpack_keys
from relcast.learners.protocol import Asked, Contributions, Packed, Ranked, Reason
from relcast.learners.ranking.candidates import Quota, candidates
from relcast.learners.ranking.pairs import Pairs, PairValues
from relcast.learners.ranking.scene import Question, known_of
from relcast.learners.ranking.traits import PairPlan
from relcast.learners.ranking.vectors import VectorSet

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.relations import Relations

__all__ = ["ItemVectors", "Member", "RankModel", "best_of"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_CHUNK_BYTES = 128 * 2**20
_BLOCK_PAIRS = 1_000_000


@dataclass(frozen=True)
class ItemVectors:
    """Vectors of items by key, learned up to one moment after another.

    Attributes:
        keys: Keys of the items; None where items are classes, by index.
        sets: The vectors, oldest moment first, rows in the order of ``keys``.
    """

    keys: pa.Array | None
    sets: tuple[VectorSet, ...] = ()

    def place(self, relations: Relations, question: Question) -> tuple[VectorSet, ...]:
        """Return the vectors as dense rows of a snapshot; zero for items that are new."""
        if self.keys is None or question.items.table is None:
            return self.sets
        table = relations.table(question.items.table)
        rows = table.key_index(self.keys)
        found = []
        for vectors in self.sets:
            placed = np.zeros((table.rows, vectors.vectors.shape[1]), dtype=np.float32)
            placed[rows[rows >= 0]] = vectors.vectors[rows >= 0]
            found.append(VectorSet(vectors.until, placed))
        return tuple(found)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the vectors as plain arrays."""
        if not self.sets:
            return {}
        found: dict[str, npt.NDArray[Any]] = {
            "vectors.until": np.array([v.until for v in self.sets], dtype=np.int64),
            "vectors": np.stack([v.vectors for v in self.sets]),
        }
        return found if self.keys is None else found | pack_keys("vectors.keys", self.keys)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], question: Question) -> ItemVectors:
        """Rebuild them; raises ``ValueError`` or ``KeyError`` when the arrays do not fit."""
        if "vectors" not in arrays:
            return cls(None)
        stack, until = arrays["vectors"], arrays["vectors.until"]
        keys = None if question.items.table is None else unpack_keys("vectors.keys", arrays)
        rows = len(question.items.classes or ()) if keys is None else len(keys)
        if stack.dtype != np.float32 or stack.ndim != 3 or stack.shape[:2] != (len(until), rows):
            raise ValueError("the vectors of items have the wrong shape")
        if until.dtype != np.int64 or (np.diff(until) <= 0).any():
            raise ValueError("the moments of the vectors are not in order")
        sets = tuple(VectorSet(int(u), v) for u, v in zip(until, stack, strict=True))
        return cls(keys, sets)


@dataclass(frozen=True, slots=True)
class Member:
    """One part of a blend: a booster, or one column, as ``log(1 + value / scale)``.

    Attributes:
        text: LightGBM's text of a booster; empty for a column.
        weight: What its score is multiplied by.
        iterations: Trees of a booster.
        config: Settings of a booster; ``{"column", "scale"}`` of a column.
    """

    text: str
    weight: float
    iterations: int
    config: Mapping[str, Any]

    @classmethod
    def of_column(cls, column: int, scale: float) -> Member:
        """Return a column as a member of weight one."""
        return cls("", 1.0, 0, {"column": column, "scale": scale})

    def score(self, booster: Any, values: Values, threads: int) -> Float:
        """Return the weighted score of a matrix float32[pairs, columns]."""
        if booster is not None:
            return self.weight * boosting.raw_scores(booster, values, threads)
        value = np.nan_to_num(values[:, self.config["column"]].astype(np.float64))
        scaled: Float = np.log1p(np.maximum(value, 0.0) / self.config["scale"])
        return self.weight * scaled


@dataclass(frozen=True)
class RankModel:
    """Orders candidates by boosted trees over what is known of each pair.

    The score of a candidate is the weighted sum of the members' raw scores; ties go to what had
    the larger share of the newest links, then to the newest link. Items that are no candidates of
    an example follow by popularity as of what it knows, below its last candidate.
    """

    name: str
    question: Question
    plan: PairPlan
    quota: Quota
    vectors: ItemVectors
    members: tuple[Member, ...] = ()
    _values: list[PairValues] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def _boosters(self) -> tuple[Any, ...]:
        return tuple(boosting.load(m.text) if m.text else None for m in self.members)

    def values(self, relations: Relations) -> PairValues:
        """Return what computes this model's columns on a snapshot."""
        for values in list(self._values):
            if values.scene.relations is relations:
                return values
        scene = self.question.scene(relations)
        values = PairValues(self.plan, scene, self.vectors.place(relations, self.question))
        self._values[:] = [values]
        return values

    def raw(self, values: Values, threads: int) -> Float:
        """Return the raw scores of a matrix float32[pairs, columns]."""
        total = np.zeros(len(values))
        for member, booster in zip(self.members, self._boosters, strict=True):
            if len(values):
                total += member.score(booster, values, threads)
        return total

    def shap(self, values: Values, threads: int) -> Float:
        """Return what each column adds, float64[pairs, columns + 1], base value last.

        TreeSHAP of the boosters; the score of a column is all its own.
        """
        total = np.zeros((len(values), len(self.plan.traits) + 1))
        for member, booster in zip(self.members, self._boosters, strict=True):
            if booster is None:
                total[:, member.config["column"]] += member.score(None, values, threads)
                continue
            total += member.weight * boosting.contributions(booster, values, threads)[:, 0, :]
        return total

    def scored(
        self, relations: Relations, asked: Asked, among: Index | None, threads: int
    ) -> Iterator[tuple[int, Pairs, Float, Float]]:
        """Yield candidates, scores and what decides ties, some examples at a time.

        First comes the place of the first example.
        """
        values = self.values(relations)
        step = max(64, _BLOCK_PAIRS // max(1, self.quota.most))
        for begin in range(0, len(asked), step):
            part = asked.take(slice(begin, begin + step))
            pairs = candidates(values, self.quota, part, among, threads)
            yield begin, pairs, *self.scores(values, pairs, threads)

    def scores(self, values: PairValues, pairs: Pairs, threads: int) -> tuple[Float, Float]:
        """Return the score of each pair, and what decides between equal ones."""
        room = max(1024, _CHUNK_BYTES // (4 * max(1, len(self.plan.traits))))
        parts: list[Float] = [np.zeros(0)]
        ties: list[Float] = [np.zeros((0, 2))]
        begin, n = 0, len(pairs.asked)
        while begin < n:
            end = int(np.searchsorted(pairs.indptr, pairs.indptr[begin] + room, side="right")) - 1
            end = min(max(end, begin + 1), n)
            matrix = values.compute(pairs.part(slice(begin, end)), threads)
            parts.append(self.raw(matrix, threads))
            ties.append(self.plan.ties(matrix))
            begin = end
        return np.concatenate(parts), np.concatenate(ties)

    def rank(
        self,
        relations: Relations,
        asked: Asked,
        *,
        k: int,
        among: Index | None = None,
        threads: int = 1,
    ) -> Ranked:
        items = np.full((len(asked), k), -1, dtype=np.int64)
        scores = np.full((len(asked), k), np.nan)
        for begin, pairs, score, tie in self.scored(relations, asked, among, threads):
            place = slice(begin, begin + len(pairs.asked))
            best_of(pairs, score, tie, items[place], scores[place])
            self._tail(relations, pairs, among, items[place], scores[place])
        return Ranked(items, scores)

    def _tail(
        self, relations: Relations, pairs: Pairs, among: Index | None, items: Index, scores: Float
    ) -> None:
        """Fill rows up with items that are no candidates, by popularity."""
        scene, k = self.question.scene(relations), items.shape[1]
        known = known_of(pairs.asked)
        many = np.diff(pairs.indptr)
        short = np.flatnonzero(many < k)
        for moment in np.unique(known[short]).tolist():
            rows = short[known[short] == moment]
            allowed = scene.allowed(moment, among)
            most = min(scene.count, k + int(many[rows].max()))
            order = scene.popularity(moment).order(allowed, most)
            for row in rows.tolist():
                mine = pairs.item[pairs.indptr[row] : pairs.indptr[row + 1]]
                rest = order[~np.isin(order, mine)][: k - len(mine)]
                place = slice(len(mine), len(mine) + len(rest))
                items[row, place] = rest
                low = scores[row, len(mine) - 1] if len(mine) else 0.0
                scores[row, place] = low - (1.0 + np.arange(len(rest))) / (1.0 + scene.count)

    def explain_items(
        self, relations: Relations, asked: Asked, items: Index, *, top: int, threads: int = 1
    ) -> Contributions:
        """Explain the trees' score of each pair, of one that is no candidate as well.

        TreeSHAP (Lundberg and others, 2020): ``base``, reasons and ``rest`` add up to ``raw``.
        """
        values = self.values(relations)
        raws, bases, rests = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
        reasons: list[tuple[Reason, ...]] = []
        step = max(256, _CHUNK_BYTES // (8 * max(1, len(self.plan.traits))))
        for begin in range(0, len(asked), step):
            part = asked.take(slice(begin, begin + step))
            item = np.asarray(items[begin : begin + step], dtype=np.int64)
            matrix = values.compute(Pairs(part, np.arange(len(item) + 1), item), threads)
            shap = self.shap(matrix, threads)
            moved = shap[:, :-1]
            order = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, : max(0, top)]
            strongest = np.take_along_axis(moved, order, axis=1)
            raws.append(self.raw(matrix, threads))
            bases.append(shap[:, -1])
            rests.append(moved.sum(axis=1) - strongest.sum(axis=1))
            reasons += [
                tuple(
                    self._reason(int(f), float(matrix[row, f]), float(moved[row, f]))
                    for f in order[row]
                    if moved[row, f] != 0.0
                )
                for row in range(len(item))
            ]
        return Contributions(
            np.concatenate(raws), np.concatenate(bases), tuple(reasons), np.concatenate(rests)
        )

    def _reason(self, number: int, value: float, contribution: float) -> Reason:
        trait = self.plan.traits[number]
        shown: float | str | None = None if np.isnan(value) else value
        if trait.is_category and trait.categories is not None and shown is not None:
            inside = 0 <= int(value) < len(trait.categories)
            shown = trait.categories[int(value)] if inside else None
        return Reason(
            feature=trait.name,
            table=trait.table,
            column=trait.column,
            window=trait.window,
            value=shown,
            contribution=contribution,
        )

    def pack(self) -> Packed:
        config = {
            "kind": "ranking",
            "form": "trees",
            "name": self.name,
            "question": self.question.to_json(),
            "plan": self.plan.to_json(),
            "quota": self.quota.to_json(),
            "members": [
                {
                    "file": f"ranking-{number}.txt" if member.text else None,
                    "weight": member.weight,
                    "iterations": member.iterations,
                    "config": dict(member.config),
                }
                for number, member in enumerate(self.members)
            ],
        }
        arrays = {**self.question.arrays(), **self.vectors.arrays()}
        texts = {f"ranking-{n}.txt": m.text for n, m in enumerate(self.members) if m.text}
        return Packed(config, arrays, texts)

    @classmethod
    def unpack(
        cls,
        config: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        texts: Mapping[str, str],
        question: Question,
    ) -> RankModel:
        """Rebuild a packed model; raises ``ValueError`` or ``KeyError`` when it does not fit."""
        plan = PairPlan.from_json(config["plan"])
        members = []
        for entry in config["members"]:
            text = ""
            if entry["file"] is not None:
                text = texts[entry["file"]]
                booster_text.check(text, features=len(plan.traits), outputs=1)
            else:
                column, scale = int(entry["config"]["column"]), float(entry["config"]["scale"])
                if not 0 <= column < len(plan.traits) or not 0 < scale < np.inf:
                    raise ValueError("a member names a column that there is not")
            weight = float(entry["weight"])
            if not 0 < weight < np.inf:
                raise ValueError("a member's weight is not positive")
            members.append(Member(text, weight, int(entry["iterations"]), entry["config"]))
        if not members:
            raise ValueError("there is no booster")
        vectors = ItemVectors.of_arrays(arrays, question)
        if plan.vectors != bool(vectors.sets):
            raise ValueError("the vectors of items do not fit the plan")
        return cls(
            name=config["name"],
            question=question,
            plan=plan,
            quota=Quota.from_json(config["quota"]),
            vectors=vectors,
            members=tuple(members),
        )


def best_of(pairs: Pairs, score: Float, ties: Float, items: Index, scores: Float) -> None:
    """Write the best pairs of each example in descending order.

    Between equal scores ``ties``, float64[pairs, 2], decides: the larger first, then the larger
    second, then the smaller row.
    """
    k = items.shape[1]
    order = np.lexsort((pairs.item, -ties[:, 1], -ties[:, 0], -score, pairs.owner))
    for row in range(len(pairs.asked)):
        mine = order[pairs.indptr[row] : pairs.indptr[row + 1]][:k]
        items[row, : len(mine)] = pairs.item[mine]
        scores[row, : len(mine)] = score[mine]
