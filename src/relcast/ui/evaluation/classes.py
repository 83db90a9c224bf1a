"""Many classes or labels: the confusion matrix, and figures of each one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import html

from relcast.ui import words
from relcast.ui.elements import card, cell, fold, note, table
from relcast.ui.evaluation.binary import draw_calibration, draw_precision_recall, draw_roc

__all__ = ["draw_classes", "draw_labels"]

_SHOWN = 30


def draw_classes(curves: Mapping[str, Any], per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw a multiclass split: which class is taken for which, calibration, figures by class."""
    found = curves.get("confusion")
    if found:
        with card("Confusion", aside="rows: what it is; columns: what was said", flush=True):
            _matrix([str(name) for name in found["classes"]], found["rows"])
    with html.div().classes("rc-grid"):
        with card("Calibration", aside="of the best class"):
            draw_calibration(curves.get("calibration"), of="probability of the best class")
        if per_class:
            with card("By class", flush=True):
                _figures("Class", per_class)


def draw_labels(curves: Mapping[str, Any], per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw a multilabel split: figures by label, calibration, and the curves of the commonest."""
    if per_class:
        with card("By label", flush=True):
            _figures("Label", per_class)
    with card("Calibration", aside="all labels together"):
        draw_calibration(curves.get("calibration"))
    labels = curves.get("labels") or {}
    if labels:
        with card("Curves of labels", aside=f"the {len(labels)} with the most rows"):
            for number, (name, own) in enumerate(labels.items()):
                said = f"{name}: {own.get('rows', 0):,} rows"
                with fold(said, open_=number == 0), html.div().classes("rc-grid"):
                    with html.div():
                        html.h3("ROC")
                        draw_roc(own.get("roc"))
                    with html.div():
                        html.h3("Precision and recall")
                        draw_precision_recall(own.get("pr"))


def _matrix(names: Sequence[str], rows: Sequence[Sequence[int]]) -> None:
    """Draw the matrix; each cell is as dark as its share of its row."""
    with html.div().classes("rc-scroll"), html.table().classes("rc-table rc-matrix rc-heat"):
        with html.thead(), html.tr():
            html.td()
            for name in names:
                html.th(name, scope="col").classes("rc-right")
        with html.tbody():
            for name, row in zip(names, rows, strict=True):
                whole = sum(row) or 1
                with html.tr():
                    html.th(name, scope="row")
                    for other, count in zip(names, row, strict=True):
                        spot = cell(f"{count:,}", right=True)
                        kind = "main" if other == name else "bad"
                        spot.classes(f"rc-heat--{kind}").style(f"--share: {count / whole:.3f}")
                        spot.props["title"] = (
                            f"{count:,} rows of {name} said to be {other}: "
                            f"{100 * count / whole:.1f} % of {name}"
                        )


def _figures(head: str, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    ordered = sorted(per_class.items(), key=lambda entry: -(entry[1].get("rows") or 0))
    names = [name for name in ordered[0][1] if name != "rows"]
    heads = (head, ">Rows", *(f">{words.metric_name(name)}" for name in names))
    with table(heads):
        for name, figures in ordered[:_SHOWN]:
            with html.tr():
                cell(name)
                cell(f"{figures.get('rows') or 0:,.0f}", right=True)
                for metric in names:
                    cell(words.number(figures.get(metric), 3), right=True)
    if len(ordered) > _SHOWN:
        note(f"The {_SHOWN} with the most rows of {len(ordered):,}.")
