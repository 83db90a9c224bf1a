"""The names of metrics: which a task knows, which it reports, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Sequence

from relcast.core.errors import InvalidRequest, nearest
from relcast.core.schema import TaskType

__all__ = [
    "MOST_K",
    "RANKED",
    "check_metrics",
    "default_metrics",
    "default_tune_metric",
    "is_greater_better",
    "is_ranked",
    "largest_k",
    "split_at_k",
]

_BINARY = ("auroc", "ap", "auprc", "acc", "f1", "precision", "recall")
_MULTICLASS = ("acc", "f1", "precision", "recall", "mrr")
_NUMBER = ("mae", "mse", "rmse", "mape", "smape", "wape", "r2")
_MULTILABEL = (
    "ap_macro",
    "ap_micro",
    "auroc_macro",
    "auroc_micro",
    "auprc_macro",
    "auprc_micro",
    "ap_per_label",
    "auroc_per_label",
    "auprc_per_label",
    "acc",
    "f1",
    "precision",
    "recall",
)
_FIXED = {
    TaskType.BINARY_CLASSIFICATION: _BINARY,
    TaskType.MULTICLASS_CLASSIFICATION: _MULTICLASS,
    TaskType.MULTILABEL_CLASSIFICATION: _MULTILABEL,
    TaskType.REGRESSION: _NUMBER,
    TaskType.FORECASTING: _NUMBER,
}
_AT_K = re.compile(r"([a-z][a-z0-9_]*)@([1-9][0-9]{0,6})")
_BINARY_AT_K = frozenset({"ndcg", "precision", "recall"})
_RANKED_BY_DEFAULT = ("map", "ndcg", "mrr", "precision", "recall", "f1", "hit_ratio")
_ON_REQUEST = ("coverage", "avg_popularity", "personalization", "diversity")
_KS = (1, 10, 100)
_TUNE_K = 10

RANKED = frozenset(
    {
        TaskType.MULTILABEL_RANKING,
        TaskType.TEMPORAL_LINK_PREDICTION,
        TaskType.STATIC_LINK_PREDICTION,
    }
)
"""The tasks whose answer is an order of items."""

MOST_K = 1_000
"""The longest list that a ranking metric looks at."""


def is_ranked(task_type: TaskType) -> bool:
    """Whether a task's answer is an order of items."""
    return task_type in RANKED


def default_metrics(task_type: TaskType, top: int | None = None) -> tuple[str, ...]:
    """Return the metrics that a task reports when nobody chose; ``top`` is a ranking's own k."""
    if task_type not in RANKED:
        return _FIXED[task_type]
    ks = sorted({*_KS, *([] if top is None else [min(top, MOST_K)])})
    names = tuple(f"{name}@{k}" for name in _RANKED_BY_DEFAULT for k in ks)
    return (f"map@{_TUNE_K}", *(name for name in names if name != f"map@{_TUNE_K}"))


def default_tune_metric(task_type: TaskType) -> str:
    """Return the metric that decides between models when nobody chose."""
    return default_metrics(task_type)[0]


def is_greater_better(name: str) -> bool:
    """Whether a larger value is the better one.

    Errors of numbers say no, and so does the popularity of what is recommended.
    """
    smaller = {"mae", "mse", "rmse", "mape", "smape", "wape"}
    return name not in smaller and not name.startswith("avg_popularity@")


def split_at_k(name: str) -> tuple[str, int] | None:
    """Return ``("map", 10)`` for ``map@10``, and None for a name without k."""
    found = _AT_K.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def largest_k(names: Sequence[str]) -> int:
    """Return the longest list that the metrics of a ranking look at."""
    return max((at[1] for at in map(split_at_k, names) if at is not None), default=_TUNE_K)


def check_metrics(task_type: TaskType, names: Sequence[str]) -> tuple[str, ...]:
    """Return ``names`` without repetition, or raise ``plan.unknown_metric``.

    Binary tasks also know ``ndcg@k``, ``precision@k`` and ``recall@k``; rankings know their metrics
    at every k up to 1,000.
    """
    for name in names:
        if not _is_known(task_type, name):
            raise InvalidRequest(
                f"There is no metric {name!r} for {task_type.value}",
                code="plan.unknown_metric",
                hint=nearest(name, _offered(task_type)),
            )
    return tuple(dict.fromkeys(names))


def _offered(task_type: TaskType) -> Sequence[str]:
    if task_type not in RANKED:
        return _FIXED[task_type]
    return [f"{name}@{k}" for name in (*_RANKED_BY_DEFAULT, *_ON_REQUEST) for k in _KS]


def _is_known(task_type: TaskType, name: str) -> bool:
    at = split_at_k(name)
    if task_type in RANKED:
        return at is not None and at[0] in (*_RANKED_BY_DEFAULT, *_ON_REQUEST) and at[1] <= MOST_K
    if at is not None:
        return task_type is TaskType.BINARY_CLASSIFICATION and at[0] in _BINARY_AT_K
    return name in _FIXED[task_type]
