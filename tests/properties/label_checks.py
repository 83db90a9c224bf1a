"""Labels of relcast against those of the slow oracle: one case at a time, every difference named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from relcast.core.schema import TaskType
from relcast.pql.ast import Aggregation
from relcast.snapshots import Snapshot
from relcast.tasks import evaluate_target, examples_at, population
from relcast.tasks.examples import Examples
from relcast.tasks.grid import Grid
from relcast.tasks.labels import Labeller
from relcast.tasks.scan import open_session
from relcast.tasks.targets import collect, encode
from tests.properties.label_cases import Drawn
from tests.properties.label_oracle import ENDLESS, LISTS, Dropped
from tests.properties.label_values import text_of_key

__all__ = ["Difference", "Seen", "compare", "compare_everywhere", "labels", "named"]

TOLERANCE = 1e-12
CLASSES = {
    TaskType.MULTICLASS_CLASSIFICATION,
    TaskType.MULTILABEL_CLASSIFICATION,
    TaskType.MULTILABEL_RANKING,
}


class Difference(AssertionError):
    """Labels that are not the oracle's."""


@dataclass
class Seen:
    """What was compared.

    Attributes:
        labels: Labels.
        error: The largest relative difference of two numbers.
        engines: Cases in which both engines were compared with the oracle.
        arrays: Those in which arrays were one of them; in the others both were SQL.
    """

    labels: int = 0
    error: float = 0.0
    engines: int = 0
    arrays: int = 0

    def add(self, other: Seen) -> None:
        self.labels += other.labels
        self.error = max(self.error, other.error)
        self.engines += other.engines
        self.arrays += other.arrays

    def same(self, got: Any, want: Any) -> bool:
        """Whether a label is the oracle's; remembers by how much numbers differ."""
        if isinstance(want, list):
            return len(got) == len(want) and all(map(self.same, got, want))
        if isinstance(want, str):
            return bool(got == want)
        got, want = float(got), float(want)
        if got == want:
            return True
        if not math.isfinite(got):
            return False
        error = abs(got - want) / max(1.0, abs(want))
        self.error = max(self.error, error)
        return error <= TOLERANCE


def targets_of(found: Examples, drawn: Drawn) -> list[Any]:
    """The targets as people read them: classes by their value, links by the item's key."""
    if found.lists is not None:
        names: Any = found.classes
        if drawn.query.items is not None:
            names = drawn.keys(drawn.query.items.to)
        bounds = found.lists.offsets.tolist()
        places = found.lists.values.tolist()
        return [[names[i] for i in places[a:b]] for a, b in pairwise(bounds)]
    assert found.target is not None
    values = found.target.tolist()
    if found.classes is not None:
        assert list(found.classes) == sorted(found.classes)
        values = [found.classes[int(v)] for v in values]
    return values


def labels(drawn: Drawn, snapshot: Snapshot) -> dict[Any, Any]:
    """The labels of relcast by (entity key, anchor), or by entity key for a static query."""
    found, _ = examples_at(snapshot, drawn.query, drawn.moments if drawn.query.temporal else None)
    return keyed(found, drawn)


def keyed(found: Examples, drawn: Drawn) -> dict[Any, Any]:
    """Targets by (entity key, anchor), or by entity key."""
    keys = drawn.keys(drawn.query.entity_table)
    values = targets_of(found, drawn)
    entities = [keys[e] for e in found.entity.tolist()]
    if found.anchor is None:
        return dict(zip(entities, values, strict=True))
    return dict(zip(zip(entities, found.anchor.tolist(), strict=True), values, strict=True))


def named(drawn: Drawn, found: dict[Any, Any]) -> dict[Any, Any]:
    """The oracle's labels in the same form: listed rows by their key, also as classes."""
    target = drawn.query.query.target
    if not isinstance(target, Aggregation) or target.items is None:
        return found
    keys = drawn.keys(target.items.to)
    if drawn.query.items is not None:
        return {k: [keys[place] for place in v] for k, v in found.items()}
    if drawn.query.task_type not in LISTS:
        return found
    by_text = {text_of_key(key): key for key in keys}
    return {k: [by_text[text_of_key(x)] for x in v] for k, v in found.items()}


def agree(got: dict[Any, Any], want: dict[Any, Any], place: str) -> Seen:
    """Compare labels by key; raises ``Difference`` with what differs."""
    seen = Seen(len(want))
    if set(got) != set(want):
        more = {k: got[k] for k in set(got) - set(want)}
        less = {k: want[k] for k in set(want) - set(got)}
        raise Difference(f"{place}: not in the oracle {more}; not in relcast {less}")
    wrong = {k: (got[k], want[k]) for k in want if not seen.same(got[k], want[k])}
    if wrong:
        raise Difference(f"{place}: (relcast, oracle) {wrong}")
    return seen


def compare(drawn: Drawn, snapshot: Snapshot) -> Seen:
    """Compare a case's labels and counts, its population, and the target everywhere."""
    query = drawn.query
    found, reasons = examples_at(snapshot, query, drawn.moments if query.temporal else None)
    seen = agree(keyed(found, drawn), named(drawn, drawn.answer[0]), drawn.place)
    if reasons != drawn.answer[1]:
        raise Difference(f"{drawn.place}: dropped {reasons}, by the oracle {drawn.answer[1]}")
    if query.temporal:
        _compare_more(drawn, snapshot, seen)
    return seen


def _compare_more(drawn: Drawn, snapshot: Snapshot, seen: Seen) -> None:
    """Compare what takes part, SQL alone, and by turns the other ways to a target."""
    seen.add(compare_statement(drawn, snapshot))
    if drawn.seed % 2:
        compare_population(drawn, snapshot)
    if drawn.seed % 3 == 0:
        back = 0 if drawn.seed % 6 == 0 else 1 + drawn.seed // 6 % 2
        seen.add(compare_everywhere(drawn, snapshot, back))


def compare_statement(drawn: Drawn, snapshot: Snapshot) -> Seen:
    """Compare the labels that SQL alone finds, at times a few examples at a time.

    ``examples_at`` takes arrays where it can; whether it could is counted.
    """
    query, moments = drawn.query, drawn.moments
    batch = 20 if drawn.seed % 24 == 0 else None
    with open_session(snapshot) as session:
        labeller = Labeller(session, query, arrays=False, batch=batch)
        found = collect(labeller.grid(moments))
        arrays = Grid.of(session, labeller.sql, memory=session.memory // 2) is not None
    encoded = encode(query, found)
    examples = Examples(
        entity=found.entity,
        anchor=moments[found.anchor],
        target=encoded.target,
        classes=encoded.classes,
        lists=encoded.lists,
    )
    if dict(found.dropped) != drawn.answer[1]:
        raise Difference(f"{drawn.place}: by SQL {found.dropped}, by the oracle {drawn.answer[1]}")
    seen = agree(keyed(examples, drawn), named(drawn, drawn.answer[0]), f"by SQL, {drawn.place}")
    seen.engines, seen.arrays = 1, int(arrays)
    return seen


def compare_population(drawn: Drawn, snapshot: Snapshot) -> None:
    """Compare who takes part at one anchor."""
    keys = drawn.keys(drawn.query.entity_table)
    anchor = drawn.case.anchors[drawn.seed % len(drawn.case.anchors)]
    got = [keys[e] for e in population(snapshot, drawn.query, anchor.value)]
    want = [row[drawn.oracle.key] for row in drawn.oracle.population(anchor)]
    if got != want:
        raise Difference(f"{drawn.place}: population at {anchor}: {got}, by the oracle {want}")


def compare_everywhere(drawn: Drawn, snapshot: Snapshot, back: int = 0) -> Seen:
    """Compare ``evaluate_target`` at every pair of entity and anchor, whatever the filters."""
    query, oracle, anchors = drawn.query, drawn.oracle, drawn.case.anchors
    rows = oracle.rows[query.entity_table]
    entity = np.tile(np.arange(len(rows)), len(anchors))
    anchor = np.repeat(drawn.moments, len(rows))
    pairs = [(r, a) for a in anchors for r in rows]
    targets = enumerate(oracle.target(r, a, back) for r, a in pairs)
    plain = dict(targets)
    known = {k: v for k, v in plain.items() if not isinstance(v, Dropped)}
    if query.items is None:
        known = named(drawn, known)
    want = [known.get(k, plain[k]) for k in plain]
    classes = None
    if query.task_type in CLASSES:
        every = {x for w in known.values() for x in (w if isinstance(w, list) else [w])}
        classes = tuple(sorted(every))
        if not classes:
            return Seen()
    found = evaluate_target(snapshot, query, entity, anchor, windows_back=back, classes=classes)
    seen = Seen(len(want))
    for at, (got, right) in enumerate(zip(_each(found, drawn), want, strict=True)):
        if right is ENDLESS:
            fine = not np.isfinite(got).all()
        elif isinstance(right, Dropped):
            fine = got is None or bool(np.isnan(got).all())
        elif got is None or (classes is not None and np.isnan(got).any()):
            fine = False
        else:
            value = got if classes is None or query.items is not None else _classes(got, classes)
            fine = seen.same(value, right)
        if not fine:
            where = f"entity {rows[entity[at]][oracle.key]!r} at {anchor[at]}, {back} back"
            raise Difference(f"{drawn.place}: {where}: {got}, by the oracle {right}")
    return seen


def _classes(got: Any, classes: tuple[Any, ...]) -> Any:
    return [classes[int(i)] for i in got] if isinstance(got, list) else classes[int(got)]


def _each(found: Any, drawn: Drawn) -> list[Any]:
    """The answer of ``evaluate_target`` pair by pair; None where a list is empty."""
    if drawn.query.task_type not in LISTS:
        return [v.tolist() for v in found]
    bounds, values = found.offsets.tolist(), found.values.tolist()
    return [values[a:b] or None for a, b in pairwise(bounds)]
