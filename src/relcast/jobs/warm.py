"""A child process that is kept for the next question: one at a time, bounded, never for long.

Starting one takes seconds, most of them imports. It is ended when nobody asked for five minutes,
when it is an hour old or has answered two hundred questions, when it has grown too large, and with
the server, however that ends. It is started again when it died.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from relcast.jobs.runner import (
    Bounds,
    Ending,
    Lines,
    Stop,
    end_group,
    environment,
    has_ended,
    private_memory,
)

__all__ = ["WarmChild"]

COMMAND: tuple[str, ...] = (sys.executable, "-m", "relcast.jobs.warm_child")
"""How the child is started; the number of the pipe with its questions follows."""

_IDLE_SECONDS = 300.0
_OLDEST_SECONDS = 3600.0
_MOST_ANSWERS = 200
_LARGEST_MB = 2048
_TICK = 0.05
_ASK_EVERY = 0.25
_MIB = 1024 * 1024


class WarmChild:
    """At most one child, which answers one question after the other.

    ``run`` is for one thread at a time; the others may be called from any.
    """

    def __init__(self, directory: Path, log: Path) -> None:
        """``directory`` is the child's scratch space, gone when it is; ``log`` gets its traces."""
        self._directory = directory
        self._log = log
        self._lock = threading.Lock()  # held while the child works
        self._child: _Child | None = None
        self._retiring: threading.Timer | None = None

    def run(
        self,
        command: str,
        spec: Mapping[str, Any],
        bounds: Bounds,
        *,
        heard: Callable[[Mapping[str, Any]], None],
        stop: Callable[[], Stop | None],
    ) -> Ending:
        """Answer a question within its bounds, and say how that ended; see ``runner.Ending``.

        The child outlives a fault of the user, and nothing else.
        """
        with self._lock:
            if self._retiring is not None:
                self._retiring.cancel()
            child = self._ready(bounds)
            ending = child.ask(command, spec, bounds, heard, stop)
            if ending.how not in ("done", "failed") or child.is_spent(bounds):
                self._end()
            else:
                self._retiring = threading.Timer(_IDLE_SECONDS, self.end, [child])
                self._retiring.daemon = True
                self._retiring.start()
            return ending

    def end(self, which: _Child | None = None) -> None:
        """End the child when it has nothing in hand; ``which``: only if it still is that one."""
        with self._lock:
            if which is None or which is self._child:
                self._end()

    def _ready(self, bounds: Bounds) -> _Child:
        if self._child is not None and self._child.is_gone():
            self._end()
        if self._child is None:
            self._child = _Child(self._directory, self._log, bounds.threads)
        return self._child

    def _end(self) -> None:
        if self._retiring is not None:
            self._retiring.cancel()
            self._retiring = None
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """The process and its pipes."""

    def __init__(self, directory: Path, log: Path, threads: int) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._began = time.monotonic()
        self._asked = 0
        self._answers: deque[Mapping[str, Any]] = deque()
        self._heard: Callable[[Mapping[str, Any]], None] | None = None
        questions, self._questions = os.pipe()
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                [*COMMAND, str(questions)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                pass_fds=(questions,),
                env=environment(threads, directory),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
            os.close(questions)
        self._lines = Lines(self._process, self._hear)

    def ask(
        self,
        command: str,
        spec: Mapping[str, Any],
        bounds: Bounds,
        heard: Callable[[Mapping[str, Any]], None],
        stop: Callable[[], Stop | None],
    ) -> Ending:
        self._asked += 1
        self._heard = heard
        question = {"number": self._asked, "command": command, "spec": dict(spec)}
        try:
            os.write(self._questions, (json.dumps(question) + "\n").encode())
        except BrokenPipeError:
            return Ending("crashed")
        began = ask_at = time.monotonic()
        while not self._answers:
            self._lines.wait(_TICK)
            now = time.monotonic()
            if bounds.seconds is not None and now - began > bounds.seconds:
                return Ending("out_of_time")
            if now >= ask_at:
                ask_at = now + _ASK_EVERY
                if (why := stop()) is not None:
                    return Ending("release" if why == "release" else "cancel")
                if bounds.memory_mb is not None and self._memory() > bounds.memory_mb * _MIB:
                    return Ending("out_of_memory")
            if has_ended(self._process):
                self._lines.drain()
                break
        if not self._answers:
            return Ending("crashed", status=end_group(self._process, polite=False))
        answer = self._answers.popleft()
        if answer["ok"]:
            return Ending("done", result=answer["result"])
        if answer.get("out_of_memory"):
            return Ending("out_of_memory")
        return Ending("failed", error=answer["error"])

    def is_gone(self) -> bool:
        return has_ended(self._process)

    def is_spent(self, bounds: Bounds) -> bool:
        """Whether the next question had better go to a new child."""
        most = _LARGEST_MB if bounds.memory_mb is None else bounds.memory_mb // 2
        return (
            self._asked >= _MOST_ANSWERS
            or time.monotonic() - self._began > _OLDEST_SECONDS
            or self._memory() > most * _MIB
        )

    def end(self) -> None:
        """End it and all of its group, and take its scratch space away."""
        end_group(self._process, polite=False)
        self._lines.close()
        os.close(self._questions)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _memory(self) -> int:
        return private_memory(self._process.pid)

    def _hear(self, line: Mapping[str, Any]) -> None:
        if line.get("answer") == self._asked:
            self._answers.append(line)
        elif self._heard is not None:
            self._heard(line)
