"""The splits of a training table as folds: who may see what, and labels that can be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType
from relcast.learners.balance import check_balance
from relcast.learners.plan import Regime
from relcast.learners.protocol import Asked, Fold, Target
from relcast.pql.ast import CheckedQuery, ProblemKind
from relcast.tasks.waiting import frame_of

if TYPE_CHECKING:
    from relcast.relations import Relations
    from relcast.tasks import Examples

__all__ = ["Folds", "bounded", "label_known_at", "make_folds", "target_of"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
_MULTILABEL = frozenset({TaskType.MULTILABEL_CLASSIFICATION, TaskType.MULTILABEL_RANKING})
_RANKED = frozenset(
    {
        TaskType.MULTILABEL_RANKING,
        TaskType.TEMPORAL_LINK_PREDICTION,
        TaskType.STATIC_LINK_PREDICTION,
    }
)
_LARGEST = 1e153
_MOST_CELLS = 30_000_000
_UNUSABLE = "their target is no number, or so large (beyond 1e153) that its square is none."


@dataclass(frozen=True)
class Folds:
    """The three folds, and what a reader should know of them.

    Attributes:
        target: What is predicted.
        train, validation, test: The folds; ``test`` may be empty.
        dropped: Rows left out because the square of their target is no finite number.
        warnings: Sentences on classes with few rows.
        false_and_true: What true and false stand for when the target is a column with two values.
    """

    target: Target
    train: Fold
    validation: Fold
    test: Fold
    dropped: int
    warnings: tuple[str, ...]
    false_and_true: tuple[Any, ...] | None = None

    def held_out(self) -> dict[str, Fold]:
        """Return the folds that figures are reported of, by name."""
        folds = {"validation": self.validation, "test": self.test}
        return {name: fold for name, fold in folds.items() if len(fold)}


def label_known_at(query: CheckedQuery, anchor: Index, relations: Relations) -> Index:
    """Return when the label of each anchor is settled, int64 ns.

    That is the end of its last window, and then the longest time that a value of the target's
    columns took to become known.
    """
    if not query.temporal:
        return anchor
    known: Index = frame_of(query, relations).settled_spans(anchor)[1]
    return known


def target_of(examples: Examples, query: CheckedQuery) -> Target:
    """Return what a query's examples are to be predicted: the task, its classes, horizon, items."""
    named = {TaskType.MULTICLASS_CLASSIFICATION, *_MULTILABEL}
    problem, items = query.query.problem, query.items
    ranked = problem is not None and problem.kind is ProblemKind.RANK
    return Target(
        task_type=query.task_type,
        classes=tuple(examples.classes or ()) if query.task_type in named else None,
        horizon=query.forecast_length or 1,
        items=None if items is None else items.to,
        top=problem.number if problem is not None and ranked else None,
    )


def make_folds(
    examples: Examples, query: CheckedQuery, regime: Regime, *, use_weights: bool = True
) -> Folds:
    """Split examples of any task type into folds.

    In the frozen regime rows of validation and test see nothing after the first anchor of their
    split. Raises ``model.no_labels``, ``model.no_training_rows``, ``model.no_validation_rows`` and
    ``model.one_class``.
    """
    lists = examples.lists
    split, values = examples.split, examples.target
    if (values is None and lists is None) or split is None:
        raise ModelError(
            "The training table has no targets or no splits",
            code="model.no_labels",
            hint="Fit on a training table, not on a prediction table.",
        )
    label = np.zeros((len(examples), 0)) if values is None else values
    sound = np.abs(label) <= _LARGEST  # NaN is not
    usable = np.asarray(sound if label.ndim == 1 else sound.all(axis=1), dtype=np.bool_)
    dropped = int(len(usable) - usable.sum())
    target = target_of(examples, query)

    def fold(number: int) -> Fold:
        rows = np.flatnonzero(usable & (split == number))
        anchor = None if examples.anchor is None else examples.anchor[rows]
        known = anchor
        if regime == "frozen" and number != _TRAIN and anchor is not None and len(anchor):
            known = np.minimum(anchor, anchor.min())
        weight = examples.weight if use_weights else None
        weight = None if weight is None else weight[rows]
        chosen = None if lists is None else lists.take(rows)
        return Fold(Asked(examples.entity[rows], anchor, known), label[rows], weight, chosen)

    train, validation, test = fold(_TRAIN), fold(_VALIDATION), fold(_TEST)
    hint = "Choose another split, a shorter window, or a smaller timeframe_step."
    if dropped:
        hint = f"{dropped:,} rows were left out: {_UNUSABLE} Scale the column down."
    for name, part in (("training", train), ("validation", validation)):
        if not len(part):
            raise ModelError(
                f"There are no {name} rows with a usable target",
                code=f"model.no_{name}_rows",
                hint=hint,
            )
    warnings = check_balance(target, train, validation, test)
    if dropped:
        warnings.append(f"{dropped:,} rows were left out: {_UNUSABLE}")
    binary = target.task_type is TaskType.BINARY_CLASSIFICATION
    named = tuple(examples.classes) if binary and examples.classes is not None else None
    return Folds(target, train, validation, test, dropped, tuple(warnings), named)


def bounded(folds: Folds, most: int, seed: int) -> Folds:
    """Return folds whose held-out splits have at most ``most`` rows each, drawn evenly.

    Every contender of a board keeps what it says of both, so that a row with thousands of classes
    counts for as many numbers. Training rows are bounded by the learners, scoring never is.
    """
    target, told = folds.target, list(folds.warnings)
    dense = target.task_type not in _RANKED
    limit = max(1, min(most, _MOST_CELLS // target.width if dense else most))

    def part(name: str, fold: Fold, stream: int) -> Fold:
        if len(fold) <= limit:
            return fold
        rng = np.random.default_rng([seed, stream])
        rows = np.sort(rng.choice(len(fold), limit, replace=False))
        told.append(
            f"{name} figures are measured on {limit:,} of {len(fold):,} rows, drawn evenly."
        )
        return fold.take(rows, None if fold.weight is None else fold.weight[rows])

    validation = part("Validation", folds.validation, 41)
    test = part("Test", folds.test, 43)
    return replace(folds, validation=validation, test=test, warnings=tuple(told))
