"""More training rows between the given ones, where these are few: other windows, the same rule.

Given anchors stand a step apart. Between them lie other label windows of the same entities, with
other noise, and their labels follow from the query. Rows are added only where all of this is
measured, never assumed: every given label comes out again, and at every given anchor one plain rule
finds exactly the given entities. Rows that somebody chose by hand, a population with a condition,
or labels of another making stay as they are.

Labels of added training rows are settled before validation begins, those of rows added to
validation, from which only a refit learns, before the test split does. Nothing is measured on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.protocol import Asked, Fold
from relcast.learners.remade import Remade, remade
from relcast.relations import rows_known
from relcast.tasks.offsets import bounds
from relcast.tasks.waiting import frame_of

if TYPE_CHECKING:
    from relcast.learners.folds import Folds
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Denser", "densified"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rule = Literal["everybody", "active"]

_PARTS = 2
_MOST_ROWS = 20_000
_MOST_PAIRS = 2_000_000
_CLOSE = 1e-6
_KINDS = (TaskType.REGRESSION, TaskType.BINARY_CLASSIFICATION)
_SAID = {
    "everybody": "every entity that was there",
    "active": "every entity with rows of the target's table in the label window",
}


@dataclass(frozen=True)
class Denser:
    """The rows to learn from where some were added.

    Attributes:
        train: Given and added training rows, which together weigh as much as the given ones did.
        newer: Rows between and after those of validation, for a refit; may be none.
        weight: What each row weighs, those of validation in a refit, too.
        report: What was added, and by which rule, JSON-ready.
    """

    train: Fold
    newer: Fold
    weight: float
    report: Mapping[str, Any] = field(default_factory=dict)


def densified(relations: Relations, query: CheckedQuery, folds: Folds) -> Denser | None:
    """Return training rows with more between them; None where they are many or follow no rule."""
    train, held = folds.train, folds.validation
    weighed = train.weight is not None or held.weight is not None
    if weighed or folds.target.task_type not in _KINDS or len(train) > _MOST_ROWS:
        return None
    given = _joined(train.asked, held.asked)
    making = None if given is None else _Making.of(relations, query)
    if given is None or making is None:
        return None
    apart = making.step(given[1][: len(train)])
    found = making.population(*given, np.concatenate([train.label, held.label]))
    if apart is None or found is None:
        return None
    rule, empty = found
    added = making.between(train, held, apart, rule, empty)
    newer = making.between(held, folds.test, apart, rule, empty)
    if not len(added):
        return None
    both = Fold.joined([train, added])
    order = np.lexsort(_joined(train.asked, added.asked) or ())
    weight = 1.0 / _PARTS
    report = {
        "given": len(train),
        "added": len(added),
        "added_to_validation": len(newer),
        "population": _SAID[rule],
    }
    return Denser(
        both.take(order, np.full(len(both), weight)),
        replace(newer, weight=np.full(len(newer), weight)),
        weight,
        report,
    )


def _joined(*parts: Asked) -> tuple[Index, Index] | None:
    """Return the entities and the anchors of several folds; None for a static task."""
    anchors = [part.anchor for part in parts if part.anchor is not None]
    if len(anchors) < len(parts):
        return None
    return np.concatenate([part.entity for part in parts]), np.concatenate(anchors)


@dataclass(frozen=True)
class _Making:
    """How labels and populations of a query come about at any anchor."""

    relations: Relations
    query: CheckedQuery
    labels: Remade
    events: Remade

    @classmethod
    def of(cls, relations: Relations, query: CheckedQuery) -> _Making | None:
        """Return it for a query; None where its windows differ or have no beginning."""
        labels, rows = remade(query, "label"), remade(query, "rows")
        return None if labels is None or rows is None else cls(relations, query, labels, rows)

    def population(self, entity: Index, anchor: Index, label: Float) -> tuple[Rule, float] | None:
        """Return the rule that finds exactly these rows, and the label of what never began.

        The label is NaN where every row has begun. None where no rule finds them, or a label
        differs.
        """
        moments = np.unique(anchor)
        count = self.relations.table(self.query.entity_table).rows
        if count * len(moments) > _MOST_PAIRS:
            return None
        everybody, at, there = self._everybody(moments)
        places = np.searchsorted(moments, anchor) * count + entity
        given = np.zeros(len(everybody), dtype=np.bool_)
        given[places] = True
        if given.sum() < len(places) or not there[places].all():
            return None
        said = self.labels.at(self.relations, everybody, at)
        never = np.isnan(said)
        begun = ~never[places]
        if not np.allclose(said[places][begun], label[begun], rtol=_CLOSE, atol=0.0):
            return None
        rest = np.unique(label[~begun])
        if len(rest) > 1:
            return None
        if not len(rest):
            there &= ~never
        empty = float(rest[0]) if len(rest) else float("nan")
        if (given == there).all():
            return "everybody", empty
        there &= self.events.at(self.relations, everybody, at) > 0
        return ("active", empty) if (given == there).all() else None

    def step(self, anchor: Index) -> int | None:
        """Return how far apart anchors are to stand, ns; None where windows overlap enough."""
        anchors = np.unique(anchor)
        if len(anchors) < 2:
            return None
        apart = int(np.median(np.diff(anchors))) // _PARTS
        low, high = bounds(self.labels.window, anchors)
        return apart if apart >= int(np.median(high - low)) // (2 * _PARTS) else None

    def between(self, fold: Fold, later: Fold, apart: int, rule: Rule, empty: float) -> Fold:
        """Return rows between and after those of a fold, settled before those of the later one."""
        none = Fold(fold.asked.take(slice(0)), fold.label[:0], None)
        moments = self._moments(fold, later, apart)
        count = self.relations.table(self.query.entity_table).rows
        if not len(moments) or count * len(moments) > _MOST_PAIRS:
            return none
        entity, anchor, there = self._everybody(moments)
        said = self.labels.at(self.relations, entity, anchor)
        label = np.where(np.isnan(said), empty, said)
        there &= ~np.isnan(label)
        if rule == "active":
            there &= self.events.at(self.relations, entity, anchor) > 0
        rows = np.flatnonzero(there)
        known = anchor[rows]
        given, seen = fold.asked.anchor, fold.asked.known
        if given is not None and seen is not None and (seen < given).any():
            known = np.minimum(known, seen.min())  # frozen, as the fold is
        return Fold(Asked(entity[rows], anchor[rows], known), label[rows], None)

    def _moments(self, fold: Fold, later: Fold, apart: int) -> Index:
        """Return anchors between those of a fold and after them, ``apart`` from each other."""
        if fold.asked.anchor is None:
            return np.zeros(0, dtype=np.int64)
        frame = frame_of(self.query, self.relations)
        anchors = np.unique(fold.asked.anchor)
        end = int(frame.settled_spans(anchors)[1].max())
        last = int(anchors[-1])
        if later.asked.anchor is not None and len(later):
            end = int(frame.spans(later.asked.anchor)[0].min())
            last = max(last, end)
        points = [
            np.arange(a + apart, b - apart // 2, apart)
            for a, b in zip(anchors, np.append(anchors[1:], last), strict=True)
        ]
        found = np.concatenate(points)
        return np.asarray(found[frame.settled_spans(found)[1] <= end])

    def _everybody(self, moments: Index) -> tuple[Index, Index, Bools]:
        """Return every entity at every moment, and who was there."""
        table = self.relations.table(self.query.entity_table)
        entity = np.tile(np.arange(table.rows, dtype=np.int64), len(moments))
        anchor = np.repeat(moments, table.rows)
        return entity, anchor, rows_known(table, entity, anchor)
