"""The only module that touches LightGBM: data in, booster texts out.

LightGBM is imported on first use, with passive waiting: OpenMP threads that spin on a busy machine
made fits eight times slower. Every parameter that could make two runs differ is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relcast.core.errors import ModelError
from relcast.learners import booster_text
from relcast.learners.deadline import Deadline

__all__ = [
    "Data",
    "Grown",
    "TreeConfig",
    "contributions",
    "grow",
    "library",
    "load",
    "make_data",
    "raw_scores",
    "relabel",
]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_REPORT_EVERY = 10
_LEAST_GAIN = 1e-5
"""Share of the loss that a tree must take away, else a fit crawls on for hundreds of trees."""


@dataclass(frozen=True, slots=True)
class TreeConfig:
    """The settings of one trial; the names are LightGBM's, but for ``centred``.

    ``centred``: labels are taken less the level of their anchor (see ``levels``).
    """

    objective: str
    metric: str
    learning_rate: float = 0.05
    num_leaves: int = 31
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.5
    feature_fraction_bynode: float = 1.0
    bagging_fraction: float = 0.8
    lambda_l2: float = 1.0
    path_smooth: float = 0.0
    extra_trees: bool = False
    num_class: int = 1
    alpha: float = 0.9
    centred: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> TreeConfig:
        return cls(**obj)

    def parameters(self, seed: int, threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters; classes are never weighed behind the user's back."""
        named = asdict(self)
        del named["centred"]
        return {
            **named,
            "bagging_freq": 1 if self.bagging_fraction < 1 else 0,
            "boost_from_average": True,
            "seed": seed,
            "num_threads": threads,
            **_FIXED,
        }


_FIXED: Mapping[str, Any] = {
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "max_bin": 255,
    "min_data_in_bin": 3,
    "bin_construct_sample_cnt": 200_000,
    "data_random_seed": 1,
    "max_cat_threshold": 32,
    "cat_smooth": 10.0,
    "cat_l2": 10.0,
    "min_data_per_group": 100,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Data:
    """A LightGBM data set (binned), and how many rows it has."""

    handle: Any
    rows: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A trained booster.

    Attributes:
        text: The model in LightGBM's text format, cut at ``iterations``.
        iterations: Trees (times classes) that it keeps: the best on validation.
        gain: float64[f] total gain of each feature.
        out_of_time: Whether the deadline, not early stopping, ended it.
        loss: The least validation loss by the early stopping metric; NaN without validation.
    """

    text: str
    iterations: int
    gain: Float
    out_of_time: bool
    loss: float = float("nan")


def library() -> Any:
    """Import LightGBM; raises ``model.no_lightgbm`` where its OpenMP library is missing."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise ModelError(
            f"LightGBM cannot be loaded: {error}",
            code="model.no_lightgbm",
            hint="Install LightGBM with its OpenMP library (libgomp1 on Debian).",
        ) from error
    return lightgbm


def make_data(
    values: Values | list[Values],
    label: Float,
    weight: Float | None,
    categorical: Sequence[int],
    threads: int,
    reference: Data | None = None,
) -> Data:
    """Bin a matrix float32[n, f], or several below each other, without copying them.

    ``reference`` (the training data) lends its bins.
    """
    lgb = library()
    handle = lgb.Dataset(
        values,
        label=label,
        weight=weight,
        reference=None if reference is None else reference.handle,
        categorical_feature=list(categorical),
        params={**_FIXED, "num_threads": threads},
        free_raw_data=True,
    ).construct()
    return Data(handle, len(label))


def relabel(data: Data, label: Float) -> None:
    """Put other labels in the place of those of data; its bins stay."""
    data.handle.set_label(label)


def grow(
    config: TreeConfig,
    train: Data,
    valid: Data | None,
    *,
    iterations: int,
    patience: int,
    seed: int,
    threads: int,
    deadline: Deadline | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Grown:
    """Train until ``iterations``, until ``patience`` trees brought nothing, or the deadline.

    Args:
        config: Settings of the trial.
        train: Training data.
        valid: Validation data for early stopping; None trains all iterations.
        iterations: Most iterations.
        patience: Iterations without improvement on validation that end it.
        seed: Seed of every random choice.
        threads: Threads to use.
        deadline: When it stops, whatever it has reached.
        report: Called with the iteration and the validation metric now and then.
    """
    lgb = library()
    if train.rows * config.bagging_fraction < 1:
        config = replace(config, bagging_fraction=1.0)  # a share of one row is no row
    booster = lgb.Booster(config.parameters(seed, threads), train.handle)
    if valid is not None:
        booster.add_valid(valid.handle, "validation")
    best, best_at, count, out_of_time = np.inf, 0, 0, False
    for count in range(1, iterations + 1):
        finished = booster.update()
        if valid is not None:
            _, _, value, higher = booster.eval_valid()[0][:4]
            loss = -value if higher else value
            if loss < best - _LEAST_GAIN * abs(loss):
                best, best_at = loss, count
            if report is not None and count % _REPORT_EVERY == 0:
                report(count, value)
            if count - best_at >= patience:
                break
        elif report is not None and count % _REPORT_EVERY == 0:
            report(count, float("nan"))
        if finished:
            break
        if deadline is not None and deadline.passed():
            out_of_time = True
            break
    kept = max(1, best_at if valid is not None else count)
    text = booster_text.trim(booster.model_to_string(num_iteration=kept))
    gain = np.asarray(booster.feature_importance("gain", iteration=kept), dtype=np.float64)
    return Grown(text, kept, gain, out_of_time, best if np.isfinite(best) else float("nan"))


def load(text: str) -> Any:
    """Build a booster from a text that ``booster_text.check`` has passed."""
    return library().Booster(model_str=text)


def raw_scores(booster: Any, values: Values, threads: int) -> Float:
    """Return raw scores: float64[n], or float64[n, classes]."""
    return np.asarray(
        booster.predict(values, raw_score=True, num_threads=threads, validate_features=False),
        dtype=np.float64,
    )


def contributions(booster: Any, values: Values, threads: int) -> Float:
    """Return exact TreeSHAP float64[n, classes, f + 1]; the last place is the base value."""
    found = np.asarray(
        booster.predict(values, pred_contrib=True, num_threads=threads, validate_features=False),
        dtype=np.float64,
    )
    return found.reshape(len(values), -1, values.shape[1] + 1)
