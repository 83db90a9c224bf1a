"""The syntax tree of PQL, and what a query becomes once it is checked against a graph.

One tree serves both: the parser leaves ``link``, ``hop``, ``dtype`` and ``stype`` empty, the
checker returns a copy with these filled in. Nodes are immutable and compare by value; positions do
not take part in comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from relcast.core.errors import Fault, Position
from relcast.core.schema import Dtype, Link, Stype, TaskType

__all__ = [
    "Aggregation",
    "AggregationKind",
    "And",
    "Arithmetic",
    "ArithmeticOperator",
    "CheckedQuery",
    "ColumnRef",
    "Comparison",
    "Condition",
    "Constant",
    "Expression",
    "IsNull",
    "Not",
    "Operand",
    "Operator",
    "Or",
    "Problem",
    "ProblemKind",
    "Query",
    "Unit",
    "Window",
    "aggregations",
]


class AggregationKind(StrEnum):
    """The aggregations of the language."""

    SUM = "SUM"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    COUNT = "COUNT"
    COUNT_DISTINCT = "COUNT_DISTINCT"
    FIRST = "FIRST"
    LAST = "LAST"
    LIST_DISTINCT = "LIST_DISTINCT"
    MEDIAN = "MEDIAN"
    """The middle value, the mean of the two middle ones of an even number; an extension."""
    STDDEV = "STDDEV"
    """The standard deviation of the sample (n - 1 below), absent for one value; an extension."""


class Unit(StrEnum):
    """Units of window bounds; months are calendar months, days are 24 hours."""

    seconds = "seconds"
    minutes = "minutes"
    hours = "hours"
    days = "days"
    weeks = "weeks"
    months = "months"


class Operator(StrEnum):
    """Comparison operators, in their canonical spelling (``LIKE`` is resolved by the parser)."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "IN"
    NOT_IN = "NOT IN"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT CONTAINS"
    STARTS_WITH = "STARTS WITH"
    NOT_STARTS_WITH = "NOT STARTS WITH"
    ENDS_WITH = "ENDS WITH"
    NOT_ENDS_WITH = "NOT ENDS WITH"
    BETWEEN = "BETWEEN"
    """Both ends are inside; ``constant`` is the pair of them. An extension, as its negation."""
    NOT_BETWEEN = "NOT BETWEEN"


class ArithmeticOperator(StrEnum):
    """What joins two numbers; an extension."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


class ProblemKind(StrEnum):
    """What follows the target."""

    CLASSIFY = "CLASSIFY"
    RANK = "RANK"
    FORECAST = "FORECAST"


Constant = bool | int | Decimal | str | datetime | None
"""A literal; a date is a naive ``datetime`` in UTC. ``None`` is NULL."""


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open window ``(a + start, a + end]``; ``start`` None is minus infinity."""

    start: int | None
    end: int
    unit: Unit = Unit.days
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """``table.column``, or ``table.*`` with ``column`` None.

    ``hop`` (checked trees only): the link from the table in focus (the entity table, or the
    aggregated table inside an inner filter) to ``table``, or None when the column stands on the
    table in focus itself.
    """

    table: str
    column: str | None
    position: Position | None = field(default=None, compare=False)
    hop: Link | None = None
    dtype: Dtype | None = None
    stype: Stype | None = None


@dataclass(frozen=True, slots=True)
class Aggregation:
    """``AGG(column [WHERE where], start, end, unit)``.

    ``path`` (checked trees only): the foreign keys that lead from ``column.table`` to the entity
    table, in that order; more than one is an extension. ``items`` (checked trees only): for
    LIST_DISTINCT of a foreign key, the link to the rows that it lists; None otherwise.
    """

    kind: AggregationKind
    column: ColumnRef
    where: Condition | None = None
    window: Window | None = None
    position: Position | None = field(default=None, compare=False)
    path: tuple[Link, ...] = ()
    items: Link | None = None

    @property
    def link(self) -> Link | None:
        """The foreign key to the entity table where it is one step away; None otherwise."""
        return self.path[0] if len(self.path) == 1 else None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left operator right`` over aggregations and numbers, at least one aggregation; a number.

    Its value is a 64-bit float, NULL where a side is NULL or a divisor is 0. An extension.
    """

    operator: ArithmeticOperator
    left: Aggregation | Arithmetic | int | Decimal
    right: Aggregation | Arithmetic | int | Decimal
    position: Position | None = field(default=None, compare=False)


Operand = Aggregation | Arithmetic | ColumnRef


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operand operator constant``.

    ``constant`` is a tuple of constants for IN and NOT IN, and the two ends for BETWEEN and NOT
    BETWEEN.
    """

    operand: Operand
    operator: Operator
    constant: Constant | tuple[Constant, ...]
    position: Position | None = field(default=None, compare=False)
    constant_position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """``operand IS NULL``, or ``IS NOT NULL`` when ``negated``."""

    operand: Operand
    negated: bool = False
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    left: Condition
    right: Condition
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    left: Condition
    right: Condition
    position: Position | None = field(default=None, compare=False)


Condition = Comparison | IsNull | Not | And | Or
Expression = Condition | Operand


@dataclass(frozen=True, slots=True)
class Problem:
    """``RANK TOP k``, ``CLASSIFY`` or ``FORECAST n TIMEFRAMES``; ``number`` is k or n."""

    kind: ProblemKind
    number: int | None = None
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. ``keys`` is set for the in-context form ``FOR t.pk = v`` / ``IN (...)``."""

    target: Expression
    entity: ColumnRef
    problem: Problem | None = None
    keys: tuple[Constant, ...] | None = None
    where: Condition | None = None
    assuming: Condition | None = None
    position: Position | None = field(default=None, compare=False)
    keys_position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that fits a graph: every column resolved, its task type known.

    Attributes:
        text: The query as it was written.
        query: The resolved tree (links, hops and types filled in).
        task_type: What kind of prediction it is.
        temporal: Whether examples have an anchor time.
        warnings: Faults that do not stop anybody.
        extensions: What of it only we have, as faults of ``pql.extension``, each with its place and
            the form that Kumo's language has; strict mode refuses a query that has any.
    """

    text: str
    query: Query
    task_type: TaskType
    temporal: bool
    warnings: tuple[Fault, ...] = ()
    extensions: tuple[Fault, ...] = ()

    @property
    def entity_table(self) -> str:
        return self.query.entity.table

    @property
    def target_window(self) -> Window | None:
        """The window of the target's first aggregation; None for a static query."""
        for aggregation in aggregations(self.query.target):
            return aggregation.window
        return None

    @property
    def forecast_length(self) -> int | None:
        """The number of windows that a forecasting query predicts; None for other tasks."""
        problem = self.query.problem
        if problem is None or problem.kind is not ProblemKind.FORECAST:
            return None
        return problem.number

    @property
    def items(self) -> Link | None:
        """The link to the rows that a link prediction ranks; None for other tasks."""
        target = self.query.target
        links = {TaskType.TEMPORAL_LINK_PREDICTION, TaskType.STATIC_LINK_PREDICTION}
        return target.items if isinstance(target, Aggregation) and self.task_type in links else None


def aggregations(node: Expression | int | Decimal | None) -> Iterator[Aggregation]:
    """Yield the aggregations below a node, left to right (inner filters hold none)."""
    match node:
        case Aggregation():
            yield node
        case Arithmetic(left=left, right=right):
            yield from aggregations(left)
            yield from aggregations(right)
        case Comparison(operand=operand) | IsNull(operand=operand):
            yield from aggregations(operand)
        case Not(condition=condition):
            yield from aggregations(condition)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from aggregations(left)
            yield from aggregations(right)
        case _:
            return
