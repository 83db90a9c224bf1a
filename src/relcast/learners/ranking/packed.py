"""The questions of queries, their baselines, and rankers out of bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from relcast.learners.protocol import Fold, Ranker, Target
from relcast.learners.ranking.baselines import baseline_rankers, unpack_baseline
from relcast.learners.ranking.links import Items, LinkSpec
from relcast.learners.ranking.memory import Memory
from relcast.learners.ranking.model import RankModel
from relcast.learners.ranking.scene import Question

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.learners.folds import Folds
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["baselines", "question_of", "unpack"]


def question_of(
    relations: Relations, query: CheckedQuery, target: Target, known: list[Fold]
) -> Question:
    """Return what a query ranks; a static one remembers the lists of the ``known`` folds."""
    items = Items.of(target)
    spec = LinkSpec.of(query)
    if query.temporal and spec is not None:
        return Question(spec, items)
    plain = spec or LinkSpec(query.entity_table, None, (), None)
    return Question(plain, items, Memory.of(relations, plain, items, known))


def baselines(
    relations: Relations,
    query: CheckedQuery,
    folds: Folds,
    features: FeatureSet,  # noqa: ARG001 - baselines of every task type are called alike
) -> list[Ranker]:
    """Return popularity, recent popularity and own past; of a static task popularity alone."""
    return [*baseline_rankers(question_of(relations, query, folds.target, [folds.train]))]


def unpack(
    config: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    target: Target,
) -> Ranker:
    """Rebuild a packed ranker; raises ``ValueError`` or ``KeyError`` when it does not fit."""
    question = Question.from_json(config["question"], arrays, Items.of(target))
    if config["form"] == "baseline":
        return unpack_baseline(config, question)
    if config["form"] == "trees":
        return RankModel.unpack(config, arrays, texts, question)
    raise ValueError(f"there is no ranker of form {config['form']!r}")
