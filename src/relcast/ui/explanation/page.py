"""The page ``/models/{id}/explain``: a form, and why the entity it names gets its score.

The URL carries the question, so that it can be sent to somebody else; the answer comes from a child
process, and the page looks for it until it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import html, ui
from starlette.requests import Request

from relcast.catalog.records import ModelRecord
from relcast.core.errors import Conflict, NotFound, RelcastError
from relcast.core.schema import TaskType
from relcast.ui.asking import ask, page
from relcast.ui.elements import Live, card, error_box, link_button, note
from relcast.ui.evaluation import href
from relcast.ui.evaluation.page import ROOM
from relcast.ui.explanation.picture import draw_told
from relcast.ui.explanation.reading import Told, told_of
from relcast.ui.fields import TextField
from relcast.ui.frame import Crumb, page_frame
from relcast.ui.gate import Hall

if TYPE_CHECKING:
    from relcast.jobs import Platform
    from relcast.jobs.quick_work import Asked

__all__ = ["show_explanation"]

_LOOK_SECONDS = 0.3
_ONE = frozenset({TaskType.BINARY_CLASSIFICATION, TaskType.REGRESSION})


@dataclass(frozen=True, slots=True)
class _Question:
    """What the URL asks: an entity's key, when, and which of several predictions."""

    entity: str
    anchor: str
    output: str


@page(ROOM)
async def show_explanation(
    request: Request, model_id: str, entity: str = "", anchor: str = "", output: str = ""
) -> None:
    """The page ``/models/{id}/explain``; ``entity``, ``anchor`` and ``output`` ask at once."""
    platform = Hall.of(request).platform
    model = await ask(platform.model, model_id)
    name = await ask(_name, platform, model)
    question = _Question(entity.strip(), anchor.strip(), output.strip())
    with page_frame("Explanation", ROOM, above=Crumb(f"Model of {name}", href(model.id))) as top:
        with top:
            link_button("Evaluation", href(model.id), icon="query_stats")
        _form(model, question)
        live = html.div(**{"aria-live": "polite"}).classes("rc-live")
        with live:
            answer = _Answer(platform, model, question)
        if question.entity:
            await answer.begin()


def _name(platform: Platform, model: ModelRecord) -> str:
    try:
        query = platform.query(model.query_id)
    except NotFound:
        return model.query_id
    return query.name or query.id


def _form(model: ModelRecord, question: _Question) -> None:
    """Draw a plain form that goes to this page's own URL, with the question in it."""
    action = href(model.id, "explain")
    with card("Which prediction"), html.form(method="get", action=action).classes("rc-stack"):
        with html.div().classes("rc-form"):
            _named("entity", TextField("Entity (its primary key)", value=question.entity))
            when = question.anchor.removesuffix("Z").partition("+")[0].replace(" ", "T")
            moment = TextField(
                "Anchor time (UTC), optional",
                kind="datetime-local",
                value=when,
                hint="Empty: the newest time in the data. A static query has none.",
            )
            moment.box.props["step"] = "any"
            _named("anchor", moment)
            if model.task_type not in _ONE:
                _named(
                    "output",
                    TextField(
                        f"{_output_word(model.task_type)}, optional",
                        value=question.output,
                        hint="Empty: the first step."
                        if model.task_type is TaskType.FORECASTING
                        else "Empty: the best one.",
                    ),
                )
        with html.div().classes("rc-actions"):
            made = html.button(type="submit").classes("rc-btn rc-btn--main")
            with made:
                ui.icon("help").props["aria-hidden"] = "true"
                html.span("Explain")
            note("On the newest data that was read; nothing is stored.")


def _named(name: str, field: TextField) -> None:
    field.box.props["name"] = name


def _output_word(task_type: TaskType) -> str:
    if task_type is TaskType.FORECASTING:
        return "Step, from 1"
    if task_type in (TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION):
        return "Item (its key)"
    if task_type is TaskType.MULTICLASS_CLASSIFICATION:
        return "Class"
    return "Label"


class _Answer:
    """Asks, looks until the answer is there, and draws it or the error in its place."""

    def __init__(self, platform: Platform, model: ModelRecord, question: _Question) -> None:
        self._platform, self._model, self._question = platform, model, question
        self._asked: Asked | None = None
        self._shown = Live()
        self._shown.show("nothing", _invite)
        self._timer = ui.timer(_LOOK_SECONDS, self._look, active=False)
        # A page that was left has nobody who waits for its answer.
        ui.context.client.on_delete(self._leave)

    async def begin(self) -> None:
        """Ask the question of the URL."""
        try:
            self._asked = await ask(
                self._platform.begin_explanation,
                self._model.id,
                self._question.entity,
                self._question.anchor or None,
                output=_output(self._question.output, self._model.task_type),
            )
        except RelcastError as error:
            self._complain(error)
            return
        self._shown.show("busy", _busy)
        self._look()
        if self._asked is not None:
            self._timer.activate()

    def _look(self) -> None:
        asked = self._asked
        if asked is None or not asked.done:
            return
        self._leave()
        try:
            told: Told = told_of(asked.result()["explanation"])
        except RelcastError as error:
            self._complain(error)
            return
        self._shown.show("told", lambda: draw_told(told))

    def _leave(self) -> None:
        if self._asked is not None:
            self._asked.leave()
            self._asked = None
        self._timer.deactivate()

    def _complain(self, error: RelcastError) -> None:
        hint = error.hint
        if isinstance(error, Conflict) and error.code == "snapshot.none":
            hint = "Retrain the query, or read the tables on its page."
        self._shown.show("error", lambda: error_box(error.message, hint, error.code))


def _output(text: str, task_type: TaskType) -> Any:
    """Return the step of a forecast as a number; keys and classes are named as they are."""
    if task_type is TaskType.FORECASTING and text.isascii() and text.isdigit():
        return int(text)
    return text or None


def _invite() -> None:
    note(
        "Name an entity. Its prediction is made again, each feature says which way it pushes, and "
        "each of its newest rows is left out once to see what would be without it."
    )


def _busy() -> None:
    with html.div(role="status").classes("rc-row"):
        ui.spinner(size="1.2em")
        html.span("Asking the model …")
