"""Commands about the jobs of a home: list, show, cancel. A server or worker does the work."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from relcast.cli.platform import AsJson, Home
from relcast.core.settings import Settings

if TYPE_CHECKING:
    from relcast.catalog import JobRecord
    from relcast.jobs import Platform

__all__ = ["cancel", "list_jobs", "show"]

_LOOK_SECONDS = 0.2

JobId = Annotated[str, typer.Argument(help="The job's id, such as trainingjob-…")]


def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as training.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state, such as RUNNING.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    home: Home = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    found = _open(home).jobs(kind=kind, state=state, limit=limit).items
    if as_json:
        typer.echo(json.dumps([job.to_json() for job in found]))
        return
    table = Table()
    for column in ("job", "kind", "state", "stage", "created"):
        table.add_column(column)
    for job in found:
        stage = job.stage.name if job.stage else ""
        created = job.created_at.isoformat(timespec="seconds")
        table.add_row(job.id, job.kind.value, job.state.value, stage, created)
    Console(highlight=False).print(table)


def show(job_id: JobId, home: Home = None, *, as_json: AsJson = False) -> None:
    """Show a job: its state, its stages, and what it made or why it failed."""
    _tell(_open(home).job(job_id), as_json=as_json)


def cancel(
    job_id: JobId,
    keep_best: Annotated[
        bool | None,
        typer.Option(
            "--keep-best/--discard",
            help="Of a training: publish the best so far, or nothing. Default: what its plan says.",
        ),
    ] = None,
    home: Home = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a job to stop. A server or worker of the home hears it within a second."""
    platform = _open(home)
    platform.cancel(job_id, keep_best=keep_best)
    job = platform.job(job_id)
    while wait and not job.state.is_terminal:
        time.sleep(_LOOK_SECONDS)
        job = platform.job(job_id)
    _tell(job, as_json=as_json)


def _open(home: Home) -> Platform:
    from relcast.jobs import Platform

    return Platform.open(Settings.load(home))


def _tell(job: JobRecord, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(job.to_json(), default=str))
        return
    console = Console(highlight=False)
    console.print(f"{job.id}: {_state(job)}", markup=False, soft_wrap=True)
    for stage in job.stages:
        if stage.started_at is not None:
            line = f"  {stage.name}: {stage.state.value} {stage.detail}".rstrip()
            console.print(line, markup=False, soft_wrap=True)
    result = job.result or {}
    for split, metrics in result.get("metrics", {}).items():
        said = ", ".join(f"{k} {v:.4g}" for k, v in metrics.items() if v is not None)
        console.print(f"  {split}: {said}", markup=False, soft_wrap=True)
    if model := result.get("model_id"):
        console.print(f"  model {model}", markup=False, soft_wrap=True)
    if job.error is not None:
        console.print(f"  {job.error['message']}", markup=False, soft_wrap=True)
        console.print(f"  {job.error['hint']}", markup=False, soft_wrap=True)


def _state(job: JobRecord) -> str:
    state = job.state.value
    if job.result is not None and job.result.get("stopped_early"):
        return f"{state}, stopped early: the best so far is published"
    if job.cancel_requested and not job.state.is_terminal:
        return f"{state}, asked to stop" + (" and keep its best so far" if job.keep_best else "")
    return state
