"""Work for the network's tests: the shop's queries, small networks, no clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from relcast.learners.deadline import Deadline
from relcast.learners.features import FeatureSet
from relcast.learners.folds import Folds, make_folds
from relcast.learners.learner import Settings, Work
from relcast.learners.metrics import default_tune_metric
from relcast.learners.plan import Budget
from relcast.pql import check
from relcast.relations import Relations
from tests.learners.worlds import World

DEBUG = Budget(10, 2, 20_000, 60, 60, 40, refit=False)
FAST = Budget(60, 1, 20_000, 60, 60, 1_000, refit=False)


def folds_of(world: World, query: str) -> Folds:
    examples = world.table(query).examples
    return make_folds(examples, check(query, world.snapshot.graph), "rolling")


def work_of(
    relations: Relations,
    query: str,
    folds: Folds,
    *,
    budget: Budget = DEBUG,
    seed: int = 0,
    threads: int = 1,
    features: int = 30,
    deadline: Deadline | None = None,
    report: Any = lambda *_: None,
) -> Work:
    checked = check(query, relations.graph)
    anchor = folds.train.asked.anchor
    until = None if anchor is None else int(anchor.max())
    made = FeatureSet.generate(relations, checked, budget=max(1, features), until=until)
    return Work(
        relations,
        checked,
        folds.target,
        folds.train,
        folds.validation,
        made if features else made.select([]),
        Settings(
            budget,
            default_tune_metric(checked.task_type),
            seed,
            threads,
            Deadline() if deadline is None else deadline,
        ),
        report,
    )


def states(model: Any) -> dict[str, np.ndarray]:
    return {k: v for k, v in model.pack().arrays.items() if k.startswith("gnn.")}


__all__ = ["DEBUG", "FAST", "folds_of", "states", "work_of"]
