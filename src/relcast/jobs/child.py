"""The child process of a job: one step of the pipeline, away from the server.

    python -m relcast.jobs.child SPEC.json RESULT.json

``SPEC`` is ``{"command": "train", "spec": {...}}`` with the fields of that step's specification.
``RESULT`` is written whole or not at all: ``{"ok": true, "result": {...}}``, or ``{"ok": false,
"error": {...}}`` for a fault of the user. Anything else ends with a trace on standard error, which
is the job's log, and exit status 1. Progress goes to standard output as JSON lines, and nothing
else does: what libraries print is sent to the log.

Standard input is a lifeline: when it ends, the server is gone, and the whole process group goes
too. The process that is started guards that; the step runs in its fork. What comes over it asks a
training to stop and publish its best so far (see ``relcast.jobs.stopping``).
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TextIO

from relcast.core.errors import Cancelled, RelcastError
from relcast.core.progress import StageName
from relcast.jobs.stopping import SIGNAL, Stopping
from relcast.outputs import atomic_path

__all__ = ["LineProgress", "live_and_die_with_the_server", "main"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_NICENESS = 5
_UPDATE_SECONDS = 0.2
_LOOK_SECONDS = 0.1


class LineProgress:
    """A progress whose stages are JSON lines; an update of one that is to stop raises."""

    def __init__(self, stream: TextIO, stopping: Stopping | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.stopping = stopping or Stopping()

    def stage(self, name: StageName, total: float | None = None, unit: str = "") -> LineStage:
        return LineStage(self, name, total, unit)

    def send(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, default=_plain)
        with self._lock:
            self._stream.write(text + "\n")
            self._stream.flush()


class LineStage:
    """One stage: its beginning, its updates (at most five a second), its reports, its end."""

    def __init__(
        self, progress: LineProgress, name: StageName, total: float | None, unit: str
    ) -> None:
        self._progress = progress
        self._stopping = progress.stopping
        self._name: StageName = name
        self._state: dict[str, Any] = {"done": None, "total": total, "unit": unit, "detail": ""}
        self._sent = 0.0

    def update(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        detail: str | None = None,
    ) -> None:
        given = {"done": done, "total": total, "unit": unit, "detail": detail}
        self._state |= {key: value for key, value in given.items() if value is not None}
        self._stopping.check()
        now = time.monotonic()
        if now - self._sent >= _UPDATE_SECONDS:
            self._sent = now
            self._send("update", **self._state)

    def report(self, event: Mapping[str, Any]) -> None:
        self._send("report", event=dict(event))

    def __enter__(self) -> Self:
        self._stopping.begins(self._name)
        self._send("begin", **self._state)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.ends(self._name)
        if kind is None and self._name == "Training" and self._stopping.stopped:
            self._state["detail"] = "stopped early; the best so far is published"
        self._send("end" if kind is None else "broken", **self._state)

    def _send(self, what: str, **more: Any) -> None:
        self._progress.send({"stage": self._name, "is": what, **more})


def main(arguments: list[str]) -> int:
    """Run one step; return the exit status."""
    spec_path, result_path = Path(arguments[0]), Path(arguments[1])
    stopping = Stopping()
    stopping.listen()  # before the fork: the signal that nobody hears ends a process
    live_and_die_with_the_server()
    os.umask(0o077)
    # Progress keeps the real standard output; everybody else's becomes the log's.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        order = json.loads(spec_path.read_text())
        result = _run(order["command"], order["spec"], LineProgress(lines, stopping))
        answer = {"ok": True, "result": result}
    except KeyboardInterrupt:
        answer = {"ok": False, "error": Cancelled("The training was asked to stop").to_json()}
    except RelcastError as error:
        if error.status >= 500:
            traceback.print_exc()
            return 1
        answer = {"ok": False, "error": error.to_json()}
    except MemoryError:
        traceback.print_exc()
        answer = {"ok": False, "out_of_memory": True}
    except Exception:  # noqa: BLE001 — the trace is for the log; the parent says "crashed"
        traceback.print_exc()
        return 1
    with atomic_path(result_path) as temporary:
        temporary.write_text(json.dumps(answer, default=_plain))
    return 0


def _run(command: str, spec: Mapping[str, Any], progress: LineProgress) -> dict[str, Any]:
    from relcast.pipeline import steps

    roads: dict[str, tuple[type[Any], Callable[..., Any]]] = {
        "ingest": (steps.IngestSpec, steps.ingest),
        "training_table": (steps.TrainingTableSpec, steps.training_table),
        "explain": (steps.ExplainSpec, steps.explain),
        "outline": (steps.OutlineSpec, steps.outline),
        "train": (steps.TrainSpec, steps.train),
        "prediction_table": (steps.PredictionTableSpec, steps.prediction_table),
        "predict": (steps.PredictSpec, steps.predict),
    }
    kind, step = roads[command]
    result = dataclasses.asdict(step(kind(**spec), progress))
    return result | {"stopped_early": True} if progress.stopping.stopped else result


def live_and_die_with_the_server() -> None:
    """Fork: the caller goes on as the worker, and the process that was started guards it.

    The guard ends as the worker ends. When its standard input ends, the server is gone, and it
    ends the whole group. It is a process of its own because a worker deep in foreign code may not
    get to look at a pipe for minutes. Call it before there are threads.
    """
    with suppress(OSError):
        os.nice(_NICENESS)
    worker = os.fork()
    if worker:
        _guard(worker)
    if sys.platform == "linux":
        # Should somebody kill the guard, the kernel ends the worker.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _guard(worker: int) -> NoReturn:
    # The group is told to stop politely first; the guard stays until the worker has.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.close(1)  # progress ends when the worker does
    waits = [0, os.pidfd_open(worker)] if hasattr(os, "pidfd_open") else [0]
    while True:
        ready, _, _ = select.select(waits, [], [], None if len(waits) == 2 else _LOOK_SECONDS)
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code >= 0:
                os._exit(code)
            with suppress(OSError):  # two signals cannot be set, and need not be
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        if 0 not in ready:
            continue
        if os.read(0, 4096):
            os.kill(worker, SIGNAL)
        else:
            if os.getpgrp() == os.getpid():  # only ever our own group
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
            os._exit(1)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and paths as JSON has them."""
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__name__} has no form in JSON"
    raise TypeError(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
