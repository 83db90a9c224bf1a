"""Who takes part: the learners of every task type, their baselines, and how bundles are read.

A learner is a module that is imported when it is needed: ``train(work)``, ``baselines(relations,
query, folds, features)`` where the task is its own, ``unpack(config, arrays, texts, target)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt

from relcast.core.schema import TaskType
from relcast.learners.folds import Folds
from relcast.learners.learner import Learner
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Predictor, Ranker, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = [
    "Family",
    "candidate_features",
    "families",
    "first_baselines",
    "later_baselines",
    "make_baselines",
    "missing",
    "unpack",
]

Fitted = Predictor | Ranker

_MANY = 400
_MOST_CANDIDATES = 1_500
_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Family:
    """A learner that may take part.

    Attributes:
        name: What the leaderboard calls it.
        module: Where it stands.
        function: Its function ``Work -> Trained``.
        share: Its part of the time that is left, of the shares of all that are still to come.
        needs: A module of an extra without which it does not take part.
        reads_features: Whether it has nothing to learn from without candidate features.
        slow: Whether it needs more than the seconds of a ``debug`` run.
        classes: Fewest classes from which on it takes part.
    """

    name: str
    module: str
    function: str = "train"
    share: float = 1.0
    needs: str | None = None
    reads_features: bool = False
    slow: bool = False
    classes: int = 0

    @property
    def available(self) -> bool:
        """Whether everything that it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    def learner(self) -> Learner[Any]:
        """Return the function that trains it."""
        return cast("Learner[Any]", getattr(import_module(self.module), self.function))


_LINEAR = Family("linear", "relcast.learners.linear", share=0.15, reads_features=True)
_TREES = Family("trees", "relcast.learners.training", "train_trees", reads_features=True)
_GNN = Family("gnn", "relcast.learners.gnn", share=0.5, needs="torch", slow=True)
_GNN_BESIDE = replace(_GNN, share=0.25)
_WIDE = Family("wide classes", "relcast.learners.multilabel", "train_wide", 0.5, classes=20)
_FORECAST = Family("forecast", "relcast.learners.forecasting")
_MULTILABEL = Family("multilabel", "relcast.learners.multilabel")
_RANKING = Family("ranking", "relcast.learners.ranking")

_FAMILIES: Mapping[TaskType, tuple[Family, ...]] = {
    TaskType.BINARY_CLASSIFICATION: (_LINEAR, _TREES, _GNN),
    TaskType.MULTICLASS_CLASSIFICATION: (_LINEAR, _TREES, _WIDE, _GNN),
    TaskType.REGRESSION: (_LINEAR, _TREES, _GNN),
    TaskType.FORECASTING: (_FORECAST, _GNN_BESIDE),
    TaskType.MULTILABEL_CLASSIFICATION: (_MULTILABEL, _GNN_BESIDE),
    TaskType.MULTILABEL_RANKING: (_RANKING,),
    TaskType.TEMPORAL_LINK_PREDICTION: (_RANKING,),
    TaskType.STATIC_LINK_PREDICTION: (_RANKING,),
}
_ONE_LABEL = frozenset(
    {
        TaskType.BINARY_CLASSIFICATION,
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.REGRESSION,
    }
)
_KINDS: Mapping[str, tuple[str, str]] = {
    "constant": ("relcast.learners.baselines", "unpack"),
    "history": ("relcast.learners.baselines", "unpack"),
    "window": ("relcast.learners.baselines", "unpack"),
    "trees": ("relcast.learners.trees", "TreeModel.unpack"),
    "mixture": ("relcast.learners.mixture", "unpack"),
    "of_counts": ("relcast.learners.finer", "unpack"),
    "on_tide": ("relcast.learners.tide", "unpack"),
    "linear": ("relcast.learners.linear", "unpack"),
    "gnn": ("relcast.learners.gnn", "unpack"),
    "forecast": ("relcast.learners.forecasting", "unpack"),
    "multilabel": ("relcast.learners.multilabel", "unpack"),
    "ranking": ("relcast.learners.ranking", "unpack"),
}
"""By ``config["kind"]`` of what was packed: what reads it."""


def families(target: Target, plan: ModelPlan) -> tuple[Family, ...]:
    """Return the learners that take part, in the order in which they train.

    Those of the task that are installed, that the plan names, or that its run mode has time for.
    """
    if plan.budget().experiments == 0:
        return ()
    found = []
    for family in _FAMILIES[target.task_type]:
        asked = plan.learners is None or family.name in plan.learners
        quick = plan.learners is not None or plan.run_mode != "debug" or not family.slow
        if asked and quick and family.available and len(target.classes or ()) >= family.classes:
            found.append(family)
    return tuple(found)


def missing(target: Target) -> list[str]:
    """Return a sentence for each learner of a task that is not installed."""
    return [
        f"The learner {family.name} did not take part: {family.needs} is not installed. "
        f"Add it with: pip install 'relcast[{family.name}]'."
        for family in _FAMILIES[target.task_type]
        if family.needs is not None and find_spec(family.needs) is None
    ]


def candidate_features(
    relations: Relations,
    query: CheckedQuery,
    folds: Folds,
    budget: int,
    *,
    allow_mutable: bool = False,
) -> FeatureSet:
    """Generate at most ``budget`` features; nothing later than the training side is read.

    Where there are few rows to compute them for, more are generated: learners choose among them.
    """
    from relcast.learners.features import FeatureSet

    if budget >= _MANY:
        affordable = _CELLS // max(1, len(folds.train))
        budget = max(budget, min(_MOST_CANDIDATES, affordable))
    anchor = folds.train.asked.anchor
    until = None if anchor is None else int(anchor.max())
    return FeatureSet.generate(
        relations, query, budget=budget, until=until, allow_mutable=allow_mutable
    )


def first_baselines(relations: Relations, query: CheckedQuery, folds: Folds) -> list[Fitted]:
    """Return the baselines that need no features: an answer within seconds."""
    task_type = folds.target.task_type
    if task_type in _ONE_LABEL:
        from relcast.learners.simple import early_baselines

        return [*early_baselines(relations, query, folds)]
    from relcast.learners.features import FeatureSet

    nothing = FeatureSet(query.entity_table, query.temporal, ())
    home = import_module(_FAMILIES[task_type][0].module)
    return list(home.baselines(relations, query, folds, nothing))


def later_baselines(query: CheckedQuery, folds: Folds, features: FeatureSet) -> list[Fitted]:
    """Return the baselines that read a feature."""
    if folds.target.task_type not in _ONE_LABEL:
        return []
    from relcast.learners.simple import window_baselines

    return [*window_baselines(query, folds, features)]


def make_baselines(
    relations: Relations, query: CheckedQuery, folds: Folds, features: FeatureSet
) -> list[Fitted]:
    """Return every baseline of a query, the global ones first."""
    return [
        *first_baselines(relations, query, folds),
        *later_baselines(query, folds, features),
    ]


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> Fitted:
    """Rebuild what was packed; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    kind = config["kind"]
    if kind not in _KINDS:
        raise ValueError(f"nothing of kind {kind!r} can be read")
    module, function = _KINDS[kind]
    read = attrgetter(function)(import_module(module))
    return cast("Fitted", read(config, arrays, texts, target))
