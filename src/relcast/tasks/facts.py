"""Aggregations over windows, as SQL: the value of the rows that reach an entity, at a moment.

Each aggregation's rows are staged once (``fact_rows``: joined to their entity, inner filter
applied, NULL removed, times as int64 ns); windows then join the staged rows to the examples that
contain them, so that one pass serves every anchor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sqlglot import exp

from relcast.pql.ast import Aggregation, AggregationKind, Comparison, Operator
from relcast.tasks.conditions import (
    FALSE,
    Kind,
    Operand,
    both,
    compile_leaf,
    number,
)
from relcast.tasks.sql import (
    at_earliest,
    at_latest,
    column,
    middle,
    present,
    same,
    without_nan,
)
from relcast.tasks.staging import StagedLeaves, within_life
from relcast.tasks.sums import PLAIN, Scale, deviation, total

__all__ = ["Fact", "Sight"]

_FACT = "fact"
_ZERO = (AggregationKind.COUNT, AggregationKind.SUM, AggregationKind.COUNT_DISTINCT)
_ADDED = (AggregationKind.SUM, AggregationKind.AVG)
_HELD = (
    AggregationKind.COUNT_DISTINCT,
    AggregationKind.LIST_DISTINCT,
    AggregationKind.MEDIAN,
    AggregationKind.STDDEV,
)


class Sight(StrEnum):
    """From where the rows of a window are seen.

    Ahead of the anchor they are taken as they are. In the past what was not known at the anchor is
    kept out of inner filters and from between a row and its entity, and so are rows that had ended.
    """

    ahead = "ahead"
    past = "past"
    either = "either"
    """Each window as it lies: it is past when it ends at or before the anchor."""


@dataclass(frozen=True)
class Fact:
    """One aggregation: the rows to stage, and how they are aggregated.

    Attributes:
        aggregation: The aggregation.
        number: Its place in the query; names the staged table and the window's bounds.
        kind: How SQL holds the aggregation's value.
        rows: What to stage as ``name``: ``entity, time, value`` and what else is needed.
        of_target: Whether it stands in the target.
        stepped: Whether there is a value for each window of a forecast.
        sight: From where its rows are seen.
        staged: The inner filter's leaves where it is decided as of the anchor; None otherwise.
        begins: Whether the rows carry ``begun``, a time before which they are not known.
        ends: Whether the rows carry ``ended``, from which on they are not known.
        holds: For conditions on lists: the column that says whether a row has the constant.
        scale: How large the staged floats are, once that is known.
    """

    aggregation: Aggregation
    number: int
    kind: Kind
    rows: exp.Select
    of_target: bool = False
    stepped: bool = False
    sight: Sight = Sight.ahead
    staged: StagedLeaves | None = None
    begins: bool = False
    ends: bool = False
    holds: dict[Comparison, str] = field(default_factory=dict)
    scale: Scale = PLAIN

    @property
    def name(self) -> str:
        return f"fact_{self.number}"

    @property
    def adds_floats(self) -> bool:
        """Whether its sums depend on how large the staged values are."""
        kind = self.aggregation.kind
        return (kind in _ADDED and self.kind == "double") or kind is AggregationKind.STDDEV

    @property
    def holds_rows(self) -> bool:
        """Whether the engine keeps something of every row of a window until it has them all."""
        return self.aggregation.kind in _HELD

    # -- values of grouped rows -----------------------------------------------------------------

    def operand(self, alias: str) -> Operand:
        """Return the value from grouped rows joined as ``alias``; a count of nothing is 0."""
        value: exp.Expr = column("value", alias)
        if self.aggregation.kind in _ZERO:
            value = exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])
        if self.scale.infinite or self.aggregation.kind is AggregationKind.MEDIAN:
            value = without_nan(value)  # infinity minus infinity is no value
        return Operand(value, self.kind)

    def leaf(self, leaf: Comparison, alias: str) -> exp.Expr:
        """Return a comparison of the value; of a list, whether it contains the constant."""
        if leaf not in self.holds:
            return compile_leaf(leaf, self.operand(alias))
        held = exp.Coalesce(this=column(self.holds[leaf], alias), expressions=[FALSE.copy()])
        if leaf.operator is Operator.CONTAINS:
            return held
        return both(present(column("value", alias)), exp.not_(held))

    # -- windows --------------------------------------------------------------------------------

    def grouped(self, span: tuple[int, int] | None, steps: int = 1) -> exp.Select:
        """Return ``pair[, step], value[, holds_i]`` of every pair with rows in its window.

        Reads ``pairs (pair, entity, anchor)`` and ``bounds (anchor, step, moment, low_i, high_i)``;
        ``span``, read as ``(low, high]``, holds every window of the batch. With several ``steps``
        to an anchor, a fact that is not stepped looks at the first alone.
        """
        keys: list[exp.Expr] = [column("pair", "pairs")]
        if self.stepped:
            keys.append(column("step", "bounds"))
        held = [
            exp.LogicalOr(this=column(name, _FACT)).as_(name, quoted=True)
            for name in dict.fromkeys(self.holds.values())
        ]
        select = exp.select(*keys, self._aggregate().as_("value", quoted=True), *held)
        return self._windowed(select, span, steps).group_by(*(k.copy() for k in keys))

    def listed(self, span: tuple[int, int] | None) -> exp.Select:
        """Return ``pair, value, first`` of every different value in a pair's window.

        ``first`` orders the values of a pair by first appearance.
        """
        keys: list[exp.Expr] = [column("pair", "pairs"), column("value", _FACT)]
        first = exp.Min(this=column("place", _FACT))
        select = exp.select(*keys, first.as_("first", quoted=True))
        return self._windowed(select, span, 1).group_by(*(k.copy() for k in keys))

    def _windowed(self, select: exp.Select, span: tuple[int, int] | None, steps: int) -> exp.Select:
        """Join the pairs to the staged rows in their windows."""
        moment, time = column("moment", "bounds"), column("time", _FACT)
        tests: list[exp.Expr] = []
        if self.aggregation.window is not None:
            tests.append(
                exp.GT(this=time.copy(), expression=column(f"low_{self.number}", "bounds"))
            )
            tests.append(
                exp.LTE(this=time.copy(), expression=column(f"high_{self.number}", "bounds"))
            )
            if span is not None:
                tests.append(exp.GT(this=time.copy(), expression=number(span[0])))
                tests.append(exp.LTE(this=time.copy(), expression=number(span[1])))
        if steps > 1 and not self.stepped:
            tests.append(exp.EQ(this=column("step", "bounds"), expression=number(0)))
        as_of = self._known(moment)
        if as_of and self.sight is Sight.either:
            high = column(f"high_{self.number}", "bounds")
            ahead = exp.GT(this=high, expression=moment.copy())
            behind = exp.LTE(this=high.copy(), expression=moment.copy())
            seen = exp.or_(both(ahead, *self._filter(None)), both(behind, *as_of))
            tests.append(exp.paren(seen))
        else:
            tests += as_of
        staged = exp.to_table(self.name).as_(_FACT, quoted=True, table=True)
        select = (
            select.from_(exp.to_table("pairs"))
            .join(exp.to_table("bounds"), on=same("anchor", "bounds", "pairs"))
            .join(staged, on=same("entity", _FACT, "pairs"))
        )
        return select.where(*tests) if tests else select

    def _known(self, moment: exp.Expr) -> list[exp.Expr]:
        """Return what must hold of a row as it was known at a moment."""
        tests = self._filter(moment)
        if self.begins or self.ends:
            since = column("begun", _FACT) if self.begins else None
            until = column("ended", _FACT) if self.ends else None
            tests.append(within_life(since, until, moment))
        return tests

    def _filter(self, moment: exp.Expr | None) -> list[exp.Expr]:
        """Return the inner filter, where it was not decided when the rows were staged."""
        if self.staged is None or self.aggregation.where is None:
            return []
        return [self.staged.condition(self.aggregation.where, _FACT, moment)]

    def _aggregate(self) -> exp.Expr:
        value = column("value", _FACT)
        match self.aggregation.kind:
            case AggregationKind.COUNT | AggregationKind.LIST_DISTINCT:
                return exp.Count(this=exp.Star())
            case AggregationKind.COUNT_DISTINCT:
                return exp.Count(this=exp.Distinct(expressions=[value]))
            case AggregationKind.SUM:
                return total(value, self.scale)
            case AggregationKind.AVG:
                return exp.Div(
                    this=exp.cast(total(value, self.scale), "DOUBLE"),
                    expression=exp.cast(exp.Count(this=exp.Star()), "DOUBLE"),
                )
            case AggregationKind.MEDIAN:
                return middle(value)
            case AggregationKind.STDDEV:
                return deviation(value, self.scale)
            case AggregationKind.MIN:
                return exp.Min(this=value)
            case AggregationKind.MAX:
                return exp.Max(this=value)
            case AggregationKind.FIRST:
                return at_earliest(value, column("place", _FACT))
            case AggregationKind.LAST:
                return at_latest(value, column("place", _FACT))
