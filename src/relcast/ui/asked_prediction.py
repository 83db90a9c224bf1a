"""The dialog that starts a batch prediction, with the options that fit the task type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nicegui import html, ui

from relcast.catalog.records import ModelRecord, QueryRecord
from relcast.core.clock import anchor_time
from relcast.core.errors import InvalidRequest
from relcast.core.schema import TaskType
from relcast.ui.asking import act, action
from relcast.ui.elements import button, dialog
from relcast.ui.fields import TextField

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["Form", "fields_of", "options_of", "prediction_dialog"]

_LINKS = frozenset({TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION})
_RANKED = _LINKS | {TaskType.MULTILABEL_RANKING}
_CLASSES = frozenset({TaskType.MULTICLASS_CLASSIFICATION, TaskType.MULTILABEL_CLASSIFICATION})
_YES_NO = frozenset({TaskType.BINARY_CLASSIFICATION, TaskType.MULTILABEL_CLASSIFICATION})
_NUMBERS = frozenset({TaskType.REGRESSION, TaskType.FORECASTING})


@dataclass(frozen=True, slots=True)
class Form:
    """What one field of the dialog is called, and what it explains."""

    label: str
    hint: str
    kind: str = "text"
    step: str = field(default="any")


def fields_of(task_type: TaskType, *, has_quantiles: bool = True) -> dict[str, Form]:
    """Return the options that fit a task type, by their name in ``platform.predict``."""
    found: dict[str, Form] = {}
    if task_type in _YES_NO:
        found["threshold"] = Form(
            "Threshold, optional", "Said to hold from this probability. Empty: 0.5.", "number"
        )
    if task_type in _CLASSES:
        found["num_classes"] = Form(
            "Classes an entity, optional", "The best so many. Empty: all.", "number", "1"
        )
    if task_type in _RANKED:
        found["num_classes"] = Form(
            "Items an entity (k), optional", "Empty: the query's own number.", "number", "1"
        )
        what = "keys of the items" if task_type in _LINKS else "labels"
        found["items"] = Form(
            "Only these items, optional", f"The {what}, with commas between. Empty: all."
        )
    if task_type in _NUMBERS and has_quantiles:
        found["levels"] = Form(
            "Quantile levels, optional", "Between 0 and 1, with commas: 0.1, 0.5, 0.9."
        )
    return found


def options_of(
    task_type: TaskType, given: Mapping[str, str], *, whole_keys: bool
) -> dict[str, Any]:
    """Return options as ``platform.predict`` takes them; what is empty is left out.

    ``whole_keys`` says that items are named by whole numbers. Raises ``prediction.bad_option``.
    """
    options: dict[str, Any] = {}
    for name in fields_of(task_type):
        text = given.get(name, "").strip()
        if not text:
            continue
        if name == "threshold":
            options[name] = _number(text, float, "The threshold")
        elif name == "num_classes":
            options[name] = _number(text, int, "The number an entity")
        elif name == "levels":
            options[name] = sorted({_number(part, float, "A level") for part in _parts(text)})
        elif whole_keys:
            options[name] = [_number(part, int, "A key of these items") for part in _parts(text)]
        else:
            options[name] = _parts(text)
    return options


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str, kind: type[int | float], what: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise InvalidRequest(
            f"{what} is {text!r}, which is not {wanted}",
            code="prediction.bad_option",
            hint=f"Write {wanted}.",
        ) from None


def prediction_dialog(
    platform: Platform, query: QueryRecord, model: Callable[[], ModelRecord | None]
) -> Callable[[], object]:
    """Draw the dialog, closed at first, and return what opens it.

    ``model`` gives the query's promoted model as it is by now.
    """
    fields: dict[str, TextField] = {}

    def draw() -> None:
        fields.clear()
        body.clear()
        with body, html.div().classes("rc-form"):
            for name, form in fields_of(query.task_type, has_quantiles=_fans(model())).items():
                made = TextField(form.label, kind=form.kind, hint=form.hint)
                made.box.props["step"] = form.step
                fields[name] = made

    with dialog("New Batch Prediction") as box:
        html.p(
            "The tables are read again, and every entity of the query is scored by its promoted "
            "model. The result is a file."
        ).classes("rc-sub")
        anchor = TextField(
            "Anchor time (UTC), optional",
            kind="datetime-local",
            hint="Predictions look forward from this moment. Empty: from the newest data.",
        )
        body = html.div()
        problem = ui.label().classes("rc-down")
        problem.props["role"] = "alert"

        @action
        async def start() -> None:
            try:
                given = {name: made.value for name, made in fields.items()}
                options = options_of(query.task_type, given, whole_keys=_whole(platform, query))
                job = await act(
                    platform,
                    "query.predict",
                    query.id,
                    platform.predict,
                    query.id,
                    options,
                    anchor=anchor_time(anchor.value.strip() or None),
                )
            except InvalidRequest as error:
                problem.text = f"{error.message}. {error.hint}"
                return
            box.close()
            ui.navigate.to(f"/jobs/{job.id}")

        with html.div().classes("rc-dialog-foot"):
            button("Not now", box.close)
            button("Start prediction", start, look="main")

    def open_() -> None:
        draw()
        box.open()

    return open_


def _fans(model: ModelRecord | None) -> bool:
    """Whether the model's learner gives quantiles, as its evaluation shows."""
    curves = {} if model is None else model.evaluation.get("curves") or {}
    return any((split.get("fan") or {}).get("levels") for split in curves.values())


def _whole(platform: Platform, query: QueryRecord) -> bool:
    """Whether the items of a ranking are named by whole numbers."""
    if query.task_type not in _LINKS:
        return False
    link = platform.validate_query(query.text, query.graph_id).items
    if link is None:
        return False
    table = platform.graph(query.graph_id).graph.table(link.to)
    return any(c.name == table.primary_key and c.dtype.is_integer for c in table.columns)
