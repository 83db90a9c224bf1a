"""Decide which columns the pairs of a query have, from what the training side knew."""

from __future__ import annotations

import numpy as np

from relcast.core.schema import TaskType
from relcast.learners.features import FeatureSet
from relcast.learners.features.windows import YEAR, Window, choose, typical_gap
from relcast.learners.learner import Work
from relcast.learners.ranking.cohorts import Cohort
from relcast.learners.ranking.content import Label, labels_of, numbers_of
from relcast.learners.ranking.links import Links, word_of
from relcast.learners.ranking.scene import Question, Scene
from relcast.learners.ranking.traits import PairPlan
from relcast.pql.ast import Aggregation, AggregationKind, CheckedQuery, ColumnRef, Query
from relcast.relations import NOT_A_TIME

__all__ = ["plan_pairs"]

_ENTITY_FEATURES = 24
_ITEM_FEATURES = 40
_COHORTS = 4
_LABELS = 6
_NUMBERS = 6
_MOST_CLASSES = 1000
_MOST_WINDOWS = 5


def plan_pairs(work: Work, question: Question, scene: Scene, *, vectors: bool) -> PairPlan:
    """Plan the columns of a query's pairs; nothing later than the training side is read."""
    relations, query, spec, items = work.relations, work.query, question.spec, question.items
    known = work.train.asked.known
    until = None if known is None else int(known.max())
    temporal = question.temporal
    entity = work.features.select(range(min(_ENTITY_FEATURES, len(work.features.features))))
    labels, numbers = [], []
    if items.table is not None and temporal:
        labels = _labels(work, items.table, until)[:_LABELS]
        names = numbers_of(relations, query, items.table, until)
        left_out = work.settings.leave_out
        numbers = [n for n in names if (items.table, n) not in left_out][:_NUMBERS]
    mine = _labels(work, query.entity_table, until)
    cohorts = [Cohort("entity", label) for label in mine[:_COHORTS]]
    if temporal:
        named = [label for label in labels if label.sign is None][: _COHORTS - 1]
        cohorts += [Cohort("before", label) for label in (None, *named)]
        both = {spec.down[-1], spec.up}
        own = [
            label
            for label in _labels(work, spec.table, until)
            if not (label.path and label.path[0] in both) and len(label.path) < 2
        ]
        cohorts += [Cohort("link", label) for label in own[:_COHORTS]]
    classes = None
    if items.table is None and len(items.classes or ()) <= _MOST_CLASSES:
        classes = tuple(word_of(c) for c in items.classes or ())
    windows = _windows(scene.links, until, question) if temporal else ()
    span = _span(scene.links, until)
    season = temporal and 0 < spec.horizon < YEAR <= span
    valid = work.valid.asked
    stale = (
        valid.known is not None
        and valid.anchor is not None
        and bool((valid.known < valid.anchor).any())
    )
    return PairPlan(
        spec=spec,
        item=_item_word(query, items.table),
        windows=windows,
        back=((YEAR, YEAR - spec.horizon),) if season else (),
        temporal=temporal,
        others=tuple(links.spec for links in scene.others),
        cohorts=tuple(cohorts),
        labels=tuple(labels),
        numbers=tuple(numbers),
        vectors=vectors,
        classes=classes,
        entity=entity if entity.features else None,
        items=_item_features(work, until),
        stale=stale,
    )


def _item_word(query: CheckedQuery, table: str | None) -> str:
    if table is not None:
        return f"{table} row"
    target = query.query.target
    column = target.column if isinstance(target, Aggregation) else target
    named = isinstance(column, ColumnRef) and column.column is not None
    return column.column if named else "class"  # type: ignore[union-attr, return-value]


def _span(links: Links, until: int | None) -> int:
    """Return ns from the first link to ``until``; 0 without times."""
    if until is None or not links.timed:
        return 0
    times = links.time[links.time != NOT_A_TIME]
    return max(0, until - int(times[0])) if len(times) else 0


def _windows(links: Links, until: int | None, question: Question) -> tuple[Window, ...]:
    """Return at most five windows, from short to long, without "ever"."""
    side = links.by_entity
    owners = np.ones(links.entities, dtype=bool)
    gap = typical_gap(side.indptr, side.time, owners, until) if links.timed else float("nan")
    found = [w for w in choose(question.spec.shape, gap, _span(links, until)) if w.width > 0]
    if len(found) <= _MOST_WINDOWS:
        return tuple(found)
    kept = np.unique(np.linspace(0, len(found) - 1, _MOST_WINDOWS).round().astype(int))
    return tuple(found[k] for k in kept)


def _labels(work: Work, table: str, until: int | None) -> list[Label]:
    """Return the labels of a table's rows that may be read."""
    left_out = work.settings.leave_out
    found = labels_of(work.relations, work.query, table, until)
    return [
        label
        for label in found
        if (label.holder, label.column) not in left_out
        and not any((link.table, link.foreign_key) in left_out for link in label.path)
    ]


def _item_features(work: Work, until: int | None) -> FeatureSet | None:
    """Return features of items: what is generated for counting an item's links."""
    relations, query, settings = work.relations, work.query, work.settings
    target = query.query.target
    if not isinstance(target, Aggregation) or target.items is None or query.items is None:
        return None
    key = relations.graph.table(target.items.to).primary_key
    counted = Aggregation(
        AggregationKind.COUNT,
        ColumnRef(target.column.table, None),
        target.where,
        target.window,
        path=(target.items,),
    )
    asked = CheckedQuery(
        text=query.text,
        query=Query(counted, ColumnRef(target.items.to, key)),
        task_type=TaskType.REGRESSION,
        temporal=query.temporal,
    )
    found = FeatureSet.generate(
        relations,
        asked,
        budget=_ITEM_FEATURES,
        until=until,
        allow_mutable=settings.allow_mutable,
    )
    kept = [
        place
        for place, f in enumerate(found.features)
        if f.column is None or (f.table, f.column) not in settings.leave_out
    ]
    return found.select(kept) if kept else None
