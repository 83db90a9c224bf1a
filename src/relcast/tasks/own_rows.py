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
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.examples import Examples
from relcast.tasks.finish import Found, finish, item_keys_of
from relcast.tasks.generate import check_forecast_length
from relcast.tasks.own_columns import bad_column, cast, one_array, times, without_nan
from relcast.tasks.own_targets import read_targets, saved_targets
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import TrainingTableReport
from relcast.tasks.saved import dense_rows
from relcast.tasks.splits import (
    SPLITS,
    Assigned,
    ManualSplit,
    RandomSplit,
    TemporalSplit,
    assign_anchors,
    check_no_overlap,
    key_ranks,
    parse_split,
    split_by_default,
    split_rows,
    split_text,
)
from relcast.tasks.tables import PredictionTable, TrainingTable
from relcast.tasks.waiting import frame_of

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
            val, test) and ``WEIGHT``. Extra columns are left alone. ``TARGET`` is a list for
            forecasts (as many numbers as timeframes), multilabel queries (classes) and links
            (keys): of any or of a fixed length; values that a list repeats count once.
        plan: Its split is used unless the rows have a column ``SPLIT``, or one that
            ``ManualSplit('name')`` names.
        allow_unmatched: Leave out rows whose ``ENTITY`` is no key, and listed keys that are none,
            and count them, rather than refuse the table.

    Rows with a NULL in any needed column are left out and counted. Raises ``task.missing_column``,
    ``task.unmatched_rows``, ``task.bad_column`` and what ``make_training_table`` raises.
    """
    plan = plan or TablePlan()
    check_forecast_length(query, plan)
    keep, entity, anchor, dropped = _join(relations, query, rows, ("TARGET",), allow_unmatched)
    split_column = _split_column(rows, plan)
    column = without_nan(one_array(rows, "TARGET")).filter(pa.array(keep))
    targets = read_targets(query, relations, column, allow_unmatched=allow_unmatched)
    places = np.flatnonzero(keep)[targets.keep]
    weight = None
    if "WEIGHT" in rows.column_names:
        given = cast(one_array(rows, "WEIGHT"), pa.float64(), "WEIGHT").fill_null(np.nan)
        weight = given.to_numpy()[places]
    examples = Examples(
        entity=entity[places],
        anchor=None if anchor is None else anchor[places],
        target=targets.encoded.target,
        weight=weight,
        classes=targets.encoded.classes,
        lists=targets.encoded.lists,
    )
    counts = Counter(dropped) + targets.dropped
    found = Found(rows.num_rows, {reason: n for reason, n in counts.items() if n})
    if split_column is None:
        examples, found = _by_plan(relations, query, plan, examples, found)
    else:
        examples = replace(examples, split=_named_splits(rows, split_column)[places])
        found = replace(found, warnings=_overlap(relations, query, examples))
    table = finish(snapshot.id, relations, query, _ordered(examples), found)
    return replace(table, lag_timesteps=plan.lag_timesteps, year_over_year=plan.year_over_year)


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
    entity = dense_rows(rows.column("ENTITY"), relations, query.entity_table)
    anchor = None
    if "TIMESTAMP" in rows.column_names:
        anchor = rows.column("TIMESTAMP").cast(pa.int64()).to_numpy()
    weight = rows.column("WEIGHT").to_numpy() if "WEIGHT" in rows.column_names else None
    classes = details.get("classes")
    encoded = saved_targets(
        query, relations, one_array(rows, "TARGET"), None if classes is None else tuple(classes)
    )
    found = pc.index_in(rows.column("SPLIT"), value_set=pa.array(SPLITS))
    return TrainingTable(
        query=replace(query, task_type=TaskType(details["task_type"])),
        snapshot_id=snapshot_id,
        examples=Examples(
            entity=entity,
            anchor=anchor,
            target=encoded.target,
            weight=weight,
            split=found.to_numpy().astype(np.int8),
            classes=encoded.classes,
            lists=encoded.lists,
        ),
        report=TrainingTableReport.from_json(details["report"]),
        entity_keys=relations.table(query.entity_table).keys(),
        item_keys=item_keys_of(query, relations),
        lag_timesteps=details.get("lag_timesteps"),
        year_over_year=details.get("year_over_year"),
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
    entity = relations.table(query.entity_table).key_index(one_array(rows, "ENTITY"))
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
        moments = times(one_array(rows, "TIMESTAMP"))
        known = moments.is_valid().to_numpy(zero_copy_only=False)
        dropped["TIMESTAMP is NULL"] = int((keep & ~known).sum())
        keep = keep & known
        anchor = moments.fill_null(0).to_numpy().astype(np.int64, copy=False)
    if "TARGET" in needed:
        target = without_nan(one_array(rows, "TARGET"))
        present = target.is_valid().to_numpy(zero_copy_only=False)
        dropped["TARGET is NULL"] = int((keep & ~present).sum())
        keep = keep & present
    return keep, entity, anchor, {reason: n for reason, n in dropped.items() if n}


def _named_splits(rows: pa.Table, name: str) -> npt.NDArray[np.int8]:
    words = [str(w).strip().lower() for w in one_array(rows, name).to_pylist()]
    unknown = sorted({w for w in words if w not in _SPLIT_NAMES})
    if unknown:
        raise bad_column(name, f"it says {unknown[0]!r}; known are train, val and test")
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


def _by_plan(
    relations: Relations, query: CheckedQuery, plan: TablePlan, examples: Examples, found: Found
) -> tuple[Examples, Found]:
    """Split by the plan, as generated rows are."""
    split = parse_split(plan.split)
    if examples.anchor is not None:
        distinct, place = np.unique(examples.anchor, return_inverse=True)
        frame = frame_of(query, relations)
        assigned: Assigned
        if split is None:
            assigned = split_by_default(distinct, frame, query)
        else:
            assigned = assign_anchors(distinct, frame, split)
        examples = replace(examples, split=assigned.split[place])
        notes = (assigned.note,) if assigned.note else ()
        known = replace(found, rule=split_text(assigned.rule), warnings=notes, assigned=assigned)
        return examples, known
    table = relations.table(query.entity_table)
    ranks = key_ranks(table.keys())[examples.entity]
    time = None if table.time is None else np.asarray(table.time)[examples.entity]
    rule = split or (RandomSplit() if time is None else TemporalSplit())
    chosen = split_rows(rule, ranks, time, plan.seed)
    return replace(examples, split=chosen), replace(found, rule=split_text(rule))


def _ordered(examples: Examples) -> Examples:
    """Sort by (anchor, entity), as generated tables are."""
    if examples.anchor is None:
        return examples.take(np.argsort(examples.entity, kind="stable"))
    return examples.take(np.lexsort((examples.entity, examples.anchor)))


def _overlap(relations: Relations, query: CheckedQuery, examples: Examples) -> tuple[str, ...]:
    if examples.anchor is None or examples.split is None:
        return ()
    frame = frame_of(query, relations)
    pair = check_no_overlap(examples.anchor, examples.split, frame)
    if pair is None:
        return ()
    said = f"Label windows of {pair[0]} and {pair[1]} overlap in these rows"
    return (f"{said}: metrics may flatter the model.",)


def _examples_of(rows: pa.Table, keep: Mask) -> str:
    shown = one_array(rows, "ENTITY").filter(pa.array(~keep)).slice(0, 3).to_pylist()
    return ", ".join(repr(v) for v in shown)
