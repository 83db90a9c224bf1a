"""A training as it runs: baselines, the curves of every trial, and in the end the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import html

from relcast.catalog.records import JobEvent
from relcast.ui import words
from relcast.ui.drawing import Axis, Series, draw_plot, draw_table
from relcast.ui.elements import Live, card, cell, fold, note, table
from relcast.ui.results import is_smaller_better

__all__ = [
    "Curves",
    "Entry",
    "Report",
    "TrialBoard",
    "curves_of",
    "draw_leaderboard",
    "leaderboard_of",
    "notes_of",
    "report_of",
    "standing_of",
    "trials_of",
]

_SHOWN = 12
_LINES = 8
_LOOKS = ("main", "a", "b", "c", "d", "e", "f", "base")
_UNITS = {"gnn": "epoch", "trees": "tree", "multilabel": "tree", "ranking": "tree"}
_KINDS = {
    "baseline": "baseline",
    "blend": "blend",
    "forecast": "forecaster",
    "gnn": "graph network",
    "linear": "linear",
    "multilabel": "multilabel",
    "ranking": "ranker",
    "trees": "trees",
    "wide classes": "wide classes",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a learner said while it trained: its metric on validation, after some iterations.

    ``family`` is its kind (``trees``, ``gnn``, ...), empty where it did not say.
    """

    learner: str
    trial: int | None
    iteration: int | None
    metric: str
    value: float
    family: str = ""


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines in one metric: of each trial as it grew, or of each learner from trial to trial."""

    metric: str
    lines: tuple[tuple[Report, ...], ...]
    by_trial: bool = False

    @property
    def best(self) -> Report:
        """The best value that any of the lines has seen."""
        pick = min if is_smaller_better(self.metric) else max
        return pick((r for line in self.lines for r in line), key=lambda r: r.value)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a finished leaderboard; ``kind`` is the learner's, in a word."""

    name: str
    value: float
    seconds: float | None
    published: bool
    kind: str = ""


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

    def end(self, entries: Sequence[Entry], metric: str, notes: Sequence[str] = ()) -> None:
        """Draw the leaderboard of a training that is done above the curves of what came before."""
        if entries:
            self._live.show((metric, *entries), lambda: self._end(entries, metric, notes))

    def _end(self, entries: Sequence[Entry], metric: str, notes: Sequence[str]) -> None:
        with html.div().classes("rc-stack"):
            draw_leaderboard(entries, metric, notes)
            if grown := _pictures(self._reports):
                with fold("The curves of every trial"), html.div().classes("rc-grid"):
                    for curves in grown:
                        _curves(curves)

    def _draw(self) -> None:
        standing, grown = standing_of(self._reports), _pictures(self._reports)
        if not standing and not grown:
            return
        with html.div().classes("rc-grid"):
            for curves in grown:
                _curves(curves)
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


def curves_of(reports: Sequence[Report]) -> list[Curves]:
    """Return a line for every trial of every learner that said how it grew, by metric.

    A trial that spoke of one iteration only has no line: ``trials_of`` has it.
    """
    found: dict[str, dict[tuple[str, int], list[Report]]] = {}
    for report in reports:
        if report.trial is not None and report.iteration is not None:
            own = found.setdefault(report.metric, {})
            own.setdefault((report.family, report.trial), []).append(report)
    grown = {
        metric: tuple(
            tuple(line) for line in lines.values() if len({r.iteration for r in line}) > 1
        )
        for metric, lines in found.items()
    }
    return [Curves(metric, lines) for metric, lines in grown.items() if lines]


def trials_of(reports: Sequence[Report]) -> Curves | None:
    """Return a line for every learner: its trials by the metric that decides, as they ended.

    None where no learner has had two trials.
    """
    metric = next((r.metric for r in reports if r.trial is None), None)
    found: dict[str, dict[int, Report]] = {}
    for report in reports:
        if report.trial is not None and report.metric == metric:
            found.setdefault(report.family, {})[report.trial] = report
    if metric is None or all(len(trials) < 2 for trials in found.values()):
        return None
    lines = (tuple(trials[k] for k in sorted(trials)) for trials in found.values())
    return Curves(metric, tuple(lines), by_trial=True)


def notes_of(lineage: Mapping[str, Any] | None) -> list[str]:
    """Say which learners did not take part, and what they need."""
    absent = ((lineage or {}).get("model") or {}).get("absent") or ()
    return [str(note) for note in absent]


def _pictures(reports: Sequence[Report]) -> list[Curves]:
    by_trial = trials_of(reports)
    return [*([] if by_trial is None else [by_trial]), *curves_of(reports)]


def _curves(curves: Curves) -> None:
    if curves.by_trial:
        _trials(curves)
    else:
        _grown(curves)


def _trials(curves: Curves) -> None:
    metric, best = _metric(curves.metric), curves.best
    aside = f"{metric} on validation, best {words.number(best.value)}: {best.learner}"
    with card("Trials", aside=aside):
        draw_plot(
            [
                Series(
                    _learner(line[-1]),
                    [(float(r.trial or 0), r.value) for r in line],
                    kind,
                    _LOOKS[k % len(_LOOKS)],
                )
                for k, line in enumerate(curves.lines)
                for kind in ("line", "dots")
            ],
            x=Axis("trial", form=words.amount),
            y=Axis(metric),
            label=f"{metric} on validation of every trial of {len(curves.lines)} learners",
        )
        draw_table(
            (">Trial", "Learner", f">{metric}"),
            [
                (f"{r.trial}", _learner(r), words.number(r.value))
                for line in curves.lines
                for r in line
            ],
        )


def _grown(curves: Curves) -> None:
    best = curves.best
    aside = f"{_metric(curves.metric)} on validation, best {words.number(best.value)}"
    names = list(dict.fromkeys(_learner(line[-1]) for line in curves.lines))
    with card(" and ".join(names), aside=aside):
        shown = _chosen(curves)
        draw_plot(
            [
                Series(
                    # Each learner counts its own trials, in its name; the reports count all.
                    _trial(line[-1]) if len(names) == 1 else line[-1].learner,
                    [(float(r.iteration or 0), r.value) for r in line],
                    look=_LOOKS[k % len(_LOOKS)],
                )
                for k, line in enumerate(shown)
            ],
            x=Axis(_unit(curves), form=words.amount),
            y=Axis(_metric(curves.metric)),
            label=f"{_metric(curves.metric)} on validation of {len(shown)} trials as they grow",
        )
        if len(shown) < len(curves.lines):
            note(f"The newest and the best, {len(shown)} of {len(curves.lines)} trials.")
        draw_table(
            ("Trial", ">Iterations", ">Last", ">Best"),
            [
                (
                    line[-1].learner,
                    f"{line[-1].iteration:,}",
                    words.number(line[-1].value),
                    words.number(Curves(curves.metric, (line,)).best.value),
                )
                for line in curves.lines
            ],
        )


def _chosen(curves: Curves) -> list[tuple[Report, ...]]:
    """Return the lines that are drawn: all, or the newest ones and the best."""
    if len(curves.lines) <= _LINES:
        return list(curves.lines)
    best = curves.best
    newest = list(curves.lines[-_LINES:])
    if all(best not in line for line in newest):
        newest[0] = next(line for line in curves.lines if best in line)
    return newest


def _unit(curves: Curves) -> str:
    units = {_UNITS.get(line[-1].family or "trees", "iteration") for line in curves.lines}
    return units.pop() if len(units) == 1 else "iteration"


def _learner(report: Report) -> str:
    kind = report.family or report.learner.partition(",")[0]
    said = _KINDS.get(kind, kind)
    return said[:1].upper() + said[1:]


def _trial(report: Report) -> str:
    return report.learner.partition(", ")[2] or f"trial {report.trial}"


def _metric(metric: str) -> str:
    return words.metric_name(metric)


def _standing(reports: Sequence[Report]) -> None:
    metric = words.metric_name(reports[0].metric)
    best = f"best so far: {reports[0].learner}"
    with card("So far", aside=f"on validation; {best}"), table(("", f">{metric}")):
        for number, report in enumerate(reports):
            with html.tr().classes("rc-best" if number == 0 else ""):
                cell(report.learner)
                cell(words.number(report.value), right=True)


def draw_leaderboard(entries: Sequence[Entry], metric: str, notes: Sequence[str] = ()) -> None:
    """Draw everything that was tried, best on validation first, and what did not take part."""
    ranked = sorted(entries, key=lambda e: e.value, reverse=not is_smaller_better(metric))
    with card("Leaderboard", aside="on validation", flush=True):
        _entries(ranked[:_SHOWN], metric)
        if len(ranked) > _SHOWN:
            with html.div().classes("rc-card-foot"), fold(f"{len(ranked) - _SHOWN} more"):
                _entries(ranked[_SHOWN:], metric)
        for said in notes:
            with html.div().classes("rc-card-foot"):
                note(said)


def _entries(entries: Sequence[Entry], metric: str) -> None:
    with table(("", "Kind", f">{words.metric_name(metric)}", ">Time")):
        for entry in entries:
            with html.tr().classes("rc-best" if entry.published else ""):
                cell(f"{entry.name} (published)" if entry.published else entry.name)
                cell(entry.kind, classes="rc-nowrap")
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
        family=str(payload.get("family") or ""),
    )


def leaderboard_of(report: Mapping[str, Any] | None) -> list[Entry]:
    """Read the lines that have a value from a model's report."""
    return [
        Entry(
            name=str(line.get("name", "")),
            value=float(line["validation"]),
            seconds=line.get("seconds"),
            published=bool(line.get("published")),
            kind=_KINDS.get(str(line.get("learner") or ""), str(line.get("learner") or "")),
        )
        for line in (report or {}).get("leaderboard", ())
        if isinstance(line.get("validation"), int | float)
    ]
