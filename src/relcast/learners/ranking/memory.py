"""The links of a static task's training side, kept by key.

A static task has no past: the lists of the training entities are all that may be known of links,
and an entity that is asked about has none. They are kept with the model, so that a later snapshot,
which may hold the answers, is not read for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.packing import pack_keys, unpack_keys
from relcast.learners.protocol import Fold
from relcast.learners.ranking.links import Items, Links, LinkSpec
from relcast.relations import NOT_A_TIME, Relations, TableArrays

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Memory"]

Index = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Memory:
    """Links of training entities.

    Attributes:
        spec: Whose links they are.
        entities: Keys of the entities.
        items: Keys of the items; None where items are classes.
        entity: int64[links] places in ``entities``.
        item: int64[links] places in ``items``, or indices of classes.
    """

    spec: LinkSpec
    entities: pa.Array
    items: pa.Array | None
    entity: Index
    item: Index

    @classmethod
    def of(cls, relations: Relations, spec: LinkSpec, items: Items, folds: list[Fold]) -> Memory:
        """Keep the lists of folds."""
        import pyarrow as pa

        lists = [fold.lists for fold in folds if fold.lists is not None]
        rows = [fold.asked.entity for fold in folds if fold.lists is not None]
        owner = np.concatenate([np.repeat(r, x.lengths) for r, x in zip(rows, lists, strict=True)])
        item = np.concatenate([x.values for x in lists])
        known, owner = np.unique(owner, return_inverse=True)
        keys = relations.table(spec.entity_table).keys().take(pa.array(known))
        if items.table is None:
            return cls(spec, keys, None, owner, item)
        named, item = np.unique(item, return_inverse=True)
        return cls(spec, keys, relations.table(items.table).keys().take(pa.array(named)),
                   owner, item)  # fmt: skip

    def links(self, relations: Relations, items: Items) -> Links:
        """Return the links as rows of a snapshot; keys that it lacks are left out."""
        entities = relations.table(self.spec.entity_table)
        owner = entities.key_index(self.entities)[self.entity]
        item = self.item
        if self.items is not None and items.table is not None:
            item = relations.table(items.table).key_index(self.items)[item]
        count = items.count(relations)
        keep = (owner >= 0) & (item >= 0) & (item < count)
        owner, item = owner[keep], item[keep]
        found = partial(_links, self.spec, entities, count)
        if not entities.copies:
            return found(owner, item)
        mine = item[owner == entities.copy_of]  # a copy remembers what the row does
        copies = np.arange(entities.counted, entities.rows)
        copied = found(np.repeat(copies, len(mine)), np.tile(mine, len(copies)))
        return replace(found(owner, item), copied=copied)

    def arrays(self) -> dict[str, Array]:
        """Return the memory as plain arrays."""
        found: dict[str, Array] = {
            **pack_keys("memory.entities", self.entities),
            "memory.entity": self.entity,
            "memory.item": self.item,
        }
        if self.items is not None:
            found |= pack_keys("memory.items", self.items)
        return found

    @classmethod
    def of_arrays(cls, spec: LinkSpec, arrays: Mapping[str, Array], items: Items) -> Memory:
        """Rebuild a memory; raises ``ValueError`` or ``KeyError`` when the arrays do not fit."""
        entities = unpack_keys("memory.entities", arrays)
        named = None if items.table is None else unpack_keys("memory.items", arrays)
        entity, item = arrays["memory.entity"], arrays["memory.item"]
        most = len(items.classes or ()) if named is None else len(named)
        for places, end in ((entity, len(entities)), (item, most)):
            if places.dtype != np.int64 or places.ndim != 1 or len(places) != len(entity):
                raise ValueError("the remembered links have the wrong shape")
            if len(places) and not (places.min() >= 0 and places.max() < end):
                raise ValueError("a remembered link names what is not there")
        return cls(spec, entities, named, entity, item)


def _links(spec: LinkSpec, entities: TableArrays, count: int, owner: Index, item: Index) -> Links:
    order = np.lexsort((item, owner))
    return Links(
        spec,
        entities.rows,
        count,
        owner[order].astype(np.int32),
        item[order].astype(np.int32),
        np.full(len(order), NOT_A_TIME, dtype=np.int64),
        np.empty(0, dtype=np.int64),
        copies=entities.copies,
        copy_of=entities.copy_of,
    )
