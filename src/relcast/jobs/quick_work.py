"""Short computations that somebody waits for, outside of the queue of jobs.

Each runs in a child process with a bound on time and memory, few at once. Equal questions share one
child and its answer, which is kept for a while. When nobody waits for a child any more it is ended.
Nothing here blocks: who asks gets an ``Asked`` and looks at it.

Explanations share one child that stays for the next (``warm``), and wait for their turn.
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
from relcast.jobs.warm import WarmChild

__all__ = ["Asked", "QuickWork"]

_AT_ONCE = 2
_WAITING = 16
_WARM_WAITING = 8
_KEPT = 128
_WARM = "explain"
_WORDS = {_WARM: "explanation"}
"""What the answer of a command is called; by default ``training table's statistics``."""


@dataclass
class _Work:
    """One child, running or waiting for its turn, and how many wait for it."""

    key: Hashable
    command: str
    spec: Mapping[str, Any]
    askers: int = 0
    given_up: bool = False
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
        self._threads: dict[bool, ThreadPoolExecutor] = {}  # by whether the child is warm
        self._warm = WarmChild(home.staging(new_id("warm")), home.log("explanations"))
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
            if work is None or work.given_up:
                work = self._begin(key, command, spec)
            work.askers += 1
        return Asked(work, lambda: self._leave(work))

    def close(self) -> None:
        """End every child and take no more questions."""
        with self._lock:
            self._closed = True
            threads = list(self._threads.values())
        for pool in threads:
            pool.shutdown(wait=True, cancel_futures=False)
        self._warm.end()

    def _begin(self, key: Hashable, command: str, spec: Mapping[str, Any]) -> _Work:
        warm = command == _WARM
        at_once, waiting = (1, _WARM_WAITING) if warm else (_AT_ONCE, _WAITING)
        same = sum((each.command == _WARM) == warm for each in self._works.values())
        if same >= at_once + waiting:
            raise TooMany(
                f"{same} computations of {_words(command)} run or wait already",
                code="statistics.busy",
                hint="Try again in a few seconds.",
            )
        if warm not in self._threads:
            name = "relcast-warm" if warm else "relcast-quick"
            self._threads[warm] = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        work = _Work(key, command, spec)
        self._works[key] = work
        self._threads[warm].submit(self._perform, work)
        return work

    def _leave(self, work: _Work) -> None:
        with self._lock:
            work.askers -= 1

    def _perform(self, work: _Work) -> None:
        try:
            if self._wanted(work):
                ending = self._run(work)
                work.result, work.error = ending.result, self._error(ending, work.command)
            else:
                work.error = Cancelled("Nobody waits for this any more")
        except BaseException as error:  # noqa: BLE001 - a thread's error has nowhere else to go
            work.error = InternalError(f"The {_words(work.command)} could not be computed: {error}")
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
        settings = self._settings
        bounds = Bounds(
            float(settings.statistics_seconds), settings.memory_limit_mb, settings.threads
        )

        def heard(line: Mapping[str, Any]) -> None:
            work.progress = dict(line)

        def stop() -> Stop | None:
            return self._stop(work)

        if work.command == _WARM:
            return self._warm.run(work.command, work.spec, bounds, heard=heard, stop=stop)
        staging = self._home.staging(new_id("quick"))
        try:
            orders = Orders(work.command, work.spec, staging, self._home.log("statistics"))
            return run_child(orders, bounds, heard=heard, stop=stop)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _wanted(self, work: _Work) -> bool:
        """Whether somebody waits for work that has not begun."""
        with self._lock:
            work.given_up = self._closed or work.askers == 0
            return not work.given_up

    def _stop(self, work: _Work) -> Stop | None:
        with self._lock:  # who asks first is counted before the lock is given back
            unwanted = work.askers == 0
            if work.command == _WARM:
                # To finish costs less than a new child, unless somebody waits for this one.
                unwanted &= any(w.command == _WARM and w is not work for w in self._works.values())
            work.given_up = work.given_up or self._closed or unwanted
            return "cancel" if work.given_up else None

    def _error(self, ending: Ending, command: str) -> RelcastError | None:
        words = _words(command)
        less = "" if command == _WARM else "Set a longer timeframe_step or a later start_time, or "
        match ending.how:
            case "done":
                return None
            case "failed":
                return _rebuilt(ending.error or {})
            case "out_of_time":
                return TaskError(
                    f"The {words} took longer than {self._settings.statistics_seconds} seconds",
                    code="statistics.out_of_time",
                    hint=_sentence(f"{less}raise RELCAST_STATISTICS_SECONDS.")
                    + (" A training has no such bound." if less else ""),
                )
            case "out_of_memory":
                return TaskError(
                    f"The {words} needed more memory than there is",
                    code="statistics.out_of_memory",
                    hint=_sentence(f"{less}raise RELCAST_MEMORY_LIMIT_MB."),
                )
            case "crashed":
                log = "explanations" if command == _WARM else "statistics"
                return InternalError(
                    f"The process that computed the {words} died",
                    code="statistics.crashed",
                    hint=f"The log is logs/{log}.log in the home of relcast.",
                )
        return Cancelled("Nobody waits for this any more")


def _words(command: str) -> str:
    return _WORDS.get(command, "training table's statistics")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rebuilt(error: Mapping[str, Any]) -> RelcastError:
    """Return the error that a child told as JSON."""
    return TaskError(
        str(error.get("message", "")), code=error.get("code"), hint=str(error.get("hint", ""))
    )
