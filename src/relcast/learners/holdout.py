"""The holdout: the test rows with target and prediction, from which every test figure follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.folds import Folds
from relcast.learners.metrics import is_ranked
from relcast.learners.protocol import Said, taken
from relcast.learners.scores import Scores, item_keys, make_scores, to_output

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations
    from relcast.tasks import Lists

__all__ = ["make_holdout"]

Index = npt.NDArray[np.int64]

_MOST_CELLS = 50_000_000


def make_holdout(
    relations: Relations, query: CheckedQuery, folds: Folds, said: Said
) -> pa.Table | None:
    """Return the test rows: ``ENTITY, TIMESTAMP, TARGET`` and the task's prediction columns.

    ``TARGET`` is the truth of the row: the value (regression, and each step of a forecast), true or
    false (binary, and each label of a multilabel classification), the class (multiclass). Rankings
    and links have one row an example: ``TARGET`` lists what was linked to, ``CLASS`` and ``SCORE``
    are the ranked list. Beyond 50 million cells of classes only the first examples are held, whole.
    """
    import pyarrow as pa

    if not len(folds.test):
        return None
    target, test = folds.target, folds.test
    if target.classes is not None and len(test) * target.width > _MOST_CELLS:
        most = np.arange(_MOST_CELLS // target.width)
        test, said = test.take(most, None), taken(said, most)
    asked = test.asked
    scores = make_scores(relations, query, target, asked.entity, asked.anchor, said)
    keys = relations.table(query.entity_table).keys().take(pa.array(asked.entity))
    place = 1 if asked.anchor is None else 2
    if is_ranked(target.task_type):
        return _ranked(scores, keys, cast("Lists", test.lists), item_keys(relations, target))
    rows = to_output(scores, keys)
    label = test.label
    truth: Any
    if target.task_type is TaskType.FORECASTING:
        truth = pa.array(label.ravel())
    elif target.task_type is TaskType.MULTICLASS_CLASSIFICATION:
        classes = pa.array(list(target.classes or ()))
        truth = classes.take(pa.array(np.repeat(label.astype(np.int64), target.width)))
    elif target.task_type is TaskType.MULTILABEL_CLASSIFICATION:
        truth = _labels(scores, cast("Lists", test.lists))
    elif target.task_type is TaskType.BINARY_CLASSIFICATION:
        truth = pa.array(label > 0.5)
    else:
        truth = pa.array(label)
    return rows.add_column(place, "TARGET", truth)


def _labels(scores: Scores, lists: Lists) -> pa.Array:
    """Return whether each row's label is there, in the order of the output's rows."""
    import pyarrow as pa

    from relcast.learners.metrics.multilabel import indicator

    order = np.argsort(-scores.values, axis=1, kind="stable")
    there = indicator(lists, scores.values.shape[1])
    return pa.array(np.take_along_axis(there, order, axis=1).ravel())


def _ranked(scores: Scores, keys: pa.Array, lists: Lists, items: pa.Array | None) -> pa.Table:
    import pyarrow as pa

    names = pa.array(list(scores.classes or ())) if items is None else items
    ranked = cast("Index", scores.items)
    shown = ranked >= 0
    ends = np.concatenate([[0], np.cumsum(shown.sum(axis=1))])

    def listed(offsets: npt.NDArray[Any], values: pa.Array) -> pa.Array:
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)

    columns: dict[str, Any] = {"ENTITY": keys}
    if scores.anchor is not None:
        columns["TIMESTAMP"] = pa.array(scores.anchor, pa.int64()).cast(pa.timestamp("ns"))
    columns["TARGET"] = listed(lists.offsets, _combined(names.take(pa.array(lists.values))))
    columns["CLASS"] = listed(ends, _combined(names.take(pa.array(ranked[shown]))))
    columns["SCORE"] = listed(ends, pa.array(scores.values[shown]))
    return pa.table(columns)


def _combined(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    return values
