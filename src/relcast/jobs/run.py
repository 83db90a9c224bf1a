"""One run of one job: its record, and steps whose results are stored.

A step is done by a child process, publishes its files under their final names, and only then is its
result stored by the engine. A run that is taken up again gets the stored results of the steps that
were finished, and does the others anew.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbos import DBOS

from relcast.catalog import Catalog, JobRecord
from relcast.core.errors import UserError
from relcast.core.settings import Settings
from relcast.jobs.home import Home
from relcast.jobs.recording import Recorder
from relcast.jobs.runner import Bounds, Ending, Orders, Stop, run_child

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Run", "RunCancelled", "RunFailed", "RunReleased", "crashed"]

_TRIES_AFTER_A_KILL = 2
_KEEPS = "train"


class RunFailed(Exception):
    """The job ends FAILED with this error (``RelcastError.to_json()``)."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.error = dict(error)


class RunCancelled(Exception):
    """The job was asked to stop, and has."""


class RunReleased(BaseException):
    """The worker stops; the job goes back to the queue.

    Not an ``Exception``, so that the engine stores it neither as a step's nor as a workflow's end.
    """


class Run:
    """A job that is being run."""

    def __init__(
        self,
        job_id: str,
        attempt: int,
        *,
        catalog: Catalog,
        home: Home,
        settings: Settings,
        source_spec: Callable[..., Any],
        leaving: Callable[[], bool],
    ) -> None:
        """``leaving`` says whether the worker stops; ``source_spec`` is the platform's."""
        self.job_id = job_id
        self.attempt = attempt
        self.catalog = catalog
        self.home = home
        self.settings = settings
        self.source_spec = source_spec
        self._leaving = leaving
        self._began = time.monotonic()

    @property
    def job(self) -> JobRecord:
        """The job as it stands now."""
        return self.catalog.jobs.get(self.job_id)

    @property
    def suffix(self) -> str:
        """The random part of the job's id, which names what the job makes."""
        return self.job_id.rpartition("-")[2]

    @property
    def store(self) -> str:
        return str(self.home.snapshots)

    def step(
        self,
        command: str,
        specify: Callable[[Path], DataclassInstance],
        publish: Callable[[Path, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Run a step, or return its stored result.

        ``specify`` gets the step's staging directory and returns the specification; ``publish``
        moves the files to their final place and returns the result to be stored. Raises
        ``RunFailed``, ``RunCancelled``, ``RunReleased``.
        """
        self._heed(self._asked())

        def perform() -> dict[str, Any]:
            if self._asked() == "keep":  # before there was anything
                return {"how": "cancel", "error": None}
            staging = self.home.staging(self.job_id) / command
            shutil.rmtree(staging, ignore_errors=True)  # leftovers of an attempt that died
            staging.mkdir(parents=True, mode=0o700)
            try:
                try:
                    orders = asdict(specify(staging))
                except UserError as error:  # what the job needs is gone since it was posted
                    return {"how": "failed", "error": error.to_json()}
                ending = self._child(command, orders, staging)
                if ending.how != "done":
                    return {"how": ending.how, "error": self._explain(ending, command)}
                result = dict(ending.result or {})
                return {"how": "done", "result": publish(staging, result) if publish else result}
            finally:
                shutil.rmtree(staging, ignore_errors=True)

        answer: dict[str, Any] = DBOS.run_step({"name": command}, perform)
        if answer["how"] == "cancel":
            raise RunCancelled
        if answer["how"] != "done":
            raise RunFailed(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _child(self, command: str, spec: Mapping[str, Any], staging: Path) -> Ending:
        recorder = Recorder(self.catalog, self.job_id)
        orders = Orders(command, spec, staging, self.home.log(self.job_id))
        for _ in range(_TRIES_AFTER_A_KILL):
            bounds = Bounds(self._left(), self.settings.memory_limit_mb, self.settings.threads)
            ending = run_child(
                orders, bounds, heard=recorder.heard, stop=lambda: self._asked_in(command)
            )
            if ending.how == "release":
                raise RunReleased
            killed = ending.how == "crashed" and ending.status is not None and ending.status < 0
            if not killed:
                break
        return ending

    def _left(self) -> float | None:
        """Return the seconds that this run of the job may still take; None is no bound."""
        most = self.settings.max_run_seconds
        return None if most is None else max(0.0, most - (time.monotonic() - self._began))

    def _asked(self) -> Stop | None:
        asked = self.catalog.jobs.stop_asked(self.job_id)
        if asked == "discard":
            return "cancel"
        if self._leaving():
            return "release"
        return "keep" if asked == "keep best" else None

    def _asked_in(self, command: str) -> Stop | None:
        """Return what a step has to heed; only the one that trains has a best so far."""
        asked = self._asked()
        return "cancel" if asked == "keep" and command != _KEEPS else asked

    @staticmethod
    def _heed(asked: Stop | None) -> None:
        if asked == "cancel":
            raise RunCancelled
        if asked == "release":
            raise RunReleased

    def _explain(self, ending: Ending, command: str) -> dict[str, Any] | None:
        """Return the error of an ending that is neither done nor cancelled."""
        match ending.how:
            case "failed":
                return dict(ending.error or {})
            case "out_of_time":
                return _error(
                    "job.out_of_time",
                    f"The job ran longer than {self.settings.max_run_seconds} seconds, "
                    f"up to the step {command!r}",
                    "Raise RELCAST_MAX_RUN_SECONDS, take a faster run mode, or use less data.",
                )
            case "out_of_memory":
                limit = self.settings.memory_limit_mb
                bound = "all the memory there is" if limit is None else f"more than {limit} MB"
                return _error(
                    "job.out_of_memory",
                    f"The step {command!r} needed {bound}",
                    "Raise RELCAST_MEMORY_LIMIT_MB, lower max_training_rows of the model's plan, "
                    "or leave out columns and tables that the query does not need.",
                )
            case "crashed":
                return crashed(self.job_id, f"The step {command!r} crashed ({_cause(ending)})")
        return None


def crashed(job_id: str, message: str) -> dict[str, Any]:
    """Return the error of a job that ended by our fault, with a reference to its log."""
    return _error(
        "job.crashed",
        message,
        f"This is not your fault. The log is logs/{job_id}.log in the home of relcast.",
        status=500,
    )


def _cause(ending: Ending) -> str:
    status = ending.status
    if status is None:
        return "it left no result"
    if -status == signal.SIGKILL:
        return "it was killed, as the system does when memory runs out"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _error(code: str, message: str, hint: str, status: int = 422) -> dict[str, Any]:
    return {"code": code, "status": status, "message": message, "hint": hint, "faults": []}
