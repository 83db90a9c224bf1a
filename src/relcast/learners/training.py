"""Train trees: rows, screening, trials, blend, calibration, refit.

Everything here sees training and validation rows only; the test split is for ``fit`` to measure.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners import boosting
from relcast.learners.blending import greedy_weights, tolerance
from relcast.learners.calibration import Calibration, choose_calibration
from relcast.learners.evaluation import better
from relcast.learners.learner import Report, Settings, Trained, Trial, Work
from relcast.learners.levels import common_levels, has_levels
from relcast.learners.metrics import is_greater_better, metrics_of
from relcast.learners.protocol import Fold, Target
from relcast.learners.sampling import sample_rows
from relcast.learners.screening import screen
from relcast.learners.search import Effort, Search, effort
from relcast.learners.spread import Spread
from relcast.learners.staleness import aged
from relcast.learners.trees import ClassMap, Member, TreeFan, TreeModel, chunks

if TYPE_CHECKING:
    from relcast.relations import Relations

__all__ = ["train_trees"]

Float = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_MOST_IN_MEMORY = 2**30
_BAGGED = 5_000_000
_BAGS = 2
_NEXT_BAG = 1_000


@dataclass(frozen=True, slots=True)
class _Scaling:
    """Labels as trees see them: float32 inside LightGBM, so that sizes must be tame."""

    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, target: Target, label: Float) -> _Scaling:
        if target.task_type is not TaskType.REGRESSION:
            return cls()
        centre = float(np.median(label))
        with np.errstate(over="ignore"):
            spread = float(np.abs(label - centre).mean())
        return cls(centre, spread if 0 < spread < np.inf else 1.0)

    def apply(self, label: Float) -> Float:
        return np.asarray(np.clip((label - self.centre) / self.scale, -1e15, 1e15))


def train_trees(work: Work) -> Trained[TreeModel]:
    """Train a blend of trees; screening keeps the candidate features that carry gain."""
    relations, target, features = work.relations, work.target, work.features
    train, valid, settings, report = work.train, work.valid, work.settings, work.report
    budget = settings.budget
    sample = sample_rows(
        train.label,
        train.asked.anchor,
        train.weight,
        task_type=target.task_type,
        limit=budget.rows,
        seed=settings.seed,
    )
    train = aged(
        train.take(sample.rows, sample.weight), valid, limit=budget.rows, seed=settings.seed
    )
    checked = sample_rows(
        valid.label,
        None,
        valid.weight,
        task_type=TaskType.REGRESSION,  # thinned by no class: early stopping sees true shares
        limit=max(10_000, budget.rows // 2),
        seed=settings.seed,
    )
    valid = valid.take(checked.rows, checked.weight)
    classes = (
        ClassMap.of(train.label, train.weight, target.width) if target.classes is not None else None
    )
    trees = TreeModel("trees", target, features, (), classes=classes)
    scaling = _Scaling.of(target, train.label)
    grove = _Grove(relations, trees, scaling, settings, report)
    candidates = len(features.features)
    screened = screen(work, trees, grove.label, train, valid)
    features = screened.features
    trees = replace(
        trees,
        features=features,
        centre=scaling.centre,
        scale=scaling.scale,
    )
    grove = _Grove(relations, trees, scaling, settings, report)
    matrix = grove.matrix(train)
    check = grove.matrix(valid)
    grown = grove.search(matrix, train, check, valid)
    validated = grove.blend(grown, check, valid)
    model = validated
    refit = budget.refit and not settings.deadline.passed()
    if refit:
        parts = [(matrix, train), (check, valid)]
        if work.newer is not None and len(work.newer):
            parts.append((grove.matrix(work.newer), work.newer))
        model = grove.refit(validated, parts)
    notes: dict[str, Any] = {
        "training_rows": sample.report,
        "validation_rows": checked.report,
        "features": len(trees.features.features),
        "candidate_features": candidates,
        **screened.report,
        "refit": refit,
        "out_of_time": any(trial.out_of_time for trial, _ in grown),
    }
    return Trained(model, validated, tuple(trial for trial, _ in grown), notes)


@dataclass(frozen=True)
class _Grove:
    relations: Relations
    trees: TreeModel
    scaling: _Scaling
    settings: Settings
    report: Report

    @property
    def categorical(self) -> list[int]:
        chosen = self.trees.features.features
        return [i for i, feature in enumerate(chosen) if feature.kind == "category"]

    def label(self, fold: Fold) -> Float:
        if self.trees.classes is not None:
            return self.trees.classes.encode(fold.label)
        return self.scaling.apply(fold.label)

    def matrix(self, fold: Fold) -> Values:
        """Compute a fold's features, float32[n, f]; beyond 1 GB they lie in a file, not in memory.

        The file has no name any more, so that it is gone when the array is, or the process.
        """
        rows, count = len(fold), len(self.trees.features.features)
        if rows * count * 4 <= _MOST_IN_MEMORY:
            return self.trees.matrix(self.relations, fold.asked, self.settings.threads)
        with tempfile.TemporaryFile(prefix="relcast-features-") as file:
            values: Values = np.memmap(file, np.float32, "w+", shape=(rows, count), order="F")
        for part in chunks(rows, count):
            asked = fold.asked.take(part)
            values[part] = self.trees.matrix(self.relations, asked, self.settings.threads)
        return values

    def data(
        self,
        matrix: Values | list[Values],
        fold: Fold,
        reference: boosting.Data | None = None,
    ) -> boosting.Data:
        return boosting.make_data(
            matrix,
            self.label(fold),
            fold.weight,
            self.categorical,
            self.settings.threads,
            reference,
        )

    def label_for(self, config: boosting.TreeConfig, fold: Fold) -> Float:
        """Return the labels that a configuration learns from."""
        anchor = fold.asked.anchor
        if not config.centred or anchor is None:
            return self.label(fold)
        middle: Literal["mean", "median"] = "mean" if config.objective == "regression" else "median"
        levels = common_levels(fold.label, anchor, fold.weight, middle)
        return self.scaling.apply(fold.label - levels)

    def search(
        self, matrix: Values, train: Fold, check: Values, valid: Fold
    ) -> list[tuple[Trial, Member]]:
        """Grow one booster per configuration until the budget or the time is spent."""
        settings, trees = self.settings, self.trees
        outputs = trees.outputs
        plan = effort(matrix.size, settings.budget.iterations, settings.budget.experiments, outputs)
        data = self.data(matrix, train)
        held_out = self.data(check, valid, data)
        found: list[tuple[Trial, Member]] = []
        proposals = Search(
            trees.target.task_type,
            settings.metric,
            len(train),
            outputs,
            plan.rate,
            settings.seed,
            losses=settings.losses,
            levels=has_levels(train.asked.anchor),
        )
        best: Trial | None = None
        chosen: boosting.TreeConfig | None = None
        for number in range(plan.trials):
            if found and settings.deadline.passed():
                trial, member = found[-1]
                found[-1] = (replace(trial, out_of_time=True), member)
                break
            config = proposals.propose(number, chosen)
            boosting.relabel(data, self.label_for(config, train))
            trial, member = self._trial(number, config, plan, data, held_out, check, valid)
            found.append((trial, member))
            if best is None or better(settings.metric, trial.validation, best.validation):
                best, chosen = trial, config
        return found

    def _trial(
        self,
        number: int,
        config: boosting.TreeConfig,
        plan: Effort,
        data: boosting.Data,
        held_out: boosting.Data,
        check: Values,
        valid: Fold,
    ) -> tuple[Trial, Member]:
        began = time.monotonic()
        grown = boosting.grow(
            config,
            data,
            held_out,
            iterations=plan.iterations,
            patience=self.settings.patience or plan.patience,
            seed=self.settings.seed + number,
            threads=self.settings.threads,
            deadline=self.settings.deadline,
            report=lambda iteration, value: self.report(number, iteration, config.metric, value),
        )
        settings = {**config.to_json(), "seed": self.settings.seed + number}
        member = Member(grown.text, 1.0, grown.iterations, settings)
        value = self.measure(replace(self.trees, members=(member,)), check, valid)
        seconds = time.monotonic() - began
        trial = Trial(number, config.to_json(), grown.iterations, value, seconds, grown.out_of_time)
        return trial, member

    def measure(self, model: TreeModel, check: Values, valid: Fold) -> float:
        return self._metric(model, model.raw(check, self.settings.threads), valid)

    def _metric(self, model: TreeModel, raw: Float, valid: Fold) -> float:
        name = self.settings.metric
        metrics = metrics_of(model.target.task_type, valid.label, model.link(raw))
        return metrics.compute((name,))[name]

    def blend(self, grown: list[tuple[Trial, Member]], check: Values, valid: Fold) -> TreeModel:
        """Weigh the trials on validation and calibrate what comes out."""
        raws = [
            replace(self.trees, members=(member,)).raw(check, self.settings.threads)
            for _, member in grown
        ]
        sign = -1.0 if is_greater_better(self.settings.metric) else 1.0
        weights = greedy_weights(
            raws,
            lambda raw: sign * self._metric(self.trees, raw, valid),
            slack=tolerance(len(valid)),
        )
        chosen = [
            replace(member, weight=float(weight))
            for (_, member), weight in zip(grown, weights, strict=True)
            if weight > 0
        ]
        name = "trees" if len(chosen) == 1 else f"trees (blend of {len(chosen)})"
        model = replace(self.trees, name=name, members=tuple(chosen))
        binary = model.target.task_type is TaskType.BINARY_CLASSIFICATION
        calibration = Calibration()
        if binary and self.settings.calibrate:
            raw = model.raw(check, self.settings.threads)
            calibration = choose_calibration(raw, valid.label, self.settings.seed)
        model = replace(model, calibration=calibration)
        if model.target.task_type is not TaskType.REGRESSION:
            return model
        return TreeFan.of(model, Spread.of(model.raw(check, self.settings.threads), valid.label))

    def refit(self, model: TreeModel, parts: Sequence[tuple[Values, Fold]]) -> TreeModel:
        """Grow every member again, as long as before, on training, validation and newer rows.

        Where data is small every member grows with two seeds, whose mean is steadier than each.
        """
        matrix = [values for values, _ in parts]
        both = Fold.joined([fold for _, fold in parts])
        data = self.data(matrix, both)
        bags = _BAGS if sum(part.size for part in matrix) <= _BAGGED else 1
        members = []
        for member in model.members:
            config = dict(member.config)
            seed = int(config.pop("seed"))
            settings = boosting.TreeConfig.from_json(config)
            boosting.relabel(data, self.label_for(settings, both))
            for bag in range(bags):
                grown = boosting.grow(
                    settings,
                    data,
                    None,
                    iterations=member.iterations,
                    patience=member.iterations,
                    seed=seed + _NEXT_BAG * bag,
                    threads=self.settings.threads,
                )
                again = replace(member, text=grown.text, iterations=grown.iterations)
                members.append(
                    replace(
                        again,
                        weight=member.weight / bags,
                        config={**config, "seed": seed + _NEXT_BAG * bag},
                    )
                )
        return replace(model, members=tuple(members))
