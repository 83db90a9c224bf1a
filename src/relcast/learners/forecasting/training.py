"""Train a forecast: columns that carry gain, ways to ask, trials, blend, quantiles, refit.

Everything here sees training and validation rows only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import boosting
from relcast.learners.blending import greedy_weights
from relcast.learners.evaluation import better
from relcast.learners.forecasting.fan import LEVELS, Fan
from relcast.learners.forecasting.frames import Frame
from relcast.learners.forecasting.model import ForecastModel, Member
from relcast.learners.forecasting.past import Rule
from relcast.learners.forecasting.preparing import (
    age,
    best_rule,
    hold_back,
    is_squared,
    make_reader,
)
from relcast.learners.forecasting.reader import Batch
from relcast.learners.learner import Report, Settings, Trained, Trial, Work
from relcast.learners.metrics import is_greater_better, metrics_of
from relcast.learners.protocol import Fold, Target
from relcast.learners.sampling import sample_rows
from relcast.learners.search import Effort, Search, effort
from relcast.learners.support import clocks

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["train_forecast"]

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

_SCREEN_ROWS = 20_000
_SCREEN_ITERATIONS = 100
_KEPT_GAIN = 0.999
_MOST_FEATURES = 60
"""Features of the entity that are kept; each is repeated for every step."""
_MOST_STEPS_ALONE = 16
_LEAST_ROWS_ALONE = 500
"""So many steps may have boosters of their own, from so many training examples on."""
_NOTHING = Rule("nothing")


@dataclass(frozen=True, slots=True)
class _QuantileConfig(boosting.TreeConfig):
    alpha: float = 0.5


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to make a member: what trees are asked for, and whether each step has its own."""

    frame: Frame
    alone: bool = False


def train_forecast(work: Work) -> Trained[ForecastModel]:
    """Train a blend of boosters over (example, step) rows; see ``Frame`` for what they are asked.

    Training rows are the newest anchors that the budget holds; in the frozen regime they are made
    as stale as validation rows are. Where validation has few anchors, the newest anchors of the
    training side help to choose (``hold_back``), and what was chosen is then grown again on all of
    the training side.
    """
    settings, target = work.settings, work.target
    horizon = target.horizon
    limit = max(200, settings.budget.rows // horizon)
    reader = make_reader(work.relations, work.query, work.features, work.train)
    older, newer = hold_back(reader.grid, work.train, work.valid)
    train, sample = _thinned(older, limit, settings.seed)
    valid, checked = _thinned(work.valid, max(2_000, limit // 2), settings.seed)
    train = age(train, valid, settings.seed)
    held = valid
    if newer is not None:
        again, _ = _thinned(newer, max(2_000, limit // 2), settings.seed)
        held = Fold.joined([valid, age(again, valid, settings.seed + 1)])
    base = best_rule(
        reader,
        work.relations,
        train,
        reader.rules(),
        squared=is_squared(settings.metric),
        threads=settings.threads,
    )
    scale = float(np.abs(train.label - np.median(train.label)).mean())
    floor = 0.0 if float(work.train.label.min()) >= 0.0 else None
    bench = _Bench(
        work.relations,
        ForecastModel("forecast", target, reader, (), floor),
        base,
        scale if 0 < scale < np.inf else 1.0,
        settings,
        work.report,
        len(valid),
    )
    bench, left_out = bench.screened(train, valid)
    reader = bench.model.reader
    ground, check = bench.read(train), bench.read(held)
    grown = bench.search(ground, train, check, held)
    chosen = bench.blend(grown, ground, train, check, held)
    del ground, check
    validated = chosen
    if newer is not None and not settings.budget.refit:
        whole, sample = _thinned(work.train, limit, settings.seed)
        validated = bench.regrown(chosen, age(whole, valid, settings.seed))
    model = validated
    if settings.budget.refit:
        whole, _ = _thinned(work.train, limit, settings.seed)
        model = bench.regrown(chosen, Fold.joined([age(whole, valid, settings.seed), valid]))
    notes: dict[str, Any] = {
        "training_rows": sample,
        "validation_rows": checked,
        "rows_held_back": len(held) - len(valid),
        "features": len(reader.names),
        "candidate_features": len(work.features.features),
        "left_out": list(left_out),
        "windows_back": reader.reach,
        "seasons": {season.name: season.length for season in reader.seasons},
        "base": base.name,
        "asked_for": [member.frame.name for member in validated.members],
        "refit": settings.budget.refit,
        "out_of_time": any(trial.out_of_time for trial, _, _ in grown),
    }
    return Trained(model, validated, tuple(trial for trial, _, _ in grown), notes)


def _thinned(fold: Fold, limit: int, seed: int) -> tuple[Fold, dict[str, Any]]:
    found = sample_rows(
        fold.label[:, 0],
        fold.asked.anchor,
        fold.weight,
        task_type=TaskType.REGRESSION,
        limit=limit,
        seed=seed,
    )
    return fold.take(found.rows, found.weight), found.report


@dataclass(frozen=True)
class _Bench:
    """The means of one training; ``validation`` rows come first among those that decide."""

    relations: Relations
    model: ForecastModel
    base: Rule
    scale: float
    settings: Settings
    report: Report
    validation: int

    @property
    def target(self) -> Target:
        return self.model.target

    def frame(self, base: Rule, *, relative: bool) -> Frame:
        return Frame(base, relative, 1.0 if relative else self.scale)

    def read(self, fold: Fold) -> Batch:
        """Read a fold, with the bases that members may be away from."""
        rules = tuple(dict.fromkeys((self.base, _NOTHING)))
        return self.model.reader.read(self.relations, fold.asked, rules, self.settings.threads)

    # -- columns ----------------------------------------------------------------------------------

    def screened(self, train: Fold, valid: Fold) -> tuple[_Bench, tuple[str, ...]]:
        """Keep columns that vary and are no clocks, and the features that carry gain.

        Beside them, the names of the clocks.
        """
        reader, settings = self.model.reader, self.settings
        rng = np.random.default_rng([settings.seed, 5])
        most = max(200, _SCREEN_ROWS // self.target.horizon)
        sample = _some(train, most, rng)
        rules = (self.base,)
        batch = reader.read(self.relations, sample.asked, rules, settings.threads)
        later = _some(valid, most, rng)
        ahead = reader.read(self.relations, later.asked, (), settings.threads)
        matrix = batch.values
        varied = _varied(matrix)
        if sample.asked.anchor is None:
            raise AssertionError("a forecast has anchors")
        moments = reader.grid.middles(sample.asked.anchor).ravel()
        clock = varied & clocks(matrix, moments, ahead.values)
        names = reader.names
        left_out = tuple(names[k] for k in np.flatnonzero(clock))
        kept = varied & ~clock
        own = len(reader.columns)
        features = np.flatnonzero(kept[own:])
        most_features = min(_MOST_FEATURES, settings.budget.features)
        if len(features) > most_features // 4:
            gain = self._gain(batch, sample, kept)[own:]
            order = np.argsort(-gain, kind="stable")
            total = np.cumsum(gain[order])
            enough = int(np.searchsorted(total, _KEPT_GAIN * total[-1])) + 1
            useful = order[: min(enough, most_features)]
            features = np.sort(useful[gain[useful] > 0])
        columns = np.flatnonzero(kept[:own])
        if not len(columns):
            columns = np.zeros(1, dtype=np.int64)
        chosen = reader.select(columns, features)
        return replace(self, model=replace(self.model, reader=chosen)), left_out

    def _gain(self, batch: Batch, sample: Fold, kept: npt.NDArray[np.bool_]) -> Float:
        frame = self.frame(self.base, relative=True)
        matrix = batch.matrix(relative=True).copy()
        matrix[:, ~kept] = np.nan
        first = self._proposals(len(matrix), 0.08).propose(0, None)
        data = self._data(frame, matrix, batch, sample, None)
        grown = boosting.grow(
            first,
            data,
            None,
            iterations=_SCREEN_ITERATIONS,
            patience=_SCREEN_ITERATIONS,
            seed=self.settings.seed,
            threads=self.settings.threads,
            deadline=self.settings.deadline,
        )
        return grown.gain

    def _proposals(self, rows: int, rate: float) -> Search:
        return Search(TaskType.REGRESSION, self.settings.metric, rows, 1, rate, self.settings.seed)

    # -- trials -----------------------------------------------------------------------------------

    def ways(self, rows: int) -> list[_Way]:
        """Return the ways to ask, the one that most often does best first."""
        relative = self.frame(self.base, relative=True)
        found = [
            _Way(relative),
            _Way(self.frame(_NOTHING, relative=True)),
            _Way(self.frame(_NOTHING, relative=False)),
            _Way(self.frame(self.base, relative=False)),
        ]
        if 1 < self.target.horizon <= _MOST_STEPS_ALONE and rows >= _LEAST_ROWS_ALONE:
            found.append(_Way(relative, alone=True))
        return found

    def search(
        self, ground: Batch, train: Fold, check: Batch, held: Fold
    ) -> list[tuple[Trial, Member, Float]]:
        """Grow a member per trial: every way once, then variations of the best way.

        Beside each trial, its member and what it says of the held rows.
        """
        settings = self.settings
        cells = ground.values.size
        plan = effort(cells, settings.budget.iterations, settings.budget.experiments, 1)
        proposals = self._proposals(len(ground.values), plan.rate)
        ways = self.ways(len(train))
        found: list[tuple[Trial, Member, Float]] = []
        best: tuple[float, _Way, boosting.TreeConfig] | None = None
        for number in range(max(1, plan.trials)):
            if found and settings.deadline.passed():
                trial, member, said = found[-1]
                found[-1] = (replace(trial, out_of_time=True), member, said)
                break
            if number < len(ways) or best is None:
                way, config = ways[number % len(ways)], proposals.propose(0, None)
                if way.alone and best is not None:
                    way = _Way(best[1].frame, alone=True)
            else:
                way, config = best[1], proposals.propose(number - len(ways) + 1, best[2])
            trial, member, said = self._trial(number, way, config, plan, ground, train, check, held)
            found.append((trial, member, said))
            value = self.measure(said, held)
            # Boosters of their own for every step cost a trial for each; they are not varied.
            if not way.alone and (best is None or better(settings.metric, value, best[0])):
                best = (value, way, config)
        return found

    def _trial(
        self,
        number: int,
        way: _Way,
        config: boosting.TreeConfig,
        plan: Effort,
        ground: Batch,
        train: Fold,
        check: Batch,
        valid: Fold,
    ) -> tuple[Trial, Member, Float]:
        began = time.monotonic()
        settings = self.settings
        texts, iterations, out_of_time = [], [], False
        for step, (data, held) in self._parts(way, ground, train, check, valid):
            grown = boosting.grow(
                config,
                data,
                held,
                iterations=plan.iterations,
                patience=plan.patience,
                seed=settings.seed + number,
                threads=settings.threads,
                deadline=settings.deadline,
                report=lambda iteration, value: self.report(
                    number, iteration, config.metric, value
                ),
            )
            texts.append(grown.text)
            iterations.append(grown.iterations)
            out_of_time |= grown.out_of_time
            if grown.out_of_time and way.alone and step is not None:
                break
        if len(texts) < (self.target.horizon if way.alone else 1):
            # The deadline came between steps: what is there cannot forecast them all.
            texts = [texts[-1]] * self.target.horizon
        shown = {
            **config.to_json(),
            "seed": settings.seed + number,
            "asked_for": way.frame.name,
            "steps_alone": way.alone,
        }
        member = Member(way.frame, tuple(texts), 1.0, round(float(np.mean(iterations))), shown)
        said = self.said(member, check)
        value = self.measure(said[: self.validation], valid.take(np.arange(self.validation), None))
        seconds = time.monotonic() - began
        return Trial(number, shown, max(iterations), value, seconds, out_of_time), member, said

    def _parts(
        self, way: _Way, ground: Batch, train: Fold, check: Batch, valid: Fold
    ) -> Iterator[tuple[int | None, tuple[boosting.Data, boosting.Data]]]:
        """Yield training and validation data: of all steps, or of one step after another."""
        frame = way.frame
        for step in range(self.target.horizon) if way.alone else (None,):
            matrix = ground.matrix(relative=frame.relative, step=step)
            held = check.matrix(relative=frame.relative, step=step)
            data = self._data(frame, matrix, ground, train, step)
            yield step, (data, self._data(frame, held, check, valid, step, data))

    def _data(
        self,
        frame: Frame,
        matrix: Values,
        batch: Batch,
        fold: Fold,
        step: int | None,
        reference: boosting.Data | None = None,
    ) -> boosting.Data:
        base = batch.bases.get(frame.base)
        if base is None:
            base = np.zeros(fold.label.shape)
        label = frame.encode(fold.label, base, batch.level)
        weight = np.ones(len(fold)) if fold.weight is None else fold.weight
        if frame.relative:
            unit = batch.level / self.model.reader.least
            weight = weight * (unit**2 if is_squared(self.settings.metric) else unit)
            weight = weight / weight.mean()
        plain = fold.weight is None and not frame.relative
        weights = np.repeat(weight[:, None], label.shape[1], axis=1)
        rows = slice(None) if step is None else (slice(None), step)
        return boosting.make_data(
            np.ascontiguousarray(matrix),
            label[rows].ravel(),
            None if plain else weights[rows].ravel(),
            self.model.reader.categorical,
            self.settings.threads,
            reference,
        )

    def said(self, member: Member, batch: Batch) -> Float:
        """Return what a member says of what was read, float64[n, h]."""
        alone = replace(self.model, members=(replace(member, weight=1.0),))
        return alone.floored(alone.answers(batch, self.settings.threads))

    def measure(self, said: Float, valid: Fold) -> float:
        """Return the tune metric over all steps of all examples."""
        name = self.settings.metric
        metrics = metrics_of(TaskType.REGRESSION, valid.label.ravel(), said.ravel())
        return metrics.compute((name,))[name]

    # -- what comes of the trials -----------------------------------------------------------------

    def blend(
        self,
        grown: list[tuple[Trial, Member, Float]],
        ground: Batch,
        train: Fold,
        check: Batch,
        valid: Fold,
    ) -> ForecastModel:
        """Weigh the trials on the held rows, and spread the fan around them."""
        sign = -1.0 if is_greater_better(self.settings.metric) else 1.0
        said = [values for _, _, values in grown]
        weights = greedy_weights(said, lambda values: sign * self.measure(values, valid))
        members = tuple(
            replace(member, weight=float(weight))
            for (_, member, _), weight in zip(grown, weights, strict=True)
            if weight > 0
        )
        name = "forecast" if len(members) == 1 else f"forecast (blend of {len(members)})"
        model = replace(self.model, name=name, members=members)
        best = max(members, key=lambda member: member.weight)
        return replace(model, fan=self._fan(model, best, ground, train, check, valid))

    def _fan(
        self,
        model: ForecastModel,
        best: Member,
        ground: Batch,
        train: Fold,
        check: Batch,
        valid: Fold,
    ) -> Fan:
        frame, settings = best.frame, self.settings
        texts: list[str] = []
        if not settings.deadline.passed():
            ((_, (data, held)),) = self._parts(_Way(frame), ground, train, check, valid)
            sober = self._proposals(len(ground.values), 0.08).propose(0, None)
            for level in LEVELS:
                grown = boosting.grow(
                    _QuantileConfig(
                        **{**sober.to_json(), "objective": "quantile", "metric": "quantile"},
                        alpha=level,
                    ),
                    data,
                    held,
                    iterations=max(20, min(300, settings.budget.iterations // 2)),
                    patience=20,
                    seed=settings.seed + round(100 * level),
                    threads=settings.threads,
                )
                texts.append(grown.text)
        unit = frame.unit(check.level)
        trial = replace(model, fan=Fan(frame, tuple(texts), np.zeros((1, 0))))
        spread = trial.spread(check, settings.threads)
        return Fan.calibrated(frame, tuple(texts), valid.label, spread, unit)

    def regrown(self, model: ForecastModel, fold: Fold) -> ForecastModel:
        """Grow every member again, as long as before, on these rows.

        The fan stays: its widths are of rows that its boosters did not see.
        """
        batch = self.read(fold)
        members = []
        for member in model.members:
            config = {
                name: value
                for name, value in member.config.items()
                if name not in ("seed", "asked_for", "steps_alone")
            }
            alone = len(member.texts) > 1
            texts = []
            for step in range(self.target.horizon) if alone else (None,):
                matrix = batch.matrix(relative=member.frame.relative, step=step)
                grown = boosting.grow(
                    boosting.TreeConfig.from_json(config),
                    self._data(member.frame, matrix, batch, fold, step),
                    None,
                    iterations=member.iterations,
                    patience=member.iterations,
                    seed=int(member.config["seed"]),
                    threads=self.settings.threads,
                )
                texts.append(grown.text)
            members.append(replace(member, texts=tuple(texts)))
        return replace(model, members=tuple(members))


def _some(fold: Fold, most: int, rng: np.random.Generator) -> Fold:
    rows = np.arange(len(fold))
    if len(rows) > most:
        rows = np.sort(rng.permutation(len(fold))[:most])
    return fold.take(rows, None if fold.weight is None else fold.weight[rows])


def _varied(matrix: Values) -> npt.NDArray[np.bool_]:
    """Return which columns have two values, or one and gaps."""
    with np.errstate(invalid="ignore"):
        most = np.nan_to_num(matrix, nan=-np.inf).max(axis=0, initial=-np.inf)
        least = np.nan_to_num(matrix, nan=np.inf).min(axis=0, initial=np.inf)
    missing = np.isnan(matrix).any(axis=0)
    varied: npt.NDArray[np.bool_] = (most > least) | (missing & (most >= least))
    return varied
