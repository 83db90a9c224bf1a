"""The splits of a training table as folds: who may see what, and labels that can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType
from relcast.learners.plan import Regime
from relcast.learners.protocol import Asked, Fold, Target
from relcast.pql.ast import CheckedQuery
from relcast.pql.support import require_supported
from relcast.tasks.anchors import Frame

if TYPE_CHECKING:
    from relcast.tasks import Examples

__all__ = ["Folds", "label_known_at", "make_folds"]

Index = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
_FEW = 10
_LARGEST = 1e153
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


def label_known_at(query: CheckedQuery, anchor: Index) -> Index:
    """Return when the label of each anchor is complete: the end of its last window, int64 ns."""
    if not query.temporal:
        return anchor
    known: Index = Frame.of(query).spans(anchor)[1]
    return known


def make_folds(examples: Examples, query: CheckedQuery, regime: Regime) -> Folds:
    """Split examples into folds.

    In the frozen regime rows of validation and test see nothing after the first anchor of their
    split. Raises ``pql.task_not_supported_yet``, ``model.no_labels``, ``model.no_training_rows``,
    ``model.no_validation_rows`` and
    ``model.one_class``.
    """
    require_supported(query)
    if examples.target is None or examples.split is None:
        raise ModelError(
            "The training table has no targets or no splits",
            code="model.no_labels",
            hint="Fit on a training table, not on a prediction table.",
        )
    usable = np.abs(examples.target) <= _LARGEST  # NaN is not
    dropped = int(len(usable) - usable.sum())
    multiclass = query.task_type is TaskType.MULTICLASS_CLASSIFICATION
    target = Target(query.task_type, tuple(examples.classes or ()) if multiclass else None)

    def fold(number: int) -> Fold:
        rows = np.flatnonzero(usable & (examples.split == number))
        anchor = None if examples.anchor is None else examples.anchor[rows]
        known = anchor
        if regime == "frozen" and number != _TRAIN and anchor is not None and len(anchor):
            known = np.minimum(anchor, anchor.min())
        weight = None if examples.weight is None else examples.weight[rows]
        label = (examples.target if examples.target is not None else np.zeros(0))[rows]
        return Fold(Asked(examples.entity[rows], anchor, known), label, weight)

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
    warnings = _check_classes(target, train, validation, test)
    if dropped:
        warnings.append(f"{dropped:,} rows were left out: {_UNUSABLE}")
    named = None if multiclass or examples.classes is None else tuple(examples.classes)
    return Folds(target, train, validation, test, dropped, tuple(warnings), named)


def _check_classes(target: Target, train: Fold, validation: Fold, test: Fold) -> list[str]:
    if target.task_type is TaskType.REGRESSION:
        return []
    names: list[Any] = list(target.classes) if target.classes is not None else [False, True]
    count = np.bincount(train.label.astype(np.int64), minlength=len(names))
    if int((count > 0).sum()) < 2:
        only = names[int(count.argmax())]
        raise ModelError(
            f"All {len(train):,} training rows have the target {only}",
            code="model.one_class",
            hint="Ask for something that happens to some entities and not to others: "
            "another threshold, a longer window, or a wider population.",
        )
    warnings = []
    few = [f"{names[i]!s}: {int(n)}" for i, n in enumerate(count) if n < _FEW]
    if few:
        listed = ", ".join(few[:10]) + (f" and {len(few) - 10} more" if len(few) > 10 else "")
        warnings.append(
            f"Few training rows of a class ({listed}); its scores are little more than a guess."
        )
    if target.task_type is TaskType.BINARY_CLASSIFICATION:
        for name, fold in (("validation", validation), ("test", test)):
            positives = int(fold.label.sum())
            if len(fold) and min(positives, len(fold) - positives) < _FEW:
                warnings.append(
                    f"The {name} split has {positives:,} true rows of {len(fold):,}; "
                    "its figures are uncertain."
                )
    return warnings
