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
from relcast.tasks.labels import Labels

__all__ = [
    "Collected",
    "class_indices",
    "collect",
    "encode",
    "find_classes",
    "has_classes",
    "numbers",
]

NOT_LIVING = "entity not yet or no longer there"
NOT_CHOSEN = "WHERE does not hold"
NOT_ASSUMED = "ASSUMING does not hold"
NO_TARGET = "target is NULL"
NOT_FINITE = "target is not a finite number"


@dataclass
class Collected:
    """Kept examples of all batches, and what was dropped, by reason.

    Attributes:
        entity: int64[n] dense entity rows.
        anchor: int64[n] index of the anchor.
        target: The values, without NULL; text is dictionary-coded.
        weight: float64[n]; None without weights.
        time: int64[n] ns that orders static rows; None without.
        dropped: Examples by reason.
        considered: Examples looked at.
    """

    entity: npt.NDArray[np.int64]
    anchor: npt.NDArray[np.int64]
    target: pa.ChunkedArray
    weight: npt.NDArray[np.float64] | None
    time: npt.NDArray[np.int64] | None
    dropped: Counter[str] = field(default_factory=Counter)
    considered: int = 0


def collect(
    batches: Iterable[Labels], stage: Stage | None = None, *, targets: bool = True
) -> Collected:
    """Keep the examples whose filters hold and whose target is there; count the others.

    An example that fails for several reasons is counted under the first of: not living, WHERE,
    ASSUMING, target NULL, target not finite. Tells ``stage`` the anchors done. Without ``targets``
    a NULL target drops nothing.
    """
    kept: list[Labels] = []
    dropped: Counter[str] = Counter()
    considered = 0
    for labels in batches:
        considered += labels.considered
        dropped[NOT_LIVING] += labels.considered - len(labels.entity)
        kept.append(_kept(labels, dropped, targets=targets))
        if stage is not None:
            stage.update(int(labels.anchor.max(initial=-1)) + 1)
    if not kept:
        nothing = np.zeros(0, dtype=np.int64)
        return Collected(nothing, nothing, pa.chunked_array([], pa.float64()), None, None)
    return Collected(
        entity=np.concatenate([b.entity for b in kept]),
        anchor=np.concatenate([b.anchor for b in kept]),
        target=pa.chunked_array([b.target for b in kept]).unify_dictionaries(),
        weight=_joined([b.weight for b in kept]),
        time=_joined([b.time for b in kept]),
        dropped=Counter({reason: count for reason, count in dropped.items() if count}),
        considered=considered,
    )


def _kept(labels: Labels, dropped: Counter[str], *, targets: bool) -> Labels:
    keep = labels.chosen
    dropped[NOT_CHOSEN] += int((~keep).sum())
    dropped[NOT_ASSUMED] += int((keep & ~labels.assumed).sum())
    keep = keep & labels.assumed
    if not targets:
        return labels.take(keep)
    present = labels.target.is_valid().to_numpy(zero_copy_only=False)
    dropped[NO_TARGET] += int((keep & ~present).sum())
    keep = keep & present
    if pa.types.is_floating(labels.target.type):
        finite = np.isfinite(labels.target.fill_null(0.0).to_numpy(zero_copy_only=False))
        dropped[NOT_FINITE] += int((keep & ~finite).sum())
        keep = keep & finite
    return labels.take(keep)


def _joined(parts: list[npt.NDArray[Any] | None]) -> npt.NDArray[Any] | None:
    arrays = [p for p in parts if p is not None]
    return np.concatenate(arrays) if arrays else None


def encode(
    query: CheckedQuery, found: Collected
) -> tuple[npt.NDArray[np.float64], tuple[Any, ...] | None]:
    """Return targets as float64[n] and, where they are indices, the classes that they index."""
    if not has_classes(query, found.target):
        return numbers(found.target), None
    classes = find_classes(found.target)
    return class_indices(found.target, classes), classes


def has_classes(query: CheckedQuery, target: pa.ChunkedArray) -> bool:
    """Return whether a target is one of several values rather than a number or a truth value."""
    if query.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return True
    is_column = isinstance(query.query.target, ColumnRef)
    binary = query.task_type is TaskType.BINARY_CLASSIFICATION
    return binary and is_column and not pa.types.is_boolean(target.type)


def find_classes(target: pa.ChunkedArray) -> tuple[Any, ...]:
    """Return the distinct values in ascending order; whole floats become integers."""
    values = pc.unique(_decoded(target)).drop_null().to_pylist()
    if values and all(isinstance(v, float) and v.is_integer() for v in values):
        values = [int(v) for v in values]
    return tuple(sorted(values))


def class_indices(
    target: pa.Array | pa.ChunkedArray, classes: tuple[Any, ...]
) -> npt.NDArray[np.float64]:
    """Return the index of each value in ``classes``, NaN where it is NULL or none of them."""
    values = _decoded(target)
    if not classes:
        return np.full(len(values), np.nan)
    among = pa.array(classes)
    if among.type != values.type:
        among = among.cast(values.type)
    found = pc.index_in(values, value_set=among, skip_nulls=True)
    return found.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def numbers(target: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return truth values as 0 and 1 and numbers as float64, NaN where NULL."""
    if pa.types.is_boolean(target.type):
        target = target.cast(pa.uint8())
    values = target.cast(pa.float64(), safe=False).fill_null(np.nan)
    if isinstance(values, pa.ChunkedArray):
        return values.to_numpy().astype(np.float64, copy=False)  # type: ignore[no-any-return]
    return values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)  # type: ignore[no-any-return]


def _decoded(target: pa.Array | pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(target.type):
        target = target.cast(target.type.value_type)
    return target.combine_chunks() if isinstance(target, pa.ChunkedArray) else target
