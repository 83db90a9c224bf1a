"""Which classes an entity has had before, how often and how long ago, as of any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.features.resolver import Resolver
from relcast.learners.features.spec import Value
from relcast.learners.features.target import Target as WindowTarget
from relcast.learners.multilabel import kernels
from relcast.learners.protocol import Asked
from relcast.pql.ast import AggregationKind

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["ClassMemory", "Remembered", "places_of"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST = 500
"""Classes of one example that are remembered, the latest ones."""
_LISTS = (AggregationKind.LIST_DISTINCT, AggregationKind.FIRST, AggregationKind.LAST)


@dataclass(frozen=True)
class Remembered:
    """The classes that n examples have had; the latest of an example first.

    Attributes:
        indptr: int64[n + 1]; the m classes of example i stand at ``indptr[i]:indptr[i + 1]``.
        classes: int64[m].
        numbers: float64[m, 5] windows that held the class, its events, those of the last window,
            those of the last four windows, and how many windows ago the last one was.
        windows: float64[n] windows since the first event, 0 without one.
        events: float64[n] events.
    """

    indptr: Index
    classes: Index
    numbers: Float
    windows: Float
    events: Float

    @classmethod
    def nothing(cls, n: int) -> Remembered:
        """Return the memory of examples that have none."""
        none = np.zeros(0, dtype=np.int64)
        empty = np.zeros(n + 1, dtype=np.int64)
        return cls(empty, none, np.zeros((0, 5)), np.zeros(n), np.zeros(n))

    def take(self, rows: Index) -> Remembered:
        """Return what the chosen examples have had."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.append(0, np.cumsum(lengths)).astype(np.int64)
        inside = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
        places = np.repeat(self.indptr[rows], lengths) + inside
        return Remembered(
            indptr,
            self.classes[places],
            self.numbers[places],
            self.windows[rows],
            self.events[rows],
        )

    @property
    def rows(self) -> Index:
        """int64[m], the example of each class."""
        return np.repeat(np.arange(len(self.windows)), np.diff(self.indptr))

    @property
    def rank(self) -> Index:
        """int64[m], 0 for the latest class of an example, 1 for the one before, and so on."""
        return np.arange(len(self.classes)) - np.repeat(self.indptr[:-1], np.diff(self.indptr))


@dataclass(frozen=True)
class ClassMemory:
    """Reads the rows that the target's lists, or its first or last value, are made of.

    Attributes:
        entity_table: Whose rows examples are.
        target: The target's shape.
        classes: The classes, by index.
    """

    entity_table: str
    target: WindowTarget
    classes: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a target that is not one aggregation of a column."""
        parts = self.target.aggregations
        if len(parts) != 1 or parts[0].column is None or not parts[0].path:
            raise ValueError("a memory of classes needs one aggregation of a column")

    @classmethod
    def of(
        cls,
        relations: Relations,
        entity_table: str,
        target: WindowTarget | None,
        classes: tuple[Any, ...],
    ) -> ClassMemory | None:
        """Return the memory of a target; None where it has no past of classes (static targets)."""
        if target is None or len(target.aggregations) != 1:
            return None
        part = target.aggregations[0]
        if part.column is None or part.kind not in _LISTS or target.condition is not None:
            return None
        if relations.table(part.table).time is None:
            return None
        if relations.graph.table(part.table).column(part.column).dtype.is_list:
            return None
        return cls(entity_table, target, classes)

    def recall(self, relations: Relations, asked: Asked) -> Remembered:
        """Return what each example has had, of the rows that are known to it."""
        if asked.known is None:
            return Remembered.nothing(len(asked))
        part = self.target.aggregations[0]
        entity = np.ascontiguousarray(asked.entity, dtype=np.int64)
        known = np.ascontiguousarray(asked.known, dtype=np.int64)
        resolver = Resolver(relations, self.entity_table, entity, known, self.target)
        codes = resolver.codes(Value("target", part.table, part.column, number=0))
        events = resolver.target_events(part)
        edge, since, over = resolver.edge_codes(events, codes)
        place = np.append(places_of(codes.words, self.classes), -1)
        own = place[edge.astype(np.int64)]  # code -1 reads the last
        return recall(events.indptr, events.time, over, since, own, entity, known, self.width)

    @property
    def width(self) -> int:
        """The length of the target's window in ns."""
        return max(1, self.target.aggregations[0].nanoseconds)


def recall(
    indptr: Index,
    time: Index,
    over: Index,
    known: Index,
    codes: Index,
    owners: Index,
    moments: Index,
    width: int,
) -> Remembered:
    """Return what n examples have had; see ``kernels.recall_classes`` for the arguments."""
    n, classes = len(owners), int(codes.max(initial=0)) + 1
    count = np.zeros(n, dtype=np.int64)
    events = (indptr, time, over, known, codes, owners, moments)
    kernels.count_classes(*events, classes, _MOST, count)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(count)])
    found = np.zeros(int(starts[-1]), dtype=np.int64)
    numbers, whole = np.zeros((len(found), 5)), np.zeros((n, 2))
    slots = np.zeros(classes, dtype=np.int64)
    kernels.recall_classes(*events, width, starts, slots, found, numbers, whole)
    return Remembered(starts, found, numbers, whole[:, 0], whole[:, 1])


def places_of(words: Sequence[str], classes: Sequence[Any]) -> Index:
    """Return the index of the class that each word means, int64; -1 for none of them."""
    place = {_text(value): number for number, value in enumerate(classes)}
    return np.array([place.get(word, -1) for word in words], dtype=np.int64)


def _text(value: Any) -> str:
    """Write a class as ``relations`` writes categories."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
