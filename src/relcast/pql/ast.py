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
    "CheckedQuery",
    "ColumnRef",
    "Comparison",
    "Condition",
    "Constant",
    "Expression",
    "IsNull",
    "Not",
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

    ``link`` (checked trees only): the foreign key from ``column.table`` to the entity table.
    """

    kind: AggregationKind
    column: ColumnRef
    where: Condition | None = None
    window: Window | None = None
    position: Position | None = field(default=None, compare=False)
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operand operator constant``; for IN and NOT IN ``constant`` is a tuple of constants."""

    operand: Aggregation | ColumnRef
    operator: Operator
    constant: Constant | tuple[Constant, ...]
    position: Position | None = field(default=None, compare=False)
    constant_position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """``operand IS NULL``, or ``IS NOT NULL`` when ``negated``."""

    operand: Aggregation | ColumnRef
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
Expression = Condition | Aggregation | ColumnRef


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
    """

    text: str
    query: Query
    task_type: TaskType
    temporal: bool
    warnings: tuple[Fault, ...] = ()

    @property
    def entity_table(self) -> str:
        return self.query.entity.table

    @property
    def target_window(self) -> Window | None:
        """The window of the target's first aggregation; None for a static query."""
        for aggregation in aggregations(self.query.target):
            return aggregation.window
        return None


def aggregations(node: Expression | None) -> Iterator[Aggregation]:
    """Yield the aggregations below a node, left to right (inner filters hold none)."""
    match node:
        case Aggregation():
            yield node
        case Comparison(operand=operand) | IsNull(operand=operand):
            yield from aggregations(operand)
        case Not(condition=condition):
            yield from aggregations(condition)
        case And(left=left, right=right) | Or(left=left, right=right):
            yield from aggregations(left)
            yield from aggregations(right)
        case _:
            return
