"""Rows of one's own in place of generated ones: a published benchmark's exact examples, say.

Rows are joined to their entity by key. What does not join is counted, and refused unless allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.errors import TaskError, nearest
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery, require_supported
from relcast.relations import Relations
from relcast.tasks.anchors import Frame
from relcast.tasks.examples import Examples
from relcast.tasks.generate import finish, key_ranks
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import TrainingTableReport
from relcast.tasks.splits import (
    SPLITS,
    ApproxDateOffsetSplit,
    ManualSplit,
    check_no_overlap,
    parse_split,
    split_anchors,
    split_rows,
)
from relcast.tasks.tables import PredictionTable, TrainingTable
from relcast.tasks.targets import class_indices, find_classes, has_classes, numbers

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["prediction_table_from_rows", "read_saved", "training_table_from_rows"]

Mask = npt.NDArray[np.bool_]

NO_ENTITY = "ENTITY is no key of the entity table"
_SPLIT_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "holdout": 2,
}  # fmt: skip


def training_table_from_rows(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    rows: pa.Table,
    plan: TablePlan | None = None,
    *,
    allow_unmatched: bool = False,
) -> TrainingTable:
    """Make a training table of the caller's own rows.

    Args:
        snapshot: The tables.
        relations: Their arrays.
        query: The query that the rows belong to; its clauses are not applied to them.
        rows: ``ENTITY, TARGET``, for temporal queries ``TIMESTAMP``, and at will ``SPLIT`` (train,
            val, test) and ``WEIGHT``. Extra columns are left alone.
        plan: Its split is used unless the rows have a column ``SPLIT``, or one that
            ``ManualSplit('name')`` names.
        allow_unmatched: Leave out rows whose ``ENTITY`` is no key, and count them, rather than
            refuse the table.

    Rows with a NULL in any needed column are left out and counted. Raises ``task.missing_column``,
    ``task.unmatched_rows``, ``task.bad_column`` and what ``make_training_table`` raises.
    """
    require_supported(query)
    plan = plan or TablePlan()
    keep, entity, anchor, dropped = _join(relations, query, rows, ("TARGET",), allow_unmatched)
    split_column = _split_column(rows, plan)
    target_column = _one(rows, "TARGET")
    weight = None
    if "WEIGHT" in rows.column_names:
        weight = (
            _cast(_one(rows, "WEIGHT"), pa.float64(), "WEIGHT").fill_null(np.nan).to_numpy()[keep]
        )
    target, classes = _target(query, _without_nan(target_column).filter(pa.array(keep)))
    examples = Examples(entity[keep], None if anchor is None else anchor[keep], target, weight)
    if split_column is not None:
        chosen = _named_splits(rows, split_column)[keep]
    else:
        chosen = _planned_splits(relations, query, plan, examples)
    examples = Examples(examples.entity, examples.anchor, target, weight, chosen, classes)
    table = finish(
        snapshot,
        relations,
        query,
        _ordered(examples),
        considered=rows.num_rows,
        dropped=dropped,
    )
    return table if split_column is None else _with_overlap_warning(table, query)


def prediction_table_from_rows(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    rows: pa.Table,
    *,
    allow_unmatched: bool = False,
) -> PredictionTable:
    """Make a prediction table of the caller's own rows, in their order: ``ENTITY[, TIMESTAMP]``.

    Each row has its own anchor; the query's clauses are not applied. Raises
    ``task.missing_column``, ``task.unmatched_rows``, ``task.bad_column`` and ``task.no_rows``.
    """
    require_supported(query)
    keep, entity, anchor, dropped = _join(relations, query, rows, (), allow_unmatched)
    if not keep.any():
        raise TaskError(
            "The table of rows to score holds none that can be",
            code="task.no_rows",
            hint="Check that its column ENTITY holds keys of the entity table.",
        )
    return PredictionTable(
        query=query,
        snapshot_id=snapshot.id,
        entity=entity[keep],
        anchor=None if anchor is None else anchor[keep],
        dropped=dropped,
        entity_keys=relations.table(query.entity_table).keys(),
    )


def read_saved(
    rows: pa.Table,
    details: Mapping[str, Any],
    snapshot_id: str,
    relations: Relations,
    query: CheckedQuery,
) -> TrainingTable:
    """Rebuild a training table from its saved rows and the details beside them."""
    table = relations.table(query.entity_table)
    entity = table.key_index(rows.column("ENTITY")).astype(np.int64, copy=False)
    if (entity < 0).any():
        raise TaskError(
            f"{int((entity < 0).sum())} rows of the saved training table name entities that are "
            "not in this snapshot",
            code="task.unreadable_table",
            hint="Load it with the snapshot it was made from, or make it again.",
        )
    anchor = None
    if "TIMESTAMP" in rows.column_names:
        anchor = rows.column("TIMESTAMP").cast(pa.int64()).to_numpy()
    weight = rows.column("WEIGHT").to_numpy() if "WEIGHT" in rows.column_names else None
    column, classes = rows.column("TARGET"), details.get("classes")
    classes = None if classes is None else tuple(classes)
    target = numbers(column) if classes is None else class_indices(column, classes)
    found = pc.index_in(rows.column("SPLIT"), value_set=pa.array(SPLITS))
    examples = Examples(entity, anchor, target, weight, found.to_numpy().astype(np.int8), classes)
    return TrainingTable(
        query=replace(query, task_type=TaskType(details["task_type"])),
        snapshot_id=snapshot_id,
        examples=examples,
        report=TrainingTableReport.from_json(details["report"]),
        entity_keys=table.keys(),
    )


# -- columns ----------------------------------------------------------------------------------


def _join(
    relations: Relations,
    query: CheckedQuery,
    rows: pa.Table,
    needed: tuple[str, ...],
    allow_unmatched: bool,
) -> tuple[Mask, npt.NDArray[np.int64], npt.NDArray[np.int64] | None, dict[str, int]]:
    """Return which rows can be used, their entity rows and anchors (unfiltered), and the counts."""
    for name in ("ENTITY", *(("TIMESTAMP",) if query.temporal else ()), *needed):
        if name not in rows.column_names:
            raise TaskError(
                f"The table of rows has no column {name}",
                code="task.missing_column",
                hint=f"Its columns are {', '.join(map(repr, rows.column_names))}. "
                + nearest(name, rows.column_names),
            )
    entity = relations.table(query.entity_table).key_index(_one(rows, "ENTITY"))
    entity = entity.astype(np.int64, copy=False)
    keep: Mask = entity >= 0
    dropped: Counter[str] = Counter({NO_ENTITY: int((~keep).sum())})
    if dropped[NO_ENTITY] and not allow_unmatched:
        raise TaskError(
            f"{dropped[NO_ENTITY]:,} of {rows.num_rows:,} rows have an ENTITY that is no key of "
            f"{query.entity_table}, such as {_examples_of(rows, keep)}",
            code="task.unmatched_rows",
            hint="Check the keys (and their type), or allow unmatched rows to leave them out.",
        )
    anchor = None
    if query.temporal:
        moments = _times(_one(rows, "TIMESTAMP"))
        known = moments.is_valid().to_numpy(zero_copy_only=False)
        dropped["TIMESTAMP is NULL"] = int((keep & ~known).sum())
        keep = keep & known
        anchor = moments.fill_null(0).to_numpy().astype(np.int64, copy=False)
    if "TARGET" in needed:
        target = _without_nan(_one(rows, "TARGET"))
        present = target.is_valid().to_numpy(zero_copy_only=False)
        dropped["TARGET is NULL"] = int((keep & ~present).sum())
        keep = keep & present
    return keep, entity, anchor, {reason: n for reason, n in dropped.items() if n}


def _target(
    query: CheckedQuery, column: pa.Array
) -> tuple[npt.NDArray[np.float64], tuple[Any, ...] | None]:
    if has_classes(query, column):
        classes = find_classes(column)
        return class_indices(column, classes), classes
    if query.task_type is TaskType.REGRESSION or pa.types.is_boolean(column.type):
        values = _cast(column, pa.float64(), "TARGET")
    else:
        values = _cast(_truth(column), pa.float64(), "TARGET")
    found = numbers(values)
    odd = (
        ~np.isin(found, (0.0, 1.0))
        if query.task_type is TaskType.BINARY_CLASSIFICATION
        else ~np.isfinite(found)
    )
    if odd.any():
        wanted = "0, 1, true or false" if query.task_type is not TaskType.REGRESSION else "finite"
        raise _bad_column("TARGET", f"{int(odd.sum()):,} values are not {wanted}")
    return found, None


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


def _named_splits(rows: pa.Table, name: str) -> npt.NDArray[np.int8]:
    words = [str(w).strip().lower() for w in _one(rows, name).to_pylist()]
    unknown = sorted({w for w in words if w not in _SPLIT_NAMES})
    if unknown:
        raise _bad_column(name, f"it says {unknown[0]!r}; known are train, val and test")
    return np.array([_SPLIT_NAMES[w] for w in words], dtype=np.int8)


def _split_column(rows: pa.Table, plan: TablePlan) -> str | None:
    split = parse_split(plan.split)
    if isinstance(split, ManualSplit):
        if split.column not in rows.column_names:
            raise TaskError(
                f"ManualSplit names the column {split.column!r}, which the rows do not have",
                code="task.missing_column",
                hint=nearest(split.column, rows.column_names),
            )
        return split.column
    return "SPLIT" if split is None and "SPLIT" in rows.column_names else None


def _planned_splits(
    relations: Relations, query: CheckedQuery, plan: TablePlan, examples: Examples
) -> npt.NDArray[np.int8]:
    split = parse_split(plan.split)
    if examples.anchor is not None:
        distinct, place = np.unique(examples.anchor, return_inverse=True)
        if len(distinct) == 0:
            return np.zeros(0, dtype=np.int8)
        found = split_anchors(distinct, Frame.of(query), split or ApproxDateOffsetSplit())
        return found[place]
    table = relations.table(query.entity_table)
    ranks = key_ranks(table.keys())[examples.entity]
    time = None if table.time is None else np.asarray(table.time)[examples.entity]
    return split_rows(split, ranks, time, plan.seed)


def _ordered(examples: Examples) -> Examples:
    """Sort by (anchor, entity), as generated tables are."""
    if examples.anchor is None:
        return examples.take(np.argsort(examples.entity, kind="stable"))
    return examples.take(np.lexsort((examples.entity, examples.anchor)))


def _with_overlap_warning(table: TrainingTable, query: CheckedQuery) -> TrainingTable:
    examples = table.examples
    if examples.anchor is None or examples.split is None:
        return table
    pair = check_no_overlap(examples.anchor, examples.split, Frame.of(query))
    if pair is None:
        return table
    said = (
        f"Label windows of {pair[0]} and {pair[1]} overlap in these rows: metrics may flatter the "
        "model."
    )
    report = replace(table.report, warnings=(*table.report.warnings, said))
    return replace(table, report=report)


def _times(column: pa.Array) -> pa.Array:
    """Return times as int64 ns UTC; texts in ISO 8601 are read."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _cast(column, pa.timestamp("ns"), "TIMESTAMP")
    elif pa.types.is_date(kind):
        column = _cast(column, pa.timestamp("s"), "TIMESTAMP")
    elif not pa.types.is_timestamp(kind):
        raise _bad_column("TIMESTAMP", f"its type is {kind}, which is no time")
    # A zone only says how a time is shown: Arrow holds UTC either way.
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return _cast(column, pa.timestamp("ns", tz=zone), "TIMESTAMP").cast(pa.int64())


def _without_nan(column: pa.Array) -> pa.Array:
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column


def _cast(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise _bad_column(name, str(error)) from error


def _bad_column(name: str, why: str) -> TaskError:
    return TaskError(
        f"The column {name} of the table of rows cannot be used: {why}",
        code="task.bad_column",
        hint="ENTITY holds keys, TIMESTAMP times, TARGET the target's values, SPLIT train, val or "
        "test, WEIGHT numbers.",
    )


def _one(rows: pa.Table, name: str) -> pa.Array:
    column = rows.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _examples_of(rows: pa.Table, keep: Mask) -> str:
    shown = _one(rows, "ENTITY").filter(pa.array(~keep)).slice(0, 3).to_pylist()
    return ", ".join(repr(v) for v in shown)
