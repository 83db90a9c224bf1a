"""Short computations that somebody waits for, outside of the queue of jobs.

Each runs in a child process with a bound on time and memory, few at once. Equal questions share one
child and its answer, which is kept for a while. When nobody waits for a child any more it is ended.
Nothing here blocks: who asks gets an ``Asked`` and looks at it.
"""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from relcast.core.errors import (
    Cancelled,
    InternalError,
    RelcastError,
    TaskError,
    TooMany,
)
from relcast.core.ids import new_id
from relcast.core.settings import Settings
from relcast.jobs.home import Home
from relcast.jobs.runner import Bounds, Ending, Orders, Stop, run_child

__all__ = ["Asked", "QuickWork"]

_AT_ONCE = 2
_WAITING = 16
_KEPT = 128


@dataclass
class _Work:
    """One child, running or waiting for its turn, and how many wait for it."""

    key: Hashable
    command: str
    spec: Mapping[str, Any]
    askers: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    result: Mapping[str, Any] | None = None
    error: RelcastError | None = None


class Asked:
    """A question that was asked; call ``leave`` when its answer is not wanted any more."""

    def __init__(self, work: _Work, leave: Callable[[], None]) -> None:
        self._work = work
        self._leave = leave
        self._left = False

    @property
    def done(self) -> bool:
        """Whether there is an answer, or an error in its place."""
        return self._work.ended.is_set()

    @property
    def progress(self) -> Mapping[str, Any]:
        """The newest line of progress: ``stage``, ``done``, ``total``, ``unit``, ``detail``."""
        return self._work.progress

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it came. Not for an event loop."""
        return self._work.ended.wait(seconds)

    def result(self) -> Mapping[str, Any]:
        """Return the answer, or raise the error that came in its place; call it when ``done``."""
        if self._work.error is not None:
            raise self._work.error
        if self._work.result is None:
            raise InternalError("the answer was asked for before it was there")
        return self._work.result

    def leave(self) -> None:
        """Do not wait any more; the last one who leaves ends the child. Safe to repeat."""
        if not self._left:
            self._left = True
            self._leave()


class QuickWork:
    """The short computations of one process over a home."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._lock = threading.Lock()
        self._works: dict[Hashable, _Work] = {}
        self._kept: OrderedDict[Hashable, _Work] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    def ask(self, key: Hashable, command: str, spec: Mapping[str, Any]) -> Asked:
        """Ask for the result of a command of ``relcast.jobs.child``; ``key`` is what it depends on.

        Raises ``statistics.busy`` (429) when too many wait already.
        """
        with self._lock:
            if self._closed:
                raise Cancelled("relcast is stopping")
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return Asked(kept, lambda: None)
            work = self._works.get(key)
            if work is None or work.askers == 0:  # one that everybody left is being ended
                work = self._begin(key, command, spec)
            work.askers += 1
        return Asked(work, lambda: self._leave(work))

    def close(self) -> None:
        """End every child and take no more questions."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=False)

    def _begin(self, key: Hashable, command: str, spec: Mapping[str, Any]) -> _Work:
        if len(self._works) >= _AT_ONCE + _WAITING:
            raise TooMany(
                f"{len(self._works)} computations of statistics run or wait already",
                code="statistics.busy",
                hint="Try again in a few seconds.",
            )
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="relcast-quick")
        work = _Work(key, command, spec)
        self._works[key] = work
        self._threads.submit(self._perform, work)
        return work

    def _leave(self, work: _Work) -> None:
        with self._lock:
            work.askers -= 1

    def _perform(self, work: _Work) -> None:
        try:
            if self._stop(work) is None:
                ending = self._run(work)
                work.result, work.error = ending.result, self._error(ending)
            else:
                work.error = Cancelled("Nobody waits for this any more")
        except BaseException as error:  # noqa: BLE001 - a thread's error has nowhere else to go
            work.error = InternalError(f"The statistics could not be computed: {error}")
        finally:
            with self._lock:
                if self._works.get(work.key) is work:
                    del self._works[work.key]
                if work.error is None:
                    self._kept[work.key] = work
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
            work.ended.set()

    def _run(self, work: _Work) -> Ending:
        name = new_id("quick")
        staging = self._home.staging(name)
        settings = self._settings
        bounds = Bounds(
            float(settings.statistics_seconds), settings.memory_limit_mb, settings.threads
        )
        try:
            return run_child(
                Orders(work.command, work.spec, staging, self._home.log("statistics")),
                bounds,
                heard=lambda line: setattr(work, "progress", dict(line)),
                stop=lambda: self._stop(work),
            )
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _stop(self, work: _Work) -> Stop | None:
        with self._lock:  # who asks first is counted before the lock is given back
            return "cancel" if self._closed or work.askers == 0 else None

    def _error(self, ending: Ending) -> RelcastError | None:
        match ending.how:
            case "done":
                return None
            case "failed":
                return _rebuilt(ending.error or {})
            case "out_of_time":
                return TaskError(
                    "The training table's statistics took longer than "
                    f"{self._settings.statistics_seconds} seconds",
                    code="statistics.out_of_time",
                    hint="Set a longer timeframe_step or a later start_time, or raise "
                    "RELCAST_STATISTICS_SECONDS. A training has no such bound.",
                )
            case "out_of_memory":
                return TaskError(
                    "The training table's statistics need more memory than there is",
                    code="statistics.out_of_memory",
                    hint="Set a longer timeframe_step or a later start_time, or raise "
                    "RELCAST_MEMORY_LIMIT_MB.",
                )
            case "crashed":
                return InternalError(
                    "The process that computed the statistics died",
                    code="statistics.crashed",
                    hint="The log is logs/statistics.log in the home of relcast.",
                )
        return Cancelled("Nobody waits for this any more")


def _rebuilt(error: Mapping[str, Any]) -> RelcastError:
    """Return the error that a child told as JSON."""
    return TaskError(
        str(error.get("message", "")), code=error.get("code"), hint=str(error.get("hint", ""))
    )
