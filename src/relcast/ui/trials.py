"""A training as it runs: baselines, the curve of the trial, and in the end the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import html

from relcast.catalog.records import JobEvent
from relcast.ui import words
from relcast.ui.elements import Live, card, cell, table
from relcast.ui.results import is_smaller_better
from relcast.ui.scoreboard import draw_curve

__all__ = [
    "Entry",
    "Report",
    "TrialBoard",
    "curve_of",
    "leaderboard_of",
    "report_of",
    "standing_of",
]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Report:
    """What a learner said while it trained: its metric on validation, after some iterations."""

    learner: str
    trial: int | None
    iteration: int | None
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a finished leaderboard."""

    name: str
    value: float
    seconds: float | None
    published: bool


class TrialBoard:
    """Collects a job's reports and draws where the training is."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._live = Live()

    def take(self, events: Sequence[JobEvent]) -> None:
        """Add the reports among new events and draw again when there are any."""
        found = [r for event in events if (r := report_of(event.payload)) is not None]
        self._reports.extend(found)
        self._live.show(len(self._reports), self._draw)

    def end(self, entries: Sequence[Entry], metric: str) -> None:
        """Draw the leaderboard of a training that is done in place of what came before."""
        if entries:
            self._live.show((metric, *entries), lambda: _leaderboard(entries, metric))

    def _draw(self) -> None:
        standing, curve = standing_of(self._reports), curve_of(self._reports)
        if not standing and not curve:
            return
        with html.div().classes("rc-grid"):
            if len(curve) > 1:
                _curve(curve)
            if standing:
                _standing(standing)


def standing_of(reports: Sequence[Report]) -> list[Report]:
    """Return the newest report of each learner by the metric that decides, best first.

    That is the metric of the baselines, which come first.
    """
    metric = next((r.metric for r in reports if r.trial is None), None)
    newest = {r.learner: r for r in reports if r.metric == metric}
    smaller = metric is not None and is_smaller_better(metric)
    return sorted(newest.values(), key=lambda r: r.value, reverse=not smaller)


def curve_of(reports: Sequence[Report]) -> list[Report]:
    """Return the reports of the newest trial while it grew, in the metric that it grew by."""
    trials = [r for r in reports if r.trial is not None]
    newest = [r for r in trials if r.trial == trials[-1].trial]
    return [r for r in newest if r.metric == newest[0].metric]


def _curve(curve: Sequence[Report]) -> None:
    newest, best = curve[-1], min(r.value for r in curve)
    with card(newest.learner, aside=f"{newest.metric} on validation, best {words.number(best)}"):
        draw_curve([(float(r.iteration or 0), r.value) for r in curve], newest.metric, "tree")


def _standing(reports: Sequence[Report]) -> None:
    metric = words.metric_name(reports[0].metric)
    with card("So far", aside="on validation"), table(("", f">{metric}")):
        for number, report in enumerate(reports):
            with html.tr().classes("rc-best" if number == 0 else ""):
                cell(report.learner)
                cell(words.number(report.value), right=True)


def _leaderboard(entries: Sequence[Entry], metric: str) -> None:
    ranked = sorted(entries, key=lambda e: e.value, reverse=not is_smaller_better(metric))
    heads = ("", f">{words.metric_name(metric)}", ">Time")
    with card("Leaderboard", aside="on validation", flush=True), table(heads):
        for entry in ranked[:_SHOWN]:
            with html.tr().classes("rc-best" if entry.published else ""):
                cell(f"{entry.name} (published)" if entry.published else entry.name)
                cell(words.number(entry.value), right=True)
                cell(words.duration(entry.seconds), right=True)


def report_of(payload: Mapping[str, Any]) -> Report | None:
    """Read a report from an event's payload; None when the event is about something else."""
    value, learner, metric = (payload.get(k) for k in ("validation", "learner", "metric"))
    if not isinstance(value, int | float) or learner is None or metric is None:
        return None
    return Report(
        learner=str(learner),
        trial=payload.get("trial"),
        iteration=payload.get("iteration"),
        metric=str(metric),
        value=float(value),
    )


def leaderboard_of(report: Mapping[str, Any] | None) -> list[Entry]:
    """Read the lines that have a value from a model's report."""
    return [
        Entry(
            name=str(line.get("name", "")),
            value=float(line["validation"]),
            seconds=line.get("seconds"),
            published=bool(line.get("published")),
        )
        for line in (report or {}).get("leaderboard", ())
        if isinstance(line.get("validation"), int | float)
    ]
