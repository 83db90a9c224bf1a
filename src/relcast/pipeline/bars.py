"""Progress bars in a terminal or a notebook, one line a stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from relcast.core.progress import SILENT, StageName
from relcast.core.progress import Progress as Listener

__all__ = ["Bars", "Listening", "listener"]

Listening = Listener | Literal["auto"] | bool


class Bars:
    """A ``Progress`` that draws on standard error."""

    def stage(self, name: StageName, total: float | None = None, unit: str = "") -> _Bar:
        return _Bar(name, total, unit)


class _Bar:
    """One stage: a bar while it runs, a line with its time when it is done."""

    def __init__(self, name: str, total: float | None, unit: str) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<15}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=Console(stderr=True),
        )
        self._task: TaskID = self._progress.add_task(name, total=total, detail="")
        self._unit = unit

    def update(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        detail: str | None = None,
    ) -> None:
        self._unit = unit or self._unit
        if total is not None:
            self._progress.update(self._task, total=total)
        if done is not None:
            self._progress.update(self._task, completed=done)
        if detail is not None:
            self._progress.update(self._task, detail=detail)

    def report(self, event: Mapping[str, Any]) -> None:
        learner, value = event.get("learner"), event.get("validation")
        if learner and isinstance(value, float):
            name = event.get("metric", "validation")
            self.update(detail=f"{learner}: {name} {value:.4g} on validation")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            task = self._progress.tasks[0]
            total = task.total or task.completed or 1
            self._progress.update(self._task, total=total, completed=total)
        self._progress.stop()


def listener(progress: Listening) -> Listener:
    """Return bars for True, silence for False; ``auto`` draws where somebody can see it."""
    if progress == "auto":
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    if progress is True:
        return Bars()
    if progress is False:
        return SILENT
    return progress
