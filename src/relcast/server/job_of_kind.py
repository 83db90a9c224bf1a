"""Jobs under the SDK's paths: each path knows the jobs of one kind only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relcast.catalog import JobKind, JobRecord
from relcast.core.errors import NotFound

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["job_of_kind"]


def job_of_kind(platform: Platform, job_id: str, kind: JobKind) -> JobRecord:
    """Return a job; raises ``job.not_found`` also for jobs of other kinds."""
    job = platform.job(job_id)
    if job.kind is not kind:
        raise NotFound(
            f"Job {job_id!r} makes a {job.kind.value.replace('_', ' ')}, "
            f"not a {kind.value.replace('_', ' ')}",
            code="job.not_found",
            hint=f"GET /jobs/{job_id} finds jobs of every kind.",
        )
    return job
