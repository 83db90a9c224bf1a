"""Numbers: residuals, predicted beside actual, and a forecast's fan and error by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import html

from relcast.ui import words
from relcast.ui.drawing import Axis, Series, draw_plot, draw_table, percent
from relcast.ui.elements import card, note
from relcast.ui.evaluation.reading import numbers, pairs

__all__ = ["draw_fan", "draw_numbers"]


def draw_numbers(curves: Mapping[str, Any]) -> None:
    """Draw how far predictions are off, and predicted beside actual."""
    with html.div().classes("rc-grid"):
        if found := curves.get("predicted_actual"):
            with card("Predicted and actual", aside="by tenths of the prediction"):
                _against(found)
        if found := curves.get("residuals"):
            with card("Residuals", aside="actual less predicted"):
                _residuals(found)


def _against(found: Mapping[str, Any]) -> None:
    points = pairs(found, "predicted", "actual")
    said = numbers(found["predicted"])
    spread = [numbers(row) for row in found["quantiles"]]
    low = [(x, row[0]) for x, row in zip(said, spread, strict=True)]
    high = [(x, row[-1]) for x, row in zip(said, spread, strict=True)]
    first, last = found["levels"][0], found["levels"][-1]
    ends = [v for v in said if not math.isnan(v)]
    draw_plot(
        [
            Series(
                f"{percent(last - first)} of actual values", low, "band", look="main", back=high
            ),
            Series(
                "as it should be",
                [(min(ends), min(ends)), (max(ends), max(ends))] if ends else [],
                look="quiet",
                dashed=True,
            ),
            Series("mean of actual values", points),
            Series("mean of actual values", points, "dots"),
        ],
        x=Axis("mean prediction"),
        y=Axis("actual"),
        label=f"Actual values by the prediction, in {len(points)} groups",
    )
    draw_table(
        (">Predicted", ">Actual", *(f">{percent(level)}" for level in found["levels"]), ">Rows"),
        [
            (words.number(x), words.number(y), *(words.number(v) for v in row), f"{rows:,}")
            for (x, y), row, rows in zip(points, spread, found["rows"], strict=True)
        ],
    )


def _residuals(found: Mapping[str, Any]) -> None:
    edges, rows = numbers(found["edges"]), found["rows"]
    bars = [
        ((left + right) / 2, float(count))
        for left, right, count in zip(edges, edges[1:], rows, strict=False)
    ]
    draw_plot(
        [Series("rows", bars, "bars")],
        x=Axis("actual less predicted", edges[0], edges[-1]),
        y=Axis("rows", low=0.0, form=words.amount),
        label=f"Residuals in {len(bars)} bars; the outermost hold what is beyond",
    )
    note("Right of zero the prediction was too low, left of it too high.")
    draw_table(
        ("Share of rows at or below", ">Residual"),
        [
            (percent(level), words.number(value))
            for level, value in zip(found["levels"], numbers(found["quantiles"]), strict=True)
        ],
        title="Quantiles of the residuals",
    )


def draw_fan(curves: Mapping[str, Any], per_step: Sequence[Mapping[str, Any]] = ()) -> None:
    """Draw actual beside predicted by step with its quantiles, the error and the coverage."""
    fan = curves.get("fan")
    if not fan:
        return
    levels = [float(level) for level in fan.get("levels", ())]
    with card("Forecast by step", aside="means of all rows"):
        _fan(fan, levels)
    with html.div().classes("rc-grid"):
        with card("Error by step"):
            _error(fan, per_step)
        if levels:
            with card("Coverage", aside="truths at or below each quantile"):
                _coverage(fan, levels)


def _steps(values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(float(k), v) for k, v in enumerate(numbers(values), 1)]


def _fan(fan: Mapping[str, Any], levels: Sequence[float]) -> None:
    spread = [numbers(row) for row in fan.get("quantiles", ())]
    series = []
    for k in range(len(levels) // 2):
        name = f"{percent(levels[k])} to {percent(levels[-1 - k])}"
        low = [(float(s), row[k]) for s, row in enumerate(spread, 1)]
        high = [(float(s), row[-1 - k]) for s, row in enumerate(spread, 1)]
        series.append(Series(name, low, "band", look="main", back=high))
    actual, said = _steps(fan["actual"]), _steps(fan["predicted"])
    series += [Series("actual", actual, look="base"), Series("predicted", said, look="main")]
    draw_plot(
        series,
        x=Axis("step", form=words.amount),
        y=Axis("mean"),
        label=f"Actual and predicted means of {len(said)} steps, with quantiles",
    )
    draw_table(
        (">Step", ">Actual", ">Predicted", *(f">{percent(level)}" for level in levels)),
        [
            (
                f"{k + 1}",
                words.number(actual[k][1]),
                words.number(said[k][1]),
                *(words.number(v) for v in (spread[k] if spread else ())),
            )
            for k in range(len(said))
        ],
    )


def _error(fan: Mapping[str, Any], per_step: Sequence[Mapping[str, Any]]) -> None:
    error, bias = _steps(fan["mae"]), _steps(fan["bias"])
    draw_plot(
        [Series("mean absolute error", error, look="main"), Series("bias", bias, look="base")],
        x=Axis("step", form=words.amount),
        y=Axis("off by", low=min([0.0, *(v for _, v in bias if not math.isnan(v))])),
        label=f"Mean absolute error and bias of {len(error)} steps",
    )
    others = [name for name in (per_step[0] if per_step else {}) if name != "mae"]
    draw_table(
        (">Step", ">MAE", ">Bias", *(f">{words.metric_name(name)}" for name in others)),
        [
            (
                f"{k + 1}",
                words.number(error[k][1]),
                words.number(bias[k][1]),
                *(words.number(per_step[k].get(name)) for name in others),
            )
            for k in range(len(error))
        ],
    )


def _coverage(fan: Mapping[str, Any], levels: Sequence[float]) -> None:
    rows = [numbers(row) for row in fan["coverage"]]
    mean = [sum(row[i] for row in rows) / len(rows) for i in range(len(levels))]
    points = list(zip(levels, mean, strict=True))
    draw_plot(
        [
            Series("as it should be", [(0.0, 0.0), (1.0, 1.0)], look="quiet", dashed=True),
            Series("model", points),
        ],
        x=Axis("level of the quantile", 0.0, 1.0, percent),
        y=Axis("truths at or below", 0.0, 1.0, percent),
        label=f"Coverage of {len(levels)} quantiles, mean of {len(rows)} steps",
    )
    draw_table(
        (">Step", *(f">{percent(level)}" for level in levels), ">Mean width"),
        [
            (f"{k + 1}", *(f"{100 * v:.1f} %" for v in row), words.number(width))
            for k, (row, width) in enumerate(zip(rows, numbers(fan["width"]), strict=True))
        ],
    )
