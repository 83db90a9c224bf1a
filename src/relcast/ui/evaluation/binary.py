"""Binary classification: the confusion by a movable threshold, and the curves it moves along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import html, ui

from relcast.ui import words
from relcast.ui.drawing import Axis, Plot, Series, draw_plot, draw_table, percent
from relcast.ui.elements import card, note
from relcast.ui.evaluation.reading import Confusion, confusions_of, pairs, start_of

__all__ = ["draw_binary", "draw_calibration", "draw_precision_recall", "draw_roc"]


def _share(name: str) -> Axis:
    return Axis(name, 0.0, 1.0, percent)


def draw_binary(curves: Mapping[str, Any]) -> None:
    """Draw threshold, ROC, precision and recall, gain and calibration of a split."""
    confusions = confusions_of(curves)
    panel = _Threshold(confusions) if confusions else None
    with html.div().classes("rc-grid"):
        with card("ROC", aside="true rows found against false alarms"):
            roc = draw_roc(curves.get("roc"))
        with card("Precision and recall"):
            precision = draw_precision_recall(curves.get("pr"))
        with card("Cumulative gain", aside="what the best rows hold"):
            gain = _gain(curves.get("gain"))
        with card("Calibration", aside="what is said beside what comes true"):
            draw_calibration(curves.get("calibration"))
    if panel is not None:
        panel.follow(roc, precision, gain)


def draw_roc(curve: Mapping[str, Any] | None) -> Plot | None:
    """Draw true against false positives, with the line of a guess."""
    points = pairs(curve, "false_positive_rate", "true_positive_rate")
    if not points:
        note("It needs rows of both kinds.")
        return None
    plot = draw_plot(
        [
            Series("model", points),
            Series("a guess", [(0.0, 0.0), (1.0, 1.0)], look="quiet", dashed=True),
        ],
        x=_share("false rows said to be true"),
        y=_share("true rows found"),
        label=f"ROC curve of {len(points)} points",
    )
    rows = [(percent(x), percent(y)) for x, y in points]
    draw_table((">False alarms", ">Found"), rows)
    return plot


def draw_precision_recall(curve: Mapping[str, Any] | None) -> Plot | None:
    """Draw precision by recall."""
    points = pairs(curve, "recall", "precision")
    if not points:
        note("It needs rows that are true.")
        return None
    share = points[0][1]
    plot = draw_plot(
        [
            Series("model", points),
            Series("a guess", [(0.0, share), (1.0, share)], look="quiet", dashed=True),
        ],
        x=_share("recall: true rows found"),
        y=_share("precision: of those said to be true"),
        label=f"Precision by recall, {len(points)} points",
    )
    draw_table((">Recall", ">Precision"), [(percent(x), percent(y)) for x, y in points])
    return plot


def _gain(curve: Mapping[str, Any] | None) -> Plot | None:
    points = pairs(curve, "rows", "positives")
    if not points:
        note("It needs rows that are true.")
        return None
    plot = draw_plot(
        [
            Series("model", points),
            Series("a guess", [(0.0, 0.0), (1.0, 1.0)], look="quiet", dashed=True),
        ],
        x=_share("rows, highest score first"),
        y=_share("true rows among them"),
        label=f"Cumulative gain, {len(points)} points",
    )
    draw_table((">Rows", ">True rows among them"), [(percent(x), percent(y)) for x, y in points])
    return plot


def draw_calibration(curve: Mapping[str, Any] | None, *, of: str = "score") -> None:
    """Draw how often what was said came true, by tenths of the rows."""
    points = pairs(curve, "predicted", "actual")
    if not points or curve is None:
        note("There are no rows to look at.")
        return
    draw_plot(
        [
            Series("as it should be", [(0.0, 0.0), (1.0, 1.0)], look="quiet", dashed=True),
            Series("model", points),
            Series("model", points, kind="dots"),
        ],
        x=_share(f"mean {of}"),
        y=_share("share that came true"),
        label=f"Calibration in {len(points)} groups of about as many rows each",
    )
    draw_table(
        (f">Mean {of}", ">Came true", ">Rows"),
        [
            (f"{100 * x:.1f} %", f"{100 * y:.1f} %", f"{rows:,}")
            for (x, y), rows in zip(points, curve["rows"], strict=True)
        ],
    )


class _Threshold:
    """A slider over the thresholds, and the counts at the one that is chosen."""

    def __init__(self, confusions: Sequence[Confusion]) -> None:
        self._confusions = confusions
        self._roc: Plot | None = None
        self._precision: Plot | None = None
        self._gain: Plot | None = None
        self._cells: dict[str, ui.label] = {}
        self._at = start_of(confusions)
        with (
            card("Threshold", aside="move it to see what it does"),
            html.div().classes("rc-threshold"),
        ):
            self._slider()
            self._matrix()
            self._figures()
        self._show()

    def follow(self, roc: Plot | None, precision: Plot | None, gain: Plot | None) -> None:
        """Mark the threshold's place on these curves from now on."""
        self._roc, self._precision, self._gain = roc, precision, gain
        self._show()

    def _slider(self) -> None:
        with html.div().classes("rc-field"):
            title = html.label("Said to be true from a probability of")
            with html.div().classes("rc-slider"):
                slider = html.input_(type="range", min=0, max=len(self._confusions) - 1, step=1)
                slider.props["defaultValue"] = self._at
                self._range = slider
                self._cells["threshold"] = ui.label()
            title.props["for"] = slider.html_id
            note(
                "Whoever makes predictions chooses the threshold; the model's probabilities stay "
                "as they are."
            )
        slider.on("input", self._take, js_handler="(e) => emit(e.target.value)", throttle=0.05)

    def _matrix(self) -> None:
        with html.div().classes("rc-scroll"), html.table().classes("rc-table rc-matrix"):
            html.caption("Confusion").classes("rc-note")
            with html.thead(), html.tr():
                html.td()
                html.th("said true", scope="col").classes("rc-right")
                html.th("said false", scope="col").classes("rc-right")
            with html.tbody():
                for name, first, second in (
                    ("true", "true_positive", "false_negative"),
                    ("false", "false_positive", "true_negative"),
                ):
                    with html.tr():
                        html.th(f"is {name}", scope="row")
                        for key in (first, second):
                            with html.td().classes("rc-right"):
                                self._cells[key] = ui.label()

    def _figures(self) -> None:
        with html.dl().classes("rc-facts rc-num"):
            for key, name in (
                ("precision", "Precision"),
                ("recall", "Recall"),
                ("f1", "F1"),
                ("accuracy", "Accuracy"),
                ("false_alarms", "False alarms"),
                ("said_true", "Rows said to be true"),
            ):
                html.dt(name)
                with html.dd():
                    self._cells[key] = ui.label()

    def _take(self, event: Any) -> None:
        try:
            place = int(event.args)
        except (TypeError, ValueError):
            return
        self._at = min(max(place, 0), len(self._confusions) - 1)
        self._show()

    def _show(self) -> None:
        now = self._confusions[self._at]
        said = f"{now.threshold:.3f}"
        self._cells["threshold"].text = said
        self._range.props["aria-valuetext"] = (
            f"{said}: precision {_part(now.precision)}, recall {_part(now.recall)}"
        )
        for name in ("true_positive", "false_positive", "false_negative", "true_negative"):
            self._cells[name].text = f"{getattr(now, name):,}"
        for name in ("precision", "recall", "f1", "accuracy", "false_alarms", "said_true"):
            self._cells[name].text = _part(getattr(now, name))
        if self._roc is not None:
            self._roc.mark(now.false_alarms, now.recall)
        if self._precision is not None:
            self._precision.mark(now.recall, now.precision)
        if self._gain is not None:
            self._gain.mark(now.said_true, now.recall)


def _part(share: float | None) -> str:
    return words.number(share) if share is None else f"{100 * share:.1f} %"
