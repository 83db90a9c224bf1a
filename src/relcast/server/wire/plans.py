"""Plans: what a plan says when nobody touched it, and what of a plan that comes back we honour.

The wire's plan describes a graph network. Options that mean something for our learners get real
values, all others ``"???"``, which the SDK hides. Any subset may come back; options that we do not
know are accepted and do nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kumoapi.model_plan import (
    ColumnProcessingPlan,
    InferredType,
    MissingType,
    ModelArchitecturePlan,
    ModelPlan,
    ModelPlanInfo,
    NeighborSamplingPlan,
    OptimizationPlan,
    PredictionTableGenerationPlan,
    RunMode,
    TrainingJobPlan,
    TrainingTableGenerationPlan,
)
from kumoapi.pquery import QueryType
from kumoapi.task import TaskType as WireTaskType

from relcast.core.clock import isoformat
from relcast.core.errors import InvalidRequest
from relcast.core.schema import Graph
from relcast.pql.ast import CheckedQuery, ProblemKind
from relcast.tasks import Frame, TablePlan
from relcast.tasks.split_forms import split_text
from relcast.tasks.splits import default_split

__all__ = [
    "model_plan_of",
    "prediction_anchor_of",
    "suggest_model_plan",
    "suggest_table_plan",
    "table_plan_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def suggest_table_plan(query: CheckedQuery, graph: Graph) -> TrainingTableGenerationPlan:
    """Return the training table plan of a query, as it is when nobody touches it.

    Options that a task does not have, and those that are left to the learner (lags of a forecast),
    say ``"???"``.
    """
    if not query.temporal:
        timed = graph.table(query.entity_table).time_column is not None
        return TrainingTableGenerationPlan(
            split=f"{'TemporalSplit' if timed else 'RandomSplit'}([0.8, 0.1, 0.1])"
        )
    frame = Frame.of(query)
    length = query.forecast_length
    return TrainingTableGenerationPlan(
        split=split_text(default_split(query, frame)),
        train_start_offset=InferredType.VALUE,
        train_end_offset=InferredType.VALUE,
        start_time=InferredType.VALUE,
        end_time=InferredType.VALUE,
        timeframe_step=max(frame.length, 1),
        forecast_length=MissingType.VALUE if length is None else length,
    )


def table_plan_of(
    plan: TrainingTableGenerationPlan, suggested: TrainingTableGenerationPlan | None = None
) -> TablePlan:
    """Return our plan of a training table; raises ``task.invalid_plan``.

    A split that is still the ``suggested`` one is nobody's wish: it stays free to be another where
    it does not fill three splits. ``lag_timesteps`` and ``year_over_year`` go with the table to the
    forecasting learner.
    """
    split = _given(plan.split)
    if suggested is not None and split == suggested.split:
        split = None
    return TablePlan(
        split=split or "inferred",
        timeframe_step=_given(plan.timeframe_step),
        start_time=_given(plan.start_time),
        end_time=_given(plan.end_time),
        train_start_offset=_given(plan.train_start_offset),
        train_end_offset=_given(plan.train_end_offset),
        forecast_length=_given(plan.forecast_length),
        weight_column=_given(plan.weight_col),
        lag_timesteps=_given(plan.lag_timesteps),
        year_over_year=_given(plan.year_over_year),
    )


def prediction_anchor_of(plan: PredictionTableGenerationPlan) -> str | None:
    """Return the anchor time (ISO 8601, UTC) of a prediction table; None is the latest."""
    anchor = _given(plan.anchor_time)
    if anchor is None:
        return None
    try:
        # Nanoseconds since the epoch; the plan's own validator has turned times into these.
        return isoformat(_EPOCH + timedelta(microseconds=int(anchor) // 1000))
    except OverflowError:
        raise InvalidRequest(
            f"The anchor time {anchor} is no time that a table could hold",
            code="request.bad_time",
            hint="Give nanoseconds since 1970, between the years 1677 and 2262.",
        ) from None


def suggest_model_plan(
    query: CheckedQuery, run_mode: RunMode, *, weighted: bool = False
) -> ModelPlanInfo:
    """Return the model plan of a query and run mode, with real values where we honour them."""
    from relcast.learners import ModelPlan as OurPlan

    ours = OurPlan(run_mode=run_mode.value)
    budget = ours.budget()
    plan = ModelPlan(
        training_job=TrainingJobPlan(
            num_experiments=max(budget.experiments, 1),
            metrics=list(ours.metrics_for(query.task_type, _top(query))),
            tune_metric=ours.tune_metric_for(query.task_type),
            refit_trainval=budget.refit,
            manual_seed=ours.seed,
        ),
        column_processing=ColumnProcessingPlan(),
        neighbor_sampling=NeighborSamplingPlan(),
        optimization=OptimizationPlan(),
        model_architecture=ModelArchitecturePlan(),
    )
    return ModelPlanInfo(
        model_plan=plan,
        task_type=WireTaskType(query.task_type.value),
        query_type=QueryType.TEMPORAL if query.temporal else QueryType.STATIC,
        has_train_table_weight_col=weighted,
    )


def _top(query: CheckedQuery) -> int | None:
    """Return how many items a ranking asks for; None for other tasks."""
    problem = query.query.problem
    return problem.number if problem is not None and problem.kind is ProblemKind.RANK else None


def model_plan_of(plan: ModelPlan) -> dict[str, Any]:
    """Return our model plan, as JSON, of whatever part of a wire plan came back.

    The run mode itself is not on the wire; the number of experiments tells it: the first of debug,
    fast, normal and best that makes at least so many, as ``suggest_model_plan`` wrote it. Of the
    options of a graph network those count that mean something for our learners: a column whose
    encoder is null is left out, losses and the patience of early stopping are taken, and a
    ``weight_mode`` of null leaves the weights of the training table out of training.
    """
    job, optimization = plan.training_job, plan.optimization
    experiments = _given(job.num_experiments)
    given = {
        "run_mode": _run_mode(experiments),
        "num_experiments": experiments,
        "metrics": _given(job.metrics),
        "tune_metric": _given(job.tune_metric),
        "refit_trainval": job.refit_trainval,
        "seed": _given(job.manual_seed),
        "losses": _losses(optimization.loss),
        "patience": _patience(optimization.early_stopping),
        "leave_out": _left_out(plan.column_processing.encoder_overrides),
    }
    modes = _given(optimization.weight_mode)
    if modes is not None and all(mode is None for mode in modes):
        given["use_weights"] = False
    return {name: value for name, value in given.items() if value is not None}


_OUR_LOSSES = {
    "multi_quantile": "quantile",
    "normal_distribution": "normal",
    "log_normal_distribution": "log_normal",
    "negative_binomial_distribution": "negative_binomial",
}


def _losses(losses: Any) -> list[str] | None:
    """Return the names of the losses that a plan gives, in our words; None without."""
    given = _given(losses)
    if given is None:
        return None
    names = [
        str(getattr(loss, "name", loss) if not isinstance(loss, str) else loss) for loss in given
    ]
    return list(dict.fromkeys(_OUR_LOSSES.get(name, name) for name in names))


def _patience(strategies: Any) -> int | None:
    """Return the longest patience of the early stopping strategies; None where one never stops."""
    given = _given(strategies)
    if given is None or any(strategy is None for strategy in given):
        return None
    return max((int(strategy.patience) for strategy in given), default=None)


def _left_out(overrides: Any) -> list[str] | None:
    """Return the columns, ``table.column``, whose encoder is null: they are no inputs."""
    null = [name for name, encoder in (overrides or {}).items() if _is_null(encoder)]
    return null or None


def _is_null(encoder: Any) -> bool:
    return encoder is None or str(getattr(encoder, "name", encoder)).lower() == "null"


def _run_mode(experiments: int | None) -> str:
    if experiments is None:
        return "fast"
    from relcast.learners import ModelPlan as OurPlan

    modes: tuple[Literal["debug", "fast", "normal"], ...] = ("debug", "fast", "normal")
    for mode in modes:
        if experiments <= max(OurPlan(run_mode=mode).budget().experiments, 1):
            return mode
    return "best"


def _given(value: Any) -> Any:
    """Return None for what a plan leaves to the server."""
    unset = isinstance(value, MissingType | InferredType) or value in ("???", "inferred", "")
    return None if unset else value
