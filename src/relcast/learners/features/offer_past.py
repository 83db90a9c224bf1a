"""Offers of past labels: the target itself, in windows before the anchor."""

from __future__ import annotations

from relcast.learners.features.offers import FADES, Offers
from relcast.learners.features.spec import Recipe, Stream, Value
from relcast.pql.ast import AggregationKind

__all__ = ["past"]

_PAST_WINDOWS = 52
_ENDS = (AggregationKind.FIRST, AggregationKind.LAST)


def past(o: Offers) -> None:
    """Offer the target in past windows, where what it reads is not overwritten."""
    if o.target is None or not o.columns.past_labels:
        return
    reach = min(_PAST_WINDOWS, max(1, o.span // max(1, o.horizon)))
    spans = sorted({min(k, reach) for k in (4, 13, 52)})
    for number, part in enumerate(o.target.aggregations):
        value = Value("target", part.table, part.column, number=number)
        what = o.phrases.target(part)
        if o.worded(part.table, part.column) and part.kind in _ENDS:
            words = o.words(part.table, part.column)
            for k in range(min(4, reach) if words else 0):
                label = o.phrases.back(part, k)
                recipe = Recipe("past", "category", value=value, other=k)
                o.add(0.01 * k, f"{what} in {label}", recipe, part, label, words)
            continue
        for k in range(min(4, reach)):
            label = o.phrases.back(part, k)
            recipe = Recipe("past", "value", value=value, other=k)
            o.add(0.01 * k, f"{what} in {label}", recipe, part, label)
        for k in spans:
            label = _last_windows(k)
            recipe = Recipe("past", "mean", value=value, other=k)
            o.add(0.05, f"mean of {what} in {label}", recipe, part, label)
        _target_stream(o, number, value)
    if o.target.formula is not None:
        part = o.target.aggregations[0]
        for k in range(min(4, reach)):
            label = o.phrases.back(part, k)
            recipe = Recipe("past", "formula", other=k)
            o.add(0.01 * k, f"target in {label}", recipe, part, label)
        for k in spans:
            label = _last_windows(k)
            recipe = Recipe("past", "mean formula", other=k)
            o.add(0.05, f"mean of target in {label}", recipe, part, label)
    if o.target.condition is not None:
        part = o.target.aggregations[0]
        for k in range(min(3, reach)):
            label = o.phrases.back(part, k)
            recipe = Recipe("past", "truth", other=k)
            o.add(0.01 * k, f"target was true in {label}", recipe, part, label)
        for k in spans:
            label = _last_windows(k)
            recipe = Recipe("past", "frequency", other=k)
            o.add(0.02, f"share of {label} in which target was true", recipe, part, label)
        recipe = Recipe("past", "windows since", other=reach)
        o.add(0.03, "windows since target was last true", recipe, part, None)


def _target_stream(o: Offers, number: int, value: Value) -> None:
    """Offer longer windows over the target's own rows, where its filter holds."""
    if o.target is None:
        return
    part = o.target.aggregations[number]
    if part.where is None:
        return  # its rows are the entity's rows: ``below`` has them all
    stream = Stream(part.table, (), part.down)
    o.timing(0.1, stream, value)
    holds = Value("holds", part.table, part.column, number=number)
    o.means(0.06, stream, holds, o.windows)
    o.season(0.3, stream, holds, ("mean",))
    o.standing(0.4, stream, Recipe("numbers", "mean", (), stream, holds, o.year().width))
    o.standing(0.4, stream, Recipe("recent", "fade", (), stream, holds, other=8))
    o.recent(0.06, stream, holds, counts=(1, 3, 10), fades=FADES)
    if part.column is not None and not o.worded(part.table, part.column):
        o.numbers(0.1, stream, value, full=True)


def _last_windows(count: int) -> str:
    return "the last window" if count == 1 else f"the last {count} windows"
