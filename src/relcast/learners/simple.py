"""The baselines of tasks with one label: numbers and classes.

Those that read no feature are there within seconds; the target's own past window needs features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relcast.learners.baselines import WindowBaseline, global_baselines, history_baselines
from relcast.learners.folds import Folds, label_known_at
from relcast.learners.history import History
from relcast.learners.protocol import Predictor
from relcast.pql.ast import aggregations

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["early_baselines", "window_baselines"]


def early_baselines(relations: Relations, query: CheckedQuery, folds: Folds) -> list[Predictor]:
    """Return the baselines that need no features, the global ones first.

    The labels of all splits are in the memory of the entity baselines; each counts only at anchors
    by which its window was complete (in the frozen regime: by the start of the split). A target
    over several links has none of these where the rows between have times: one of them may be later
    than the window that a label is of, so that the label is not known when its window ends.
    """
    target, train = folds.target, folds.train
    everybody = global_baselines(target, train.label, train.weight)
    answers = {baseline.name: baseline.answer for baseline in everybody}
    found: list[Predictor] = [*everybody]
    if not query.temporal or not _settles(relations, query):
        return found
    parts = [fold for fold in (train, folds.validation, folds.test) if len(fold)]
    anchor = np.concatenate([p.asked.anchor for p in parts if p.asked.anchor is not None])
    history = History.build(
        relations,
        query.entity_table,
        np.concatenate([p.asked.entity for p in parts]),
        label_known_at(query, anchor, relations),
        np.concatenate([p.label for p in parts]),
    )
    return [*found, *history_baselines(target, history, answers)]


def window_baselines(query: CheckedQuery, folds: Folds, features: FeatureSet) -> list[Predictor]:
    """Return the baselines that are one feature: the target's own past."""
    if not query.temporal:
        return []
    target, train = folds.target, folds.train
    everybody = global_baselines(target, train.label, train.weight)
    answers = {baseline.name: baseline.answer for baseline in everybody}
    answer = answers["global median" if "global median" in answers else "prior"]
    found: list[Predictor] = []
    past = _past_window(features)
    if past is not None:
        found.append(WindowBaseline("own past window", target, past, answer))
    latest = _latest_value(features, query)
    if latest is not None and target.classes is not None:
        found.append(WindowBaseline("last known value", target, latest, answer))
    return found


def _settles(relations: Relations, query: CheckedQuery) -> bool:
    """Tell whether a label is known when its window is over: no row between has a time."""
    between = {link.to for part in aggregations(query.query.target) for link in part.path[:-1]}
    return all(relations.table(name).time is None for name in between)


def _past_window(features: FeatureSet) -> FeatureSet | None:
    """Return the feature that is the target over the window that ends at the anchor."""
    target = features.target
    whole = "value"
    if target is not None and target.condition is not None:
        whole = "truth"
    elif target is not None and target.formula is not None:
        whole = "formula"
    for number, feature in enumerate(features.features):
        recipe = feature.recipe
        if recipe.family == "past" and recipe.other == 0 and recipe.measure == whole:
            return features.select([number])
    return None


def _latest_value(features: FeatureSet, query: CheckedQuery) -> FeatureSet | None:
    """Return the feature that is the newest value of the column whose first or last is asked."""
    part = next(aggregations(query.query.target), None)
    if part is None or part.where is not None:
        return None
    for number, feature in enumerate(features.features):
        recipe, stream = feature.recipe, feature.recipe.stream
        if (
            recipe.family == "codes"
            and recipe.measure == "last"
            and feature.column == part.column.column
            and stream is not None
            and not stream.seed
            and stream.down == tuple(reversed(part.path))
        ):
            return features.select([number])
    return None
