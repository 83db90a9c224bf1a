"""Columns that a user wants no learner to read, and the features that are left without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from relcast.core.schema import Graph

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet, Recipe
    from relcast.learners.features.spec import Value

__all__ = ["left_out", "without"]


def left_out(names: Iterable[str], graph: Graph) -> frozenset[tuple[str, str]]:
    """Return (table, column) of each ``table.column``.

    Raises ``schema.unknown_table`` and ``schema.unknown_column`` with a near name.
    """
    found = set()
    for name in names:
        table, column = name.split(".", 1)
        graph.table(table).column(column)
        found.add((table, column))
    return frozenset(found)


def without(features: FeatureSet, columns: frozenset[tuple[str, str]]) -> FeatureSet:
    """Return the features that read none of the columns."""
    if not columns:
        return features
    kept = [
        number
        for number, feature in enumerate(features.features)
        if (feature.table, feature.column) not in columns and not _read(feature.recipe) & columns
    ]
    return features.select(kept)


def _read(recipe: Recipe) -> set[tuple[str, str]]:
    found = set() if recipe.value is None else _of_value(recipe.value)
    stream = recipe.stream
    if stream is not None and stream.by is not None:
        found.add((stream.down[0].to, stream.by))
    return found if recipe.of is None else found | _read(recipe.of)


def _of_value(value: Value) -> set[tuple[str, str]]:
    found = set() if value.column is None else {(value.table, value.column)}
    return found if value.of is None else found | _of_value(value.of)
