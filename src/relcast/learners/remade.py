"""A query's target made again from the arrays, at any entity and anchor.

What a label's window holds is what past windows of the target hold when they are looked at from the
window's end; the features of past labels compute it. Whoever uses it measures first that given
labels come out again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from relcast.learners.features import Feature, FeatureSet, Recipe
from relcast.learners.features.spec import Value
from relcast.learners.features.target import Target
from relcast.pql.ast import AggregationKind, aggregations
from relcast.tasks.offsets import bounds

if TYPE_CHECKING:
    from relcast.learners.protocol import Asked
    from relcast.pql.ast import CheckedQuery, Window
    from relcast.relations import Relations

__all__ = ["Remade", "remade"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Remade:
    """One number of a query's label windows.

    Attributes:
        window: The label window of every aggregation.
        features: The number, as a feature that is known when the window is over.
    """

    window: Window
    features: FeatureSet

    def at(self, relations: Relations, entity: Index, anchor: Index) -> Float:
        """Return the number of the window of each anchor, float64[n]; NaN where there is none.

        Counts and sums begin with an entity's first event and are NaN before it. Values have the
        precision of features, float32.
        """
        ends = bounds(self.window, anchor)[1]
        return self.features.compute(relations, entity, ends).values[:, 0].astype(np.float64)

    def of(self, relations: Relations, asked: Asked) -> Float:
        """Return the same of examples, which have anchors."""
        if asked.anchor is None:
            raise AssertionError("a static query has no windows")
        return self.at(relations, asked.entity, asked.anchor)


def remade(query: CheckedQuery, what: Literal["label", "value", "rows"]) -> Remade | None:
    """Return how to make a query's label again; None where windows differ or have no beginning.

    ``value`` is the first aggregation by itself, ``rows`` how many rows its table has there.
    """
    if not query.temporal or query.forecast_length is not None:
        return None
    target = Target.of(query.query.target)
    windows = {a.window for a in aggregations(query.query.target)}
    window = windows.pop()
    if target is None or window is None or windows:
        return None
    part = target.aggregations[0]
    measure = "value"
    if what == "label" and target.condition is not None:
        measure = "truth"
    elif what == "label" and target.formula is not None:
        measure = "formula"
    elif what == "rows":
        part = replace(
            part, kind=AggregationKind.COUNT, column=None, where=None, element=None, items=None
        )
    if what != "label":
        target = Target((part,), None)
    value = Value("target", part.table, part.column) if measure == "value" else None
    recipe = Recipe("past", measure, value=value)
    feature = Feature("the target", part.table, part.column, None, "number", None, recipe)
    return Remade(window, FeatureSet(query.entity_table, True, (feature,), target))
