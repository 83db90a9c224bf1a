"""What every learner is trained from, and what it hands to the board.

A learner is a function from ``Work`` to ``Trained``. It sees training and validation rows only; the
test split is for ``fit`` to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from relcast.learners.deadline import Deadline
from relcast.learners.plan import Budget
from relcast.learners.protocol import Fold, Predictor, Ranker, Target

if TYPE_CHECKING:
    from relcast.learners.features import FeatureSet
    from relcast.pql.ast import CheckedQuery
    from relcast.relations import Relations

__all__ = ["Learner", "Report", "Settings", "Trained", "Trial", "Work"]

P = TypeVar("P", bound=Predictor | Ranker)

Report = Callable[[int, int, str, float], None]
"""Called with trial, iteration, the name of the early stopping metric and its value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What training is told: the budget, the deciding metric, seed, threads and deadline.

    Attributes:
        deadline: When no further trial begins and a running one stops.
        calibrate: Whether probabilities of a binary task are calibrated.
        losses: What may be minimised, of ``plan.LOSSES``; None leaves it to the learner, which
            takes its own, too, where it has none of them.
        patience: Epochs without improvement after which a trial of a network ends; None leaves it
            to the learner.
        lag_timesteps: Of a forecast, how many of the last windows are inputs by themselves; None
            leaves it to the learner.
        year_over_year: Of a forecast, whether the year before may be an input; None is as True.
        leave_out: (table, column) of columns that may not be read as inputs. The features of a
            ``Work`` are without them already.
        allow_mutable: Whether columns that are overwritten in place may be read at anchors of the
            past.
    """

    budget: Budget
    metric: str
    seed: int
    threads: int
    deadline: Deadline
    calibrate: bool = True
    losses: tuple[str, ...] | None = None
    patience: int | None = None
    lag_timesteps: int | None = None
    year_over_year: bool | None = None
    leave_out: frozenset[tuple[str, str]] = frozenset()
    allow_mutable: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What one learner is given.

    Attributes:
        relations: The snapshot's arrays.
        query: The checked query.
        target: What is predicted.
        train, valid: The folds, neither of them empty.
        features: Candidate features of the examples; may have none.
        settings: Budget, metric, seed, threads, deadline.
        report: Where trials report to.
        newer: Rows beside those of validation that a refit learns from as well; see ``denser``.
    """

    relations: Relations
    query: CheckedQuery
    target: Target
    train: Fold
    valid: Fold
    features: FeatureSet
    settings: Settings
    report: Report
    newer: Fold | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of settings that was tried, with its tune metric on validation.

    Attributes:
        config: The settings, JSON-ready.
        iterations: Trees, or epochs.
    """

    number: int
    config: Mapping[str, Any]
    iterations: int
    validation: float
    seconds: float
    out_of_time: bool


@dataclass(frozen=True)
class Trained(Generic[P]):
    """What came of a training; ``P`` is ``Predictor`` or ``Ranker``.

    Attributes:
        model: What can be published: refitted where the budget says so.
        validated: The same before the refit, which the validation figures are of.
        trials: Every trial.
        report: Rows and features used and left out, JSON-ready.
    """

    model: P
    validated: P
    trials: tuple[Trial, ...]
    report: Mapping[str, Any] = field(default_factory=dict)


Learner = Callable[[Work], Trained[P]]
