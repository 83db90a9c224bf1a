"""Curves of many classes: the confusion matrix, and how sure is how right; labels one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.learners.curves.binary import binary_curves, calibration
from relcast.learners.curves.thin import evenly
from relcast.learners.metrics.multilabel import indicator

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["class_curves", "label_curves"]

Float = npt.NDArray[np.float64]

_CLASSES = 30
_LABELS = 8
_LETTERS = 80
_MOST_CELLS = 20_000_000
"""Cells of examples and labels that the calibration of all labels is of, about."""
OTHERS = "others"


def class_curves(target: Float, values: Float, classes: Sequence[str]) -> dict[str, Any]:
    """Return the confusion matrix (rows: actual, columns: predicted), and calibration.

    Of more than 30 classes the 30 with the most rows are named, all others are one. Calibration is
    of the best class: how often it is right, by its probability.
    """
    if not len(values):
        return {}
    actual = target.astype(np.int64)
    predicted = values.argmax(axis=1)
    count = np.bincount(actual, minlength=len(classes))
    named = np.sort(np.argsort(-count, kind="stable")[:_CLASSES])
    code = np.full(len(classes), len(named), dtype=np.int64)
    code[named] = np.arange(len(named))
    size = len(named) + int(len(named) < len(classes))
    matrix = np.bincount(code[actual] * size + code[predicted], minlength=size * size)
    names = [classes[k][:_LETTERS] for k in named] + [OTHERS] * (size - len(named))
    sure = values[np.arange(len(values)), predicted]
    return {
        "confusion": {"classes": names, "rows": matrix.reshape(size, size).tolist()},
        "calibration": calibration((actual == predicted).astype(np.float64), sure),
    }


def label_curves(lists: Lists, values: Float, classes: Sequence[str]) -> dict[str, Any]:
    """Return the binary curves of the labels with the most rows, and calibration of all cells.

    Of more than twenty million cells, those of examples that are left out evenly.
    """
    if not values.size:
        return {}
    truth = indicator(lists, values.shape[1])
    count = truth.sum(axis=0)
    most = np.argsort(-count, kind="stable")[:_LABELS]
    labels = {}
    for k in most.tolist():
        curves = binary_curves(truth[:, k].astype(np.float64), values[:, k])
        labels[classes[k][:_LETTERS]] = {
            "rows": int(count[k]),
            **{name: curves[name] for name in ("roc", "pr", "calibration")},
        }
    kept = evenly(len(values), max(2, _MOST_CELLS // values.shape[1]))
    flat = truth[kept].ravel().astype(np.float64)
    return {"labels": labels, "calibration": calibration(flat, values[kept].ravel())}
