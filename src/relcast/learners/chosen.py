"""Why a model was published, in words: what it was chosen over, and what stands above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relcast.learners.evaluation import better

if TYPE_CHECKING:
    from relcast.learners.board import Board, Contender

__all__ = ["why_published"]


def why_published(board: Board, winner: Contender) -> str:
    """Return a sentence or two on why the winner of a board is published.

    A learner is published where it validates better than every baseline, and a blend of learners
    where validation cannot tell it from the best of them: then something stands above what is
    published on the leaderboard, and this says what and why.
    """
    parts = [_choice(board, winner)]
    trial = _better_trial(board, winner)
    if trial is not None:
        name, value = trial
        parts.append(
            f"One trial ({name}) was measured better while training "
            f"({_figure(board, value)} against {_figure(board, winner.value)}): the best of many "
            "trials is partly luck, so what was made of all of them is published."
        )
    return " ".join(parts)


def _choice(board: Board, winner: Contender) -> str:
    name = winner.model.name
    learned = board.best_learned()
    if learned is None:
        return f"Published is the baseline {name}: nothing was trained."
    if winner is not learned:
        return (
            f"Published is the baseline {name}: the best that was trained, {learned.model.name}, "
            "does not validate better."
        )
    others = [c for c in board.learned if c is not winner]
    if not others:
        return f"Published is {name}: it validates better than every baseline."
    best = others[0]
    for other in others[1:]:
        if better(board.metric, other.value, best.value):
            best = other
    figures = f"{_figure(board, winner.value)} against {_figure(board, best.value)}"
    if better(board.metric, best.value, winner.value):
        rows = len(board.folds.validation)
        return (
            f"Published is {name}, although {best.model.name} alone validates a little better "
            f"({figures}): {rows:,} rows cannot tell the two apart, and a mean of several learners "
            "is the safer bet on new rows."
        )
    if winner.family != "blend" and best.family == "blend":
        return f"Published is {name} alone: it validates better than the blend ({figures})."
    return f"Published is {name}: it validates better than {best.model.name} ({figures})."


def _better_trial(board: Board, winner: Contender) -> tuple[str, float | None] | None:
    """Return the best trial that was measured better than what is published; None without one."""
    if not any(winner is each for each in board.learned):
        return None
    for entry in board.ranked():
        if not better(board.metric, entry.validation, winner.value):
            return None
        if entry.trial is not None:
            return entry.name, entry.validation
    return None


def _figure(board: Board, value: float | None) -> str:
    return f"{board.metric} {'undefined' if value is None else f'{value:.4g}'}"
