"""Durable jobs over the pipeline, and ``Platform``: what server, UI and command line call.

Everything slow is a job (docs/jobs.md). Jobs are rows of the catalog; a DBOS workflow per job runs
its steps, each in a child process; finished steps are stored, so that a restart goes on after them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relcast.jobs.platform import Platform

__all__ = ["Platform"]


def __getattr__(name: str) -> Any:
    # Each step's child process lives in this package too, and has no use for engine and database.
    if name == "Platform":
        from relcast.jobs.platform import Platform

        return Platform
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
