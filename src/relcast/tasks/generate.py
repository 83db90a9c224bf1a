"""Make training tables from a snapshot and a query."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.progress import SILENT, Progress, Stage
from relcast.pql import CheckedQuery
from relcast.relations import Relations
from relcast.tasks.anchors import make_anchors, ranges_to_anchors
from relcast.tasks.capacity import Memory, bounded, check_room, example_bytes
from relcast.tasks.examples import Examples
from relcast.tasks.extent import data_range, rows_to_come
from relcast.tasks.finish import Found, finish, settled
from relcast.tasks.labels import Labeller
from relcast.tasks.losses import telling_losses
from relcast.tasks.mends import Situation, mends
from relcast.tasks.offsets import from_datetime
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import UnusableTable
from relcast.tasks.scan import Session, open_session
from relcast.tasks.splits import (
    LEFT_OUT,
    ManualSplit,
    RandomSplit,
    Split,
    TemporalSplit,
    TimeRangeSplit,
    assign_anchors,
    key_ranks,
    parse_split,
    split_by_default,
    split_rows,
    split_text,
)
from relcast.tasks.tables import TrainingTable
from relcast.tasks.targets import Collected, are_numbers, collect, encode
from relcast.tasks.waiting import check_mutable, frame_of

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["check_forecast_length", "make_training_table"]


def make_training_table(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan | None = None,
    progress: Progress = SILENT,
    *,
    threads: int = 1,
    memory_limit: str | None = None,
    clock: Clock = utc_now,
    among: npt.NDArray[np.int64] | None = None,
) -> TrainingTable:
    """Make a query's training table: every eligible entity at every anchor, labelled and split.

    Args:
        snapshot: The tables.
        relations: Their arrays, for the keys of entities and items.
        query: A checked query of any task type.
        plan: Anchors, split and weights; the defaults of ``TablePlan`` without one.
        progress: Told the stage ``Training table``, in anchors.
        threads: Threads of the SQL engine; the result does not depend on it.
        memory_limit: Such as ``"2GB"``: half for the SQL engine, which spills to disk beyond, half
            for the examples. Three quarters of the free memory without one.
        clock: What "now" is, for a plan's relative times and for rows that are to come.
        among: int64[k], dense entity rows: only these are looked at. All without it.

    Raises ``task.no_complete_window``; ``task.table_too_large``, before anything is computed where
    that can be known; ``task.empty_table``; ``task.no_rows``; ``task.too_few_anchors``;
    ``task.too_few_rows``; ``task.one_class``; ``task.too_many_classes``; ``task.bad_weight``;
    ``task.mutable_condition``; ``task.invalid_split``; ``task.invalid_plan``. Where examples were
    found the error is an ``UnusableTable``, whose ``report`` says what there is.
    """
    plan = plan or TablePlan()
    split = parse_split(plan.split)
    if isinstance(split, ManualSplit):
        raise InvalidRequest(
            "ManualSplit names a column of rows of your own, and none were given",
            code="task.invalid_split",
            hint="Give your own rows, or choose another split.",
        )
    check_forecast_length(query, plan)
    check_mutable(query, snapshot.graph, plan)
    memory = Memory.of(memory_limit)
    with (
        telling_losses(snapshot, query),
        progress.stage("Training table", unit="anchors") as stage,
        open_session(snapshot, threads=threads, memory_limit=memory.engine) as session,
    ):
        weight = _weight_column(session, query, plan)
        labeller = Labeller(session, query, weight_column=weight, among=among, batch=memory.batch)
        if not query.temporal:
            return _static(labeller, relations, plan, split)
        frame = frame_of(query, relations)
        case = Situation(query, frame, data_range(session, query), plan, clock)
        table = _temporal(labeller, relations, case, split, stage, memory)
        return replace(table, lag_timesteps=plan.lag_timesteps, year_over_year=plan.year_over_year)


def _temporal(
    labeller: Labeller,
    relations: Relations,
    case: Situation,
    split: Split | None,
    stage: Stage,
    memory: Memory,
) -> TrainingTable:
    query, plan, frame, session = case.query, case.plan, case.frame, labeller.session
    if isinstance(split, TimeRangeSplit):
        anchors = ranges_to_anchors(frame, case.data, plan, split.ranges, case.clock)
    else:
        anchors = make_anchors(frame, case.data, plan, case.clock)
    stage.update(0, len(anchors))
    check_room(labeller, plan, memory, anchors)
    batches = bounded(labeller.grid(anchors), query, plan, memory, len(anchors))
    most = min(labeller.rows * len(anchors), memory.examples // example_bytes(query))
    found = collect(batches, stage, plain=are_numbers(query), most=most)
    if len(found.entity) == 0:
        raise _no_rows(found, len(anchors))
    used = np.flatnonzero(found.held)
    last = int(anchors[-1])
    if split is None:
        assigned = split_by_default(anchors[used], frame, query, last)
    else:
        assigned = assign_anchors(anchors[used], frame, split, last)
    by_anchor = np.full(len(anchors), LEFT_OUT, dtype=np.int8)
    by_anchor[used] = assigned.split
    return finish(
        session.snapshot.id,
        relations,
        query,
        _examples(query, found, found.moment(anchors), found.moment(by_anchor)),
        Found(
            considered=found.considered,
            dropped=dict(found.dropped),
            empty_anchors=len(anchors) - len(used),
            rule=split_text(assigned.rule),
            warnings=(
                *((assigned.note,) if assigned.note else ()),
                *rows_to_come(session, query, from_datetime(case.clock())),
            ),
            assigned=assigned,
            mends=lambda: mends(case, len(used)),
        ),
        threads=session.threads,
    )


def _static(
    labeller: Labeller, relations: Relations, plan: TablePlan, split: Split | None
) -> TrainingTable:
    query, session = labeller.query, labeller.session
    found = collect([labeller.static()], plain=are_numbers(query), most=labeller.rows)
    if len(found.entity) == 0:
        raise _no_rows(found, 0)
    ranks = key_ranks(relations.table(query.entity_table).keys())[found.entity]
    rule = split or (RandomSplit() if found.time is None else TemporalSplit())
    known = Found(considered=found.considered, dropped=dict(found.dropped), rule=split_text(rule))
    examples = _examples(query, found, None, None)
    try:
        chosen = split_rows(rule, ranks, found.time, plan.seed)
    except TaskError as error:
        report = known.report(settled(query, examples.classes), relations, examples)
        raise UnusableTable.of(error, report) from None
    return finish(session.snapshot.id, relations, query, replace(examples, split=chosen), known)


def _examples(
    query: CheckedQuery,
    found: Collected,
    anchor: npt.NDArray[np.int64] | None,
    split: npt.NDArray[np.int8] | None,
) -> Examples:
    encoded = encode(query, found)
    return Examples(
        entity=found.entity,
        anchor=anchor,
        target=encoded.target,
        weight=found.weight,
        split=split,
        classes=encoded.classes,
        lists=encoded.lists,
    )


def check_forecast_length(query: CheckedQuery, plan: TablePlan) -> None:
    """Raise ``task.invalid_plan`` when the plan's forecast is not the query's."""
    if plan.forecast_length is None or plan.forecast_length == (query.forecast_length or 1):
        return
    asked = query.forecast_length
    raise InvalidRequest(
        f"The plan's forecast_length is {plan.forecast_length}, and the query "
        + (f"forecasts {asked} timeframes" if asked else "forecasts nothing"),
        code="task.invalid_plan",
        hint=f"Write FORECAST {plan.forecast_length} TIMEFRAMES after the target, or check the "
        f"query with forecast_length={plan.forecast_length}.",
    )


def _weight_column(session: Session, query: CheckedQuery, plan: TablePlan) -> str | None:
    if plan.weight_column is None:
        return None
    scan = session.scan(query.entity_table)
    column = scan.table.column(plan.weight_column)
    if scan.kind(column.name) not in ("integer", "single", "double", "bool"):
        raise InvalidRequest(
            f"The weight column {query.entity_table}.{column.name} holds no numbers",
            code="task.invalid_plan",
            hint="Name a column of numbers that are not negative.",
        )
    return column.name


def _no_rows(found: Collected, anchors: int) -> TaskError:
    where = f" at {anchors} anchor{'s' if anchors != 1 else ''}" if anchors else ""
    why = "; ".join(f"{reason}: {count:,}" for reason, count in found.dropped.items())
    return TaskError(
        f"No example is left of {found.considered:,} considered{where}"
        + (f" ({why})" if why else ""),
        code="task.no_rows",
        hint="Widen the WHERE or ASSUMING clause, check that foreign keys match, or change the "
        "window.",
    )
