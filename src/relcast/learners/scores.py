"""Scores of a model, and the table of predictions that they become (``plan.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Scores", "to_output"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says about n examples, in the order in which they were asked.

    Attributes:
        task_type: The task.
        entity: int64[n] dense rows of the entity table.
        anchor: int64[n] anchor times in nanoseconds since 1970 UTC; None for a static task.
        values: float64[n]: the probability of true (binary) or the value (regression);
            float64[n, classes]: a probability for each class (multiclass), rows add up to one.
        classes: The classes of a multiclass task, in the order of the columns of ``values``.
    """

    task_type: TaskType
    entity: Index
    anchor: Index | None
    values: Float
    classes: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return len(self.entity)


def to_output(
    scores: Scores,
    keys: pa.Array | Sequence[Any],
    *,
    threshold: float | None = None,
    num_classes: int | None = None,
) -> pa.Table:
    """Return the prediction rows of scores.

    Binary: ``ENTITY, TIMESTAMP, TARGET_PRED, False_PROB, True_PROB``; ``TARGET_PRED`` is whether
    the probability of true reaches ``threshold`` (default 0.5). Regression: ``ENTITY, TIMESTAMP,
    TARGET_PRED``. Multiclass: ``ENTITY, TIMESTAMP, CLASS, SCORE, PREDICTED``, a row for each of the
    ``num_classes`` best classes, best first. Static tasks have no ``TIMESTAMP``.

    Args:
        scores: What the model said.
        keys: The primary key of each scored entity, n values.
        threshold: Between 0 and 1, binary only.
        num_classes: At least 1, multiclass only; None returns all classes.

    Raises ``predict.bad_threshold`` and ``predict.bad_num_classes``.
    """
    import pyarrow as pa

    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidRequest(
            f"The threshold {threshold} is not a probability",
            code="predict.bad_threshold",
            hint="Give a number from 0 to 1.",
        )
    if num_classes is not None and num_classes < 1:
        raise InvalidRequest(
            f"num_classes_to_return is {num_classes}",
            code="predict.bad_num_classes",
            hint="Give a number of at least 1, or none for all classes.",
        )
    entity = keys if isinstance(keys, pa.Array | pa.ChunkedArray) else pa.array(list(keys))
    columns: dict[str, Any] = {"ENTITY": entity}
    if scores.anchor is not None:
        columns["TIMESTAMP"] = pa.array(scores.anchor, pa.int64()).cast(pa.timestamp("ns"))
    if scores.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return _by_class(scores, columns, num_classes)
    if scores.task_type is TaskType.BINARY_CLASSIFICATION:
        line = 0.5 if threshold is None else threshold
        columns["TARGET_PRED"] = pa.array(scores.values >= line)
        columns["False_PROB"] = pa.array(1.0 - scores.values)
        columns["True_PROB"] = pa.array(scores.values)
    else:
        columns["TARGET_PRED"] = pa.array(scores.values)
    return pa.table(columns)


def _by_class(scores: Scores, columns: dict[str, Any], num_classes: int | None) -> pa.Table:
    import pyarrow as pa

    rows, count = scores.values.shape
    kept = min(num_classes or count, count)
    # Stable: of classes that tie the first one leads, as in the metrics.
    order = np.argsort(-scores.values, axis=1, kind="stable")[:, :kept]
    table = pa.table(columns).take(pa.array(np.repeat(np.arange(rows), kept)))
    classes = pa.array([_plain(c) for c in scores.classes or range(count)])
    return (
        table.append_column("CLASS", classes.take(pa.array(order.ravel())))
        .append_column("SCORE", pa.array(np.take_along_axis(scores.values, order, 1).ravel()))
        .append_column("PREDICTED", pa.array(np.tile(np.arange(kept) == 0, rows)))
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
