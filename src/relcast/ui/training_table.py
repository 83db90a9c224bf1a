"""The training table before any training: asked for with a click, drawn as bars, said in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui import html, ui

from relcast.core.errors import Conflict, RelcastError, SourceError
from relcast.tasks import Outline
from relcast.ui import words
from relcast.ui.asking import action, ask
from relcast.ui.elements import Live, button, card, error_box, note
from relcast.ui.outline_picture import draw_outline

if TYPE_CHECKING:
    from relcast.jobs import Platform
    from relcast.jobs.quick_work import Asked

__all__ = ["TrainingTablePanel"]

_LOOK_SECONDS = 0.4


class TrainingTablePanel:
    """A card with a button; one question at a time, about the query as it stands."""

    def __init__(
        self, platform: Platform, on_read: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """``on_read`` is called when the tables were read here, for more is known then."""
        self._platform = platform
        self._on_read = on_read
        self._question: tuple[str, str, Any] | None = None
        self._asked: Asked | None = None
        self._reading: str | None = None
        self._round = 0
        with card("Training table", aside="before any training"), html.div().classes("rc-stack"):
            with html.div().classes("rc-actions"):
                self._ask = button("Show what it would hold", self._begin, icon="bar_chart")
                self._stop = Live()
            with html.div(**{"aria-live": "polite"}):
                self._shown = Live()
            # Made here: what a button of a part that is drawn anew makes has no place to be.
            self._timer = ui.timer(_LOOK_SECONDS, self._look, active=False)
        self._allow(False)
        self._shown.show("nothing", _invite)
        # A page that was left has nobody who waits for its answer.
        ui.context.client.on_delete(self._leave)

    def about(self, text: str, graph_id: str, plan: Any = None) -> None:
        """Turn to this sound query; what was shown of another one goes."""
        if self._question != (text, graph_id, plan):
            self.forget()
            self._question = (text, graph_id, plan)
        self._allow(True)

    def forget(self) -> None:
        """There is no sound query now."""
        self._leave()
        self._round += 1
        self._question = None
        self._allow(False)
        self._stop.show("none", _nothing)
        self._shown.show("nothing", _invite)

    def _allow(self, good: bool) -> None:
        if good:
            self._ask.props.pop("disabled", None)
            self._ask.update()
        else:
            self._ask.props["disabled"] = True

    def _leave(self) -> None:
        self._reading = None
        if self._asked is not None:
            self._asked.leave()
            self._asked = None

    @action
    async def _begin(self) -> None:
        if self._question is None:
            return
        now = self._turn("Counting rows and targets")
        try:
            asked = await ask(self._platform.begin_statistics, *self._question)
        except RelcastError as error:
            if now == self._round:
                self._complain(error)
            return
        if now != self._round:
            asked.leave()
            return
        self._asked = asked
        self._timer.activate()

    async def _read(self) -> None:
        """Copy the tables, then go on with the question."""
        if self._question is None:
            return
        now = self._turn("Reading the tables")
        try:
            begun = await ask(self._platform.snapshot_graph, self._question[1])
        except RelcastError as error:
            if now == self._round:
                self._complain(error)
            return
        if now == self._round:
            self._reading = begun.id
            self._timer.activate()

    def _turn(self, doing: str) -> int:
        """Begin something new in place of what was going on; return its number."""
        self._leave()
        self._round += 1
        self._allow(False)
        self._shown.show(("busy", self._round), lambda: _busy(doing))
        self._stop.show("stop", self._offer_to_stop)
        return self._round

    async def _look(self) -> None:
        """See how far it is; called by the timer while something goes on."""
        if self._reading is not None:
            await self._look_at_reading(self._reading)
        elif self._asked is not None:
            self._look_at_counting(self._asked)
        else:
            self._timer.deactivate()

    async def _look_at_reading(self, snapshot: str) -> None:
        now = self._round
        found = await ask(self._platform.graph_snapshot, snapshot)
        if now != self._round or not found.state.is_terminal:
            return
        self._reading = None
        if found.snapshot_id is not None:
            await self._begin()
            if self._on_read is not None:
                await self._on_read()
            return
        told = found.error or {}
        self._complain(
            SourceError(
                str(told.get("message") or "The tables were not read"),
                code=told.get("code"),
                hint=str(told.get("hint", "")),
            )
        )

    def _look_at_counting(self, asked: Asked) -> None:
        if not asked.done:
            if said := words.progress_words(asked.progress):
                self._shown.show(("busy", self._round, said), lambda: _busy(said))
            return
        self._leave()
        try:
            found = Outline.from_json(asked.result()["outline"])
        except RelcastError as error:
            self._complain(error)
            return
        self._end()
        self._shown.show(("done", self._round), lambda: draw_outline(found))

    def _offer_to_stop(self) -> None:
        button("Stop", self._give_up, look="small")

    def _give_up(self) -> None:
        self._leave()
        self._round += 1
        self._end()
        self._shown.show(("stopped", self._round), _stopped)

    def _end(self) -> None:
        self._stop.show("none", _nothing)
        self._allow(self._question is not None)

    def _complain(self, error: RelcastError) -> None:
        self._end()
        if isinstance(error, Conflict) and error.code == "snapshot.none":
            self._shown.show(("read", self._round), lambda: _offer_to_read(self._read))
            return
        self._shown.show(
            ("error", self._round), lambda: error_box(error.message, error.hint, error.code)
        )


_INVITATION = (
    "How many rows, at which moments, with how many positives or which mean, and what is left out "
    "and why: counted in seconds, before anything is trained."
)


def _invite() -> None:
    note(_INVITATION)


def _stopped() -> None:
    note("Stopped. Nothing was kept.")


def _nothing() -> None:
    return None


def _busy(text: str) -> None:
    with html.div(role="status").classes("rc-row"):
        ui.spinner(size="1.2em")
        html.span(f"{text} …")


def _offer_to_read(read: Callable[[], Any]) -> None:
    with html.div().classes("rc-stack rc-stack--tight"):
        error_box(
            "The tables of this graph have not been read yet",
            "Reading copies them as they are now; the training that follows uses the same copy.",
            tone="warn",
        )
        with html.div().classes("rc-actions"):
            button("Read the tables", read, icon="download")
