"""Whether a split has enough of every class: one class is an error, few positives are a warning.

For classifications of all kinds, and for lists, where a label or an item is what a class is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.core.schema import TaskType
from relcast.learners.protocol import Fold, Target

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["check_balance"]

_FEW = 10
_NAMED = 10
_RARE = 0.01
_NUMBERS = frozenset({TaskType.REGRESSION, TaskType.FORECASTING})


def check_balance(target: Target, train: Fold, validation: Fold, test: Fold) -> list[str]:
    """Return warnings on classes with few rows, with their counts.

    Few is fewer than 10, in training for every class or label and in the held-out splits for what
    their figures rest on; rare is less than one row in a hundred. Raises ``model.one_class`` where
    training rows have one class only, or no list that holds anything.
    """
    if target.task_type in _NUMBERS:
        return []
    held_out = [(name, f) for name, f in (("validation", validation), ("test", test)) if len(f)]
    if train.lists is not None:
        return _lists(target, train, train.lists, held_out)
    names: list[Any] = list(target.classes) if target.classes is not None else [False, True]
    count = np.bincount(train.label.astype(np.int64), minlength=len(names))
    if int((count > 0).sum()) < 2:
        raise ModelError(
            f"All {len(train):,} training rows have the target {names[int(count.argmax())]}",
            code="model.one_class",
            hint="Ask for something that happens to some entities and not to others: "
            "another threshold, a longer window, or a wider population.",
        )
    warnings = _few(names, count, "class")
    if target.task_type is TaskType.BINARY_CLASSIFICATION:
        for name, fold in held_out:
            positives = int(fold.label.sum())
            if min(positives, len(fold) - positives) < _FEW:
                warnings.append(
                    f"The {name} split has {positives:,} true rows of {len(fold):,}; "
                    "its figures are uncertain."
                )
        rare, which = int(count.min()), str(names[int(count.argmin())]).lower()
        if _FEW <= rare < _RARE * len(train):
            warnings.append(
                f"Only {rare:,} of {len(train):,} training rows are {which}: accuracy says "
                "little here; read AP and recall, and choose a threshold."
            )
    return warnings


def _lists(
    target: Target, train: Fold, lists: Lists, held_out: Sequence[tuple[str, Fold]]
) -> list[str]:
    if not len(lists.values):
        raise ModelError(
            f"The target lists of all {len(train):,} training rows are empty",
            code="model.one_class",
            hint="Ask for a longer window, or for a wider population.",
        )
    warnings = []
    if target.classes is not None:
        count = np.bincount(lists.values, minlength=len(target.classes))
        if target.task_type is TaskType.MULTILABEL_CLASSIFICATION:
            always = count == len(train)
            if always.all():
                raise ModelError(
                    f"All {len(train):,} training rows have every label",
                    code="model.one_class",
                    hint="Ask for a shorter window: a label must be there for some rows only.",
                )
            warnings = _few(target.classes, np.minimum(count, len(train) - count), "label")
        else:
            warnings = _few(target.classes, count, "label")
    for name, fold in held_out:
        filled = 0 if fold.lists is None else int((fold.lists.lengths > 0).sum())
        if filled < _FEW:
            warnings.append(
                f"The {name} split has {filled:,} rows of {len(fold):,} whose list is not empty; "
                "its figures are uncertain."
            )
    return warnings


def _few(names: Sequence[Any], count: npt.NDArray[np.int64], what: str) -> list[str]:
    few = [f"{names[i]!s}: {int(n)}" for i, n in enumerate(count) if n < _FEW]
    if not few:
        return []
    rest = len(few) - _NAMED
    listed = ", ".join(few[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    return [f"Few training rows of a {what} ({listed}); its scores are little more than a guess."]
