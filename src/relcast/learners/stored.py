"""A fitted model as a bundle on disk, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relcast.core.errors import RelcastError
from relcast.core.schema import Graph, TaskType
from relcast.learners.bundle import Bundle, broken, read_bundle, write_bundle
from relcast.learners.certificate import Certificate
from relcast.learners.contenders import unpack
from relcast.learners.evaluation import Evaluation
from relcast.learners.explaining.cohorts import Cohort
from relcast.learners.importance import Importance
from relcast.learners.leaderboard import Entry
from relcast.learners.plan import ModelPlan
from relcast.learners.protocol import Target

if TYPE_CHECKING:
    from relcast.learners.model import FittedModel

__all__ = ["load_model", "save_model"]

_NAMED = frozenset(
    {
        TaskType.MULTICLASS_CLASSIFICATION,
        TaskType.MULTILABEL_CLASSIFICATION,
        TaskType.MULTILABEL_RANKING,
    }
)
_HOLDOUT = "holdout.parquet"


def save_model(model: FittedModel, path: Path) -> None:
    """Write the bundle directory ``path``; see ``FittedModel.save``."""
    import pyarrow.parquet as pq

    packed = model.predictor.pack()
    classes = model.target.classes
    content = {
        "task_type": model.task_type.value,
        "classes": None if classes is None else list(classes),
        "horizon": model.target.horizon,
        "items": model.target.items,
        "top": model.target.top,
        "query": model.query.text,
        "graph": model.graph.to_json(),
        "snapshot_id": model.snapshot_id,
        "plan": model.plan.to_json(),
        "predictor": packed.config,
        "evaluation": model.evaluation.to_json(),
        "leaderboard": [entry.to_json() for entry in model.leaderboard],
        "importance": model.importance.to_json(),
        "cohorts": [cohort.to_json() for cohort in model.cohorts],
        "certificate": model.certificate.to_json(),
        "lineage": dict(model.lineage),
        "warnings": list(model.warnings),
    }
    holdout = model.holdout
    writers = {} if holdout is None else {_HOLDOUT: lambda at: pq.write_table(holdout, at)}
    write_bundle(Path(path), content, packed.arrays, packed.texts, writers)


def load_model(kind: type[FittedModel], path: Path) -> FittedModel:
    """Read a bundle; see ``FittedModel.load``."""
    bundle = read_bundle(Path(path))
    try:
        return _unpack(kind, bundle)
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
