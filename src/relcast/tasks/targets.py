"""Targets gathered from batches of labels: what is kept and dropped, classes as indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.progress import Stage
from relcast.core.schema import TaskType
from relcast.pql.ast import CheckedQuery, ColumnRef
from relcast.tasks.examples import Encoded, Lists
from relcast.tasks.growing import Growing
from relcast.tasks.label_sql import LISTS
from relcast.tasks.labels import Labels

__all__ = [
    "MULTILABEL",
    "Collected",
    "are_numbers",
    "class_indices",
    "collect",
    "encode",
    "find_classes",
    "has_classes",
    "list_indices",
    "numbers",
]

NOT_LIVING = "entity not yet or no longer there"
NOT_CHOSEN = "WHERE does not hold"
NOT_ASSUMED = "ASSUMING does not hold"
NO_TARGET = "target is NULL"
NOT_FINITE = "target is not a finite number"
EMPTY_LIST = "target list is empty, so it ranks nothing"
MULTILABEL = frozenset({TaskType.MULTILABEL_CLASSIFICATION, TaskType.MULTILABEL_RANKING})
"""The tasks whose targets are lists of classes."""

_PLAIN = (TaskType.BINARY_CLASSIFICATION, TaskType.REGRESSION)


@dataclass
class Collected:
    """Kept examples of all batches, and what was dropped, by reason.

    Attributes:
        entity: int64[n] dense entity rows, in order of (anchor, entity).
        held: int64[anchors]: how many of them each anchor has; the last has one at least.
        target: The values, without NULL; text is dictionary-coded. Lists of h floats for
            forecasts, lists of values or dense rows for lists. Where they are numbers float64[n].
        weight: float64[n]; None without weights.
        time: int64[n] ns that orders static rows; None without.
        dropped: Examples by reason.
        considered: Examples looked at.
    """

    entity: npt.NDArray[np.int64]
    held: npt.NDArray[np.int64]
    target: pa.ChunkedArray | npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None
    time: npt.NDArray[np.int64] | None
    dropped: Counter[str] = field(default_factory=Counter)
    considered: int = 0

    @property
    def anchor(self) -> npt.NDArray[np.int64]:
        """int64[n], the index of each example's anchor."""
        return np.repeat(np.arange(len(self.held)), self.held)

    def moment(self, anchors: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what stands for each example's anchor in ``anchors``: [n]."""
        return np.repeat(anchors[: len(self.held)], self.held)


def collect(
    batches: Iterable[Labels],
    stage: Stage | None = None,
    *,
    targets: bool = True,
    plain: bool = False,
    most: int = 0,
) -> Collected:
    """Keep the examples whose filters hold and whose target is there; count the others.

    An example that fails for several reasons is counted under the first of: not living, WHERE,
    ASSUMING, target NULL, target not finite (one of a forecast's is enough), list empty where it
    is to be ranked. Tells ``stage`` the anchors done. Without ``targets`` a NULL target drops
    nothing. ``plain``: targets are numbers or truth values, to be held as floats (``are_numbers``).
    ``most`` is about how many examples there can be.
    """
    gathered = _Gathered(plain=plain and targets, most=most)
    dropped: Counter[str] = Counter()
    considered = 0
    for labels in batches:
        considered += labels.considered
        dropped[NOT_LIVING] += labels.considered - len(labels.entity) - sum(labels.left_out)
        for reason, rows in zip((NOT_CHOSEN, NOT_ASSUMED, NO_TARGET), labels.left_out, strict=True):
            dropped[reason] += rows
        gathered.add(_kept(labels, dropped, targets=targets))
        if stage is not None:
            stage.update(int(labels.anchor.max(initial=-1)) + 1)
    return gathered.collected(
        Counter({reason: count for reason, count in dropped.items() if count}), considered
    )


class _Gathered:
    """Examples put where they stay while batches come in."""

    def __init__(self, *, plain: bool, most: int) -> None:
        self._entity = Growing(np.int64, most)
        self._number = Growing(np.float64, most) if plain else None
        self._values: list[pa.Array] = []
        self._weight: list[npt.NDArray[np.float64]] = []
        self._time: list[npt.NDArray[np.int64]] = []
        self._held = np.zeros(0, dtype=np.int64)

    def add(self, labels: Labels) -> None:
        """Add the examples of the next anchors, or more of the last."""
        self._entity.append(labels.entity)
        if self._number is None:
            self._values.append(labels.target)
        else:
            fits = _fits_float(labels.target)
            found = labels.target.to_numpy(zero_copy_only=False) if fits else None
            self._number.append(numbers(labels.target) if found is None else found)
        if labels.weight is not None:
            self._weight.append(labels.weight)
        if labels.time is not None:
            self._time.append(labels.time)
        if len(labels.anchor):
            held, last = self._held, int(labels.anchor[-1])
            self._held = np.zeros(max(len(held), last + 1), dtype=np.int64)
            self._held[: len(held)] = held
            first = int(labels.anchor[0])
            ends = np.searchsorted(labels.anchor, np.arange(first, last + 2))
            self._held[first : last + 1] += np.diff(ends)

    def collected(self, dropped: Counter[str], considered: int) -> Collected:
        """Return everything that was added; nothing can be added afterwards."""
        target = self._number.done() if self._number is not None else _chunked(self._values)
        return Collected(
            entity=self._entity.done(),
            held=self._held,
            target=target,
            weight=np.concatenate(self._weight) if self._weight else None,
            time=np.concatenate(self._time) if self._time else None,
            dropped=dropped,
            considered=considered,
        )


def _kept(labels: Labels, dropped: Counter[str], *, targets: bool) -> Labels:
    keep = labels.chosen.copy()

    def narrow(holds: npt.NDArray[np.bool_] | None, reason: str) -> None:
        if holds is not None:
            before = int(np.count_nonzero(keep))
            np.logical_and(keep, holds, out=keep)
            dropped[reason] += before - int(np.count_nonzero(keep))

    dropped[NOT_CHOSEN] += len(keep) - int(np.count_nonzero(keep))
    narrow(labels.assumed, NOT_ASSUMED)
    if not targets:
        return labels.take(keep)
    if labels.target.null_count:
        narrow(labels.target.is_valid().to_numpy(zero_copy_only=False), NO_TARGET)
    narrow(_is_finite(labels.target), NOT_FINITE)
    if labels.ranked:
        lengths = pc.list_value_length(labels.target).fill_null(0).to_numpy()
        narrow(lengths != 0, EMPTY_LIST)
    return labels.take(keep)


def _is_finite(target: pa.Array) -> npt.NDArray[np.bool_] | None:
    """Return whether each value, or all values of a forecast, are finite; NULL is. None: all."""
    if pa.types.is_floating(target.type):
        whole = target.fill_null(0.0) if target.null_count else target
        return np.asarray(np.isfinite(whole.to_numpy(zero_copy_only=False)), dtype=np.bool_)
    if pa.types.is_fixed_size_list(target.type):
        return np.asarray(np.isfinite(_windows(target, missing=0.0)).all(axis=1), dtype=np.bool_)
    return None


def _windows(target: pa.Array, missing: float = np.nan) -> npt.NDArray[np.float64]:
    """Return n forecasts of h values as float64[n, h]; a NULL one is ``missing`` throughout."""
    steps = target.type.list_size
    values = target.values.slice(target.offset * steps, len(target) * steps)
    found = values.fill_null(missing).to_numpy(zero_copy_only=False).reshape(-1, steps).copy()
    found[~target.is_valid().to_numpy(zero_copy_only=False)] = missing
    return found  # type: ignore[no-any-return]


def _chunked(parts: list[pa.Array]) -> pa.ChunkedArray:
    if not parts:
        return pa.chunked_array([], pa.float64())
    chunks = pa.chunked_array(parts)
    return chunks if pa.types.is_nested(chunks.type) else chunks.unify_dictionaries()


def encode(query: CheckedQuery, found: Collected) -> Encoded:
    """Return targets as arrays and, where they are indices, the classes that they index."""
    target = found.target
    if isinstance(target, np.ndarray):
        return Encoded(target)
    if query.task_type in LISTS:
        if not _is_list(target.type):  # there was nothing to look at
            target = pa.chunked_array([], pa.large_list(pa.int64()))
        classes = find_classes(target) if query.task_type in MULTILABEL else None
        return Encoded(classes=classes, lists=list_indices(target, classes))
    if has_classes(query, target):
        classes = find_classes(target)
        return Encoded(class_indices(target, classes), classes)
    values = numbers(target)
    return Encoded(values.reshape(-1, query.forecast_length) if query.forecast_length else values)


def has_classes(query: CheckedQuery, target: pa.ChunkedArray) -> bool:
    """Return whether a target is one of several values, or a list of them.

    The others are numbers, truth values and lists of rows.
    """
    if query.task_type is TaskType.MULTICLASS_CLASSIFICATION or query.task_type in MULTILABEL:
        return True
    is_column = isinstance(query.query.target, ColumnRef)
    binary = query.task_type is TaskType.BINARY_CLASSIFICATION
    return binary and is_column and not pa.types.is_boolean(target.type)


def are_numbers(query: CheckedQuery) -> bool:
    """Return whether a target is one number or truth value, of which ``encode`` makes floats."""
    if isinstance(query.query.target, ColumnRef):
        return False
    return query.forecast_length is None and query.task_type in _PLAIN


def find_classes(target: pa.Array | pa.ChunkedArray) -> tuple[Any, ...]:
    """Return the distinct values, of lists the distinct elements, in ascending order.

    Whole floats become integers.
    """
    found: set[Any] = set()
    for part in _parts(target):
        distinct = pc.unique(part).drop_null()
        if pa.types.is_dictionary(distinct.type):
            distinct = distinct.dictionary_decode()
        found.update(distinct.to_pylist())
    if found and all(isinstance(v, float) and v.is_integer() for v in found):
        found = {int(v) for v in found}
    return tuple(sorted(found))


def list_indices(target: pa.Array | pa.ChunkedArray, classes: tuple[Any, ...] | None) -> Lists:
    """Return lists of values as lists of their indices in ``classes``; NULL becomes an empty list.

    Values that are none of the classes are left out. Without classes the values are whole numbers
    and stay as they are.
    """
    lengths = pc.list_value_length(target).fill_null(0).cast(pa.int64()).to_numpy()
    offsets = _running(lengths)
    if classes is None:
        rows = [part.cast(pa.int64()).to_numpy() for part in _parts(target)]
        return Lists(offsets, np.concatenate([np.zeros(0, dtype=np.int64), *rows]))
    found = class_indices(target, classes)
    known = ~np.isnan(found)
    return Lists(_running(known)[offsets], found[known].astype(np.int64))


def class_indices(
    target: pa.Array | pa.ChunkedArray, classes: tuple[Any, ...]
) -> npt.NDArray[np.float64]:
    """Return the index of each value, of lists of each element, in ``classes``.

    NaN where it is NULL or none of them.
    """
    return np.concatenate([np.zeros(0), *(_indices(part, classes) for part in _parts(target))])


def _indices(values: pa.Array, classes: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    if pa.types.is_dictionary(values.type):
        # The few different texts are looked up, not the many values.
        padded = np.append(_indices(values.dictionary, classes), np.nan)
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.asarray(padded[codes], dtype=np.float64)
    if not classes:
        return np.full(len(values), np.nan)
    among = pa.array(classes)
    if among.type != values.type:
        among = among.cast(values.type)
    found = pc.index_in(values, value_set=among, skip_nulls=True).cast(pa.float64())
    return np.asarray(found.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


def numbers(target: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return truth values as 0 and 1 and numbers as float64, NaN where NULL.

    float64[n]; of forecasts float64[n, h].
    """
    if pa.types.is_fixed_size_list(target.type):
        chunks = target.chunks if isinstance(target, pa.ChunkedArray) else [target]
        nothing = np.zeros((0, target.type.list_size))
        return np.concatenate([nothing, *(_windows(chunk) for chunk in chunks)])
    if isinstance(target, pa.ChunkedArray) and _fits_float(target):
        found = np.empty(len(target))
        first = 0
        for chunk in target.chunks:
            # One copy: the values at once to where they stay.
            found[first : first + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
            first += len(chunk)
        return found
    if pa.types.is_boolean(target.type):
        target = target.cast(pa.uint8())
    values = target.cast(pa.float64(), safe=False)
    if values.null_count:
        values = values.fill_null(np.nan)
    if isinstance(values, pa.ChunkedArray):
        return values.to_numpy().astype(np.float64, copy=False)  # type: ignore[no-any-return]
    return values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)  # type: ignore[no-any-return]


def _fits_float(target: pa.Array | pa.ChunkedArray) -> bool:
    """Return whether these are numbers or truth values of plain types, none of them NULL."""
    kind = target.type
    plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(plain) and target.null_count == 0


def _parts(target: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """Return the values in pieces; of lists their elements, end to end."""
    chunks = target.chunks if isinstance(target, pa.ChunkedArray) else [target]
    return [chunk.flatten() if _is_list(chunk.type) else chunk for chunk in chunks]


def _running(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return n + 1 sums: of none, of the first, of the first two, and so on."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values, dtype=np.int64)])


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
