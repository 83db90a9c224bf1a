"""Lists of jobs as the SDK asks for them: a few named filters, and every other pair is a tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from relcast.catalog import JobKind, JobRecord
from relcast.core.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["RESERVED", "jobs_of", "tag_changes"]

RESERVED = frozenset(
    {"pquery_name", "pquery_id", "job_status", "limit", "group_id", "project_id", "model_id"}
)
"""Names of filters; no tag can be asked for by one of these."""

_MOST = 200


def jobs_of(platform: Platform, kind: JobKind, params: Mapping[str, str]) -> list[JobRecord]:
    """Return jobs of a kind, newest first; an unknown query has none.

    Raises ``request.invalid`` for a limit that is no whole number and ``request.bad_filter``.
    """
    limit = _limit(params.get("limit"))
    query = params.get("pquery_id") or params.get("pquery_name")
    query_id = None
    if query:
        try:
            query_id = platform.query(query).id
        except NotFound:
            return []
    state = params.get("job_status")
    model = params.get("model_id")
    tags = {name: value for name, value in params.items() if name not in RESERVED}
    found: list[JobRecord] = []
    cursor: str | None = None
    while len(found) < limit:
        page = platform.jobs(
            kind=kind,
            state=state,
            query_id=query_id,
            tags=tags or None,
            limit=_MOST if model else limit - len(found),
            cursor=cursor,
        )
        found += [j for j in page.items if model in (None, j.config.get("training_job_id"))]
        cursor = page.cursor
        if cursor is None:
            break
    return found[:limit]


def tag_changes(params: Mapping[str, str]) -> dict[str, str | None]:
    """Return changes of tags: they come as query parameters, and ``none`` deletes one."""
    return {
        name: None if value == "none" else value
        for name, value in params.items()
        if name not in RESERVED
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _MOST
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= 10_000:
        raise InvalidRequest(
            f"limit is {text[:20]!r}", hint="Give a whole number from 1 to 10,000."
        )
    return int(text)
