"""Scores of a model, and the table of predictions that they become (``plan.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.learners.metrics import RANKED
from relcast.learners.protocol import Ranked, Target
from relcast.tasks.anchors import Frame
from relcast.tasks.offsets import shift

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.learners.protocol import Said
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Scores", "item_keys", "make_scores", "step_times", "to_output"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_BY_CLASS = frozenset({TaskType.MULTICLASS_CLASSIFICATION, TaskType.MULTILABEL_CLASSIFICATION})


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says about n examples, in the order in which they were asked.

    Attributes:
        task_type: The task.
        entity: int64[n] dense rows of the entity table.
        anchor: int64[n] anchor times in nanoseconds since 1970 UTC; None for a static task.
        values: float64[n]: the probability of true (binary) or the value (regression);
            float64[n, classes]: a probability for each class (multiclass, where rows add up to
            one, and multilabel classification); float64[n, horizon] (forecasting); float64[n, k]
            scores of items, best first, NaN where a list has ended (rankings and links).
        classes: The classes of a multiclass or multilabel task, in the order of their indices.
        items: Rankings and links: int64[n, k] the items of ``values``, -1 where a list has ended:
            indices of classes, or dense rows of the item table.
        item_keys: Links: the primary key of every row of the item table.
        steps: Forecasting: int64[n, horizon] ns UTC when the window of each step begins.
        levels: Levels of ``quantiles``, ascending.
        quantiles: float64[n, levels], of forecasts float64[n, horizon, levels]; None without.
    """

    task_type: TaskType
    entity: Index
    anchor: Index | None
    values: Float
    classes: tuple[Any, ...] | None = None
    items: Index | None = None
    item_keys: pa.Array | None = field(default=None, repr=False)
    steps: Index | None = None
    levels: tuple[float, ...] = ()
    quantiles: Float | None = None

    def __len__(self) -> int:
        return len(self.entity)

    @classmethod
    def joined(cls, parts: Iterable[Scores]) -> Scores:
        """Return the scores of several, at least one, one after another."""
        every = list(parts)
        first = every[0]

        def of(name: str) -> Any:
            found = [getattr(part, name) for part in every]
            return None if found[0] is None else np.concatenate(found)

        return replace(
            first,
            entity=of("entity"),
            anchor=of("anchor"),
            values=of("values"),
            items=of("items"),
            steps=of("steps"),
            quantiles=of("quantiles"),
        )

    def take(self, rows: Index) -> Scores:
        """Return the scores of the chosen examples."""

        def of(array: npt.NDArray[Any] | None) -> Any:
            return None if array is None else array[rows]

        return Scores(
            self.task_type,
            self.entity[rows],
            of(self.anchor),
            self.values[rows],
            self.classes,
            of(self.items),
            self.item_keys,
            of(self.steps),
            self.levels,
            of(self.quantiles),
        )


def make_scores(
    relations: Relations,
    query: CheckedQuery,
    target: Target,
    entity: Index,
    anchor: Index | None,
    said: Said,
) -> Scores:
    """Return what a fitted learner said of examples as scores."""
    steps = None
    if target.task_type is TaskType.FORECASTING and anchor is not None:
        steps = step_times(query, anchor)
    if isinstance(said, Ranked):
        keys = item_keys(relations, target)
        return Scores(
            target.task_type, entity, anchor, said.scores, target.classes, said.items, keys
        )
    return Scores(target.task_type, entity, anchor, said, target.classes, steps=steps)


def step_times(query: CheckedQuery, anchor: Index) -> Index:
    """Return when the window of each step of a forecast begins (open), int64[n, horizon] ns UTC."""
    frame = Frame.of(query)
    first = frame.windows[0].start or 0
    starts = [
        shift(anchor, first + step * frame.length, frame.unit) for step in range(frame.horizon)
    ]
    return np.stack(starts, axis=1)


def item_keys(relations: Relations, target: Target) -> pa.Array | None:
    """Return the primary keys of the rows that are linked to; None for tasks without such."""
    return None if target.items is None else relations.table(target.items).keys()


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
    TARGET_PRED``. Forecasting: ``ENTITY, TIMESTAMP, TARGET_PRED, ANCHOR_TIMESTAMP``, a row for each
    step, whose window begins at ``TIMESTAMP``. Both end with ``q_<level>`` for every quantile.
    Multiclass and multilabel classification: ``ENTITY, TIMESTAMP, CLASS, SCORE, PREDICTED``, a row
    for each of the ``num_classes`` best classes, best first; ``PREDICTED`` marks the best class
    (multiclass), or the labels that reach ``threshold``. Rankings and links: ``ENTITY, TIMESTAMP,
    CLASS, SCORE``, at most k rows an entity, best first. Static tasks have no ``TIMESTAMP``.

    Args:
        scores: What the model said.
        keys: The primary key of each scored entity, n values.
        threshold: Between 0 and 1; binary and multilabel classification only.
        num_classes: At least 1: most rows of an entity; None returns all classes or items.

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
        columns["TIMESTAMP"] = _times(scores.anchor)
    if scores.task_type in RANKED:
        return _by_item(scores, columns, num_classes)
    if scores.task_type in _BY_CLASS:
        return _by_class(scores, columns, threshold, num_classes)
    if scores.task_type is TaskType.FORECASTING:
        return _by_step(scores, columns)
    if scores.task_type is TaskType.BINARY_CLASSIFICATION:
        line = 0.5 if threshold is None else threshold
        columns["TARGET_PRED"] = pa.array(scores.values >= line)
        columns["False_PROB"] = pa.array(1.0 - scores.values)
        columns["True_PROB"] = pa.array(scores.values)
    else:
        columns["TARGET_PRED"] = pa.array(scores.values)
        columns |= _quantile_columns(scores)
    return pa.table(columns)


def _times(moments: Index) -> pa.Array:
    import pyarrow as pa

    return pa.array(moments, pa.int64()).cast(pa.timestamp("ns"))


def _quantile_columns(scores: Scores) -> dict[str, Any]:
    import pyarrow as pa

    if scores.quantiles is None:
        return {}
    flat = scores.quantiles.reshape(-1, len(scores.levels))
    return {f"q_{level:g}": pa.array(flat[:, i]) for i, level in enumerate(scores.levels)}


def _by_step(scores: Scores, columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    rows, horizon = scores.values.shape
    repeated = pa.table(columns).take(pa.array(np.repeat(np.arange(rows), horizon)))
    out: dict[str, Any] = {"ENTITY": repeated["ENTITY"]}
    if scores.steps is not None:
        out["TIMESTAMP"] = _times(scores.steps.ravel())
    out["TARGET_PRED"] = pa.array(scores.values.ravel())
    out |= _quantile_columns(scores)
    if scores.anchor is not None:
        out["ANCHOR_TIMESTAMP"] = repeated["TIMESTAMP"]
    return pa.table(out)


def _by_class(
    scores: Scores, columns: dict[str, Any], threshold: float | None, num_classes: int | None
) -> pa.Table:
    import pyarrow as pa

    rows, count = scores.values.shape
    kept = min(num_classes or count, count)
    # Stable: of classes that tie the first one leads, as in the metrics.
    order = np.argsort(-scores.values, axis=1, kind="stable")[:, :kept]
    table = pa.table(columns).take(pa.array(np.repeat(np.arange(rows), kept)))
    classes = pa.array([_plain(c) for c in scores.classes or range(count)])
    score = np.take_along_axis(scores.values, order, 1).ravel()
    predicted = np.tile(np.arange(kept) == 0, rows)
    if scores.task_type is TaskType.MULTILABEL_CLASSIFICATION:
        predicted = score >= (0.5 if threshold is None else threshold)
    return (
        table.append_column("CLASS", classes.take(pa.array(order.ravel())))
        .append_column("SCORE", pa.array(score))
        .append_column("PREDICTED", pa.array(predicted))
    )


def _by_item(scores: Scores, columns: dict[str, Any], most: int | None) -> pa.Table:
    import pyarrow as pa

    items = scores.items if scores.items is not None else np.zeros(scores.values.shape, np.int64)
    items, values = items[:, :most], scores.values[:, :most]
    there = items >= 0
    owner = np.repeat(np.arange(len(items)), there.sum(axis=1))
    names = scores.item_keys
    if names is None:
        names = pa.array([_plain(c) for c in scores.classes or ()])
    table = pa.table(columns).take(pa.array(owner))
    return table.append_column("CLASS", names.take(pa.array(items[there]))).append_column(
        "SCORE", pa.array(values[there])
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
