"""Which training rows are used when there are more than a run mode can afford.

Newest anchors first; an anchor gives at most an eighth of all rows, so that a fit sees several
anchors even when one alone would fill it. In classification the rows of common classes are thinned
at one rate for all anchors and get the inverse as weight, so that neither time nor probabilities
are bent. Only training is ever sampled, never scoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType

__all__ = ["Sample", "sample_rows"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_ANCHORS = 8
_COMMON_PER_RARE = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Chosen rows.

    Attributes:
        rows: int64[m] places in what was given, ascending.
        weight: float64[m]; None when every row counts once.
        report: What was left out, for the reader of the report.
    """

    rows: Index
    weight: Float | None
    report: dict[str, Any]


def sample_rows(
    target: Float,
    anchor: Index | None,
    weight: Float | None,
    *,
    task_type: TaskType,
    limit: int,
    seed: int,
) -> Sample:
    """Choose at most ``limit`` of n rows (target, anchor and weight are arrays of n)."""
    n = len(target)
    if n <= limit:
        return Sample(np.arange(n), weight, {"rows": n, "of": n, "sampled": False})
    rng = np.random.default_rng([seed, n])
    rate = _rates(target, task_type, limit)
    kept = np.flatnonzero(rng.random(n) < rate)
    if len(kept) > limit:
        kept = kept[_newest_first(None if anchor is None else anchor[kept], len(kept), limit, rng)]
    factor = 1.0 / rate[kept]
    thinned = bool((factor > 1).any())
    weights = None if weight is None else weight[kept]
    if thinned:
        weights = factor if weights is None else weights * factor
    order = np.argsort(kept, kind="stable")
    rows = kept[order]
    report: dict[str, Any] = {"rows": len(rows), "of": n, "sampled": True, "thinned": thinned}
    if anchor is not None:
        report["anchors"] = len(np.unique(anchor[rows]))
        report["anchors_of"] = len(np.unique(anchor))
    if thinned:
        report["rate_of_common_classes"] = float(rate.min())
    return Sample(rows, None if weights is None else weights[order], report)


def _rates(target: Float, task_type: TaskType, limit: int) -> Float:
    """Return the share of each row's class to keep: 1 for rare ones, one rate for common ones."""
    if task_type is TaskType.REGRESSION:
        return np.ones(len(target))
    classes, code, count = np.unique(target, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        return np.ones(len(target))
    common = count * 2 > len(target)  # at most one class is
    if not common.any():
        return np.ones(len(target))
    rare = int(count[~common].sum())
    # As many common rows as fit beside the rare ones, but never fewer than four to one.
    wanted = max(_COMMON_PER_RARE * rare, limit - rare)
    rate = min(1.0, wanted / int(count[common].sum()))
    return np.where(common[code], rate, 1.0)


def _newest_first(anchor: Index | None, n: int, limit: int, rng: np.random.Generator) -> Index:
    order = rng.permutation(n)
    if anchor is None:
        return order[:limit]
    order = order[np.argsort(-anchor[order], kind="stable")]
    _, first = np.unique(-anchor[order], return_index=True)
    sizes = np.diff(np.append(first, n))
    place = np.arange(n) - np.repeat(first, sizes)
    quota = -(-limit // min(len(first), _ANCHORS))
    inside = order[place < quota]
    beyond = order[place >= quota]
    return np.concatenate([inside, beyond])[:limit]
