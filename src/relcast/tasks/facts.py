"""Aggregations over windows, as SQL: the rows that reach an entity, and their value at a moment.

Each aggregation's rows are staged once (joined to their entity, inner filter applied, NULL removed,
times as int64 ns); windows then join the staged rows to the examples that contain them, so that one
pass serves every anchor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.pql.ast import Aggregation, AggregationKind
from relcast.tasks.conditions import Kind, Operand, leaves, number
from relcast.tasks.scan import Scan, Session
from relcast.tasks.staging import Focus, StagedLeaves, within_life

__all__ = ["Fact", "stage_fact"]

_FACT = "fact"
_ZERO = (AggregationKind.COUNT, AggregationKind.SUM, AggregationKind.COUNT_DISTINCT)
_ADDED = (AggregationKind.SUM, AggregationKind.AVG)
_ORDERED = (AggregationKind.FIRST, AggregationKind.LAST)
# Floats are summed as 128-bit integers: the largest value takes this many bits, which leaves room
# for 2**34 rows, and 39 bits below the largest value's own last digit. The sum is the same whatever
# the order of the rows and the number of threads.
_SUM_BITS = 92


@dataclass(frozen=True)
class Fact:
    """One staged aggregation.

    Attributes:
        aggregation: The aggregation.
        number: Its place in the query; names the staged table and the window's bounds.
        kind: How SQL holds the aggregation's value.
        scale: The power of two that makes floats integers, for sums; None when they are already.
        infinite: Whether a value to add is infinite.
        staged: The inner filter's leaves where it is decided as of the anchor; None otherwise.
        ends: Whether the rows carry an end time that counts.
    """

    aggregation: Aggregation
    number: int
    kind: Kind
    scale: int | None = None
    infinite: bool = False
    staged: StagedLeaves | None = None
    ends: bool = False

    @property
    def name(self) -> str:
        return f"fact_{self.number}"

    def operand(self, alias: str) -> Operand:
        """Return the value from grouped rows joined as ``alias``; a count of nothing is 0."""
        value: exp.Expr = exp.column("value", table=alias, quoted=True)
        if self.aggregation.kind in _ZERO:
            value = exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])
        if self.infinite:  # infinity minus infinity is no value
            value = exp.Nullif(this=value, expression=_double("NaN"))
        return Operand(value, self.kind)

    def grouped(self, span: tuple[int, int]) -> exp.Select:
        """Return ``pair, value`` of every pair with rows in its window.

        Reads ``pairs (pair, entity, anchor)`` and ``bounds (anchor, moment, low_i, high_i)``;
        ``span``, read as ``(low, high]``, holds every window of the batch.
        """
        moment = _column("moment", "bounds")
        time = _column("time")
        tests: list[exp.Expr] = [
            exp.GT(this=time.copy(), expression=_column(f"low_{self.number}", "bounds")),
            exp.LTE(this=time.copy(), expression=_column(f"high_{self.number}", "bounds")),
            exp.GT(this=time.copy(), expression=number(span[0])),
            exp.LTE(this=time.copy(), expression=number(span[1])),
        ]
        if self.ends:
            tests.append(within_life(None, _column("ended"), moment))
        if self.staged is not None and self.aggregation.where is not None:
            tests.append(self.staged.condition(self.aggregation.where, _FACT, moment))
        pair = _column("pair", "pairs")
        same_anchor = exp.EQ(
            this=_column("anchor", "bounds"), expression=_column("anchor", "pairs")
        )
        same_entity = exp.EQ(this=_column("entity"), expression=_column("entity", "pairs"))
        return (
            exp.select(pair, self._aggregate().as_("value", quoted=True))
            .from_(exp.to_table("pairs"))
            .join(exp.to_table("bounds"), on=same_anchor)
            .join(exp.to_table(self.name).as_(_FACT, quoted=True, table=True), on=same_entity)
            .where(*tests)
            .group_by(pair.copy())
        )

    def _aggregate(self) -> exp.Expr:
        value = _column("value")
        match self.aggregation.kind:
            case AggregationKind.COUNT:
                return exp.Count(this=exp.Star())
            case AggregationKind.COUNT_DISTINCT:
                return exp.Count(this=exp.Distinct(expressions=[value]))
            case AggregationKind.SUM:
                return self._sum(value)
            case AggregationKind.AVG:
                return exp.Div(
                    this=exp.cast(self._sum(value), "DOUBLE"),
                    expression=exp.cast(exp.Count(this=exp.Star()), "DOUBLE"),
                )
            case AggregationKind.MIN:
                return exp.Min(this=value)
            case AggregationKind.MAX:
                return exp.Max(this=value)
            case AggregationKind.FIRST:
                return exp.func("arg_min", value, _column("place"))
            case AggregationKind.LAST:
                return exp.func("arg_max", value, _column("place"))
            case AggregationKind.LIST_DISTINCT:
                raise InternalError("LIST_DISTINCT has no single value")

    def _sum(self, value: exp.Expr) -> exp.Expr:
        if self.scale is None:
            return exp.Sum(this=value)
        factor = _double(repr(2.0**self.scale))
        endless = exp.func("isinf", value.copy())
        finite = exp.Case().when(endless, _double("0")).else_(value.copy())
        scaled = exp.cast(exp.Mul(this=exp.paren(finite), expression=factor), "HUGEINT")
        total = exp.Div(this=exp.cast(exp.Sum(this=scaled), "DOUBLE"), expression=factor.copy())
        if not self.infinite:
            return total
        beyond = exp.Sum(this=exp.Case().when(endless.copy(), value.copy()).else_(_double("0")))
        none_is_infinite = exp.EQ(this=beyond.copy(), expression=_double("0"))
        return exp.paren(exp.Case().when(none_is_infinite, total).else_(beyond))


def stage_fact(session: Session, aggregation: Aggregation, place: int, *, looks_back: bool) -> Fact:
    """Store the rows of an aggregation as ``fact_<place>`` and say how to aggregate them.

    ``looks_back`` (a window of the WHERE clause) keeps what was
    not known at the anchor out of the inner filter too, and rows that had ended by then.
    """
    link = aggregation.link
    if link is None or aggregation.column.table != link.table:
        raise InternalError("the query was not checked: an aggregation has no link")
    scan = session.scan(link.table)
    time = scan.time("own")
    if time is None:
        raise InternalError(f"the query was not checked: {link.table} has no time column")
    focus = Focus(session, scan, "own")
    kind, value = _value(scan, aggregation, "own")

    tests: list[exp.Expr] = [exp.not_(exp.paren(exp.Is(this=time.copy(), expression=exp.null())))]
    if value is not None:
        tests.append(exp.not_(exp.paren(exp.Is(this=value.copy(), expression=exp.null()))))
    staged: StagedLeaves | None = None
    extra: list[exp.Expr] = []
    if aggregation.where is not None:
        candidate = StagedLeaves.of(focus, list(leaves(aggregation.where)))
        condition = focus.condition(aggregation.where)
        if looks_back and candidate.lives:
            staged = candidate
            extra += staged.projections(focus)
        else:
            tests.append(condition)
    end = scan.end_time("own") if looks_back else None
    if end is not None:
        extra.append(end.as_("ended", quoted=True))
    if aggregation.kind in _ORDERED:
        extra.append(_row_order(scan, time).as_("place", quoted=True))

    parent = session.scan(link.to)
    select = focus.from_(
        exp.select(
            parent.row("parent").as_("entity", quoted=True),
            time.copy().as_("time", quoted=True),
            (exp.Literal.number(1) if value is None else value).as_("value", quoted=True),
            *extra,
        )
    )
    on = session.join_on(link, "own", "parent")
    session.materialise(
        f"fact_{place}", select.join(parent.relation("parent"), on=on).where(*tests)
    )
    fact = Fact(aggregation, place, kind, staged=staged, ends=end is not None)
    return _scaled(session, fact) if aggregation.kind in _ADDED and kind == "double" else fact


def _value(scan: Scan, aggregation: Aggregation, alias: str) -> tuple[Kind, exp.Expr | None]:
    """Return the kind of an aggregation's value and the SQL of a row's; None counts rows."""
    name = aggregation.column.column
    if name is None:
        return "integer", None
    value, kind = scan.value(name, alias), scan.kind(name)
    match aggregation.kind:
        case AggregationKind.COUNT | AggregationKind.COUNT_DISTINCT:
            return "integer", value
        case AggregationKind.SUM | AggregationKind.AVG:
            if kind == "bool":
                value, kind = exp.cast(value, "BIGINT"), "integer"
            elif kind != "integer":
                value, kind = exp.cast(value, "DOUBLE"), "double"
            return ("double" if aggregation.kind is AggregationKind.AVG else kind), value
        case _:
            return kind, value


def _row_order(scan: Scan, time: exp.Expr) -> exp.Expr:
    """Return each row's place by time, then primary key, then row order: no two are alike."""
    order: list[exp.Expr] = [time.copy()]
    if scan.table.primary_key is not None:
        order.append(scan.value(scan.table.primary_key, "own"))
    order.append(scan.row("own"))
    return exp.Window(
        this=exp.RowNumber(),
        order=exp.Order(expressions=[exp.Ordered(this=o, nulls_first=False) for o in order]),
    )


def _scaled(session: Session, fact: Fact) -> Fact:
    """Find the power of two that makes the staged floats integers of 92 bits at most."""
    value = _column("value")
    finite = exp.Case().when(exp.not_(exp.func("isinf", value)), exp.Abs(this=value.copy()))
    infinite = exp.func("bool_or", exp.func("isinf", value.copy()))
    source = exp.to_table(fact.name).as_(_FACT, quoted=True, table=True)
    found = session.fetch(
        exp.select(exp.Max(this=finite).as_("top"), infinite.as_("infinite")).from_(source)
    ).to_pylist()[0]
    exponent = math.frexp(found["top"] or 1.0)[1]
    scale = max(-1000, min(1000, _SUM_BITS - exponent))
    return replace(fact, scale=scale, infinite=bool(found["infinite"]))


def _column(name: str, table: str = _FACT) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def _double(text: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), "DOUBLE")
