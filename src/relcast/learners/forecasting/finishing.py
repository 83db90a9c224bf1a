"""What comes of the trials of a forecast: a blend, its fan, and the same on more rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from relcast.learners import boosting
from relcast.learners.blending import greedy_weights
from relcast.learners.forecasting.bench import Bench, Way
from relcast.learners.forecasting.fan import LEVELS, Fan
from relcast.learners.forecasting.model import ForecastModel, Member
from relcast.learners.forecasting.trials import Grown, Trials
from relcast.learners.metrics import is_greater_better
from relcast.learners.protocol import Fold

__all__ = ["blended", "regrown"]

Float = npt.NDArray[np.float64]

_RULES = 2
"""Simple forecasts that may be part of a blend."""
_FAN_TREES = 300
_FEW_TREES = 60
"""Trees of a fan that is grown when the time is over."""


@dataclass(frozen=True, slots=True)
class _QuantileConfig(boosting.TreeConfig):
    alpha: float = 0.5


def blended(trials: Trials, grown: list[Grown]) -> ForecastModel:
    """Weigh the trials and the best rules on the rows that decide; spread the fan around them."""
    bench = trials.bench
    sign = -1.0 if is_greater_better(bench.settings.metric) else 1.0

    def loss(values: Float) -> float:
        return sign * trials.decide(values)

    plain = [Member(bench.frame(rule, relative=False), (), 1.0, 0, {}) for rule in bench.rules]
    rules = [(member, bench.said(member, trials.check)) for member in plain]
    rules = sorted(rules, key=lambda each: loss(each[1]))[:_RULES]
    candidates = [*((each.member, each.said) for each in grown), *rules]
    weights = greedy_weights([said for _, said in candidates], loss)
    members = tuple(
        replace(member, weight=float(weight))
        for (member, _), weight in zip(candidates, weights, strict=True)
        if weight > 0
    )
    name = "forecast" if len(members) == 1 else f"forecast (blend of {len(members)})"
    model = replace(bench.model, name=name, members=members)
    return replace(model, fan=_fan(trials, model))


def _fan(trials: Trials, model: ForecastModel) -> Fan:
    """Spread the fan around what the best member is away from, in levels."""
    bench, settings = trials.bench, trials.bench.settings
    base = max(model.members, key=lambda member: member.weight).frame.base
    frame = bench.frame(base, relative=True)
    late = settings.deadline.passed()
    ((_, (data, held)),) = bench.parts(
        Way(frame), trials.ground, trials.train, trials.check, trials.held
    )
    sober = bench.proposals(len(trials.ground.values), 0.08).propose(0, None)
    texts = []
    for level in LEVELS:
        grown = boosting.grow(
            _QuantileConfig(
                **{
                    **sober.to_json(),
                    "objective": "quantile",
                    "metric": "quantile",
                    "alpha": level,
                }
            ),
            data,
            held,
            iterations=min(_FEW_TREES if late else _FAN_TREES, max(20, settings.budget.iterations)),
            patience=20,
            seed=settings.seed + round(100 * level),
            threads=settings.threads,
        )
        texts.append(grown.text)
    trial = replace(model, fan=Fan(frame, tuple(texts), np.zeros((1, 0))))
    spread = trial.spread(trials.check, settings.threads)
    unit = frame.unit(trials.check.level)
    return Fan.calibrated(frame, tuple(texts), trials.held.label, spread, unit)


def regrown(bench: Bench, model: ForecastModel, fold: Fold) -> ForecastModel:
    """Grow every member again, as long as before, on these rows.

    The fan stays: its widths are of rows that its boosters did not see.
    """
    batch = bench.read(fold)
    members = []
    for member in model.members:
        if not member.texts:
            members.append(member)
            continue
        config = {
            name: value
            for name, value in member.config.items()
            if name not in ("seed", "asked_for", "steps_alone")
        }
        alone = len(member.texts) > 1
        texts = []
        for step in range(bench.target.horizon) if alone else (None,):
            matrix = batch.matrix(relative=member.frame.relative, step=step)
            grown = boosting.grow(
                boosting.TreeConfig.from_json(config),
                bench.data(member.frame, matrix, batch, fold, step),
                None,
                iterations=member.iterations,
                patience=member.iterations,
                seed=int(member.config["seed"]),
                threads=bench.settings.threads,
            )
            texts.append(grown.text)
        members.append(replace(member, texts=tuple(texts)))
    return replace(model, members=tuple(members))
