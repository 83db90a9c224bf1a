"""The platform's part for jobs that were posted: reading, cancelling, and the files they made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from relcast.catalog import JobEvent, JobKind, JobRecord, JobState, Page
from relcast.core.errors import Conflict, InvalidRequest
from relcast.jobs.previewing import PredictionPreview, read_preview
from relcast.jobs.rooms import Rooms, checked_tags

__all__ = ["Following"]

_MOST = 200


class Following(Rooms):
    """Jobs of every kind, followed to their end."""

    def job(self, job_id: str) -> JobRecord:
        """Return a job; raises ``job.not_found``."""
        return self.catalog.jobs.get(job_id)

    def jobs(
        self,
        kind: JobKind | str | None = None,
        state: JobState | str | None = None,
        query_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[JobRecord]:
        """Return a page of jobs, newest first; ``limit`` is cut to 1..200.

        Raises ``request.bad_cursor`` and ``request.bad_filter``.
        """
        try:
            of_kind = None if kind is None else JobKind(kind)
            of_state = None if state is None else JobState(state)
        except ValueError as error:
            raise InvalidRequest(
                f"Jobs cannot be filtered so: {error}",
                code="request.bad_filter",
                hint=f"Kinds: {', '.join(JobKind)}. States: {', '.join(JobState)}.",
            ) from None
        return self.catalog.jobs.page(
            kind=of_kind,
            state=of_state,
            query_id=query_id,
            tags=tags,
            limit=max(1, min(limit, _MOST)),
            cursor=cursor,
        )

    def latest(self, query: str, kind: JobKind | str) -> JobRecord | None:
        """Return the newest job of a kind of a query (id or name); None when there is none."""
        found = self.jobs(kind=kind, query_id=self.catalog.queries.get(query).id, limit=1).items
        return found[0] if found else None

    def cancel(self, job_id: str, *, keep_best: bool | None = None) -> bool:
        """Ask a job to stop; True when it is cancelled or will be, False when it had ended.

        A waiting job is CANCELLED at once; a running one within seconds. Asking twice is no error.

        With ``keep_best`` a training that runs publishes the best model that it has by then: the
        job ends DONE, its result says ``stopped_early``, and the model is promoted only where the
        query has none yet. It ends CANCELLED where there is nothing yet (before the first baseline
        is scored) or publishing takes longer than five minutes. Asked again without ``keep_best``,
        it ends at once. None does what the training's plan says (``on_stop``).

        Raises ``job.nothing_to_keep`` for jobs of other kinds.
        """
        before = self.job(job_id)
        trains = before.kind is JobKind.training
        if keep_best and not trains:
            raise InvalidRequest(
                f"Job {job_id} is of kind {before.kind.value}, which has no best so far",
                code="job.nothing_to_keep",
                hint="Cancel it without keep_best. Only a training has something to keep.",
            )
        if before.state.is_terminal:
            return before.state is JobState.CANCELLED
        if keep_best is None:
            keep_best = trains and before.config["model_plan"].get("on_stop") == "publish"
        state = self.catalog.jobs.request_cancel(job_id, keep_best=keep_best)
        self._wake()
        return state in (JobState.RUNNING, JobState.CANCELLED)

    def events(self, job_id: str, after: int = 0, limit: int = 1000) -> list[JobEvent]:
        """Return a job's events with a ``seq`` above ``after``, in order."""
        return self.catalog.events.after(job_id, after, limit)

    def update_tags(self, job_id: str, tags: Mapping[str, str | None]) -> JobRecord:
        """Set tags of a job; None removes one."""
        checked_tags({k: v for k, v in tags.items() if v is not None})
        job = self.job(job_id)
        self.catalog.jobs.set_tags(job.id, tags)
        return self.job(job_id)

    def queue_length(self) -> int:
        """Return how many jobs wait."""
        return self.catalog.jobs.waiting()

    def output_path(self, job_id: str, name: str) -> Path:
        """Return a file that a job published; raises ``job.not_done`` and ``file.not_found``.

        Names: those of ``result["files"]``, ``result["reasons"]``, and ``holdout.parquet`` of a
        training.
        """
        job = self.job(job_id)
        if job.state is not JobState.DONE:
            raise Conflict(
                f"Job {job_id} is {job.state.value}; it has no files yet",
                code="job.not_done",
                hint="Wait until it is DONE.",
            )
        if job.kind is JobKind.training and (model := self.catalog.models.of_job(job_id)):
            return self.home.inside(model.path, Path(name).name)
        return self.home.inside("jobs", job_id, Path(name).name)

    def prediction_preview(self, job_id: str, limit: int) -> PredictionPreview:
        """Return the first rows of a batch prediction with their strongest reasons.

        Raises ``job.wrong_kind`` for other jobs, ``job.not_done`` before the end, and
        ``file.not_found`` when the files are gone.
        """
        job = self.job(job_id)
        if job.kind is not JobKind.prediction:
            raise InvalidRequest(
                f"Job {job_id} is of kind {job.kind.value}, not a batch prediction",
                code="job.wrong_kind",
                hint="Ask for the predictions of a job of kind prediction.",
            )
        result = job.result or {}
        reasons = result.get("reasons")
        return read_preview(
            self.output_path(job_id, "predictions.parquet"),
            self.output_path(job_id, str(reasons)) if reasons else None,
            result.get("num_entities"),
            limit,
        )
