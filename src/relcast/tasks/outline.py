"""What a training table would be, before anything is trained: anchors, splits, figures, faults.

``sketch`` says what follows from the query, the plan and the range of the data at once; ``outline``
adds the figures that only labels tell, within seconds. A table that cannot be made is no error
here: the outline says what there is, what is wrong, and what mends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import Fault, TaskError, UserError
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery, describe
from relcast.relations import Relations
from relcast.tasks.anchors import Frame, TimeRange, make_anchors, ranges_to_anchors
from relcast.tasks.evaluate import examples_at
from relcast.tasks.extent import data_range
from relcast.tasks.generate import make_training_table
from relcast.tasks.mends import Situation, mends
from relcast.tasks.offsets import Times, shift
from relcast.tasks.outlined import Outline, PlannedAnchor, PlannedSplit, Sample
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import (
    AnchorReport,
    TrainingTableReport,
    UnusableTable,
    report_of,
)
from relcast.tasks.rhythm import rhythm
from relcast.tasks.sampled import sample_of, scaled
from relcast.tasks.scan import open_session
from relcast.tasks.splits import (
    LEFT_OUT,
    SPLITS,
    TimeRangeSplit,
    assign_anchors,
    parse_split,
    split_by_default,
    too_few_anchors,
)
from relcast.tasks.waiting import check_mutable, frame_of

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["SAMPLE", "Outline", "PlannedAnchor", "PlannedSplit", "Sample", "outline", "sketch"]

SAMPLE = 100_000
"""Entities that figures are made of where there are more."""

_SHOWN = 1_000
# Of a sample such a fault may be chance: these are looked for again among all entities.
_CHANCE = frozenset({"task.no_rows", "task.too_few_rows", "task.one_class", "task.too_few_anchors"})
_MOST_ANCHORS = 1_000_000
_NAMES = {LEFT_OUT: "left out", **dict(enumerate(SPLITS))}


def sketch(
    snapshot: Snapshot,
    query: CheckedQuery,
    plan: TablePlan | None = None,
    *,
    threads: int = 1,
    memory_limit: str | None = None,
    clock: Clock = utc_now,
) -> Outline:
    """Say what a query's training table would be, without its figures: no label is computed.

    What cannot be is told in ``fault``. Raises ``task.invalid_split`` for a plan whose split does
    not read.
    """
    plan = plan or TablePlan()
    parse_split(plan.split)
    return _planned(snapshot, query, plan, _Settings(threads, memory_limit, clock))


def outline(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan | None = None,
    progress: Progress = SILENT,
    *,
    sample: int | None = SAMPLE,
    threads: int = 1,
    memory_limit: str | None = None,
    clock: Clock = utc_now,
) -> Outline:
    """Say what a query's training table would be, with the figures that only its labels tell.

    Args:
        snapshot: The tables.
        relations: Their arrays.
        query: A checked query of any task type.
        plan: Anchors, split and weights; the defaults of ``TablePlan`` without one.
        progress: Told the stage ``Training table``, in anchors.
        sample: How many entities the figures are made of where there are more, chosen by a hash of
            their keys; counts are scaled up, and ``Outline.sample`` says so. None takes all.
        threads: Threads of the SQL engine.
        memory_limit: Of the SQL engine, such as ``"2GB"``.
        clock: What "now" is, for a plan's relative times.

    A table that cannot be made is told in ``fault``. Raises ``task.invalid_split`` for a plan whose
    split does not read, and ``task.out_of_memory``.
    """
    plan = plan or TablePlan()
    parse_split(plan.split)
    settings = _Settings(threads, memory_limit, clock)
    draft = _planned(snapshot, query, plan, settings)
    if query.temporal and draft.anchor_count == 0:
        return draft
    return _measured(draft, snapshot, relations, query, plan, progress, sample, settings)


@dataclass(frozen=True, slots=True)
class _Settings:
    threads: int
    memory_limit: str | None
    clock: Clock


# -- what follows from the range of the data ----------------------------------------------------


def _planned(
    snapshot: Snapshot, query: CheckedQuery, plan: TablePlan, settings: _Settings
) -> Outline:
    bare = Outline(
        text=query.text,
        task_type=query.task_type,
        temporal=query.temporal,
        sentence=describe(query),
        warnings=tuple(query.warnings),
    )
    if not query.temporal:
        return bare
    frame, data = Frame.of(query), None
    try:
        frame = frame_of(query, snapshot)
        check_mutable(query, snapshot.graph, plan)
        with open_session(
            snapshot, threads=settings.threads, memory_limit=settings.memory_limit
        ) as session:
            data = data_range(session, query)
        moments = _anchors(frame, data, plan, settings.clock)
    except UserError as error:
        return replace(bare, data=data, fault=_told(error))
    step = plan.timeframe_step or frame.length
    words = rhythm(moments, frame.unit, step)
    told = replace(
        bare,
        sentence=describe(query, rhythm=words),
        rhythm=words,
        data=data,
        anchor_count=len(moments),
    )
    rule, last = parse_split(plan.split), int(moments[-1])
    try:
        assigned = (
            split_by_default(moments, frame, query, last)
            if rule is None
            else assign_anchors(moments, frame, rule, last)
        )
    except UserError as error:
        nowhere = np.full(len(moments), LEFT_OUT, dtype=np.int8)
        return _with_splits(replace(told, fault=_told(error)), moments, nowhere, frame)
    if not assigned.fills:
        case = Situation(query, frame, data, plan, settings.clock)
        mended = mends(case, len(moments))
        told = replace(told, fault=_told(too_few_anchors(assigned, frame, mended)))
    return _with_splits(told, moments, assigned.split, frame)


def _with_splits(
    told: Outline, moments: Times, split: npt.NDArray[np.int8], frame: Frame
) -> Outline:
    low, high = frame.spans(moments)
    splits = {}
    for number, name in enumerate(SPLITS):
        of = split == number
        if of.any():
            splits[name] = PlannedSplit(
                int(of.sum()),
                int(moments[of][0]),
                int(moments[of][-1]),
                int(low[of].min()),
                int(high[of].max()),
            )
    few = len(moments) <= _SHOWN
    anchors = tuple(
        PlannedAnchor(int(moments[n]), _NAMES[int(split[n])], int(low[n]), int(high[n]))
        for n in range(len(moments) if few else 0)
    )
    left_out = 0 if told.fault is not None else int((split == LEFT_OUT).sum())
    return replace(told, anchors=anchors, splits=splits, left_out_anchors=left_out)


def _anchors(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock) -> Times:
    _refuse_crowds(frame, data, plan, clock)
    split = parse_split(plan.split)
    if isinstance(split, TimeRangeSplit):
        return ranges_to_anchors(frame, data, plan, split.ranges, clock)
    return make_anchors(frame, data, plan, clock)


def _refuse_crowds(frame: Frame, data: TimeRange, plan: TablePlan, clock: Clock) -> None:
    """Raise ``task.table_too_large`` before a list of them fills the memory."""
    step = plan.timeframe_step or frame.length
    begin = max(data.begin, plan.first_anchor(clock) or data.begin)
    apart = int(shift([begin], step, frame.unit)[0]) - begin
    crowd = (data.end - begin) // max(1, apart)
    if crowd > _MOST_ANCHORS:
        raise TaskError(
            f"A step of {step:,} {frame.unit.value} would give about {crowd:,} anchors",
            code="task.table_too_large",
            hint="Set a longer timeframe_step, or a later start_time.",
        )


# -- what only the labels tell ------------------------------------------------------------------


def _measured(
    draft: Outline,
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan,
    progress: Progress,
    sample: int | None,
    settings: _Settings,
) -> Outline:
    table = relations.table(query.entity_table)
    among = None
    if sample is not None and table.rows > sample:
        among = sample_of(table.keys(), sample)
    entities = table.rows if among is None else len(among)
    told = replace(draft, sample=Sample(entities, table.rows))
    try:
        made = make_training_table(
            snapshot,
            relations,
            query,
            plan,
            progress,
            threads=settings.threads,
            memory_limit=settings.memory_limit,
            clock=settings.clock,
            among=among,
        )
    except UserError as error:
        if error.code == "task.out_of_memory":
            raise
        if among is not None and error.code in _CHANCE:
            return _measured(draft, snapshot, relations, query, plan, progress, None, settings)
        report = error.report if isinstance(error, UnusableTable) else None
        if report is None and error.code == "task.no_rows":
            report = _what_there_is(draft, snapshot, query, entities, among, settings)
        report = None if report is None else scaled(report, table.rows / max(1, entities))
        return replace(told, fault=_told(error), report=report)
    report = scaled(made.report, table.rows / max(1, entities))
    task = made.query.task_type
    return replace(_as_made(told, report), task_type=task, report=report, fault=None)


def _what_there_is(
    draft: Outline,
    snapshot: Snapshot,
    query: CheckedQuery,
    rows: int,
    among: npt.NDArray[np.int64] | None,
    settings: _Settings,
) -> TrainingTableReport | None:
    """Return what was looked at and dropped where no example was left."""
    moments = np.array([a.anchor for a in draft.anchors], dtype=np.int64)
    if query.temporal and len(moments) == 0:
        return None
    examples, dropped = examples_at(
        snapshot,
        query,
        moments if query.temporal else None,
        among=among,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
    )
    return report_of(
        examples,
        binary=query.task_type is TaskType.BINARY_CLASSIFICATION,
        considered=rows * max(1, len(moments)),
        dropped=dropped,
    )


def _as_made(draft: Outline, report: TrainingTableReport) -> Outline:
    """Return the outline with the splits of the table: anchors without examples are in none."""
    made: dict[int, AnchorReport] = {a.anchor: a for a in report.anchors}
    if not draft.anchors or not made:
        return draft
    anchors = tuple(
        replace(a, split=made[a.anchor].split if a.anchor in made else "empty")
        for a in draft.anchors
    )
    splits = {}
    for name in SPLITS:
        of = [a for a in anchors if a.split == name]
        if of:
            splits[name] = PlannedSplit(
                len(of),
                of[0].anchor,
                of[-1].anchor,
                min(a.low for a in of),
                max(a.high for a in of),
            )
    return replace(draft, anchors=anchors, splits=splits, left_out_anchors=report.left_out_anchors)


def _told(error: UserError) -> Fault:
    return Fault(error.code, error.message, error.hint)
