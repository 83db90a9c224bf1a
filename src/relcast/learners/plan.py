"""What a user may choose about a fit, and what the run modes choose where the user did not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from relcast.core.errors import InvalidRequest, nearest
from relcast.core.options import first_misfit
from relcast.core.schema import TaskType
from relcast.learners.metrics import check_metrics, default_metrics, default_tune_metric

if TYPE_CHECKING:
    from relcast.tasks import TrainingTable

__all__ = ["LEARNERS", "LOSSES", "Budget", "ModelPlan", "Regime", "RunMode", "free_threads"]

RunMode = Literal["debug", "fast", "normal", "best"]
Regime = Literal["rolling", "frozen"]
OnStop = Literal["discard", "publish"]

LEARNERS = ("linear", "trees", "gnn", "forecast", "multilabel", "wide classes", "ranking")
"""The names of the learners; which of them suit a task is said in ``contenders``."""

LOSSES = (
    "binary_cross_entropy",
    "cross_entropy",
    "focal",
    "ordinal_log",
    "mae",
    "mse",
    "huber",
    "quantile",
    "wape",
    "normal",
    "log_normal",
    "negative_binomial",
)
"""What learners may be asked to minimise."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run mode spends.

    Attributes:
        seconds: Time on two processors after which no further trial begins and a running one
            stops; see ``deadline``.
        experiments: Trees with different settings that are tried.
        rows: Most training rows.
        features: Most features that the model keeps.
        candidates: Most features that are generated.
        iterations: Most trees per trial (times classes for multiclass).
        refit: Whether the chosen models are trained again on train and validation rows.
        held_out: Most rows that figures are measured on, of validation and of test each.
    """

    seconds: float
    experiments: int
    rows: int
    features: int
    candidates: int
    iterations: int
    refit: bool
    held_out: int = 200_000


_BUDGETS: Mapping[str, Budget] = {
    "debug": Budget(10, 1, 20_000, 60, 120, 40, refit=False),
    "fast": Budget(60, 8, 200_000, 400, 400, 1_000, refit=True),
    "normal": Budget(240, 12, 1_000_000, 800, 800, 2_000, refit=True, held_out=1_000_000),
    "best": Budget(960, 16, 5_000_000, 1_200, 1_200, 4_000, refit=True, held_out=5_000_000),
}


def free_threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """The options of a fit; None leaves the choice to the run mode or the task.

    Attributes:
        run_mode: How much is spent: debug (seconds), fast, normal (4 x fast), best (16 x fast).
        metrics: Metrics to report.
        tune_metric: The metric that decides between models.
        seed: Seed of sampling, search and bootstrap.
        num_experiments: Trials of trees; 0 publishes the best baseline.
        refit_trainval: Whether to train the chosen model again on train and validation rows.
        time_budget_seconds: Wall time after which no new trial begins and a running one stops. It
            can change the model from run to run; the run mode's own limit is processor time.
        max_training_rows: Most rows to train on.
        max_features: Most features that the model keeps.
        threads: Threads of features and trees; None takes the processors this process may use.
        regime: ``rolling``: an example sees everything up to its own anchor. ``frozen``: examples
            of validation and test see nothing after the start of their split.
        calibrate: Whether probabilities of a binary task are calibrated.
        bootstrap_resamples: Resamples behind every interval.
        on_stop: What a fit does that is cancelled or interrupted: ``discard`` everything, or
            ``publish`` the best so far.
        learners: Which learners take part, by their names on the leaderboard; None lets all that
            suit the task and the run mode.
        losses: What learners may minimise, of ``LOSSES``; a learner that has none of them takes its
            own. None leaves it to them.
        patience: Epochs without improvement after which a trial of a network ends.
        lag_timesteps: Of a forecast, how many of the last windows are inputs by themselves, beside
            what sums them up. None takes what the training table says, or eight.
        year_over_year: Of a forecast, whether the year before is an input: True or None wherever
            the data shows one, False never. None takes what the training table says first.
        leave_out: Columns, ``table.column``, that no learner may read as an input.
        use_weights: Whether the weights of the training table count in training.
        allow_mutable: Whether columns that are overwritten in place may be read at anchors of the
            past.
    """

    run_mode: RunMode = "fast"
    metrics: tuple[str, ...] | None = None
    tune_metric: str | None = None
    seed: int = 0
    num_experiments: int | None = None
    refit_trainval: bool | None = None
    time_budget_seconds: float | None = None
    max_training_rows: int | None = None
    max_features: int | None = None
    threads: int | None = None
    regime: Regime = "rolling"
    calibrate: bool = True
    bootstrap_resamples: int = 200
    on_stop: OnStop = "discard"
    learners: tuple[str, ...] | None = None
    losses: tuple[str, ...] | None = None
    patience: int | None = None
    lag_timesteps: int | None = None
    year_over_year: bool | None = None
    leave_out: tuple[str, ...] = ()
    use_weights: bool = True
    allow_mutable: bool = False

    def __post_init__(self) -> None:
        misfit = first_misfit(self)
        if misfit is not None:
            name, wanted = misfit
            raise _bad(f"{name} is {getattr(self, name)!r}", f"Give {wanted}.")
        if self.run_mode not in _BUDGETS:
            raise _bad(f"run_mode is {self.run_mode!r}", nearest(str(self.run_mode), _BUDGETS))
        if self.regime not in get_args(Regime):
            raise _bad(f"regime is {self.regime!r}", "Say 'rolling' or 'frozen'.")
        if self.on_stop not in get_args(OnStop):
            raise _bad(f"on_stop is {self.on_stop!r}", "Say 'discard' or 'publish'.")
        smallest = {
            "num_experiments": 0,
            "time_budget_seconds": 0,
            "max_training_rows": 1,
            "max_features": 1,
            "threads": 1,
            "bootstrap_resamples": 1,
            "patience": 1,
            "lag_timesteps": 0,
            "seed": 0,
        }
        for name, low in smallest.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise _bad(f"{name} is {value!r}", f"Give a number of at least {low}.")
        for name, known in (("learners", LEARNERS), ("losses", LOSSES)):
            for word in getattr(self, name) or ():
                if word not in known:
                    raise _bad(f"{name} names {word!r}", nearest(word, known))
        for column in self.leave_out:
            if "." not in column:
                raise _bad(f"leave_out names {column!r}", "Write table.column.")
        if self.seed >= 2**31:
            raise _bad(f"seed is {self.seed}", "Give a number below 2147483648.")

    def budget(self) -> Budget:
        """Return the run mode's budget with this plan's own numbers in their place."""
        base = _BUDGETS[self.run_mode]

        def chosen(mine: Any, default: Any) -> Any:
            return default if mine is None else mine

        features = int(chosen(self.max_features, base.features))
        return Budget(
            seconds=float(chosen(self.time_budget_seconds, base.seconds)),
            experiments=int(chosen(self.num_experiments, base.experiments)),
            rows=int(chosen(self.max_training_rows, base.rows)),
            features=features,
            candidates=max(base.candidates, features),
            iterations=base.iterations,
            refit=bool(chosen(self.refit_trainval, base.refit)),
            held_out=base.held_out,
        )

    def metrics_for(self, task_type: TaskType, top: int | None = None) -> tuple[str, ...]:
        """Return the metrics to report, the tune metric among them; ``top`` is a ranking's own k.

        Raises ``plan.unknown_metric``.
        """
        names = default_metrics(task_type, top) if self.metrics is None else self.metrics
        return check_metrics(task_type, (*names, self.tune_metric_for(task_type)))

    def tune_metric_for(self, task_type: TaskType) -> str:
        """Return the metric that decides between models."""
        name = self.tune_metric or default_tune_metric(task_type)
        return check_metrics(task_type, (name,))[0]

    def with_inputs_of(self, table: TrainingTable) -> ModelPlan:
        """Return the plan with what a training table says of a forecast's inputs, where it is None.

        ``lag_timesteps`` and ``year_over_year``.
        """
        lags, year = self.lag_timesteps, self.year_over_year
        return replace(
            self,
            lag_timesteps=table.lag_timesteps if lags is None else lags,
            year_over_year=table.year_over_year if year is None else year,
        )

    def thread_count(self) -> int:
        return free_threads() if self.threads is None else self.threads

    def to_json(self) -> dict[str, Any]:
        obj = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in obj.items()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> ModelPlan:
        """Build a plan from its JSON form; raises ``plan.invalid`` for unknown options."""
        known = [f.name for f in fields(cls)]
        for name in obj:
            if name not in known:
                raise _bad(f"There is no option {name!r}", nearest(name, known))
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in obj.items()
        }
        return cls(**values)


def _bad(what: str, hint: str) -> InvalidRequest:
    return InvalidRequest(f"Model plan: {what}", code="plan.invalid", hint=hint)
