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
from relcast.tasks.offsets import Times, shift
from relcast.tasks.outlined import Outline, PlannedAnchor, PlannedSplit, Sample
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import AnchorReport, TrainingTableReport, report_of
from relcast.tasks.rhythm import rhythm
from relcast.tasks.scan import open_session
from relcast.tasks.splits import (
    LEFT_OUT,
    SPLITS,
    ApproxDateOffsetSplit,
    TimeRangeSplit,
    parse_split,
    split_anchors,
)

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["Outline", "PlannedAnchor", "PlannedSplit", "Sample", "outline", "sketch"]

_SHOWN = 1_000
_MOST_ANCHORS = 100_000
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
    if draft.fault is not None:
        return draft
    return _measured(draft, snapshot, relations, query, plan, progress, settings)


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
        sentence=_with_rhythm(query, words),
        rhythm=words,
        data=data,
        anchor_count=len(moments),
    )
    low, high = frame.spans(moments)
    try:
        split = split_anchors(moments, frame, parse_split(plan.split) or ApproxDateOffsetSplit())
    except UserError as error:
        told = replace(told, fault=_told(error))
        split = np.full(len(moments), LEFT_OUT, dtype=np.int8)
    return _with_splits(told, moments, split, low, high)


def _with_splits(
    told: Outline, moments: Times, split: npt.NDArray[np.int8], low: Times, high: Times
) -> Outline:
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


def _with_rhythm(query: CheckedQuery, words: str) -> str:
    return f"{words}. {describe(query)}"


# -- what only the labels tell ------------------------------------------------------------------


def _measured(
    draft: Outline,
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan,
    progress: Progress,
    settings: _Settings,
) -> Outline:
    rows = relations.table(query.entity_table).rows
    found = Sample(rows, rows)
    try:
        table = make_training_table(
            snapshot,
            relations,
            query,
            plan,
            progress,
            threads=settings.threads,
            memory_limit=settings.memory_limit,
            clock=settings.clock,
        )
    except UserError as error:
        if error.code == "task.out_of_memory":
            raise
        report = _what_there_is(draft, snapshot, query, rows, settings)
        return replace(draft, fault=_told(error), report=report, sample=found)
    return replace(
        _as_made(draft, table.report), task_type=table.query.task_type, report=table.report,
        sample=found,
    )  # fmt: skip


def _what_there_is(
    draft: Outline, snapshot: Snapshot, query: CheckedQuery, rows: int, settings: _Settings
) -> TrainingTableReport | None:
    """Return the figures of examples that make no table; None when even those are not to be had."""
    moments = np.array([a.anchor for a in draft.anchors], dtype=np.int64)
    if query.temporal and len(moments) == 0:
        return None
    examples, dropped = examples_at(
        snapshot,
        query,
        moments if query.temporal else None,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
    )
    names = {name: number for number, name in _NAMES.items()}
    of_anchor = np.array([names[a.split] for a in draft.anchors], dtype=np.int8)
    split = (
        np.zeros(len(examples), dtype=np.int8)
        if examples.anchor is None
        else of_anchor[np.searchsorted(moments, examples.anchor)]
    )
    report = report_of(
        replace(examples, split=split),
        binary=query.task_type is TaskType.BINARY_CLASSIFICATION,
        considered=rows * max(1, len(moments)),
        dropped=dropped,
    )
    return report if query.temporal else replace(report, splits={})


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
