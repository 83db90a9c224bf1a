"""Whether examples make a table to learn from, and what about them may disappoint."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relcast.core.errors import TaskError
from relcast.core.schema import TaskType
from relcast.pql import CheckedQuery
from relcast.pql.ast import Aggregation, ColumnRef
from relcast.tasks.examples import Examples
from relcast.tasks.report import TrainingTableReport
from relcast.tasks.splits import SPLITS, rows_of_split

__all__ = [
    "MOST_CLASSES",
    "check_classes",
    "check_rows",
    "check_targets",
    "check_weights",
    "warnings_of",
]

MOST_CLASSES = 6000
"""Classes that a classification can have."""

_RARE = 20
_COLD_SHARE = 0.05
_NUMBERS = (TaskType.REGRESSION, TaskType.FORECASTING)
_ITEMS = (TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION)
_RANKED = (TaskType.MULTILABEL_RANKING, *_ITEMS)


def check_weights(examples: Examples) -> None:
    """Raise ``task.bad_weight`` for weights that are missing, negative or not finite."""
    if examples.weight is None:
        return
    bad = int((~(np.isfinite(examples.weight) & (examples.weight >= 0))).sum())
    if bad:
        raise TaskError(
            f"{bad:,} of {len(examples):,} weights are missing, negative or not finite",
            code="task.bad_weight",
            hint="Fill the weight column with finite numbers that are not negative.",
        )


def check_classes(query: CheckedQuery, classes: tuple[object, ...] | None) -> None:
    """Raise ``task.too_many_classes`` beyond ``MOST_CLASSES``."""
    if classes is None or len(classes) <= MOST_CLASSES:
        return
    target = query.query.target
    column = target.column if isinstance(target, Aggregation) else target
    name = f"{column.table}.{column.column}" if isinstance(column, ColumnRef) else "the target"
    if isinstance(target, Aggregation) and target.items is not None:
        hint = f"RANK TOP k ranks the rows of {target.items.to}, however many there are."
    elif isinstance(target, Aggregation):
        hint = f"Choose the values that matter: {target.kind.value}({name} WHERE {name} IN (…), …)."
    else:
        hint = f"Ask for one of them, {name} = …, or group the rare values into one."
    raise TaskError(
        f"{name} has {len(classes):,} classes in this table; at most {MOST_CLASSES:,} can be told "
        "apart",
        code="task.too_many_classes",
        hint=hint,
    )


def check_rows(split: npt.NDArray[np.int8]) -> None:
    """Raise ``task.too_few_rows`` when a split has no row."""
    counts = [int(np.count_nonzero(split == s)) for s in range(3)]
    if min(counts) == 0:
        held = ", ".join(f"{name} {count:,}" for name, count in zip(SPLITS, counts, strict=True))
        raise TaskError(
            f"A split has no rows ({held}); each needs at least one",
            code="task.too_few_rows",
            hint="Widen the WHERE clause, bring more rows, or choose another split.",
        )


def check_targets(query: CheckedQuery, examples: Examples, split: npt.NDArray[np.int8]) -> None:
    """Raise ``task.one_class`` when train has nothing to tell apart; numbers always have."""
    train = rows_of_split(split, 0)
    if examples.lists is not None:
        lists = examples.lists.take(train)
        held = np.unique(lists.values)
        if len(held) < 2:
            raise _one_value(query, len(lists), len(held))
        return
    if query.task_type in _NUMBERS or examples.target is None:
        return
    if _alike(examples.target[train]):
        raise _one_class(query, examples)


def warnings_of(
    query: CheckedQuery, examples: Examples, report: TrainingTableReport
) -> tuple[str, ...]:
    """Return sentences about what of the split targets may disappoint."""
    if query.task_type in _NUMBERS:
        return tuple(_constant(query, report))
    found = [*_unseen(query, report)]
    if examples.lists is not None:
        return tuple(found + _without_values(report))
    if examples.target is None or examples.split is None:
        return tuple(found)
    for number, name in enumerate(SPLITS[1:], start=1):
        held = examples.target[rows_of_split(examples.split, number)]
        if _alike(held):
            found.append(
                f"All {len(held):,} targets of the {name} split are of one class, so ranking "
                "metrics such as AUROC do not exist there."
            )
    if query.task_type is TaskType.BINARY_CLASSIFICATION:
        trained = examples.target[rows_of_split(examples.split, 0)]
        positives = int(np.count_nonzero(trained))
        rarest = min(positives, len(trained) - positives)
        if rarest < _RARE:
            found.append(f"The rarer class has {rarest} rows in the train split: expect little.")
    return tuple(found)


def _alike(target: npt.NDArray[np.float64]) -> bool:
    return not len(target) or bool((target == target[0]).all())


def _constant(query: CheckedQuery, report: TrainingTableReport) -> list[str]:
    train = report.splits["train"].target
    if train.rows and train.low == train.high:
        what = "windows" if query.task_type is TaskType.FORECASTING else "targets"
        return [f"All {what} of the train split are {train.low:g}: there is nothing to learn."]
    return []


def _unseen(query: CheckedQuery, report: TrainingTableReport) -> list[str]:
    found = []
    for name in SPLITS[1:]:
        split = report.splits[name]
        if not split.unseen or split.unseen_share is None:
            continue
        share = f"{split.unseen_share:.1%} of its {_what(query)}"
        if query.task_type in _ITEMS:
            if split.unseen_share >= _COLD_SHARE:
                found.append(
                    f"{split.unseen:,} items of the {name} split ({share}) are in no row of train: "
                    "a model can know them by their columns alone."
                )
            continue
        many = f"{split.unseen:,} classes" if split.unseen > 1 else "One class"
        are = "are" if split.unseen > 1 else "is"
        found.append(
            f"{many} of the {name} split ({share}) {are} in no row of train, so no model can "
            "predict them."
        )
    return found


def _what(query: CheckedQuery) -> str:
    return "targets" if query.task_type is TaskType.MULTICLASS_CLASSIFICATION else "listed values"


def _without_values(report: TrainingTableReport) -> list[str]:
    return [
        f"No row of the {name} split lists anything, so ranking metrics do not exist there."
        for name in SPLITS[1:]
        if report.splits[name].target.distinct == 0
    ]


def _one_class(query: CheckedQuery, examples: Examples) -> TaskError:
    if examples.target is None or examples.split is None:
        return TaskError("There are no targets", code="task.one_class")
    binary = query.task_type is TaskType.BINARY_CLASSIFICATION
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


def _one_value(query: CheckedQuery, rows: int, values: int) -> TaskError:
    what = "list nothing" if values == 0 else "list one and the same value"
    kind = "rank" if query.task_type in _RANKED else "tell apart"
    hint = "Widen the window or the filters, or bring more history."
    if values and query.task_type is TaskType.MULTILABEL_CLASSIFICATION:
        hint += " Whether one value comes is a condition: LIST_DISTINCT(…) CONTAINS 'value'."
    return TaskError(
        f"The {rows:,} rows of the train split {what}, so there is nothing to {kind}; at least 2 "
        "are needed",
        code="task.one_class",
        hint=hint,
    )
