"""Boosted trees that rank: data in groups, grown until a validation metric stops rising."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.learners import booster_text, boosting
from relcast.learners.deadline import Deadline

__all__ = ["OBJECTIVES", "Grown", "RankConfig", "grouped", "grow"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

OBJECTIVES = ("lambdarank", "rank_xendcg", "binary")
_FIXED: Mapping[str, Any] = {
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "max_bin": 255,
    "min_data_in_bin": 3,
    "bin_construct_sample_cnt": 200_000,
    "data_random_seed": 1,
    "max_cat_threshold": 32,
    "verbosity": -1,
}
_LEAST_GAIN = 1e-5


@dataclass(frozen=True, slots=True)
class RankConfig:
    """The settings of one trial; the names are LightGBM's."""

    objective: str
    learning_rate: float = 0.05
    num_leaves: int = 31
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.5
    bagging_fraction: float = 1.0
    lambda_l2: float = 5.0
    lambdarank_truncation_level: int = 20

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def parameters(self, seed: int, threads: int, at: int) -> dict[str, Any]:
        """Return LightGBM's parameters; the validation metric is NDCG at ``at``."""
        return {
            **asdict(self),
            "metric": "ndcg",
            "eval_at": [at],
            "boost_from_average": True,
            "seed": seed,
            "objective_seed": seed,
            "num_threads": threads,
            **_FIXED,
        }


@dataclass(frozen=True, slots=True)
class Grown:
    """A trained booster: LightGBM's text, its iterations, and the gain of each column."""

    text: str
    iterations: int
    gain: Float
    out_of_time: bool


def grouped(
    values: Values,
    label: Float,
    sizes: Index,
    categorical: Sequence[int],
    threads: int,
    weight: Float | None = None,
    reference: Any = None,
) -> Any:
    """Bin a matrix float32[pairs, columns] whose rows come in groups of ``sizes``."""
    return (
        boosting.library()
        .Dataset(
            values,
            label=label,
            group=sizes,
            weight=weight,
            reference=reference,
            categorical_feature=list(categorical),
            params={**_FIXED, "num_threads": threads},
            free_raw_data=True,
        )
        .construct()
    )


def grow(
    config: RankConfig,
    train: Any,
    valid: Any | None,
    *,
    iterations: int,
    patience: int,
    at: int,
    seed: int,
    threads: int,
    deadline: Deadline | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Grown:
    """Train until ``iterations``, until ``patience`` trees brought nothing, or the deadline."""
    booster = boosting.library().Booster(config.parameters(seed, threads, at), train)
    if valid is not None:
        booster.add_valid(valid, "validation")
    best, best_at, count, out_of_time = -np.inf, 0, 0, False
    for count in range(1, iterations + 1):
        finished = booster.update()
        if valid is not None:
            value = booster.eval_valid()[0][2]
            if value > best + _LEAST_GAIN * abs(best if np.isfinite(best) else 0.0):
                best, best_at = value, count
            if report is not None and count % 10 == 0:
                report(count, value)
            if count - best_at >= patience:
                break
        if finished:
            break
        if deadline is not None and deadline.passed():
            out_of_time = True
            break
    kept = max(1, best_at if valid is not None else count)
    text = booster_text.trim(booster.model_to_string(num_iteration=kept))
    gain = np.asarray(booster.feature_importance("gain", iteration=kept), dtype=np.float64)
    return Grown(text, kept, gain, out_of_time)
