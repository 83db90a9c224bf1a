"""A fitted model: predicts, explains itself, and is saved to and loaded from a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import Graph, TaskType
from relcast.learners.certificate import Certificate
from relcast.learners.evaluation import Evaluation
from relcast.learners.explaining.cohorts import Cohort
from relcast.learners.importance import Importance
from relcast.learners.leaderboard import Entry
from relcast.learners.metrics import is_ranked
from relcast.learners.plan import ModelPlan
from relcast.learners.predicting import item_rows, score_in_parts
from relcast.learners.protocol import (
    Asked,
    Contributions,
    Predictor,
    Ranker,
    Reason,
    Target,
    is_ranker,
)
from relcast.learners.score_summary import ScoreSummary
from relcast.learners.scores import Scores, to_output
from relcast.learners.serving import check_schema
from relcast.learners.stored import load_model, save_model

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.learners.explaining import Explanation
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["FittedModel", "Keyed"]

Index = npt.NDArray[np.int64]


class Keyed(Protocol):
    """A prediction table, as far as output needs it."""

    def keys(self) -> Any:
        """Return the primary key of each row's entity."""


@dataclass(frozen=True)
class FittedModel:
    """A published model and everything that is known about it.

    Attributes:
        target: What it predicts.
        query: The checked query.
        graph: Tables and links of the snapshot that it learned from.
        snapshot_id: That snapshot.
        plan: The plan of the fit.
        predictor: What predicts, or ranks: a learner, or the baseline that validated best.
        evaluation: Its metrics beside every baseline's.
        leaderboard: Everything that was tried, best on validation first.
        importance: Global importance; empty for a baseline that gives everybody one answer.
        cohorts: Mean prediction and mean target along the features that matter most.
        certificate: The computed facts about leakage.
        lineage: Versions, hardware, rows used, seeds.
        warnings: Sentences that the user should read.
        holdout: The test rows with target and prediction columns; None without a test split.
    """

    target: Target
    query: CheckedQuery
    graph: Graph
    snapshot_id: str
    plan: ModelPlan
    predictor: Predictor | Ranker
    evaluation: Evaluation
    leaderboard: tuple[Entry, ...]
    importance: Importance
    certificate: Certificate
    lineage: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    holdout: pa.Table | None = None

    @property
    def task_type(self) -> TaskType:
        return self.target.task_type

    @property
    def ranks(self) -> bool:
        """Whether it orders items instead of giving values."""
        return is_ranked(self.task_type)

    @property
    def one_number(self) -> bool:
        """Whether it says one number of each example: a probability, or a value."""
        return self.task_type in (TaskType.BINARY_CLASSIFICATION, TaskType.REGRESSION)

    def item_rows(self, relations: Relations, items: Sequence[Any]) -> Index:
        """Return what ``among`` takes for keys of the item table, or for classes.

        Raises ``predict.unknown_item`` for what is neither.
        """
        return item_rows(self, relations, items)

    @property
    def metrics(self) -> Evaluation:
        """The evaluation, under the name that notebooks use."""
        return self.evaluation

    def predict(
        self,
        relations: Relations,
        entity: Index,
        anchor: Index | None,
        *,
        k: int | None = None,
        among: Index | None = None,
        levels: Sequence[float] = (),
        threads: int = 1,
        progress: Progress = SILENT,
    ) -> Scores:
        """Score every example; never a sample. ``predict_in_parts`` bounds the memory.

        Args:
            relations: Arrays of any snapshot with the same columns.
            entity: int64[n] dense entity rows.
            anchor: int64[n] ns UTC, or one anchor for all; None for a static task.
            k: Rankings and links: how many items; None takes the query's own number.
            among: Rankings and links: int64, the only items that may be named (dense rows of the
                item table, or indices of classes); None ranks all.
            levels: Regression and forecasting: quantiles that are wanted too, between 0 and 1.
            threads: Threads to use.
            progress: Stage ``Predicting``, in rows.

        Raises ``model.schema_changed`` when a column that the model reads changed its type,
        ``predict.bad_k``, ``predict.not_ranked`` and ``predict.no_quantiles``.
        """
        return Scores.joined(
            self.predict_in_parts(
                relations, entity, anchor,
                k=k, among=among, levels=levels, threads=threads, progress=progress,
            )
        )  # fmt: skip

    def predict_in_parts(
        self,
        relations: Relations,
        entity: Index,
        anchor: Index | None,
        *,
        k: int | None = None,
        among: Index | None = None,
        levels: Sequence[float] = (),
        threads: int = 1,
        progress: Progress = SILENT,
    ) -> Iterator[Scores]:
        """Yield the same scores some examples at a time, in order, in bounded memory.

        So many that eight million numbers are said at once, at most: 1,333 examples of 6,000
        classes.
        Of no examples, empty scores are the one part.
        """
        asked = self.asked(relations, entity, anchor)
        return score_in_parts(
            self, relations, asked,
            k=k, among=among, levels=levels, threads=threads, progress=progress,
        )  # fmt: skip

    def explain(
        self,
        relations: Relations,
        entity: Index,
        anchor: Index | None,
        *,
        top: int = 5,
        threads: int = 1,
    ) -> tuple[tuple[Reason, ...], ...]:
        """Return the ``top`` strongest reasons of each row, strongest first."""
        return self.contributions(relations, entity, anchor, top=top, threads=threads).reasons

    def contributions(
        self,
        relations: Relations,
        entity: Index,
        anchor: Index | None,
        *,
        output: Index | None = None,
        top: int = 5,
        threads: int = 1,
    ) -> Contributions:
        """Return reasons together with raw score, base value and the rest, which add up.

        ``output`` int64[n] says what is explained: a class, a label, a step of a forecast, or an
        item of a ranking; None explains the best class or item, or the first step.
        """
        asked = self.asked(relations, entity, anchor)
        if not is_ranker(self.predictor):
            chosen = {} if output is None else {"output": output}
            return cast("Predictor", self.predictor).explain(
                relations, asked, top=top, threads=threads, **chosen
            )
        items = output
        if items is None:
            best = self.predictor.rank(relations, asked, k=1, threads=threads)
            items = best.items[:, 0] if best.items.shape[1] else np.full(len(asked), -1)
        there = np.flatnonzero(items >= 0)
        found = self.predictor.explain_items(
            relations, asked.take(there), items[there], top=top, threads=threads
        )
        return found if len(there) == len(asked) else _spread(found, there, len(asked))

    def explain_entity(
        self,
        relations: Relations,
        entity: int,
        anchor: int | None,
        *,
        output: int | None = None,
        top: int = 10,
        threads: int = 1,
    ) -> Explanation:
        """Return why one entity got its score; see ``explaining.explain_entity``."""
        from relcast.learners.explaining import explain_entity

        return explain_entity(
            self, relations, entity, anchor, output=output, top=top, threads=threads
        )

    def asked(self, relations: Relations, entity: Index, anchor: Index | None) -> Asked:
        """Return examples as learners take them, after checking that the data still fits."""
        check_schema(self, relations)
        rows = np.asarray(entity, dtype=np.int64)
        if self.query.temporal != (anchor is not None):
            wanted = "needs an anchor time" if self.query.temporal else "has no anchor time"
            raise InvalidRequest(
                f"The model's query {wanted}",
                code="predict.anchor",
                hint="Give anchors exactly for queries with a window.",
            )
        if anchor is None:
            return Asked(rows, None, None)
        moments = np.broadcast_to(np.asarray(anchor, dtype=np.int64), rows.shape)
        return Asked.rolling(rows, np.ascontiguousarray(moments))

    def to_output(
        self,
        scores: Scores,
        table: Keyed,
        *,
        threshold: float | None = None,
        num_classes: int | None = None,
    ) -> pa.Table:
        """Return the prediction rows of scores; see ``scores.to_output``."""
        return to_output(scores, table.keys(), threshold=threshold, num_classes=num_classes)

    def score_summary(self, scores: Scores) -> dict[str, Any]:
        """Return JSON-ready figures of a batch of scores: rows, and how they are spread."""
        found = ScoreSummary()
        found.add(scores)
        return found.to_json()

    def summary(self) -> dict[str, Any]:
        """Return JSON-ready figures and lineage: what a job stores as its result."""
        evaluation = self.evaluation

        def plain(splits: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
            return {
                name: {metric: m.value for metric, m in split.metrics.items()}
                for name, split in splits.items()
            }

        return {
            "learner": self.predictor.name,
            "task_type": self.task_type.value,
            "tune_metric": evaluation.tune_metric,
            "regime": evaluation.regime,
            "metrics": plain(evaluation.model),
            "baselines": {name: plain(splits) for name, splits in evaluation.baselines.items()},
            "best_baseline": evaluation.best_baseline,
            "verdict": evaluation.verdict,
            "beats_baseline": evaluation.beats_baseline,
            "trials": sum(entry.trial is not None for entry in self.leaderboard),
            "leaderboard": [entry.to_json() for entry in self.leaderboard],
            "importance": self.importance.to_json(),
            "cohorts": [cohort.to_json() for cohort in self.cohorts],
            "certificate": self.certificate.to_json(),
            "lineage": dict(self.lineage),
            "warnings": list(self.warnings),
        }

    def save(self, path: Path) -> None:
        """Write the bundle directory ``path``: a reader sees the old one or the new one, whole."""
        save_model(self, Path(path))

    @classmethod
    def load(cls, path: Path) -> FittedModel:
        """Read a bundle; runs nothing that is in it.

        Raises ``model.not_found``, ``model.newer_bundle`` and ``model.broken_bundle``.
        """
        return load_model(cls, Path(path))


def _spread(found: Contributions, there: Index, rows: int) -> Contributions:
    """Return contributions for all rows, with nothing for those that have no item."""
    reasons: list[tuple[Reason, ...]] = [()] * rows
    for place, mine in zip(there.tolist(), found.reasons, strict=True):
        reasons[place] = mine
    wide = []
    for values in (found.raw, found.base, found.rest):
        out = np.full(rows, np.nan)
        out[there] = values
        wide.append(out)
    return Contributions(wide[0], wide[1], tuple(reasons), wide[2])
