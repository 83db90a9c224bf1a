"""Past labels: the target itself, in windows of its own length that end at the anchor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features import buckets
from relcast.learners.features.block import Block, index_of, translated
from relcast.learners.features.conditions import Operand, Tree, calculated, holds
from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Feature
from relcast.learners.features.target import TargetAggregation
from relcast.pql.ast import AggregationKind

__all__ = ["past"]

Rows = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_COLUMN = {
    AggregationKind.COUNT: 0,
    AggregationKind.SUM: 1,
    AggregationKind.MIN: 2,
    AggregationKind.MAX: 3,
    AggregationKind.FIRST: 4,
    AggregationKind.LAST: 5,
}
_EMPTY_IS_ZERO = (AggregationKind.COUNT, AggregationKind.SUM, AggregationKind.COUNT_DISTINCT)
_DISTINCT = (AggregationKind.COUNT_DISTINCT, AggregationKind.LIST_DISTINCT)
_SPREAD = {AggregationKind.MEDIAN: 0, AggregationKind.STDDEV: 1}


def past(resolver: Resolver, features: Sequence[Feature]) -> Block:
    """Compute past labels: values of window k, their statistics over K windows, and truth.

    A window counts from the entity's first event on. One whose aggregate is NULL does not, nor
    does one in which a comparison of a condition has a NULL part.
    """
    target = resolver.target
    if target is None:
        raise AssertionError("past labels need the target")
    reach = max(f.recipe.other + (f.recipe.measure in _OF_ONE) for f in features)
    moments, which = np.unique(resolver.asof, return_inverse=True)
    series = [
        _Series(resolver, part, number, part.edges(moments, reach), which)
        for number, part in enumerate(target.aggregations)
    ]

    def fill(part: slice) -> Float:
        values = [s.compute(part) for s in series]
        formula = truth = None
        if target.formula is not None:
            formula = calculated(target.formula, values.__getitem__)
        if target.condition is not None:
            tests = [s.operand(v) for s, v in zip(series, values, strict=True)]
            begun = np.logical_or.reduce([s.begun(part) for s in series])
            truth = _truth(target.condition, tests, values, begun)
        columns = [
            _category(f, series, values)
            if f.recipe.measure == "category"
            else _measure(f, values, formula, truth)
            for f in features
        ]
        return np.stack(columns, axis=1)

    return Block(len(resolver.rows), None, fill)


_OF_ONE = ("value", "formula", "truth", "category")
_MEANS = ("mean", "mean formula", "frequency")
"""Measures of one window, and means over several."""


def _truth(
    condition: Tree, tests: Sequence[Operand], values: Sequence[Float], begun: Bools
) -> Float:
    """Return 1 where the condition held in a window, 0 where not, NaN where it does not count."""
    missing = ~begun

    def operand(leaf: Mapping[str, Any]) -> Operand:
        if "aggregation" in leaf:
            of: Operand = tests[leaf["aggregation"]]
            return of
        found = calculated(leaf, values.__getitem__)
        return Operand(found, np.isnan(found))

    for leaf in _compared(condition):
        missing = missing | operand(leaf).missing
    return np.where(missing, np.nan, holds(condition, operand))


def _compared(tree: Tree) -> Iterator[Mapping[str, Any]]:
    """Yield the operands of a condition's comparisons; a null test needs no value."""
    if "parts" in tree:
        for part in tree["parts"]:
            yield from _compared(part)
    elif tree["op"] not in ("missing", "present"):
        yield tree["operand"]


def _category(feature: Feature, series: Sequence[_Series], values: Sequence[Float]) -> Float:
    """Return the index of a window's category, NaN where it has none that the feature knows."""
    number = feature.recipe.value.number if feature.recipe.value is not None else 0
    table = index_of(series[number].words or (), feature.categories)
    return translated(values[number][:, feature.recipe.other], table)


def _measure(
    feature: Feature, values: Sequence[Float], formula: Float | None, truth: Float | None
) -> Float:
    recipe = feature.recipe
    number = recipe.value.number if recipe.value is not None else 0
    table: Float | None = values[number]
    if recipe.measure in ("formula", "mean formula"):
        table = formula
    elif recipe.measure in ("truth", "frequency", "windows since"):
        table = truth
    if table is None:
        raise AssertionError(f"the target has no {recipe.measure}")
    if recipe.measure in _OF_ONE:
        return table[:, recipe.other]
    if recipe.measure in _MEANS:
        return _mean(table[:, : recipe.other])
    met = table[:, : recipe.other] == 1.0
    return np.where(met.any(axis=1), met.argmax(axis=1), np.nan)


def _mean(table: Float) -> Float:
    here = ~np.isnan(table)
    count = here.sum(axis=1)
    total = np.where(here, table, 0.0).sum(axis=1)
    return np.asarray(total / np.where(count == 0, np.nan, count), dtype=np.float64)


class _Series:
    """One aggregation's values in past windows."""

    def __init__(
        self, resolver: Resolver, part: TargetAggregation, number: int, edges: Rows, which: Rows
    ) -> None:
        from relcast.learners.features.spec import Value

        self.part, self.edges, self.which = part, np.ascontiguousarray(edges), which
        self.resolver = resolver
        self.events = resolver.target_events(part)
        self.words: Sequence[Any] | None = None
        value = Value("target", part.table, part.column, number=number)
        self.codes: npt.NDArray[np.int32] | None = None
        coded = part.column is not None and part.kind in (
            *_DISTINCT,
            AggregationKind.FIRST,
            AggregationKind.LAST,
        )
        if coded and (part.kind in _DISTINCT or _worded(resolver, part)):
            codes = resolver.codes(value)
            edge, self.known, self.over = resolver.edge_codes(self.events, codes)
            if part.kind in _DISTINCT:
                self.codes, self.distinct = edge, codes.count
            else:
                self.words = codes.words
                self.values = np.where(edge < 0, np.nan, edge)
        else:
            numbers = resolver.numbers(value)
            self.values, self.known, self.over = resolver.edge_numbers(self.events, numbers)

    def compute(self, rows: slice) -> Float:
        """Return the aggregate in each window, float64[range, K]; NaN where it does not count."""
        events, part = self.events, self.part
        owners, anchors = self.resolver.rows[rows], self.resolver.asof[rows]
        which = self.which[rows]
        windows = self.edges.shape[1] - 1
        common = (events.indptr, events.time, self.over, self.known)
        if self.codes is not None:
            found = np.empty((len(owners), windows))
            buckets.bucket_codes(
                *common, self.codes, self.distinct, owners, anchors, self.edges, which, found
            )
        elif part.kind in _SPREAD:
            spread = np.empty((len(owners), windows, 2))
            buckets.bucket_spread(*common, self.values, owners, anchors, self.edges, which, spread)
            found = spread[:, :, _SPREAD[part.kind]]
        else:
            out = np.empty((len(owners), windows, 6))
            buckets.bucket_numbers(*common, self.values, owners, anchors, self.edges, which, out)
            if part.kind is AggregationKind.AVG:
                count = out[:, :, 0]
                found = out[:, :, 1] / np.where(count == 0, np.nan, count)
            else:
                found = out[:, :, _COLUMN[part.kind]]
        if part.kind in _EMPTY_IS_ZERO:
            found = np.where(self.begun(rows), found, np.nan)
        return found

    def begun(self, rows: slice) -> Bools:
        """Return which windows end at the owner's first event or later, bool[range, K]."""
        events, owners = self.events, self.resolver.rows[rows]
        first = np.empty(len(owners), dtype=np.int64)
        buckets.first_known(
            events.indptr, events.time, events.known, owners, self.resolver.asof[rows], first
        )
        result: Bools = self.edges[self.which[rows], :-1] >= first[:, None]
        return result

    def operand(self, values: Float) -> Operand:
        missing = np.isnan(values)
        if self.words is not None:
            return Operand(np.where(missing, 0, values).astype(np.int64), missing, self.words)
        return Operand(values, missing)


def _worded(resolver: Resolver, part: TargetAggregation) -> bool:
    dtype = resolver.relations.graph.table(part.table).column(part.column or "").dtype
    return not (dtype.is_number or dtype.is_time or dtype.value == "bool")
