"""The trials of a forecast: every way to ask once, then variations of the best one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from relcast.learners import boosting
from relcast.learners.deadline import Deadline
from relcast.learners.evaluation import better
from relcast.learners.forecasting.bench import NOTHING, Bench, Way
from relcast.learners.forecasting.model import Member
from relcast.learners.forecasting.reader import Batch
from relcast.learners.learner import Trial
from relcast.learners.metrics import is_greater_better
from relcast.learners.protocol import Fold
from relcast.learners.search import Effort, effort

__all__ = ["Grown", "Trials"]

Float = npt.NDArray[np.float64]

_MOST_STEPS_ALONE = 16
_LEAST_ROWS_ALONE = 500
"""So many steps may have boosters of their own, from so many training examples on."""
_OBJECTIVES = {
    "mae": "regression_l1",
    "wape": "regression_l1",
    "mse": "regression",
    "huber": "huber",
}
"""LightGBM's names of the losses that a plan may ask for."""


@dataclass(frozen=True)
class Grown:
    """A trial, its member, and what it says of the rows that decide, float64[n, h]."""

    trial: Trial
    member: Member
    said: Float


@dataclass(frozen=True)
class Trials:
    """What trials are made on.

    Attributes:
        bench: The means.
        train, ground: Training examples, and what was read of them.
        held, check: The examples that decide, and what was read of them.
        deadline: When no further trial begins and a running one stops.
    """

    bench: Bench
    train: Fold
    ground: Batch
    held: Fold
    check: Batch
    deadline: Deadline

    def ways(self) -> list[Way]:
        """Return the ways to ask, the one that most often does best first."""
        bench = self.bench
        relative = [bench.frame(base, relative=True) for base in bench.bases]
        found = [
            *(Way(frame) for frame in relative),
            Way(bench.frame(NOTHING, relative=True)),
            Way(bench.frame(NOTHING, relative=False)),
            *(Way(bench.frame(base, relative=False)) for base in bench.bases),
        ]
        if 1 < bench.target.horizon <= _MOST_STEPS_ALONE and len(self.train) >= _LEAST_ROWS_ALONE:
            found.append(Way(relative[0], alone=True))
        return found

    def decide(self, said: Float) -> float:
        """Return the tune metric of the rows that decide, of which validation is one half.

        Errors are taken against those of the first base, so that a half whose windows are larger
        does not decide alone.
        """
        found = self._halves(said)
        if not is_greater_better(self.bench.settings.metric):
            found = found / np.maximum(self._reference, np.finfo(np.float64).tiny)
        return float(np.mean(found))

    @cached_property
    def _reference(self) -> Float:
        return self._halves(self.check.bases[self.bench.bases[0]])

    def _halves(self, said: Float) -> Float:
        """Return the metric of validation rows, and of those held back where there are any."""
        parts = np.split(np.arange(len(self.held)), [self.bench.validation])
        held = self.held
        measured = [
            self.bench.measure(said[part], held.take(part, None)) for part in parts if len(part)
        ]
        return np.array(measured)

    def search(self) -> list[Grown]:
        """Grow a member per trial: every way once, then variations of the best way."""
        settings, bench = self.bench.settings, self.bench
        cells = self.ground.values.size
        plan = effort(cells, settings.budget.iterations, settings.budget.experiments, 1)
        proposals = bench.proposals(len(self.ground.values), plan.rate)
        ways = self.ways()
        found: list[Grown] = []
        best: tuple[float, Way, boosting.TreeConfig] | None = None
        for number in range(max(1, plan.trials)):
            if found and self.deadline.passed():
                last = found[-1]
                found[-1] = replace(last, trial=replace(last.trial, out_of_time=True))
                break
            if number < len(ways) or best is None:
                way, config = ways[number % len(ways)], proposals.propose(0, None)
                if way.alone and best is not None:
                    way = Way(best[1].frame, alone=True)
            else:
                way, config = best[1], proposals.propose(number - len(ways) + 1, best[2])
            config = self._as_asked(config, number)
            grown = self._trial(number, way, config, plan)
            found.append(grown)
            value = self.decide(grown.said)
            # Boosters of their own for every step cost a trial for each; they are not varied.
            if not way.alone and (best is None or better(settings.metric, value, best[0])):
                best = (value, way, config)
        return found

    def _as_asked(self, config: boosting.TreeConfig, number: int) -> boosting.TreeConfig:
        """Take the plan's losses in turn, where it names some that trees have."""
        asked = [
            _OBJECTIVES[loss] for loss in self.bench.settings.losses or () if loss in _OBJECTIVES
        ]
        return replace(config, objective=asked[number % len(asked)]) if asked else config

    def _trial(
        self,
        number: int,
        way: Way,
        config: boosting.TreeConfig,
        plan: Effort,
    ) -> Grown:
        began = time.monotonic()
        bench, settings = self.bench, self.bench.settings
        texts, iterations, out_of_time = [], [], False
        for step, (data, held) in bench.parts(way, self.ground, self.train, self.check, self.held):
            grown = boosting.grow(
                config,
                data,
                held,
                iterations=plan.iterations,
                patience=settings.patience or plan.patience,
                seed=settings.seed + number,
                threads=settings.threads,
                deadline=self.deadline,
                report=lambda iteration, value: bench.report(
                    number, iteration, config.metric, value
                ),
            )
            texts.append(grown.text)
            iterations.append(grown.iterations)
            out_of_time |= grown.out_of_time
            if grown.out_of_time and way.alone and step is not None:
                break
        if len(texts) < (bench.target.horizon if way.alone else 1):
            # The deadline came between steps: what is there cannot forecast them all.
            texts = [texts[-1]] * bench.target.horizon
        shown = {
            **config.to_json(),
            "seed": settings.seed + number,
            "asked_for": way.frame.name,
            "steps_alone": way.alone,
        }
        member = Member(way.frame, tuple(texts), 1.0, round(float(np.mean(iterations))), shown)
        said = bench.said(member, self.check)
        valid = self.held.take(np.arange(bench.validation), None)
        value = bench.measure(said[: bench.validation], valid)
        seconds = time.monotonic() - began
        trial = Trial(number, shown, max(iterations), value, seconds, out_of_time)
        return Grown(trial, member, said)
