"""Writing what a child says of its progress into the catalog, often enough and no oftener."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from relcast.catalog import Catalog, JobState

__all__ = ["Recorder"]

_WRITE_SECONDS = 0.5
_MOST_REPORTS = 2000
_ENDS = {"end": JobState.DONE, "broken": JobState.FAILED}


class Recorder:
    """Turns lines of ``relcast.jobs.child`` into stages and events of one job.

    A stage's beginning and end are written at once, its updates at most twice a second. Reports
    become events of type ``report``; after 2,000 of them in one step only the record is kept up.
    """

    def __init__(self, catalog: Catalog, job_id: str) -> None:
        self._catalog = catalog
        self._job_id = job_id
        self._written = 0.0
        self._reports = 0

    def heard(self, line: Mapping[str, Any]) -> None:
        """Take one line; a line of another form is no progress and is passed over."""
        name, what = line.get("stage"), line.get("is")
        if not isinstance(name, str):
            return
        if what == "report":
            self._reports += 1
            if self._reports <= _MOST_REPORTS:
                self._event("report", {"stage": name, **line.get("event", {})})
            return
        if what == "update":
            now = time.monotonic()
            if now - self._written < _WRITE_SECONDS:
                return
            self._written = now
        state = _ENDS.get(str(what), JobState.RUNNING)
        values: dict[str, Any] = {
            "done": line.get("done"),
            "total": line.get("total"),
            "unit": line.get("unit") or "",
            "detail": line.get("detail") or "",
        }
        with self._catalog.transaction():
            self._catalog.stages.put(self._job_id, name, state, begins=what == "begin", **values)
            self._event("stage", {"stage": name, "state": state.value, **values})

    def _event(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._catalog.events.add(self._job_id, kind, payload)
