"""The stage bar of a job, updated in place so that it moves rather than flickers."""

from __future__ import annotations

from nicegui import html, ui

from relcast.catalog.records import JobState, StageRecord
from relcast.core.clock import utc_now
from relcast.ui import words

__all__ = ["StageList", "time_left"]

_ICONS = {
    JobState.DONE: "check_circle",
    JobState.RUNNING: "autorenew",
    JobState.FAILED: "error",
    JobState.CANCELLED: "do_not_disturb_on",
}


class StageList:
    """The stages of one job as lines: icon, name, bar, time, and a line of detail."""

    def __init__(self) -> None:
        self._box = html.div().classes("rc-stages")
        self._lines: dict[str, _Line] = {}

    def show(self, stages: tuple[StageRecord, ...]) -> None:
        """Bring the lines up to date; new stages are added below."""
        for number, stage in enumerate(stages):
            key = f"{number} {stage.name}"
            if key not in self._lines:
                with self._box:
                    self._lines[key] = _Line(stage.name)
            self._lines[key].show(stage)


class _Line:
    def __init__(self, name: str) -> None:
        self._state: JobState | None = None
        self._box = html.div()
        with self._box:
            self._icon = ui.icon("radio_button_unchecked")
            html.span(name).classes("rc-strong")
            with html.div().classes("rc-stage-bar") as self._bar:
                self._filled = html.span()
            self._time = ui.label().classes("rc-stage-time")
            self._detail = ui.label().classes("rc-stage-detail")
        self._bar.props.update({"role": "progressbar", "aria-label": name, "aria-valuemin": 0})
        self._bar.props["aria-valuemax"] = 100
        self._percent = -1.0

    def show(self, stage: StageRecord) -> None:
        if stage.state is not self._state:
            self._state = stage.state
            self._box.classes(replace=f"rc-stage rc-stage--{stage.state}")
            self._icon.props["name"] = _ICONS.get(stage.state, "radio_button_unchecked")
            self._icon.props["aria-label"] = words.state_name(stage.state)
        percent = _percent(stage)
        if percent != self._percent:
            self._percent = percent
            self._filled.style(f"width: {percent:.1f}%")
            self._bar.props["aria-valuenow"] = round(percent)
        _set(self._time, _took(stage))
        _set(self._detail, _detail(stage))


def _set(label: ui.label, text: str) -> None:
    if label.text != text:
        label.set_text(text)


def _percent(stage: StageRecord) -> float:
    if stage.state is JobState.DONE:
        return 100.0
    if stage.done is None or not stage.total:
        return 0.0
    return 100.0 * max(0.0, min(1.0, stage.done / stage.total))


def _seconds(stage: StageRecord) -> float | None:
    if stage.started_at is None:
        return None
    return ((stage.ended_at or utc_now()) - stage.started_at).total_seconds()


def _took(stage: StageRecord) -> str:
    seconds = _seconds(stage)
    return "" if seconds is None else words.duration(seconds)


def time_left(stage: StageRecord) -> float | None:
    """Return the seconds that a running stage still needs at its pace so far; None at its start."""
    seconds = _seconds(stage)
    if stage.state is not JobState.RUNNING or seconds is None or seconds < 2:
        return None
    if stage.done is None or not stage.total or stage.done < 0.05 * stage.total:
        return None
    return max(0.0, seconds * (stage.total - stage.done) / stage.done)


def _detail(stage: StageRecord) -> str:
    parts = []
    unit = f" {stage.unit}" if stage.unit else ""
    if stage.state is JobState.DONE:
        # What was reached says it all; the count alone where nothing else was said.
        if stage.detail:
            parts.append(stage.detail)
        elif stage.total and stage.total > 1:
            parts.append(f"{words.amount(stage.total)}{unit}")
        return "".join(parts)
    if stage.done is not None and stage.total:
        parts.append(f"{words.amount(stage.done)} of {words.amount(stage.total)}{unit}")
    if stage.detail:
        parts.append(stage.detail)
    left = time_left(stage)
    if left is not None:
        parts.append(f"about {words.duration(left)} left")
    return " · ".join(parts)
