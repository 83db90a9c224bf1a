"""A fitted model: predicts, explains itself, and is saved to and loaded from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from relcast.core.errors import InvalidRequest, RelcastError
from relcast.core.progress import SILENT, Progress
from relcast.core.schema import Graph, TaskType
from relcast.learners.baselines import unpack_baseline
from relcast.learners.bundle import Bundle, broken, read_bundle, write_bundle
from relcast.learners.certificate import Certificate
from relcast.learners.evaluation import Evaluation
from relcast.learners.importance import Importance
from relcast.learners.leaderboard import Entry
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Asked, Contributions, Predictor, Reason, Target
from relcast.learners.scores import Scores, to_output
from relcast.learners.serving import check_schema
from relcast.learners.trees import TreeModel

if TYPE_CHECKING:
    import pyarrow as pa

    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["FittedModel", "Keyed"]

Index = npt.NDArray[np.int64]

_CHUNK = 100_000
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
        predictor: What predicts: trees, or the baseline that validated best.
        evaluation: Its metrics beside every baseline's.
        leaderboard: Everything that was tried, best on validation first.
        importance: Global importance; empty for a baseline.
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
    predictor: Predictor
    evaluation: Evaluation
    leaderboard: tuple[Entry, ...]
    importance: Importance
    certificate: Certificate
    lineage: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    holdout: pa.Table | None = None

    @property
    def task_type(self) -> TaskType:
        return self.target.task_type

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
        threads: int = 1,
        progress: Progress = SILENT,
    ) -> Scores:
        """Score every example; never a sample, in chunks of bounded memory.

        Args:
            relations: Arrays of any snapshot with the same columns.
            entity: int64[n] dense entity rows.
            anchor: int64[n] ns UTC, or one anchor for all; None for a static task.
            threads: Threads to use.
            progress: Stage ``Predicting``, in rows.

        Raises ``model.schema_changed`` when a column that the model reads changed its type.
        """
        asked = self._asked(relations, entity, anchor)
        parts = []
        with progress.stage("Predicting", total=len(asked), unit="rows") as stage:
            for begin in range(0, max(1, len(asked)), _CHUNK):
                part = asked.take(slice(begin, begin + _CHUNK))
                parts.append(self.predictor.predict(relations, part, threads=threads))
                stage.update(begin + len(part), len(asked))
        values = np.concatenate(parts)
        return Scores(self.task_type, asked.entity, asked.anchor, values, self.target.classes)

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
        top: int = 5,
        threads: int = 1,
    ) -> Contributions:
        """Return reasons together with raw score, base value and the rest, which add up."""
        asked = self._asked(relations, entity, anchor)
        return self.predictor.explain(relations, asked, top=top, threads=threads)

    def _asked(self, relations: Relations, entity: Index, anchor: Index | None) -> Asked:
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
        if self.task_type is TaskType.MULTICLASS_CLASSIFICATION:
            classes = self.target.classes or ()
            share = np.bincount(scores.values.argmax(axis=1), minlength=len(classes))
            counts = {str(name): int(n) for name, n in zip(classes, share, strict=True)}
            return {"rows": len(scores), "predicted": counts}
        if not len(scores):
            return {"rows": 0}
        places = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
        at = np.quantile(scores.values, places)
        return {
            "rows": len(scores),
            "mean": float(scores.values.mean()),
            "quantiles": {str(p): float(v) for p, v in zip(places, at, strict=True)},
        }

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
            "query": self.query.text,
            "graph": self.graph.to_json(),
            "snapshot_id": self.snapshot_id,
            "plan": self.plan.to_json(),
            "predictor": packed.config,
            "evaluation": self.evaluation.to_json(),
            "leaderboard": [entry.to_json() for entry in self.leaderboard],
            "importance": self.importance.to_json(),
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
    target = Target(task_type, None if classes is None else tuple(classes))
    if (task_type is TaskType.MULTICLASS_CLASSIFICATION) != (target.classes is not None):
        raise ValueError("classes and task type do not fit")
    graph = Graph.from_json(content["graph"])
    # How many values a column has decides between two and many classes; the manifest remembers.
    query = replace(check(content["query"], graph), task_type=task_type)
    config = content["predictor"]
    arrays = bundle.arrays()
    predictor: Predictor
    if config["kind"] == "trees":
        texts = {name: bundle.text(name) for name in bundle.names() if name.endswith(".txt")}
        predictor = TreeModel.unpack(config, arrays, texts, target)
    else:
        predictor = unpack_baseline(config, arrays, target)
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
        certificate=Certificate.from_json(content["certificate"]),
        lineage=content["lineage"],
        warnings=tuple(content["warnings"]),
        holdout=holdout,
    )
