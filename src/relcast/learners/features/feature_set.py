"""A set of features: generated from schema and query, computed for any examples, kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.core.progress import Silent, Stage
from relcast.learners.features.block import Block
from relcast.learners.features.families import prepare
from relcast.learners.features.generate import generate
from relcast.learners.features.groups import MEASURES
from relcast.learners.features.memory import current
from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Feature
from relcast.learners.features.target import Target
from relcast.pql.ast import CheckedQuery
from relcast.relations import Relations

__all__ = ["FORMAT", "FeatureMatrix", "FeatureSet"]

Values = npt.NDArray[np.float32]

FORMAT = 3
"""Version of the JSON."""

_CHUNK = 8192
_NOBODY = Silent()
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of n examples.

    Attributes:
        values: float32[n, f], column-major; NaN is missing; a category is its index.
        features: The f features, by column.
    """

    values: npt.NDArray[np.float32]
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class FeatureSet:
    """Features that are known at an example's anchor, and how to compute them.

    Everything is by name and by value: a set made from one snapshot computes on any later one.

    Attributes:
        entity_table: Whose rows examples are.
        temporal: Whether examples have anchors.
        features: The features, strongest families first.
        target: The shape of a temporal target, for past labels.
    """

    entity_table: str
    temporal: bool
    features: tuple[Feature, ...]
    target: Target | None = field(default=None, repr=False)

    @classmethod
    def generate(
        cls,
        relations: Relations,
        query: CheckedQuery,
        *,
        budget: int = 400,
        until: int | None = None,
        allow_mutable: bool = False,
    ) -> FeatureSet:
        """Make features from the schema, the query, and the rows known at ``until``.

        Args:
            relations: The snapshot; read for vocabularies, rhythm and columns that never vary.
            query: Decides the horizon, the past labels, and what may not be an input.
            budget: Most features; strongest families come first.
            until: The training side's last anchor in ns UTC; nothing later is read. None reads
                everything (static queries).
            allow_mutable: Whether a temporal query may read columns that are overwritten in place.
        """
        target = Target.of(query.query.target) if query.temporal else None
        features = generate(
            relations, query, target, budget=budget, until=until, allow_mutable=allow_mutable
        )
        return cls(query.entity_table, query.temporal, features, target)

    def compute(
        self,
        relations: Relations,
        entity_rows: npt.NDArray[np.int64],
        anchors: npt.NDArray[np.int64] | None,
        *,
        known: npt.NDArray[np.int64] | None = None,
        threads: int = 1,
        progress: Stage = _NOBODY,
    ) -> FeatureMatrix:
        """Compute every feature of every example from what was known by then.

        Args:
            relations: Any snapshot of the same graph.
            entity_rows: int64[n] dense rows of the entity table.
            anchors: int64[n] ns UTC; None (static queries) knows everything.
            known: int64[n] ns UTC: up to when each example may see, where that is before its
                anchor (an example frozen at the start of its split). Windows end there; calendar
                and ages are those of the anchor. None sees everything up to the anchor.
            threads: Threads that share the work; the result does not depend on them.
            progress: A running stage that hears how many features are done.

        Raises ``features.schema`` when the snapshot lacks a table, column or link.
        """
        rows = np.ascontiguousarray(entity_rows, dtype=np.int64)
        moments = None if anchors is None else np.ascontiguousarray(anchors, dtype=np.int64)
        self._check(relations, temporal=moments is not None)
        seen = None if known is None else np.ascontiguousarray(known, dtype=np.int64)

        def new(features: Sequence[Feature], at: npt.NDArray[np.int64] | slice) -> Values:
            anchor, asof = (None if part is None else part[at] for part in (moments, seen))
            resolver = Resolver(relations, self.entity_table, rows[at], anchor, self.target, asof)
            return _computed(resolver, features, threads, progress)

        memory = current(relations)
        if memory is None:
            return FeatureMatrix(new(self.features, slice(None)), self.features)
        whole = Resolver(relations, self.entity_table, rows, moments, self.target, seen)
        owner = (self.entity_table, repr(self.target))
        values = memory.recall(owner, self.features, rows, whole.anchors, whole.asof, new)
        return FeatureMatrix(values, self.features)

    def select(self, indices: Iterable[int]) -> FeatureSet:
        """Return the set with these features only, in this order."""
        chosen = tuple(self.features[int(k)] for k in indices)
        return FeatureSet(self.entity_table, self.temporal, chosen, self.target)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready object; ``from_json`` gives an equal set."""
        return {
            "format": FORMAT,
            "entity_table": self.entity_table,
            "temporal": self.temporal,
            "target": None if self.target is None else self.target.to_json(),
            "features": [f.to_json() for f in self.features],
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> FeatureSet:
        """Return the set of a JSON object; raises ``features.unreadable`` when it is none."""
        try:
            if obj["format"] != FORMAT:
                raise ModelError(
                    f"The features were written in format {obj['format']}, not {FORMAT}",
                    code="features.unreadable",
                    hint="Train the model again with this version.",
                )
            target = obj["target"]
            return cls(
                obj["entity_table"],
                obj["temporal"],
                tuple(Feature.from_json(f) for f in obj["features"]),
                None if target is None else Target.from_json(target),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The features cannot be read: {error!r}",
                code="features.unreadable",
                hint="The file is damaged; train the model again.",
            ) from error

    def _check(self, relations: Relations, *, temporal: bool) -> None:
        if temporal != self.temporal:
            has, needs = ("anchors", "none") if temporal else ("no anchors", "them")
            raise ModelError(
                f"The examples have {has}, but the features of {self.entity_table!r} need {needs}",
                code="features.schema",
                hint="Use features of a query of the same kind.",
            )
        for feature in self.features:
            relations.table(feature.table)
            if feature.column is not None:
                relations.table(feature.table).column(feature.column)


def _computed(
    resolver: Resolver, features: Sequence[Feature], threads: int, progress: Stage
) -> Values:
    """Compute features of a resolver's examples, float32[n, f] column-major."""
    values = np.empty((len(resolver.rows), len(features)), dtype=np.float32, order="F")
    done = 0
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        for places in _groups(features):
            block = prepare(resolver, [features[k] for k in places])
            _fill(block, values, places, pool)
            done += len(places)
            progress.update(done=done, total=len(features), unit="features")
    return values


def _groups(features: Sequence[Feature]) -> list[list[int]]:
    """Return the places of features that one pass computes.

    Passes of one value stand in a row, and so do values among the same rows, so that what they
    share is computed once.
    """
    groups: dict[Any, dict[Any, dict[Any, list[int]]]] = {}
    for place, feature in enumerate(features):
        value = feature.recipe.value
        among = value is not None and value.kind in MEASURES
        shared = (value.path, value.inner) if value is not None and among else value
        passes = groups.setdefault(shared, {}).setdefault(value, {})
        passes.setdefault(_key(feature.recipe), []).append(place)
    # The past reads several values, so that its parts may stand under any of them.
    found = [
        places
        for values in groups.values()
        for passes in values.values()
        for places in passes.values()
    ]
    past = [k for places in found if _family(features, places) == "past" for k in places]
    others = [places for places in found if _family(features, places) != "past"]
    return [past, *others] if past else others


def _family(features: Sequence[Feature], places: Sequence[int]) -> str:
    return features[places[0]].recipe.family


def _key(recipe: Any) -> Any:
    if recipe.family in ("past", "calendar"):
        return recipe.family
    return recipe.family, recipe.seed, recipe.stream, recipe.value


def _fill(
    block: Block, values: npt.NDArray[np.float32], places: list[int], pool: ThreadPoolExecutor
) -> None:
    direct = block.inverse is None
    shape = (block.rows, len(places))
    found = None if direct else np.empty(shape, dtype=np.float32, order="F")

    def work(begin: int) -> None:
        part = slice(begin, min(begin + _CHUNK, block.rows))
        # Values near 1e308 overflow in sums and differences: what comes of them is clipped.
        with np.errstate(all="ignore"):
            numbers = block.fill(part)
            narrow = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32)
        for k, place in enumerate(places):
            if found is None:
                values[part, place] = narrow[:, k]
            else:
                found[part, k] = narrow[:, k]

    list(pool.map(work, range(0, block.rows, _CHUNK)))
    if found is not None and block.inverse is not None:
        for k, place in enumerate(places):
            values[:, place] = found[:, k][block.inverse]
