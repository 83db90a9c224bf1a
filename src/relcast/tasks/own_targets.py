"""The column TARGET of rows of one's own, read for every task type.

A row can have its target in many spellings; whatever is no target of the query is refused, with
the first bad values named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.examples import Encoded, Lists
from relcast.tasks.own_columns import bad_column, cast, is_list, without_nan
from relcast.tasks.targets import class_indices, find_classes, has_classes, numbers

__all__ = ["Targets", "read_targets", "saved_targets"]

NO_ITEM = "member of TARGET that is no key of the listed table"
NO_ITEM_LEFT = "TARGET lists nothing that is known"
EMPTY = "TARGET is empty, so it ranks nothing"

_LISTS = (
    TaskType.MULTILABEL_CLASSIFICATION,
    TaskType.MULTILABEL_RANKING,
    TaskType.TEMPORAL_LINK_PREDICTION,
    TaskType.STATIC_LINK_PREDICTION,
)


@dataclass
class Targets:
    """Targets of given rows.

    Attributes:
        encoded: The targets, of the rows that ``keep`` keeps.
        keep: bool[n], which of the n rows have one that can be used.
        dropped: Why the others have none, and members of lists that were left out.
    """

    encoded: Encoded
    keep: npt.NDArray[np.bool_]
    dropped: Counter[str] = field(default_factory=Counter)


def read_targets(
    query: CheckedQuery, relations: Relations, column: pa.Array, *, allow_unmatched: bool
) -> Targets:
    """Read the targets of rows; none of them is NULL.

    Args:
        query: The query that they belong to.
        relations: Where listed keys are looked up.
        column: Truth values, numbers, classes, lists of h numbers, of classes or of keys.
        allow_unmatched: Leave out listed keys that are in no row, and count them, rather than
            refuse the table.

    Raises ``task.bad_column`` and ``task.unmatched_rows``.
    """
    if query.task_type is TaskType.FORECASTING:
        return _forecasts(query, column)
    if query.task_type in _LISTS:
        if not is_list(column.type):
            raise bad_column("TARGET", f"its type is {column.type}, and a list is needed")
        if query.items is not None:
            return _links(query, relations, column, allow_unmatched=allow_unmatched)
        return _multilabel(query, column)
    if is_list(column.type):
        raise bad_column("TARGET", "its values are lists, which only lists and forecasts are")
    encoded = _scalars(query, column)
    return Targets(encoded, np.ones(len(column), dtype=np.bool_))


def saved_targets(
    query: CheckedQuery, relations: Relations, column: pa.Array, classes: tuple[Any, ...] | None
) -> Encoded:
    """Read the targets that a table of ours wrote, with its classes."""
    if not is_list(column.type):
        found = numbers(column) if classes is None else class_indices(column, classes)
        return Encoded(found, classes)
    offsets, values = _parts(column)
    if query.task_type is TaskType.FORECASTING:
        flat = numbers(values)
        steps = query.forecast_length or 1
        if len(flat) != len(column) * steps:
            raise bad_column("TARGET", f"its lists do not hold {steps} numbers each")
        return Encoded(flat.reshape(len(column), steps))
    if classes is not None:
        found = class_indices(values, classes)
        return Encoded(classes=classes, lists=Lists(offsets, found.astype(np.int64)))
    if query.items is None:
        raise bad_column("TARGET", "its values are lists, which the query's targets are not")
    rows = relations.table(query.items.to).key_index(values).astype(np.int64, copy=False)
    if (rows < 0).any():
        raise TaskError(
            f"{int((rows < 0).sum()):,} listed keys of the saved table are no {query.items.to} of "
            "this snapshot",
            code="task.unreadable_table",
            hint="Load it with the snapshot it was made from, or make it again.",
        )
    return Encoded(lists=Lists(offsets, rows))


# -- one value ----------------------------------------------------------------------------------


def _scalars(query: CheckedQuery, column: pa.Array) -> Encoded:
    if has_classes(query, column):
        classes = find_classes(column)
        return Encoded(class_indices(column, classes), classes)
    regression = query.task_type is TaskType.REGRESSION
    if not regression and not pa.types.is_boolean(column.type):
        column = _truth(column)
    found = numbers(cast(column, pa.float64(), "TARGET"))
    odd = ~np.isfinite(found) if regression else ~np.isin(found, (0.0, 1.0))
    if odd.any():
        wanted = "finite" if regression else "0, 1, true or false"
        raise bad_column("TARGET", f"{int(odd.sum()):,} values are not {wanted}")
    return Encoded(found)


def _truth(column: pa.Array) -> pa.Array:
    """Read the words true and false, in any case, as truth values."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    words = pc.utf8_lower(column)
    found = pc.if_else(
        pc.is_in(words, value_set=pa.array(["true", "1"])),
        1.0,
        pc.if_else(pc.is_in(words, value_set=pa.array(["false", "0"])), 0.0, None),
    )
    return found.fill_null(np.nan)


# -- lists --------------------------------------------------------------------------------------


def _forecasts(query: CheckedQuery, column: pa.Array) -> Targets:
    steps = query.forecast_length or 1
    if not is_list(column.type):
        if steps > 1 or pa.types.is_nested(column.type):
            raise bad_column("TARGET", f"its type is {column.type}; lists of {steps} numbers are")
        column = pa.FixedSizeListArray.from_arrays(column, 1)
    offsets, values = _parts(column)
    lengths = np.diff(offsets)
    if (lengths != steps).any():
        other = int(lengths[lengths != steps][0])
        raise bad_column(
            "TARGET", f"a list has {other} values, and the query forecasts {steps} timeframes"
        )
    flat = cast(without_nan(values), pa.float64(), "TARGET")
    found = numbers(flat).reshape(len(column), steps)
    if np.isinf(found).any():
        raise bad_column("TARGET", f"{int(np.isinf(found).sum()):,} values are not finite")
    keep = np.asarray(~np.isnan(found).any(axis=1), dtype=np.bool_)
    return Targets(
        Encoded(found[keep]), keep, Counter({"TARGET has a NULL in it": int((~keep).sum())})
    )


def _multilabel(query: CheckedQuery, column: pa.Array) -> Targets:
    offsets, values = _parts(column)
    values = without_nan(values)
    present = values.is_valid().to_numpy(zero_copy_only=False)
    offsets, values = _filtered(offsets, present), values.filter(pa.array(present))
    classes = find_classes(values)
    found = class_indices(values, classes).astype(np.int64)
    lists = _distinct(Lists(offsets, found))
    keep = np.ones(len(lists), dtype=np.bool_)
    dropped: Counter[str] = Counter()
    if query.task_type is TaskType.MULTILABEL_RANKING:
        keep = lists.lengths > 0
        dropped[EMPTY] = int((~keep).sum())
    return Targets(Encoded(classes=classes, lists=lists.take(keep)), keep, dropped)


def _links(
    query: CheckedQuery, relations: Relations, column: pa.Array, *, allow_unmatched: bool
) -> Targets:
    if query.items is None:
        raise bad_column("TARGET", "the query lists no rows")
    offsets, values = _parts(column)
    rows = relations.table(query.items.to).key_index(values).astype(np.int64, copy=False)
    known = rows >= 0
    unknown = int((~known).sum())
    if unknown and not allow_unmatched:
        shown = ", ".join(repr(v) for v in values.filter(pa.array(~known)).slice(0, 3).to_pylist())
        raise TaskError(
            f"{unknown:,} of {len(rows):,} members of TARGET are no key of {query.items.to}, such "
            f"as {shown}",
            code="task.unmatched_rows",
            hint="Check the keys (and their type), or allow unmatched rows to leave them out.",
        )
    lists = _distinct(Lists(_filtered(offsets, known), rows[known]))
    keep = lists.lengths > 0
    dropped = Counter({NO_ITEM: unknown})
    given = np.diff(offsets) > 0
    dropped[NO_ITEM_LEFT] = int((~keep & given).sum())
    dropped[EMPTY] = int((~keep & ~given).sum())
    return Targets(Encoded(lists=lists.take(keep)), keep, dropped)


def _parts(column: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the offsets of lists, from 0, and their values end to end."""
    lengths = pc.list_value_length(column).fill_null(0).cast(pa.int64()).to_numpy()
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    values = column.flatten()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return offsets, values


def _filtered(offsets: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the offsets of lists of which only some values are kept."""
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(keep)])
    found: npt.NDArray[np.int64] = before[offsets]
    return found


def _distinct(lists: Lists) -> Lists:
    """Keep the first of equal values of a list."""
    row = np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths)
    order = np.lexsort((lists.values, row))
    again = np.zeros(len(order), dtype=np.bool_)
    same_row = row[order][1:] == row[order][:-1]
    again[1:] = same_row & (lists.values[order][1:] == lists.values[order][:-1])
    keep = np.ones(len(order), dtype=np.bool_)
    keep[order[again]] = False
    return Lists(_filtered(lists.offsets, keep), lists.values[keep])
