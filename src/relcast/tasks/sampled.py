"""Figures of a sample of the entities: which ones are chosen, and their counts as of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relcast.tasks.report import TargetSummary, TrainingTableReport

__all__ = ["sample_of", "scaled"]


def sample_of(keys: pa.Array, size: int) -> npt.NDArray[np.int64]:
    """Return the rows of ``size`` keys, ascending: those of the smallest hashes.

    The same keys are chosen whatever the order of the rows, and most of them again when keys are
    added.
    """
    import pandas as pd

    hashes = pd.util.hash_array(keys.to_numpy(zero_copy_only=False), categorize=False)
    return np.sort(np.argsort(hashes, kind="stable")[:size]).astype(np.int64)


def scaled(report: TrainingTableReport, factor: float) -> TrainingTableReport:
    """Return a report of a sample with its counts as of all.

    Shares, means and spreads stay; so do numbers of distinct values, which are then at least so
    many.
    """
    if factor == 1:
        return report

    def grown(number: int) -> int:
        return round(number * factor)

    def target(summary: TargetSummary) -> TargetSummary:
        return replace(
            summary,
            rows=grown(summary.rows),
            positives=None if summary.positives is None else grown(summary.positives),
            classes=None
            if summary.classes is None
            else {name: grown(n) for name, n in summary.classes.items()},
            empty=None if summary.empty is None else grown(summary.empty),
            most_frequent=None
            if summary.most_frequent is None
            else tuple((value, grown(n)) for value, n in summary.most_frequent),
        )

    return replace(
        report,
        rows=grown(report.rows),
        splits={n: replace(s, target=target(s.target)) for n, s in report.splits.items()},
        anchors=tuple(replace(a, target=target(a.target)) for a in report.anchors),
        considered=grown(report.considered),
        dropped={reason: grown(n) for reason, n in report.dropped.items()},
        target=None if report.target is None else target(report.target),
    )
