"""Running a step in a child process: start it, listen to it, bound it, end it.

The child leads a process group of its own. When it ends, or has to, nothing of its group stays.
Neither the catalog nor the engine is known here.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from relcast.core.errors import Cancelled

__all__ = [
    "Bounds",
    "Ending",
    "Lines",
    "Orders",
    "Stop",
    "end_group",
    "environment",
    "has_ended",
    "private_memory",
    "run_child",
]

COMMAND: tuple[str, ...] = (sys.executable, "-m", "relcast.jobs.child")
"""How a child is started; the paths of its orders and its answer follow."""

_TICK = 0.1
_ASK_EVERY = 0.25
_MEASURE_EVERY = 0.5
_GRACE = 10.0
_HINT_SECONDS = 5.0
_KEEP_SECONDS = 300.0
_LONGEST_LINE = 1 << 20

_Why = Literal["cancel", "release", "out_of_time", "out_of_memory"]
Stop = Literal["cancel", "release", "keep"]
"""Why a child has to end: at once, at once because its worker does, or once its best is kept."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a child does: a command of ``relcast.jobs.child``, its specification, and its places."""

    command: str
    spec: Mapping[str, Any]
    directory: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use: seconds, MiB of private memory (None: unbounded), threads."""

    seconds: float | None = None
    memory_mb: int | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended.

    ``how`` is ``done`` (with ``result``), ``failed`` (the user's fault, with ``error``),
    ``crashed`` (with ``status``, an exit status or minus a signal), ``out_of_time``,
    ``out_of_memory``, ``cancel`` or ``release`` (it was told to stop). A child that was told to
    keep its best is ``done`` when it did, and else ``cancel``.
    """

    how: Literal["done", "failed", "crashed", "out_of_time", "out_of_memory", "cancel", "release"]
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    status: int | None = None


def run_child(
    orders: Orders,
    bounds: Bounds,
    *,
    heard: Callable[[Mapping[str, Any]], None],
    stop: Callable[[], Stop | None],
) -> Ending:
    """Run a step to its end and say how it ended.

    ``heard`` gets each line of progress; ``stop`` is asked four times a second whether the child
    has to end. To keep its best so far it has five minutes; after five seconds it is interrupted
    where it stands. Every process of the child's group is gone when this returns.
    """
    orders.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    orders.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    spec_path = orders.directory / f".{orders.command}.spec.json"
    result_path = orders.directory / f".{orders.command}.result.json"
    result_path.unlink(missing_ok=True)
    spec_path.write_text(json.dumps({"command": orders.command, "spec": dict(orders.spec)}))
    log = os.open(orders.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            [*COMMAND, str(spec_path), str(result_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(bounds.threads, orders.directory),
            start_new_session=True,
        )
    finally:
        os.close(log)
    told: _Why | None
    keeping = _Keeping(child)
    try:
        told = _attend(child, bounds, heard, stop, keeping)
    finally:
        status = end_group(child, polite=False)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
    if told is not None:
        return Ending(told, status=status)
    try:
        answer = json.loads(result_path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return Ending("cancel" if keeping.asked else "crashed", status=status)
    if answer["ok"]:
        return Ending("done", result=answer["result"])
    if answer.get("out_of_memory"):
        return Ending("out_of_memory")
    if answer["error"]["code"] == Cancelled.default_code:  # told to keep, it had nothing yet
        return Ending("cancel")
    return Ending("failed", error=answer["error"])


def _attend(
    child: subprocess.Popen[bytes],
    bounds: Bounds,
    heard: Callable[[Mapping[str, Any]], None],
    stop: Callable[[], Stop | None],
    keeping: _Keeping,
) -> _Why | None:
    """Listen until the child has ended by itself (None) or was ended, and say why."""
    began = time.monotonic()
    ask_at = measure_at = began
    lines = Lines(child, heard)
    while True:
        lines.wait(_TICK)
        now = time.monotonic()
        why: _Why | None = None
        if now >= ask_at:
            ask_at = now + _ASK_EVERY
            asked = stop()
            why = keeping.remind(now) if asked == "keep" else asked
        if bounds.seconds is not None and now - began > bounds.seconds:
            why = why or "out_of_time"
        if bounds.memory_mb is not None and now >= measure_at:
            measure_at = now + _MEASURE_EVERY
            if private_memory(child.pid) > bounds.memory_mb * 1024 * 1024:
                why = why or "out_of_memory"
        if why is not None:
            end_group(child, polite=True)
            return why
        if has_ended(child):
            lines.drain()
            return None


class _Keeping:
    """A child that was told to publish its best so far, and how long it has for that."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.asked = 0
        self._child = child
        self._began = 0.0

    def remind(self, now: float) -> Literal["cancel"] | None:
        """Tell the child, and again when it does not seem to hear; ``cancel`` when it is late."""
        if self.asked == 0:
            self._began = now
        waits = now - self._began
        if waits > _KEEP_SECONDS:
            return "cancel"
        if self.asked == 0 or (self.asked == 1 and waits > _HINT_SECONDS):
            self.asked += 1
            if self._child.stdin is not None:
                with suppress(BrokenPipeError):  # it has ended
                    os.write(self._child.stdin.fileno(), b"k")
        return None


class Lines:
    """The child's standard output, line by line, without ever blocking on it."""

    def __init__(
        self, child: subprocess.Popen[bytes], heard: Callable[[Mapping[str, Any]], None]
    ) -> None:
        if child.stdout is None:  # it was opened as a pipe above
            message = "the child has no standard output"
            raise RuntimeError(message)
        self._descriptor = child.stdout.fileno()
        os.set_blocking(self._descriptor, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._descriptor, selectors.EVENT_READ)
        self._heard = heard
        self._rest = b""
        self._open = True

    def wait(self, seconds: float) -> None:
        """Wait for output, at most so long, and pass it on."""
        if not self._open:
            time.sleep(seconds)
        elif self._selector.select(seconds):
            self._read()

    def drain(self) -> None:
        """Pass on what is left."""
        while self._open and self._read():
            pass
        self.close()

    def close(self) -> None:
        """Stop listening."""
        if self._open:
            self._open = False
            self._selector.close()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._open = False
            self._selector.close()
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LONGEST_LINE:]
        for line in lines:
            with suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    self._heard(said)
        return True


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child ended; it is not reaped, so that its group's number stays its own."""
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    return (
        child.returncode is not None
        or os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    )


def end_group(child: subprocess.Popen[bytes], *, polite: bool) -> int:
    """End the whole group, and return the child's status. A polite end has ten seconds."""
    if child.returncode is not None:
        return child.returncode
    strays = _descendants(child.pid)
    if polite:
        _signal_group(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline and _living(child.pid):
            time.sleep(0.02)
    _signal_group(child.pid, signal.SIGKILL)
    for stray in strays:  # those that left the group
        with suppress(psutil.NoSuchProcess):
            stray.kill()
    return child.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _living(group: int) -> bool:
    """Whether any process of the group still runs."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def private_memory(pid: int) -> int:
    """Return the bytes of private memory of a process and its descendants.

    Mapped files (snapshots) do not count: the kernel takes those pages back when it needs them.
    """
    total = 0
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        with suppress(psutil.Error):
            info = process.memory_info()
            total += max(0, info.rss - getattr(info, "shared", 0))
    return total


def environment(threads: int, scratch: Path) -> dict[str, str]:
    """Return the child's environment: our settings and secrets stay here."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RELCAST_")}
    count = str(threads)
    return kept | {
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "NUMBA_NUM_THREADS": count,
        # Threads that wait give the processor back: the server needs it for status calls.
        "OMP_WAIT_POLICY": "passive",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(scratch),
    }
