"""What is known of the items of a ranking: how many, how popular in training, of which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.folds import Folds
from relcast.learners.metrics import Catalogue

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["make_catalogue"]


def make_catalogue(relations: Relations, folds: Folds) -> Catalogue:
    """Return the items of a ranking or link prediction, for the metrics that look beyond hits.

    Popularity is the number of training lists that hold an item. The group is the item table's
    first categorical column that has two values or more; items that are classes have none.
    """
    target, lists = folds.target, folds.train.lists
    size = len(target.classes or ())
    group: npt.NDArray[np.int64] | None = None
    if target.items is not None:
        table = relations.table(target.items)
        size = table.rows
        keys = {table.table.primary_key, *(link.foreign_key for link in relations.graph.links)}
        for name, column in table.columns.items():
            if column.kind == "category" and name not in keys and len(column.dictionary) > 1:
                group = np.asarray(column.values, dtype=np.int64)
                break
    popularity = None
    if lists is not None:
        popularity = np.bincount(lists.values, minlength=size).astype(np.float64)
    return Catalogue(size, popularity, group)
