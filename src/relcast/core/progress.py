"""Progress: how slow work tells whoever waits where it is, and learns that it should stop.

Work takes a ``Progress`` and opens one stage after another. Who listens (a terminal bar, a job's
record, nobody) is the caller's choice. Names of stages are those of ``jobs.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, Self

__all__ = ["SILENT", "Progress", "Silent", "Stage", "StageName"]

StageName = Literal[
    "Ingestion", "Training table", "Training", "Evaluation", "Predicting", "Writing"
]


class Stage(Protocol):
    """One running stage; a context manager that ends it."""

    def update(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Say how far the stage is; may raise ``Cancelled`` when it should stop."""

    def report(self, event: Mapping[str, Any]) -> None:
        """Give a JSON-ready event of the stage (a trial's metric, say) to whoever listens."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Progress(Protocol):
    """Where slow work reports to."""

    def stage(self, name: StageName, total: float | None = None, unit: str = "") -> Stage:
        """Begin a stage; use the answer in a ``with`` statement."""


class Silent:
    """A progress and a stage that nobody listens to."""

    def stage(self, name: StageName, total: float | None = None, unit: str = "") -> Silent:
        return self

    def update(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        detail: str | None = None,
    ) -> None:
        return None

    def report(self, event: Mapping[str, Any]) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


SILENT: Progress = Silent()
