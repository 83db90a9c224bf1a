"""A checked query in plain English: ``describe``. For people; nothing parses it back."""

from __future__ import annotations

from datetime import datetime

from relcast.core.schema import TaskType
from relcast.pql.ast import (
    Aggregation,
    AggregationKind,
    And,
    Arithmetic,
    ArithmeticOperator,
    CheckedQuery,
    ColumnRef,
    Comparison,
    Condition,
    Constant,
    Expression,
    IsNull,
    Not,
    Operand,
    Operator,
    Or,
    Window,
)
from relcast.pql.literals import constant_text, name_text
from relcast.pql.values import label

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
_VALUES = {
    AggregationKind.SUM: "the sum of",
    AggregationKind.AVG: "the average of",
    AggregationKind.MIN: "the least",
    AggregationKind.MAX: "the greatest",
    AggregationKind.COUNT: "the number of rows with a value of",
    AggregationKind.COUNT_DISTINCT: "the number of distinct values of",
    AggregationKind.FIRST: "the first",
    AggregationKind.LAST: "the last",
    AggregationKind.LIST_DISTINCT: "the distinct values of",
    AggregationKind.MEDIAN: "the median of",
    AggregationKind.STDDEV: "the standard deviation of",
}
_COMPARED = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.LT: "is less than",
    Operator.LE: "is at most",
    Operator.GT: "is more than",
    Operator.GE: "is at least",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.CONTAINS: "contains",
    Operator.NOT_CONTAINS: "does not contain",
    Operator.STARTS_WITH: "starts with",
    Operator.NOT_STARTS_WITH: "does not start with",
    Operator.ENDS_WITH: "ends with",
    Operator.NOT_ENDS_WITH: "does not end with",
    Operator.BETWEEN: "is between",
    Operator.NOT_BETWEEN: "is not between",
}
_COMPARED_TIMES = {
    Operator.LT: "is before",
    Operator.LE: "is not after",
    Operator.GT: "is after",
    Operator.GE: "is not before",
}
_SHOWN = 5


def describe(checked: CheckedQuery) -> str:
    """Return two sentences: what kind of prediction it is, and for whom what is predicted when.

    Windows are told from the anchor time, the moment at which a prediction is made.
    """
    query = checked.query
    kind = _TASKS[checked.task_type]
    over = "over time" if checked.temporal else "without time"
    entity = name_text(checked.entity_table)
    if query.keys is None:
        whom = f"For each row of {entity}"
    else:
        word = "is" if len(query.keys) == 1 else "is one of"
        whom = f"For the rows of {entity} whose {name_text(query.entity.column or '')} {word} "
        whom += _constants(query.keys)
    if query.where is not None:
        whom += f" where {_condition(query.where)}"
    sentence = f"{whom}, {_aim(checked)}"
    if query.assuming is not None:
        sentence += f", assuming that {_condition(query.assuming)}"
    return f"{kind} {over}. {sentence}."


def _aim(checked: CheckedQuery) -> str:
    target, problem = checked.query.target, checked.query.problem
    number = problem.number if problem is not None else None
    what = _operand(target) if isinstance(target, Operand) else None
    match checked.task_type:
        case TaskType.FORECASTING:
            return f"forecast {what}, and so on for {number} windows in a row"
        case (
            TaskType.TEMPORAL_LINK_PREDICTION
            | TaskType.STATIC_LINK_PREDICTION
            | TaskType.MULTILABEL_RANKING
        ):
            return f"rank the {number} most likely of {what}"
        case TaskType.MULTILABEL_CLASSIFICATION:
            return f"predict for each possible value whether it is among {what}"
    if what is None:
        return f"predict whether {_condition_of(target)}"
    return f"predict {what}" if checked.temporal else f"predict {what} where it is missing"


def _condition_of(node: Expression) -> str:
    return _operand(node) if isinstance(node, Operand) else _condition(node)


def _operand(node: Operand) -> str:
    if isinstance(node, ColumnRef):
        return label(node)
    if isinstance(node, Arithmetic):
        return _arithmetic(node)
    if node.column.column is None:
        text = f"the number of rows of {name_text(node.column.table)}"
    else:
        text = f"{_VALUES[node.kind]} {label(node.column)}"
    if node.where is not None:
        text += f" (where {_condition(node.where)})"
    return text if node.window is None else f"{text} {_window(node.window)}"


_WORDS = {
    ArithmeticOperator.ADD: "plus",
    ArithmeticOperator.SUBTRACT: "minus",
    ArithmeticOperator.MULTIPLY: "times",
    ArithmeticOperator.DIVIDE: "divided by",
}


def _arithmetic(node: Arithmetic) -> str:
    sides = [
        f"({_arithmetic(x)})"
        if isinstance(x, Arithmetic)
        else _operand(x)
        if isinstance(x, Aggregation)
        else constant_text(x)
        for x in (node.left, node.right)
    ]
    return f"{sides[0]} {_WORDS[node.operator]} {sides[1]}"


def _window(window: Window) -> str:
    start, end = window.start, window.end
    unit = window.unit.value
    if start is None:
        if end == 0:
            return "at any time up to the anchor time"
        return f"until {_amount(-end, unit)} before the anchor time"
    if start >= 0:
        if start == 0:
            return f"in the {_amount(end, unit)} after the anchor time"
        return f"between {start} and {_amount(end, unit)} after the anchor time"
    if end == 0:
        return f"in the {_amount(-start, unit)} up to the anchor time"
    return f"between {-start} and {_amount(-end, unit)} before the anchor time"


def _amount(number: int, unit: str) -> str:
    return f"{number} {unit[:-1] if number == 1 else unit}"


def _condition(node: Condition) -> str:
    match node:
        case Comparison():
            operand, value = node.operand, node.constant
            if node.operator in {Operator.BETWEEN, Operator.NOT_BETWEEN} and isinstance(
                value, tuple
            ):
                low, high = map(_constant, value)
                return f"{_operand(operand)} {_verb(node)} {low} and {high}"
            return f"{_operand(operand)} {_verb(node)} {_constants(value)}"
        case IsNull():
            return f"{_operand(node.operand)} is {'present' if node.negated else 'missing'}"
        case Not():
            return f"it is not true that {_inner(node.condition)}"
        case And():
            left, right = (_inner(x, And) for x in (node.left, node.right))
            return f"{left} and {right}"
        case Or():
            left, right = (_inner(x, Or) for x in (node.left, node.right))
            return f"{left} or {right}"


def _inner(node: Condition, kind: type[And | Or] | None = None) -> str:
    """Return a part of a condition, in parentheses where English would leave a doubt."""
    plain = isinstance(node, Comparison | IsNull) or (kind is not None and isinstance(node, kind))
    return _condition(node) if plain else f"({_condition(node)})"


def _verb(node: Comparison) -> str:
    if isinstance(node.constant, datetime):
        return _COMPARED_TIMES.get(node.operator, _COMPARED[node.operator])
    return _COMPARED[node.operator]


def _constants(value: Constant | tuple[Constant, ...]) -> str:
    if not isinstance(value, tuple):
        return _constant(value)
    words = [_constant(v) for v in value[:_SHOWN]]
    if len(value) > _SHOWN:
        return f"{', '.join(words)} or {len(value) - _SHOWN} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _constant(value: Constant) -> str:
    return str(value).lower() if isinstance(value, bool) else constant_text(value)
