"""What the jobs of each kind do, as steps: ingest -> table -> train or predict -> publish.

A road gets a ``Run`` and returns the job's result. It computes nothing itself. What it writes to
the catalog on the way it writes so that doing it twice is doing it once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relcast import __version__
from relcast.catalog import JobKind, JobState
from relcast.core.schema import TaskType
from relcast.jobs.own_rows import OwnRows
from relcast.jobs.run import Run
from relcast.pipeline.steps import (
    IngestSpec,
    PredictionTableSpec,
    PredictSpec,
    TrainingTableSpec,
    TrainSpec,
)

__all__ = ["ROADS"]

_TRAINING_TABLE = "training_table.parquet"
_PREDICTION_TABLE = "prediction_table.parquet"


def ingest(run: Run) -> dict[str, Any]:
    """Copy the tables of the job's graph; the result names the snapshot."""
    graph = run.catalog.graphs.get(str(run.job.graph_id))

    def specify(_: Path) -> IngestSpec:
        return IngestSpec(
            store=run.store,
            graph=graph.graph.to_json(),
            sources={table: asdict(run.source_spec(ref)) for table, ref in graph.sources.items()},
            threads=run.settings.threads,
        )

    return run.step("ingest", specify)


def training_table(run: Run) -> dict[str, Any]:
    """Make a training table from a snapshot, after ingesting when none was named."""
    return _training_table(run, run.job_id)


def prediction_table(run: Run) -> dict[str, Any]:
    """Make a prediction table from a snapshot, after ingesting when none was named."""
    return _prediction_table(run, run.job_id)


def training(run: Run) -> dict[str, Any]:
    """Train on a given table, or on one made first; store and perhaps promote the model."""
    config = run.job.config
    table_job = config["training_table_job_id"]
    if table_job is None or table_job == _inner(run, JobKind.training_table):
        table_job = _inner(run, JobKind.training_table)
        table = _training_table(run, table_job)
        _keep_inner(run, JobKind.training_table, table_job, "training_table_job_id", table)
    else:
        table = _result_of(run, table_job)
    model_id = f"model-{run.suffix}"
    place = run.home.models / model_id

    def specify(staging: Path) -> TrainSpec:
        return TrainSpec(
            store=run.store,
            snapshot_id=table["snapshot_id"],
            query=config["query"],
            training_table=str(run.home.root / table["path"]),
            out=str(staging / "model"),
            # Who wants nothing kept ends the child; who asks it to stop wants the best so far.
            plan={**config["model_plan"], "on_stop": "publish"},
            threads=run.settings.threads,
            forecast_length=config["table_plan"].get("forecast_length"),
        )

    def publish(staging: Path, result: dict[str, Any]) -> dict[str, Any]:
        _publish(staging / "model", place)
        return result | {"path": run.home.relative(place)}

    made = run.step("train", specify, publish)
    return {
        "model_id": model_id,
        "training_table_job_id": table_job,
        "snapshot_id": table["snapshot_id"],
        "metrics": _metrics(made["evaluation"].get("model", {})),
        "baselines": {
            name: _metrics(splits)
            for name, splits in made["evaluation"].get("baselines", {}).items()
        },
        "elapsed_seconds": made["elapsed_seconds"],
        "trials": made["summary"].get("trials", 0),
        "stopped_early": made.get("stopped_early", False),
        "files": ["holdout.parquet"] if (place / "holdout.parquet").exists() else [],
        "_model": made,
    }


def keep_model(run: Run, result: dict[str, Any]) -> dict[str, Any]:
    """Store the model of a training's result; call it in the transaction that ends the job.

    It is promoted where the job says so, or the query has none yet. One that was stopped early is
    promoted in the second case only.
    """
    made = result.pop("_model")
    job = run.job
    config = job.config
    query_id = str(job.query_id)
    query = run.catalog.queries.get(query_id, deleted=True)
    report = {**made["summary"], **made["evaluation"]}
    run.catalog.models.put(
        result["model_id"],
        query_id=query_id,
        graph_id=str(job.graph_id),
        job_id=job.id,
        training_table_job_id=result["training_table_job_id"],
        snapshot_id=result["snapshot_id"],
        path=made["path"],
        task_type=TaskType(report.get("task_type", query.task_type)),
        evaluation=report,
        lineage={
            "query": config["query"],
            "graph_id": job.graph_id,
            "snapshot_id": result["snapshot_id"],
            "training_table_job_id": result["training_table_job_id"],
            "training_job_id": job.id,
            "table_plan": config["table_plan"],
            "model_plan": config["model_plan"],
            "seeds": {
                "table": config["table_plan"].get("seed"),
                "model": config["model_plan"].get("seed"),
            },
            "code_version": __version__,
            "stopped_early": result["stopped_early"],
            "model": report.pop("lineage", {}),
        },
    )
    same = (query.text, query.graph_id) == (config["query"], job.graph_id)
    # A model whose training was cut short takes no other's place by itself.
    promote = config["promote"] and not result["stopped_early"]
    if same and (promote or query.promoted_model_id is None):
        run.catalog.models.promote(result["model_id"])
    return result


def prediction(run: Run) -> dict[str, Any]:
    """Score a given table, or one made first, and publish predictions and their reasons."""
    config = run.job.config
    table_job = config["prediction_table_job_id"]
    model_id = config["model_id"] or _result_of(run, config["training_job_id"])["model_id"]
    model = run.catalog.models.get(model_id)
    own_table = table_job is None or table_job == _inner(run, JobKind.prediction_table)
    if own_table:
        table_job = _inner(run, JobKind.prediction_table)
        table = _prediction_table(run, table_job)
        _keep_inner(run, JobKind.prediction_table, table_job, "prediction_table_job_id", table)
    else:
        table = _result_of(run, table_job)
    options: Mapping[str, Any] = config["options"]

    def specify(staging: Path) -> PredictSpec:
        return PredictSpec(
            store=run.store,
            snapshot_id=table["snapshot_id"],
            query=model.lineage["query"],
            prediction_table=str(run.home.root / table["path"]),
            model=str(run.home.root / model.path),
            out=str(staging / "out"),
            threshold=options["threshold"],
            num_classes=options["num_classes"],
            items=options.get("items"),
            levels=options.get("levels", ()),
            reasons=options["reasons"],
            highest_first=own_table and config.get("rows") is None,
            threads=run.settings.threads,
        )

    def publish(staging: Path, result: dict[str, Any]) -> dict[str, Any]:
        place = run.home.outputs(run.job_id)
        _publish(staging / "out", place)
        return result | {"path": run.home.relative(place)}

    made = run.step("predict", specify, publish)
    return {
        **made,
        "model_id": model_id,
        "prediction_table_job_id": table_job,
        "snapshot_id": table["snapshot_id"],
        "anchor": table["anchor"],
    }


Road = Callable[[Run], dict[str, Any]]

ROADS: Mapping[JobKind, Road] = {
    JobKind.ingest: ingest,
    JobKind.training_table: training_table,
    JobKind.prediction_table: prediction_table,
    JobKind.training: training,
    JobKind.prediction: prediction,
}


def _snapshot(run: Run) -> str:
    """Return the snapshot that the job uses: the named one's, or that of a fresh ingestion."""
    config = run.job.config
    if config["snapshot_job_id"] is not None:
        return str(_result_of(run, config["snapshot_job_id"])["snapshot_id"])
    return str(ingest(run)["snapshot_id"])


def _training_table(run: Run, job_id: str) -> dict[str, Any]:
    snapshot_id = _snapshot(run)
    config = run.job.config
    place = run.home.outputs(job_id)

    def specify(staging: Path) -> TrainingTableSpec:
        return TrainingTableSpec(
            store=run.store,
            snapshot_id=snapshot_id,
            query=config["query"],
            out=str(staging / "out" / _TRAINING_TABLE),
            plan=config["table_plan"],
            **_rows(run),
            allow_unmatched=config.get("allow_unmatched", False),
            threads=run.settings.threads,
            memory_limit=run.settings.engine_memory,
        )

    def publish(staging: Path, result: dict[str, Any]) -> dict[str, Any]:
        _publish(staging / "out", place)
        return result | _table(run, place / _TRAINING_TABLE, snapshot_id)

    return run.step("training_table", specify, publish)


def _prediction_table(run: Run, job_id: str) -> dict[str, Any]:
    snapshot_id = _snapshot(run)
    config = run.job.config
    place = run.home.outputs(job_id)

    def specify(staging: Path) -> PredictionTableSpec:
        return PredictionTableSpec(
            store=run.store,
            snapshot_id=snapshot_id,
            query=config["query"],
            out=str(staging / "out" / _PREDICTION_TABLE),
            anchor=config["anchor"],
            rows=_rows(run).get("rows"),
            allow_unmatched=config.get("allow_unmatched", False),
            threads=run.settings.threads,
            memory_limit=run.settings.engine_memory,
        )

    def publish(staging: Path, result: dict[str, Any]) -> dict[str, Any]:
        _publish(staging / "out", place)
        return result | _table(run, place / _PREDICTION_TABLE, snapshot_id)

    return run.step("prediction_table", specify, publish)


def _rows(run: Run) -> dict[str, Any]:
    """Return the part of a specification that says where rows of the caller's own are."""
    given = run.job.config.get("rows")
    if given is None:
        return {}
    rows = OwnRows.from_json(given)
    return {"rows": asdict(run.source_spec(rows.ref)), "weight": rows.weight}


def _table(run: Run, path: Path, snapshot_id: str) -> dict[str, Any]:
    return {
        "path": run.home.relative(path),
        "files": [path.name],
        "snapshot_id": snapshot_id,
    }


def _inner(run: Run, kind: JobKind) -> str:
    """Return the id of the table job inside a job: the same at every attempt."""
    return f"{kind.prefix}-{run.suffix}"


def _keep_inner(run: Run, kind: JobKind, job_id: str, name: str, result: Mapping[str, Any]) -> None:
    """Give a table made inside a job a record of its own, so that it can be asked for by id."""
    job = run.job
    if job.config[name] == job_id:
        return
    with run.catalog.transaction():
        run.catalog.jobs.add(
            job_id,
            kind,
            config={**job.config, "made_inside": job.id},
            query_id=job.query_id,
            graph_id=job.graph_id,
            state=JobState.DONE,
            result=result,
        )
        run.catalog.jobs.set_config(job.id, {name: job_id})


def _result_of(run: Run, job_id: str) -> dict[str, Any]:
    """Return the result of a parent, which was DONE before this job was queued."""
    return dict(run.catalog.jobs.get(job_id).result or {})


def _metrics(splits: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{split: {metric: value}}`` of an evaluation's splits."""
    return {
        split: {name: measured["value"] for name, measured in figures["metrics"].items()}
        for split, figures in splits.items()
    }


def _publish(made: Path, place: Path) -> None:
    """Move a finished directory to its final name, in place of what an earlier attempt left."""
    for path in (made, *made.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)
