"""Durable jobs over the pipeline, and ``Platform``: what server, UI and command line call.

Everything slow is a job (docs/jobs.md). Jobs are rows of the catalog; a DBOS workflow per job runs
its steps, each in a child process; finished steps are stored, so that a restart goes on after them.
"""

from relcast.jobs.platform import Platform

__all__ = ["Platform"]
