"""The leakage certificate in plain words, with a loud box where a check failed."""

from __future__ import annotations

from nicegui import html, ui

from relcast.ui.elements import card, error_box
from relcast.ui.evaluation.reading import Fact, Trust

__all__ = ["draw_alarm", "draw_trust"]

_WORDS = {True: "held", False: "failed", None: "does not apply"}
_ICONS = {True: "check_circle", False: "error", None: "remove_circle_outline"}


def draw_alarm(trust: Trust | None) -> None:
    """Draw what must be read before any figure; nothing where all is well."""
    if trust is None:
        return
    if not trust.passed:
        error_box("Do not trust these figures", " ".join(trust.failures), "leakage certificate")
    for suspicion in trust.suspicions:
        error_box("Too good to be true?", suspicion, tone="warn")


def draw_trust(trust: Trust | None) -> None:
    """Draw every check with its evidence, and what was assumed."""
    with card("Leakage certificate", aside="computed on this model"):
        if trust is None:
            html.p(
                "This model was made without a certificate: nobody has looked whether it sees the "
                "future. Retrain the query to get one."
            ).classes("rc-sub")
            return
        with html.div().classes("rc-stack"):
            html.p(trust.sentence).classes("rc-strong")
            with html.ul().classes("rc-checks"):
                for fact in trust.facts:
                    _fact(fact)
            for assumed in trust.assumed:
                error_box(assumed, tone="warn")


def _fact(fact: Fact) -> None:
    said = _WORDS[fact.passed]
    kind = {True: "good", False: "bad", None: "none"}[fact.passed]
    with html.li().classes(f"rc-check rc-check--{kind}"):
        ui.icon(_ICONS[fact.passed]).props["aria-hidden"] = "true"
        with html.div():
            html.span(f"{fact.name[:1].upper()}{fact.name[1:]}: ")
            html.span(said).classes("rc-strong")
            html.p(fact.says).classes("rc-note")
