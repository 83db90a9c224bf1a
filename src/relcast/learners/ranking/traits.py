"""What trees are told of a pair of entity and item, by name: the plan of the pair's columns.

The plan holds names and lengths only; ``relcast.learners.ranking.pairs`` computes it from any
snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import FeatureSet
from relcast.learners.features.windows import Window
from relcast.learners.ranking.cohorts import Cohort
from relcast.learners.ranking.content import Label
from relcast.learners.ranking.links import LinkSpec

__all__ = ["PairPlan", "Trait"]

NEAR = (200, 5)
"""How many of an entity's newest links make its taste: of the long one, and of the short one."""
MATCHED = (200, 10)
"""How many of an entity's newest links an item's labels are compared with."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One column: what a person reads, and where it comes from."""

    name: str
    table: str
    column: str | None = None
    window: str | None = None
    categories: tuple[str, ...] | None = None
    is_category: bool = False


@dataclass(frozen=True)
class PairPlan:
    """Which columns pairs have.

    Attributes:
        spec: Which rows are links.
        item: What a person calls an item.
        windows: Windows that end at what is known, without "ever".
        back: Windows that lie before the anchor, as (begin, end) distances in ns: the season.
        temporal: Whether links are read as of a moment, with an entity's own past.
        others: Other links between entity and item.
        cohorts: Which links say something of the entity.
        labels: Labels of items.
        numbers: Number columns of the item table.
        vectors: Whether there are vectors of items.
        classes: Names of the classes, where an item is one and is told to the trees; else None.
        entity, items: Features of the entity, and of the item (None where items are classes).
        stale: Whether examples may know less than their anchor would let them.
    """

    spec: LinkSpec
    item: str
    windows: tuple[Window, ...]
    back: tuple[tuple[int, int], ...]
    temporal: bool
    others: tuple[LinkSpec, ...]
    cohorts: tuple[Cohort, ...]
    labels: tuple[Label, ...]
    numbers: tuple[str, ...]
    vectors: bool
    classes: tuple[str, ...] | None
    entity: FeatureSet | None
    items: FeatureSet | None
    stale: bool

    @property
    def links_name(self) -> str:
        """What a person calls a link."""
        return self.spec.table if self.spec.down else f"{self.spec.entity_table} that are known"

    @cached_property
    def traits(self) -> tuple[Trait, ...]:
        """The columns, in order; names are unique."""
        return (
            *self._popular(),
            *(self._own() if self.temporal else []),
            *self._other(),
            *self._content(),
            *(self._walks() if self.temporal else []),
            *self._features(),
        )

    @property
    def shares(self) -> list[int]:
        """The places of the columns that alone make a ranking: shares of links, links of both."""
        if not self.temporal:
            return [0]
        own = 4 + len(self.windows) + len(self.back)
        return [0, *range(3, 3 + len(self.windows) + len(self.back)), own]

    def ties(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return what decides between pairs of one score, float64[pairs, 2]: more comes first.

        The share of the newest links, and how new the newest is.
        """
        found = np.zeros((len(values), 2))
        found[:, 0] = values[:, 3 if self.temporal and self.windows else 0]
        if self.temporal:
            found[:, 1] = np.nan_to_num(-values[:, 1].astype(np.float64), nan=-np.inf)
        return found

    @property
    def categorical(self) -> list[int]:
        """Places of the columns that hold categories."""
        return [place for place, trait in enumerate(self.traits) if trait.is_category]

    def _popular(self) -> list[Trait]:
        of, table = f"{self.links_name} of the {self.item}", self.spec_table
        found = [Trait(f"share of all {of}", table, None, "all time")]
        if self.temporal:
            found = [
                Trait(f"share of all {of}, ever", table, None, "all time"),
                Trait(f"days since the last {of}", table),
                Trait(f"days since the first {of}", table),
            ]
            found += [Trait(f"share of all {of} over {w.label}", table, None, w.label)
                      for w in self.windows]  # fmt: skip
            found += [Trait(f"share of all {of} in {n}", table, None, n) for n in self._seasons()]
            found.append(Trait(f"trend of {of}", table, None, self.windows[0].label))
        return found

    def _own(self) -> list[Trait]:
        of, table = f"{self.links_name} of both", self.spec_table
        names = [
            f"count of {of}",
            f"share of the {self.spec.entity_table}' {self.links_name} that are of the {self.item}",
            f"days since the last {of}",
            f"days since the first {of}",
            f"mean days between {of}",
            f"place of the {self.item} among the latest of {self.spec.entity_table}",
            f"count of {of} at the latest moment",
        ]
        found = [Trait(name, table) for name in names]
        found += [Trait(f"count of {of} over {w.label}", table, None, w.label)
                  for w in self.windows]  # fmt: skip
        return found + [Trait(f"count of {of} in {n}", table, None, n) for n in self._seasons()]

    def _other(self) -> list[Trait]:
        found = []
        for spec in self.others:
            of = f"{spec.table}.{spec.up.foreign_key if spec.up else ''}"
            of += " of any kind" if spec.table == self.spec.table else ""
            found.append(Trait(f"count of {of} of both", spec.table))
            found.append(Trait(f"days since the last {of} of both", spec.table))
            found.append(Trait(f"count of {of} of the {self.item}", spec.table))
        return found

    def _content(self) -> list[Trait]:
        found = []
        for cohort in self.cohorts:
            of, label = cohort.phrase(self.links_name, self.item), cohort.label
            where = (self.spec_table, None) if label is None else (label.holder, label.column)
            found.append(Trait(f"share of {of}", *where))
            found.append(Trait(f"lift of {of}", *where))
        if not self.temporal:
            return found
        for label in self.labels:
            for newest in MATCHED:
                name = f"share of the latest {newest} {self.links_name} with its {label.text}"
                found.append(Trait(name, label.holder, label.column))
        table = self.spec.up.to if self.spec.up else ""
        for name in self.numbers:
            of = f"{table}.{name} less its mean over the latest {MATCHED[0]} {self.links_name}"
            found.append(Trait(of, table, name))
        return found

    def _walks(self) -> list[Trait]:
        who, table = f"who shares an item with the {self.spec.entity_table} row", self.spec_table
        found = [
            Trait(f"{self.links_name} of {who}", table),
            Trait(f"{self.links_name} at one moment, of {who}", table),
            Trait(f"later {self.links_name} of {who}", table),
            Trait(f"{self.links_name} of who shares its latest item", table),
            Trait(f"{self.links_name} of {who}, over the item's own", table),
        ]
        if self.vectors:
            found += [
                Trait(f"inner product with the latest {NEAR[0]} items", table),
                Trait(f"likeness to the latest {NEAR[0]} items", table),
                Trait(f"likeness to the latest {NEAR[1]} items", table),
            ]
        return found

    def _features(self) -> list[Trait]:
        found = []
        if self.classes is not None:
            found.append(Trait(f"the {self.item}", self.spec_table, None, None, self.classes, True))
        if self.stale:
            found.append(Trait("days from what is known to the anchor", self.spec.entity_table))
        for prefix, features in (("", self.entity), (f"{self.item}: ", self.items)):
            for f in features.features if features is not None else ():
                is_category = f.kind == "category"
                name = prefix + f.name
                found.append(Trait(name, f.table, f.column, f.window, f.categories, is_category))
        return found

    def _seasons(self) -> list[str]:
        return ["the same days a year before"] if self.back else []

    @property
    def spec_table(self) -> str:
        """The table that a trait of links is of."""
        return self.spec.table if self.spec.down else self.spec.entity_table

    def to_json(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_json(),
            "item": self.item,
            "windows": [[w.width, w.label] for w in self.windows],
            "back": [list(pair) for pair in self.back],
            "temporal": self.temporal,
            "others": [spec.to_json() for spec in self.others],
            "cohorts": [cohort.to_json() for cohort in self.cohorts],
            "labels": [label.to_json() for label in self.labels],
            "numbers": list(self.numbers),
            "vectors": self.vectors,
            "classes": None if self.classes is None else list(self.classes),
            "entity": None if self.entity is None else self.entity.to_json(),
            "items": None if self.items is None else self.items.to_json(),
            "stale": self.stale,
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> PairPlan:
        def features(name: str) -> FeatureSet | None:
            return None if obj[name] is None else FeatureSet.from_json(obj[name])

        return cls(
            spec=LinkSpec.from_json(obj["spec"]),
            item=obj["item"],
            windows=tuple(Window(int(w), label) for w, label in obj["windows"]),
            back=tuple((int(b), int(e)) for b, e in obj["back"]),
            temporal=bool(obj["temporal"]),
            others=tuple(LinkSpec.from_json(spec) for spec in obj["others"]),
            cohorts=tuple(Cohort.from_json(cohort) for cohort in obj["cohorts"]),
            labels=tuple(Label.from_json(label) for label in obj["labels"]),
            numbers=tuple(obj["numbers"]),
            vectors=bool(obj["vectors"]),
            classes=None if obj["classes"] is None else tuple(obj["classes"]),
            entity=features("entity"),
            items=features("items"),
            stale=bool(obj["stale"]),
        )
