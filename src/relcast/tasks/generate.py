"""Make training tables from a snapshot and a query."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relcast.core.clock import Clock, utc_now
from relcast.core.errors import InvalidRequest, TaskError
from relcast.core.progress import SILENT, Progress, Stage
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery, require_supported
from relcast.relations import Relations
from relcast.tasks.anchors import Frame, make_anchors, ranges_to_anchors
from relcast.tasks.examples import Examples
from relcast.tasks.extent import data_range
from relcast.tasks.labels import Labeller
from relcast.tasks.plan import TablePlan
from relcast.tasks.report import report_of
from relcast.tasks.scan import Session, open_session
from relcast.tasks.splits import (
    LEFT_OUT,
    SPLITS,
    ApproxDateOffsetSplit,
    ManualSplit,
    Split,
    TimeRangeSplit,
    parse_split,
    split_anchors,
    split_rows,
)
from relcast.tasks.tables import TrainingTable
from relcast.tasks.targets import Collected, collect, encode

if TYPE_CHECKING:
    from relcast.snapshots import Snapshot

__all__ = ["finish", "key_ranks", "make_training_table"]


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
) -> TrainingTable:
    """Make a query's training table: every eligible entity at every anchor, labelled and split.

    Args:
        snapshot: The tables.
        relations: Their arrays, for the entities' keys.
        query: A checked query; binary, regression or multiclass.
        plan: Anchors, split and weights; the defaults of ``TablePlan`` without one.
        progress: Told the stage ``Training table``, in anchors.
        threads: Threads of the SQL engine; the result does not depend on it.
        memory_limit: Of the SQL engine, such as ``"2GB"``; it spills beyond.
        clock: What "now" is, for a plan's relative times.

    Raises ``pql.task_not_supported_yet``; ``task.no_complete_window``; ``task.too_few_anchors``;
    ``task.too_few_rows``; ``task.no_rows``; ``task.one_class``; ``task.invalid_split``.
    """
    require_supported(query)
    plan = plan or TablePlan()
    split = parse_split(plan.split)
    if isinstance(split, ManualSplit):
        raise InvalidRequest(
            "ManualSplit names a column of rows of your own, and none were given",
            code="task.invalid_split",
            hint="Give your own rows, or choose another split.",
        )
    with (
        progress.stage("Training table", unit="anchors") as stage,
        open_session(snapshot, threads=threads, memory_limit=memory_limit) as session,
    ):
        if query.temporal:
            return _temporal(session, relations, query, plan, split, stage, clock)
        return _static(session, relations, query, plan, split)


def _temporal(
    session: Session,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan,
    split: Split | None,
    stage: Stage,
    clock: Clock,
) -> TrainingTable:
    frame, data = Frame.of(query), data_range(session, query)
    if isinstance(split, TimeRangeSplit):
        anchors = ranges_to_anchors(frame, data, plan, split.ranges, clock)
    else:
        anchors = make_anchors(frame, data, plan, clock)
    stage.update(0, len(anchors))
    labeller = Labeller(session, query, weight_column=_weight_column(session, query, plan))
    found = collect(labeller.grid(anchors), stage) if len(anchors) else None
    if found is None or len(found.entity) == 0:
        raise _no_rows(found, len(anchors))
    used, place = np.unique(found.anchor, return_inverse=True)
    by_anchor = split_anchors(anchors[used], frame, split or ApproxDateOffsetSplit())
    target, classes = encode(query, found)
    examples = Examples(
        entity=found.entity,
        anchor=anchors[found.anchor],
        target=target,
        weight=found.weight,
        split=by_anchor[place],
        classes=classes,
    )
    return finish(
        session.snapshot,
        relations,
        query,
        examples,
        considered=found.considered,
        dropped=dict(found.dropped),
        empty_anchors=len(anchors) - len(used),
    )


def _static(
    session: Session,
    relations: Relations,
    query: CheckedQuery,
    plan: TablePlan,
    split: Split | None,
) -> TrainingTable:
    labeller = Labeller(session, query, weight_column=_weight_column(session, query, plan))
    found = collect([labeller.static()])
    if len(found.entity) == 0:
        raise _no_rows(found, 0)
    ranks = key_ranks(relations.table(query.entity_table).keys())[found.entity]
    target, classes = encode(query, found)
    examples = Examples(
        entity=found.entity,
        target=target,
        weight=found.weight,
        split=split_rows(split, ranks, found.time, plan.seed),
        classes=classes,
    )
    return finish(
        session.snapshot,
        relations,
        query,
        examples,
        considered=found.considered,
        dropped=dict(found.dropped),
    )


def finish(
    snapshot: Snapshot,
    relations: Relations,
    query: CheckedQuery,
    examples: Examples,
    *,
    considered: int,
    dropped: dict[str, int],
    empty_anchors: int = 0,
) -> TrainingTable:
    """Turn split examples into a table: report, leave out what no split takes, check the targets.

    A column with two values makes the query binary. Raises ``task.too_few_rows`` when a split has
    no row and ``task.one_class`` when a class stands alone in the training split.
    """
    if examples.classes is not None and len(examples.classes) == 2 and not query.temporal:
        query = replace(query, task_type=TaskType.BINARY_CLASSIFICATION)
    binary = query.task_type is TaskType.BINARY_CLASSIFICATION
    if examples.split is None or examples.target is None:
        raise TaskError("A training table needs targets and a split")
    _check_weights(examples)
    counts = [int((examples.split == s).sum()) for s in range(3)]
    if min(counts) == 0:
        held = ", ".join(f"{name} {count:,}" for name, count in zip(SPLITS, counts, strict=True))
        raise TaskError(
            f"A split has no rows ({held}); each needs at least one",
            code="task.too_few_rows",
            hint="Widen the WHERE clause, bring more rows, or choose another split.",
        )
    trained = examples.target[examples.split == 0]
    if query.task_type is not TaskType.REGRESSION and len(np.unique(trained)) < 2:
        raise _one_class(examples, binary=binary)
    report = report_of(
        examples,
        binary=binary,
        considered=considered,
        dropped=dropped,
        empty_anchors=empty_anchors,
        warnings=_warnings(query, examples),
    )
    if (examples.split == LEFT_OUT).any():
        examples = examples.take(examples.split != LEFT_OUT)
    return TrainingTable(
        query=query,
        snapshot_id=snapshot.id,
        examples=examples,
        report=report,
        entity_keys=relations.table(query.entity_table).keys(),
    )


def key_ranks(keys: pa.Array) -> npt.NDArray[np.int64]:
    """Return the place of each key in ascending order, which no order of rows changes."""
    order = pc.sort_indices(keys).to_numpy()
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


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


def _check_weights(examples: Examples) -> None:
    if examples.weight is None:
        return
    bad = int((~(np.isfinite(examples.weight) & (examples.weight >= 0))).sum())
    if bad:
        raise TaskError(
            f"{bad:,} of {len(examples):,} weights are missing, negative or not finite",
            code="task.bad_weight",
            hint="Fill the weight column with finite numbers that are not negative.",
        )


def _warnings(query: CheckedQuery, examples: Examples) -> tuple[str, ...]:
    if query.task_type is TaskType.REGRESSION or examples.target is None or examples.split is None:
        return ()
    found = []
    for number, name in enumerate(SPLITS[1:], start=1):
        held = examples.target[examples.split == number]
        if len(np.unique(held)) < 2:
            found.append(
                f"All {len(held):,} targets of the {name} split are of one class, so ranking "
                "metrics such as AUROC do not exist there."
            )
    rarest = int(np.bincount(examples.target[examples.split == 0].astype(np.int64)).min())
    if query.task_type is TaskType.BINARY_CLASSIFICATION and rarest < 20:
        found.append(f"The rarer class has {rarest} rows in the train split: expect little.")
    return tuple(found)


def _one_class(examples: Examples, *, binary: bool) -> TaskError:
    if examples.target is None or examples.split is None:
        return TaskError("There are no targets", code="task.one_class")
    train = examples.target[examples.split == 0]
    only = train[0]
    label: object = examples.classes[int(only)] if examples.classes else bool(only)
    rest = [int((examples.target[examples.split == s] != only).sum()) for s in (1, 2)]
    kind = "positive" if binary and only == 1 else "negative" if binary else "of one class"
    return TaskError(
        f"All {len(train):,} targets of the train split are {label!r} ({kind}), so there is "
        f"nothing to tell apart; val has {rest[0]:,} others, test {rest[1]:,}",
        code="task.one_class",
        hint="Change the condition or the window so that both outcomes happen, or bring more "
        "history.",
    )


def _no_rows(found: Collected | None, anchors: int) -> TaskError:
    where = f" at {anchors} anchor{'s' if anchors != 1 else ''}" if anchors else ""
    reasons = found.dropped if found is not None else {}
    why = "; ".join(f"{reason}: {count:,}" for reason, count in reasons.items())
    considered = found.considered if found is not None else 0
    return TaskError(
        f"No example is left of {considered:,} considered{where}" + (f" ({why})" if why else ""),
        code="task.no_rows",
        hint="Widen the WHERE or ASSUMING clause, check that foreign keys match, or change the "
        "window.",
    )
