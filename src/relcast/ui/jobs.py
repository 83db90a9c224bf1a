"""The list of jobs of every kind, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from nicegui import html
from starlette.requests import Request

from relcast.catalog.records import JobKind, JobRecord, JobState
from relcast.core.clock import utc_now
from relcast.core.errors import InvalidRequest, NotFound
from relcast.ui import words
from relcast.ui.asking import ask, keep_fresh, page
from relcast.ui.elements import (
    Live,
    card,
    cell,
    empty,
    link_button,
    note,
    state_chip,
    table,
    time_of,
)
from relcast.ui.frame import page_frame
from relcast.ui.gate import Hall

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["ROOM", "elapsed", "show_jobs"]

ROOM = "/jobs"
PER_PAGE = 25


@dataclass(frozen=True)
class _Filter:
    kind: JobKind | None
    state: JobState | None
    query: str | None
    cursor: str | None

    def href(self, **changes: str | None) -> str:
        """Return the URL of this list with some of its filters changed."""
        parts: dict[str, str | None] = {
            "kind": self.kind,
            "state": self.state,
            "query": self.query,
            **changes,
        }
        text = urlencode({name: value for name, value in parts.items() if value})
        return f"{ROOM}?{text}" if text else ROOM


@dataclass(frozen=True)
class _Sheet:
    jobs: tuple[JobRecord, ...]
    cursor: str | None
    names: Mapping[str, str]


@page(ROOM)
async def show_jobs(
    request: Request,
    kind: str | None = None,
    state: str | None = None,
    query: str | None = None,
    cursor: str | None = None,
) -> None:
    """The page ``/jobs``; ``kind``, ``state``, ``query`` (an id) and ``cursor`` choose."""
    platform = Hall.of(request).platform
    chosen = _chosen(kind, state, query, cursor)
    sheet = await ask(_load, platform, chosen)
    with page_frame("Jobs", ROOM):
        _filters(chosen, sheet.names.get(query or "", query))
        live = Live()
        live.show(_key(sheet), lambda: _draw(sheet, chosen))

        async def refresh() -> None:
            now = await ask(_load, platform, chosen)
            live.show(_key(now), lambda: _draw(now, chosen))

        keep_fresh(1.5, refresh)


def elapsed(job: JobRecord) -> float | None:
    """Return the seconds that a job has run; None before it starts."""
    if job.started_at is None:
        return None
    return ((job.ended_at or utc_now()) - job.started_at).total_seconds()


def _chosen(kind: str | None, state: str | None, query: str | None, cursor: str | None) -> _Filter:
    try:
        return _Filter(
            JobKind(kind) if kind else None, JobState(state) if state else None, query, cursor
        )
    except ValueError:
        raise InvalidRequest(
            "This list has no such filter", hint="Go back to all jobs and choose one there."
        ) from None


def _load(platform: Platform, chosen: _Filter) -> _Sheet:
    found = platform.jobs(
        kind=chosen.kind,
        state=chosen.state,
        query_id=chosen.query,
        limit=PER_PAGE,
        cursor=chosen.cursor,
    )
    names = {}
    for query_id in {job.query_id for job in found.items if job.query_id} | {chosen.query or ""}:
        try:
            names[query_id] = platform.query(query_id).name or query_id if query_id else ""
        except NotFound:  # the query is gone, its jobs stay
            names[query_id] = query_id
    return _Sheet(tuple(found.items), found.cursor, names)


def _key(sheet: _Sheet) -> object:
    return tuple((j.id, j.state, j.cancel_requested, _progress(j)) for j in sheet.jobs)


def _filters(chosen: _Filter, query_name: str | None) -> None:
    with html.div().classes("rc-stack rc-stack--tight"):
        with html.nav(**{"aria-label": "Filter by state"}).classes("rc-filters"):
            _choice("Any state", chosen.href(state=None), current=chosen.state is None)
            for state in JobState:
                _choice(
                    words.state_name(state),
                    chosen.href(state=state),
                    current=chosen.state is state,
                )
        with html.nav(**{"aria-label": "Filter by kind"}).classes("rc-filters"):
            _choice("Any kind", chosen.href(kind=None), current=chosen.kind is None)
            for kind in JobKind:
                _choice(words.kind_name(kind), chosen.href(kind=kind), current=chosen.kind is kind)
            if chosen.query:
                _choice(f"Query: {query_name} ✕", chosen.href(query=None), current=True)


def _choice(text: str, href: str, *, current: bool) -> None:
    link = html.a(text, href=href).classes("rc-filter")
    link.props["aria-current"] = "true" if current else "false"


def _draw(sheet: _Sheet, chosen: _Filter) -> None:
    if not sheet.jobs:
        filtered = chosen.href() != ROOM
        with empty(
            "checklist",
            "No such job" if filtered else "No job yet",
            "Nothing fits this filter."
            if filtered
            else "Training a query or scoring with it starts a job, and it shows here as it runs.",
        ):
            if filtered:
                link_button("All jobs", ROOM)
            else:
                link_button("Predictive Queries", "/queries", look="main")
        return
    with html.div().classes("rc-stack"):
        heads = ("Job", "Query", "State", "Started", ">Took")
        with card(flush=True), table(heads, rows=True):
            for job in sheet.jobs:
                _row(job, sheet.names)
        with html.div().classes("rc-pager"):
            if chosen.cursor:
                link_button("Newest", chosen.href(), look="small")
            else:
                note(f"Newest first, {words.count(len(sheet.jobs), 'job')} here")
            if sheet.cursor:
                link_button("Older", chosen.href(cursor=sheet.cursor), look="small")


def _row(job: JobRecord, names: Mapping[str, str]) -> None:
    with html.tr():
        with html.td():
            html.a(words.kind_name(job.kind), href=f"{ROOM}/{job.id}").classes("rc-row-link")
            html.div(job.id).classes("rc-note rc-mono")
        cell(names.get(job.query_id or "", "–") if job.query_id else "–")
        with html.td():
            state_chip(job.state)
            if said := _progress(job):
                html.div(said).classes("rc-note")
        with html.td():
            time_of(job.started_at or job.created_at)
        cell(words.duration(elapsed(job)), right=True)


def _progress(job: JobRecord) -> str:
    """Say in a few words where a job is that has not ended."""
    if job.state.is_terminal:
        return ""
    if job.cancel_requested:
        return "Cancelling"
    if job.position is not None:
        return f"Number {job.position} in the queue"
    stage = job.stage
    if stage is None:
        return ""
    if stage.done is not None and stage.total:
        return f"{stage.name}, {100 * min(1.0, stage.done / stage.total):.0f} %"
    return stage.name
