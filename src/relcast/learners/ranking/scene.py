"""A snapshot as a ranking sees it: items, links, and what is allowed when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.protocol import Asked
from relcast.learners.ranking.links import Items, Links, LinkSpec, other_links
from relcast.learners.ranking.memory import Memory
from relcast.learners.ranking.popular import Popularity
from relcast.relations import NEVER, Relations

__all__ = ["Question", "Scene", "known_of"]

Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """What every ranker of a query must know to find its items and links in a snapshot.

    Attributes:
        spec: Which rows are links.
        items: What is ranked.
        memory: The training side's links of a static task; None for a temporal one.
    """

    spec: LinkSpec
    items: Items
    memory: Memory | None = None
    _scenes: list[Scene] = field(default_factory=list, compare=False, repr=False)

    @property
    def temporal(self) -> bool:
        """Whether links are read as of a moment; else they are remembered."""
        return self.memory is None

    def scene(self, relations: Relations) -> Scene:
        """Return the snapshot's scene; the latest is kept, since building one reads all links."""
        for scene in list(self._scenes):
            if scene.relations is relations:
                return scene
        scene = Scene(relations, self)
        self._scenes[:] = [scene]
        return scene

    def to_json(self) -> dict[str, Any]:
        return {"links": self.spec.to_json(), "remembers": self.memory is not None}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that belong to ``to_json``."""
        return {} if self.memory is None else self.memory.arrays()

    @classmethod
    def from_json(
        cls, obj: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], items: Items
    ) -> Question:
        """Rebuild it; raises ``ValueError`` or ``KeyError`` when the parts do not fit."""
        spec = LinkSpec.from_json(obj["links"])
        memory = Memory.of_arrays(spec, arrays, items) if obj["remembers"] else None
        return cls(spec, items, memory)


@dataclass(frozen=True)
class Scene:
    """One snapshot's items and links."""

    relations: Relations
    question: Question

    @cached_property
    def links(self) -> Links:
        """The links that the query counts; of a static task the remembered ones."""
        question = self.question
        if question.memory is not None:
            return question.memory.links(self.relations, question.items)
        return Links.build(self.relations, question.spec, question.items)

    @cached_property
    def others(self) -> tuple[Links, ...]:
        """Other links between the same entities and items."""
        question = self.question
        found = other_links(self.relations, question.spec, question.items)
        if question.memory is not None:  # the target's own table holds the answers
            found = [s for s in found if s.table != question.spec.table]
        return tuple(Links.build(self.relations, s, question.items) for s in found)

    @property
    def count(self) -> int:
        """How many items there are."""
        return self.links.items

    def allowed(self, known: int, among: Index | None) -> Bools:
        """Return which items may be recommended at a moment, bool[items]."""
        there = self.question.items.there(self.relations, known)
        if among is None:
            return there
        chosen = np.zeros(len(there), dtype=bool)
        chosen[among[(among >= 0) & (among < len(there))]] = True
        return there & chosen

    def popularity(self, known: int, width: int = -1) -> Popularity:
        """Return how popular items were at a moment."""
        return Popularity.at(self.links, known, width)


def known_of(asked: Asked) -> Index:
    """Return up to when each example may see, int64[n]; ``NEVER`` for a static task."""
    if asked.known is None:
        return np.full(len(asked), NEVER, dtype=np.int64)
    return np.asarray(asked.known, dtype=np.int64)
