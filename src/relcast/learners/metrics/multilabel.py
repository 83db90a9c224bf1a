"""Metrics of multilabel classification: every label is a question of its own.

By scikit-learn's definitions for indicator matrices, with one difference: a label for which a
metric is not defined (AP without a positive row, AUROC with one class) is left out of the macro
average instead of counting as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from relcast.learners.metrics.base import Metrics, ratios, weighed
from relcast.learners.metrics.binary import BinaryMetrics

if TYPE_CHECKING:
    from relcast.tasks import Lists

__all__ = ["MultilabelMetrics", "indicator"]

Float = npt.NDArray[np.float64]

_AREAS = ("ap", "auroc", "auprc")


def indicator(lists: Lists, width: int) -> npt.NDArray[np.bool_]:
    """Return bool[n, width]: whether each list holds each label."""
    out = np.zeros((len(lists), width), dtype=np.bool_)
    out[np.repeat(np.arange(len(lists)), lists.lengths), lists.values] = True
    return out


class MultilabelMetrics(Metrics):
    """Areas by macro and micro average and by label, and figures of the threshold 0.5.

    ``acc`` is the share of rows whose whole set is right, as in scikit-learn; ``precision``,
    ``recall`` and ``f1`` are macro averages over all labels, 0 where nothing was predicted or is
    there to be found.

    Args:
        lists: n lists of label indices.
        values: float64[n, labels], probabilities.
    """

    def __init__(self, lists: Lists, values: Float, threshold: float = 0.5) -> None:
        self.rows, self._width = values.shape
        self._values = values
        self._truth = indicator(lists, self._width)
        self._said = values >= threshold
        self._labels: list[BinaryMetrics] = []

    def many(self, names: Sequence[str], weights: Float) -> dict[str, Float]:
        total = weights.sum(axis=1)
        found: dict[str, Float] = {}
        wanted = set(names)
        macro = [area for area in _AREAS if f"{area}_macro" in wanted]
        if macro:
            for area, values in self._by_label(macro, weights).items():
                defined = np.isfinite(values)
                sums = np.where(defined, values, 0.0).sum(axis=0)
                found[f"{area}_macro"] = ratios(sums, defined.sum(axis=0) * 1.0, np.nan)
        micro = [area for area in _AREAS if f"{area}_micro" in wanted]
        if micro:
            flat = BinaryMetrics(self._truth.ravel().astype(np.float64), self._values.ravel())
            wide = np.repeat(weights, self._width, axis=1)
            found |= {f"{area}_micro": v for area, v in flat.many(micro, wide).items()}
        if "acc" in wanted:
            right = (self._truth == self._said).all(axis=1)
            found["acc"] = ratios(weighed(weights, right), total)
        if wanted & {"precision", "recall", "f1"}:
            found |= self._of_threshold(weights)
        # A figure by label is no single number; it stands with the labels (``by_label``).
        return {n: np.where(total > 0, found[n], np.nan) for n in names if n in found}

    def by_label(self) -> list[dict[str, float]]:
        """Return ap, auroc, auprc, precision, recall, f1 and rows of every label, in order."""
        once = np.ones((1, self.rows))
        areas = self._by_label(_AREAS, once)
        hit, true, said = (each[0] for each in self._counts(once))
        precision, recall, f1 = ratios(hit, said), ratios(hit, true), ratios(2 * hit, true + said)
        return [
            {
                **{area: float(areas[area][k, 0]) for area in _AREAS},
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "rows": float(true[k]),
            }
            for k in range(self._width)
        ]

    def _by_label(self, areas: Sequence[str], weights: Float) -> dict[str, Float]:
        """Return by area float64[labels, r]."""
        if not self._labels:
            self._labels = [
                BinaryMetrics(self._truth[:, k].astype(np.float64), self._values[:, k])
                for k in range(self._width)
            ]
        each = [label.many(areas, weights) for label in self._labels]
        return {area: np.stack([found[area] for found in each]) for area in areas}

    def _counts(self, weights: Float) -> tuple[Float, Float, Float]:
        """Return hits, true and predicted weight by weighing and label, float64[r, labels]."""
        sums = [
            np.einsum("rn,nk->rk", weights, each.astype(np.float64), optimize=False)
            for each in (self._truth & self._said, self._truth, self._said)
        ]
        return sums[0], sums[1], sums[2]

    def _of_threshold(self, weights: Float) -> dict[str, Float]:
        hit, true, said = self._counts(weights)
        return {
            "precision": ratios(hit, said).mean(axis=1),
            "recall": ratios(hit, true).mean(axis=1),
            "f1": ratios(2 * hit, true + said).mean(axis=1),
        }
