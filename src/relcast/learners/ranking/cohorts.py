"""Which links say something of an entity: those of its kind, or in its situation.

A cohort gives every link a code, and every example the code that it compares with: the label of
the link's entity; what its entity had just before; or a label of the link itself, beside that of
the entity's latest link. Codes are compared within one snapshot and never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.learners.ranking.content import Label, Labels
from relcast.learners.ranking.links import Links
from relcast.relations import Relations

__all__ = ["Codes", "Cohort", "Kind"]

Index = npt.NDArray[np.int64]
Kind = Literal["entity", "before", "link"]


@dataclass(frozen=True)
class Cohort:
    """How links are told apart.

    Attributes:
        kind: ``entity``: by a label of the link's entity; ``before``: by what its entity had at its
            latest moment before; ``link``: by a label of the link's own row.
        label: Of the entity, the item before, or the link; None (``before`` only) is the item.
    """

    kind: Kind
    label: Label | None

    def phrase(self, links: str, item: str) -> str:
        """Return what the share is of: ``orders of the products row by the same country``."""
        text = "item" if self.label is None else self.label.text
        match self.kind:
            case "entity":
                return f"{links} of the {item} by the same {text}"
            case "before":
                return f"{links} of the {item} that came after the same {text}"
            case "link":
                return f"{links} of the {item} with the same {text} as the latest"

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "label": None if self.label is None else self.label.to_json()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Cohort:
        if obj["kind"] not in ("entity", "before", "link"):
            raise ValueError(f"there is no cohort of kind {obj['kind']!r}")
        label = None if obj["label"] is None else Label.from_json(obj["label"])
        if label is None and obj["kind"] != "before":
            raise ValueError("a cohort has no label")
        return cls(obj["kind"], label)


@dataclass(frozen=True)
class Codes:
    """A cohort's codes in one snapshot.

    Attributes:
        by_time: int32[links] in the order of time, -1 for none.
        by_item: The same in the order of items.
        label: int32: the code of each entity, item or link, by kind; -1 for none, and at the end.
    """

    cohort: Cohort
    links: Links
    by_time: npt.NDArray[np.int32]
    by_item: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]

    @classmethod
    def read(cls, relations: Relations, links: Links, cohort: Cohort) -> Codes:
        """Read the codes of all links."""
        if cohort.label is None:
            label = np.arange(links.items, dtype=np.int32)
        else:
            label = Labels.read(relations, cohort.label).first()
        label = np.append(label, np.int32(-1))
        match cohort.kind:
            case "entity":
                by_time = label[links.entity]
            case "before":
                by_time = label[links.before]
            case "link":
                label = np.append(label[links.rows], np.int32(-1))
                by_time = label[: len(links.row)]
        return cls(cohort, links, by_time, links.in_item_order(by_time), label)

    def mine(self, entity: Index, known: Index) -> npt.NDArray[np.int32]:
        """Return the code of each example, -1 for none."""
        if self.cohort.kind == "entity":
            return self.label[entity]
        item, place = self.links.latest(entity, known)
        return self.label[item if self.cohort.kind == "before" else place]
