"""A fitted model: predicts, explains itself, and is saved to and loaded from a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest, RelcastError
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import Graph, TaskType
from relcast.learners.bundle import Bundle, broken, read_bundle, write_bundle
from relcast.learners.certificate import Certificate
from relcast.learners.contenders import unpack
from relcast.learners.evaluation import Evaluation
from relcast.learners.explaining.cohorts import Cohort
from relcast.learners.importance import Importance
from relcast.learners.leaderboard import Entry
from relcast.learners.metrics import is_ranked
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import (
    Asked,
    Contributions,
    Predictor,
    Quantiles,
    Ranked,
    Ranker,
    Reason,
    Said,
    Target,
    is_ranker,
)
from relcast.learners.scores import Scores, make_scores, to_output
from relcast.learners.serving import check_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.learners.explaining import Explanation
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["FittedModel", "Keyed"]

Index = npt.NDArray[np.int64]

_CHUNK = 100_000
_RANKED_CHUNK = 10_000
_DEFAULT_K = 10
_MOST_LEVELS = 99
_MOST_K = 1_000
_NAMED = frozenset(
    {
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.MULTILABEL_CLASSIFICATION,
        TaskType.MULTILABEL_RANKING,
    }
)
_HOLDOUT = "holdout.parquet"


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

    def item_rows(self, relations: Relations, items: Sequence[Any]) -> Index:
        """Return what ``among`` takes for keys of the item table, or for classes.

        Raises ``predict.unknown_item`` for what is neither.
        """
        import pyarrow as pa

        if self.target.items is not None:
            table = relations.table(self.target.items)
            rows = table.key_index(pa.array(list(items), table.keys().type)).astype(np.int64)
        else:
            place = {name: number for number, name in enumerate(self.target.classes or ())}
            rows = np.array([place.get(item, -1) for item in items], dtype=np.int64)
        unknown = [item for item, row in zip(items, rows.tolist(), strict=True) if row < 0]
        if unknown:
            raise InvalidRequest(
                f"There is no item {unknown[0]!r} to rank",
                code="predict.unknown_item",
                hint="Name keys of the table whose rows are listed, or classes of the model.",
            )
        return rows

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
        """Score every example; never a sample, in chunks of bounded memory.

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
        asked = self.asked(relations, entity, anchor)
        wanted = self._length(k, among)
        self._check_levels(levels)
        parts: list[Said] = []
        spread = []
        size = _RANKED_CHUNK if is_ranker(self.predictor) else _CHUNK
        with progress.stage("Predicting", total=len(asked), unit="rows") as stage:
            for begin in range(0, max(1, len(asked)), size):
                part = asked.take(slice(begin, begin + size))
                if is_ranker(self.predictor):
                    said: Said = self.predictor.rank(
                        relations, part, k=wanted, among=among, threads=threads
                    )
                else:
                    said = self._values(relations, part, threads)
                parts.append(said)
                if levels and isinstance(self.predictor, Quantiles):
                    found = self.predictor.quantiles(
                        relations, part, levels=tuple(levels), threads=threads
                    )
                    spread.append(found)
                stage.update(begin + len(part), len(asked))
        scores = make_scores(
            relations, self.query, self.target, asked.entity, asked.anchor, _joined(parts)
        )
        if spread:
            return replace(scores, levels=tuple(levels), quantiles=np.concatenate(spread))
        return scores

    def _values(self, relations: Relations, asked: Asked, threads: int) -> Any:
        return cast("Predictor", self.predictor).predict(relations, asked, threads=threads)

    def _length(self, k: int | None, among: Index | None) -> int:
        """Return how long the lists of a ranking are to be."""
        if not is_ranked(self.task_type):
            if k is not None or among is not None:
                raise InvalidRequest(
                    f"A model of {self.task_type.value} does not rank items",
                    code="predict.not_ranked",
                    hint="Give k and items to models of RANK TOP queries only.",
                )
            return 0
        wanted = k if k is not None else (self.target.top or _DEFAULT_K)
        if not 1 <= wanted <= _MOST_K:
            raise InvalidRequest(
                f"k is {wanted}",
                code="predict.bad_k",
                hint=f"Ask for 1 to {_MOST_K:,} items an entity.",
            )
        return wanted

    def _check_levels(self, levels: Sequence[float]) -> None:
        if not levels:
            return
        ascending = all(low < high for low, high in pairwise((0.0, *levels, 1.0)))
        if isinstance(self.predictor, Quantiles) and ascending and len(levels) <= _MOST_LEVELS:
            return
        learner = self.predictor.name
        raise InvalidRequest(
            f"{learner} has no quantiles at {', '.join(f'{v:g}' for v in levels)}",
            code="predict.no_quantiles",
            hint="Levels lie between 0 and 1 in ascending order, and only models of numbers whose "
            "learner has quantiles give them.",
        )

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
        if not len(scores):
            return {"rows": 0}
        classes = self.target.classes or ()
        if self.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            share = np.bincount(scores.values.argmax(axis=1), minlength=len(classes))
            return {"rows": len(scores), "predicted": _counted(classes, share)}
        if self.task_type is TaskType.MULTILABEL_CLASSIFICATION:
            share = (scores.values >= 0.5).sum(axis=0)
            return {"rows": len(scores), "predicted": _counted(classes, share)}
        if scores.items is not None:
            named = np.unique(scores.items[scores.items >= 0])
            return {"rows": len(scores), "items": len(named), "k": int(scores.items.shape[1])}
        places = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
        at = np.quantile(scores.values, places)
        summary = {
            "rows": len(scores),
            "mean": float(scores.values.mean()),
            "quantiles": {str(p): float(v) for p, v in zip(places, at, strict=True)},
        }
        if scores.values.ndim == 2:
            summary["steps"] = [float(v) for v in scores.values.mean(axis=0)]
        return summary

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
        import pyarrow.parquet as pq

        packed = self.predictor.pack()
        classes = self.target.classes
        content = {
            "task_type": self.task_type.value,
            "classes": None if classes is None else list(classes),
            "horizon": self.target.horizon,
            "items": self.target.items,
            "top": self.target.top,
            "query": self.query.text,
            "graph": self.graph.to_json(),
            "snapshot_id": self.snapshot_id,
            "plan": self.plan.to_json(),
            "predictor": packed.config,
            "evaluation": self.evaluation.to_json(),
            "leaderboard": [entry.to_json() for entry in self.leaderboard],
            "importance": self.importance.to_json(),
            "cohorts": [cohort.to_json() for cohort in self.cohorts],
            "certificate": self.certificate.to_json(),
            "lineage": dict(self.lineage),
            "warnings": list(self.warnings),
        }
        holdout = self.holdout
        writers = {} if holdout is None else {_HOLDOUT: lambda at: pq.write_table(holdout, at)}
        write_bundle(Path(path), content, packed.arrays, packed.texts, writers)

    @classmethod
    def load(cls, path: Path) -> FittedModel:
        """Read a bundle; runs nothing that is in it.

        Raises ``model.not_found``, ``model.newer_bundle`` and ``model.broken_bundle``.
        """
        bundle = read_bundle(Path(path))
        try:
            return _unpack(cls, bundle)
        except RelcastError as error:
            if error.code.startswith("model."):
                raise
            raise broken(bundle.path, error.message) from error
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            IndexError,
            OverflowError,
            RecursionError,
        ) as error:
            raise broken(bundle.path, f"{type(error).__name__}: {error}") from error


def _unpack(kind: type[FittedModel], bundle: Bundle) -> FittedModel:
    import pyarrow.parquet as pq

    from relcast.pql import check

    content = bundle.content
    classes = content["classes"]
    task_type = TaskType(content["task_type"])
    target = Target(
        task_type,
        None if classes is None else tuple(classes),
        int(content["horizon"]),
        content["items"],
        content["top"],
    )
    if (task_type in _NAMED) != (target.classes is not None):
        raise ValueError("classes and task type do not fit")
    graph = Graph.from_json(content["graph"])
    # How many values a column has decides between two and many classes; a plan may have made a
    # forecast of a number. The manifest remembers both.
    length = target.horizon if task_type is TaskType.FORECASTING else None
    query = replace(check(content["query"], graph, forecast_length=length), task_type=task_type)
    texts = {name: bundle.text(name) for name in bundle.names() if name.endswith(".txt")}
    predictor = unpack(content["predictor"], bundle.arrays(), texts, target)
    holdout = pq.read_table(bundle.file(_HOLDOUT)) if _HOLDOUT in bundle.names() else None
    return kind(
        target=target,
        query=query,
        graph=graph,
        snapshot_id=str(content["snapshot_id"]),
        plan=ModelPlan.from_json(content["plan"]),
        predictor=predictor,
        evaluation=Evaluation.from_json(content["evaluation"]),
        leaderboard=tuple(Entry.from_json(entry) for entry in content["leaderboard"]),
        importance=Importance.from_json(content["importance"]),
        cohorts=tuple(Cohort.from_json(cohort) for cohort in content.get("cohorts", ())),
        certificate=Certificate.from_json(content["certificate"]),
        lineage=content["lineage"],
        warnings=tuple(content["warnings"]),
        holdout=holdout,
    )


def _joined(parts: Sequence[Said]) -> Said:
    ranked = [part for part in parts if isinstance(part, Ranked)]
    if ranked:
        return Ranked(
            np.concatenate([part.items for part in ranked]),
            np.concatenate([part.scores for part in ranked]),
        )
    return np.concatenate([part for part in parts if not isinstance(part, Ranked)])


def _counted(classes: Sequence[Any], count: npt.NDArray[Any]) -> dict[str, int]:
    return {str(name): int(n) for name, n in zip(classes, count, strict=True)}


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
