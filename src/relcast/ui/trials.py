"""The leaderboard of a training job while it runs: one line for every learner and trial."""

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

__all__ = ["Trial", "TrialBoard", "trial_of"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one learner or trial reached on validation."""

    name: str
    metric: str
    value: float
    seconds: float | None


class TrialBoard:
    """Collect trials from a job's events and draw the best of them, and how the best grew."""

    def __init__(self, metric: str | None = None, *, shown: int = 12) -> None:
        self._metric = metric
        self._shown = shown
        self._trials: list[Trial] = []
        self._live = Live()

    def take(self, events: Sequence[JobEvent], *, ended: bool) -> None:
        """Add the trials among new events and draw again when there are any."""
        for event in events:
            trial = trial_of(event.payload)
            if trial is not None:
                self._trials.append(trial)
        self._live.show((len(self._trials), ended), lambda: self._draw(ended=ended))

    def _draw(self, *, ended: bool) -> None:
        if not self._trials:
            return
        metric = self._trials[-1].metric
        trials = [t for t in self._trials if t.metric == metric]
        smaller = is_smaller_better(metric)
        ranked = sorted(trials, key=lambda t: t.value, reverse=not smaller)
        name = words.metric_name(metric)
        with card("Leaderboard", aside="on validation" if ended else "on validation, so far"):
            best = _best_so_far([t.value for t in trials], smaller=smaller)
            if len(best) > 2:
                draw_curve(list(enumerate(best, start=1)), f"best {name}", "trial")
            with table(("", f">{name}", ">Seconds")):
                for number, trial in enumerate(ranked[: self._shown]):
                    with html.tr().classes("rc-best" if number == 0 else ""):
                        cell(trial.name)
                        cell(words.number(trial.value), right=True)
                        cell(words.number(trial.seconds, 3), right=True)


def trial_of(payload: Mapping[str, Any]) -> Trial | None:
    """Read a trial from an event's payload; None when the event is about something else."""
    value = payload.get("value", payload.get("score"))
    name = payload.get("learner") or payload.get("name") or payload.get("trial")
    metric = payload.get("metric")
    if not isinstance(value, int | float) or name is None or metric is None:
        return None
    seconds = payload.get("seconds", payload.get("elapsed_seconds"))
    return Trial(
        name=str(name),
        metric=str(metric),
        value=float(value),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )


def _best_so_far(values: Sequence[float], *, smaller: bool) -> list[float]:
    best: list[float] = []
    for value in values:
        best.append(value if not best else (min if smaller else max)(best[-1], value))
    return best
