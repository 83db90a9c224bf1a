"""A checked query in plain English: ``describe``. For people; nothing parses it back."""

from __future__ import annotations

from relcast.core.schema import TaskType
from relcast.pql.ast import (
    CheckedQuery,
    ColumnRef,
    Comparison,
    Expression,
    Operand,
    Window,
)
from relcast.pql.known import never_null
from relcast.pql.literals import name_text
from relcast.pql.population import Population
from relcast.pql.tree import comparisons
from relcast.pql.values import label
from relcast.pql.wording import Wording, amount, amount_with_one, constants, when_equal

__all__ = ["describe"]

_TASKS = {
    TaskType.BINARY_CLASSIFICATION: "Binary classification",
    TaskType.MULTICLASS_CLASSIFICATION: "Multiclass classification",
    TaskType.MULTILABEL_CLASSIFICATION: "Multilabel classification",
    TaskType.MULTILABEL_RANKING: "Multilabel ranking",
    TaskType.REGRESSION: "Regression",
    TaskType.TEMPORAL_LINK_PREDICTION: "Temporal link prediction",
    TaskType.STATIC_LINK_PREDICTION: "Static link prediction",
    TaskType.FORECASTING: "Forecasting",
}
_SAY_THEMSELVES = {
    TaskType.TEMPORAL_LINK_PREDICTION,
    TaskType.STATIC_LINK_PREDICTION,
    TaskType.FORECASTING,
}


def describe(checked: CheckedQuery, rhythm: str | None = None) -> str:
    """Return sentences: what kind of prediction it is, for whom what is predicted, who is left out.

    Args:
        checked: The query.
        rhythm: When examples are made, as the beginning of a sentence without its full stop, such
            as "Each Monday"; windows are then told from there. Without it they are told from the
            anchor time, the moment at which a prediction is made.
    """
    told = rhythm is not None and checked.temporal
    wording = Wording(told=told)
    beginning = ""
    if told and rhythm is not None:
        # "One moment: 2024-01-31" is a sentence of its own.
        beginning = f"{rhythm}. " if ":" in rhythm else f"{rhythm}, "
    whom = _whom(checked, wording)
    if not beginning.endswith(", "):
        whom = whom[0].upper() + whom[1:]
    sentences = [
        _task(checked),
        f"{beginning}{whom}, {_aim(checked, wording)}",
        *_left_out(checked, wording),
    ]
    return " ".join(f"{sentence}." for sentence in sentences)


def _task(checked: CheckedQuery) -> str:
    kind = _TASKS[checked.task_type]
    if checked.task_type in _SAY_THEMSELVES:
        return kind
    return f"{kind} {'over time' if checked.temporal else 'without time'}"


def _whom(checked: CheckedQuery, wording: Wording) -> str:
    query = checked.query
    entity = name_text(checked.entity_table)
    # A table without a time column has no rows that come and go.
    timeless = any(w.code == "pql.entity_without_time" for w in checked.warnings)
    exists = checked.temporal and not timeless
    if query.keys is None:
        whom = f"for each row of {entity}{f' that exists {wording.then}' if exists else ''}"
    else:
        word = "is" if len(query.keys) == 1 else "is one of"
        key = name_text(query.entity.column or "")
        whom = f"for the rows of {entity}{f' that exist {wording.then} and' if exists else ''}"
        whom += f" whose {key} {word} {constants(query.keys)}"
    if query.where is None:
        return whom
    whom += "," if query.keys is None else ", and"
    return f"{whom} {Population(checked.entity_table, wording).who(query.where)}"


def _left_out(checked: CheckedQuery, wording: Wording) -> list[str]:
    """Return the sentences about the examples that the query does without."""
    query, found = checked.query, []
    if checked.temporal and _may_lack_value(query.target):
        found.append("Training leaves out examples without such a value")
    if query.where is not None:
        others = Population(checked.entity_table, wording).others(query.where)
        found.append(f"Left out: {name_text(checked.entity_table)} {others}")
    if query.assuming is not None:
        found.append(
            f"Training looks only at examples for which {wording.condition(query.assuming)}; at "
            "prediction that is taken as true"
        )
    return found


def _may_lack_value(target: Expression) -> bool:
    """Whether some example over time has no target; a test of IS NULL always has a value."""
    if isinstance(target, Operand):
        return not never_null(target)
    compared = [x for x in comparisons(target) if isinstance(x, Comparison)]
    return any(not never_null(x.operand) for x in compared)


def _aim(checked: CheckedQuery, wording: Wording) -> str:
    target, problem = checked.query.target, checked.query.problem
    number = problem.number if problem is not None and problem.number is not None else 1
    if not isinstance(target, Operand):
        return f"predict whether {wording.condition(target)}"
    match checked.task_type:
        case TaskType.FORECASTING:
            return _forecast(target, number, wording)
        case TaskType.TEMPORAL_LINK_PREDICTION | TaskType.STATIC_LINK_PREDICTION:
            there = name_text(checked.items.to) if checked.items is not None else ""
            what = f"the {number} rows of {there}" if number > 1 else f"the row of {there}"
            return f"rank {what} most likely to be among {wording.operand(target)}"
        case TaskType.MULTILABEL_RANKING:
            what = f"the {number} values" if number > 1 else "the value"
            return f"rank {what} most likely to be among {_listed(target, wording)}"
        case TaskType.MULTILABEL_CLASSIFICATION:
            return f"predict for each possible value whether it is among {_listed(target, wording)}"
    if isinstance(target, ColumnRef):
        return f"predict {label(target)} where it is missing"
    if checked.task_type is TaskType.BINARY_CLASSIFICATION:
        return f"predict {wording.operand(target)}, which is true or false"
    return f"predict {wording.operand(target)}"


def _listed(target: Operand, wording: Wording) -> str:
    if isinstance(target, ColumnRef):
        return f"those of {label(target)}, where these are missing"
    return wording.operand(target)


def _forecast(target: Operand, number: int, wording: Wording) -> str:
    window = when_equal(target)
    said = f"forecast {wording.operand(target)}"
    if window is None or window.start is None or number == 1:
        return said
    return f"{said}, and {_repeated(window, number)}"


def _repeated(window: Window, number: int) -> str:
    length = window.end - (window.start or 0)
    unit = window.unit.value
    if number == 2:
        return f"in the {amount(length, unit)} after that"
    spans = unit if length == 1 else f"spans of {amount_with_one(length, unit)}"
    return f"in each of the {number - 1} {spans} after that"
