"""Rankings: the figures by the length of the list, with what the lists cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import html

from relcast.ui import words
from relcast.ui.drawing import Axis, Series, draw_plot, draw_table, percent
from relcast.ui.elements import card, note
from relcast.ui.evaluation.reading import numbers
from relcast.ui.results import Scores

__all__ = ["draw_ranking"]

_LOOKS = ("main", "a", "b", "c", "d")
_WIDE = {
    "coverage": "Share of all items that are in somebody's list",
    "avg_popularity": "How often a listed item occurs in the training data",
    "personalization": "How different the lists of two entities are (0: the same)",
    "diversity": "How different the items of a list are (0: the same)",
}


def draw_ranking(curves: Mapping[str, Any], scores: Scores | None) -> None:
    """Draw the figures of a split by k, and what goes beyond hits."""
    found = curves.get("by_k")
    if found:
        ks = [float(k) for k in found["k"]]
        names = [name for name in found if name != "k"]
        values = {name: numbers(found[name]) for name in names}
        with card("By the length of the list", aside=f"1 to {found['k'][-1]} items"):
            draw_plot(
                [
                    Series(
                        words.metric_name(name),
                        list(zip(ks, values[name], strict=True)),
                        look=_LOOKS[k % len(_LOOKS)],
                    )
                    for k, name in enumerate(names)
                ],
                x=Axis("items in the list", form=words.amount),
                y=Axis("value", 0.0, 1.0, percent),
                label=f"{', '.join(map(words.metric_name, names))} by the length of the list",
            )
            draw_table(
                (">k", *(f">{words.metric_name(name)}" for name in names)),
                [
                    (words.amount(k), *(words.number(values[name][i], 3) for name in names))
                    for i, k in enumerate(ks)
                ],
            )
    if scores is not None:
        _coverage(scores)


def _coverage(scores: Scores) -> None:
    shown = [m for m in scores.metrics if m.partition("@")[0] in _WIDE]
    if not shown:
        return
    with card("What the lists cover"), html.dl().classes("rc-facts"):
        for metric in shown:
            word, _, k = metric.partition("@")
            html.dt(words.metric_name(metric))
            with html.dd():
                value = words.number(scores.model.value(metric))
                html.span(value).classes("rc-strong rc-num")
                others = [
                    f"{rival.name} {words.number(figure)}"
                    for rival in scores.rivals[1:]
                    if (figure := rival.value(metric)) is not None
                ]
                note(f"{_WIDE[word]}; lists of {k}. {'; '.join(others)}".rstrip(". ") + ".")
