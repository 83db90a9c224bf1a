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
# Floats are summed as 128-bit integers of this many bits, which leaves room for 2**34 rows. The sum
# is the same whatever the order of the rows and the number of threads. How many of the bits stand
# behind the point follows from the window's own largest value, in steps: were it the table's, a
# huge value that comes in next year would round the labels of this one.
_SUM_BITS = 92
_TOP_STEP = 16
_LOWEST_TOP = -896


@dataclass(frozen=True)
class Fact:
    """One staged aggregation.

    Attributes:
        aggregation: The aggregation.
        number: Its place in the query; names the staged table and the window's bounds.
        kind: How SQL holds the aggregation's value.
        tops: For sums of floats: exponents of powers of two, ascending, of which the first above a
            window's largest value says how its values are scaled to integers. Empty when they are
            integers already; the one that is above all where every value is exact with it.
        infinite: Whether a value to add is infinite.
        staged: The inner filter's leaves where it is decided as of the anchor; None otherwise.
        ends: Whether the rows carry an end time that counts.
    """

    aggregation: Aggregation
    number: int
    kind: Kind
    tops: tuple[int, ...] = ()
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
        if not self.tops:
            return exp.Sum(this=value)
        endless = exp.func("isinf", value.copy())
        finite = exp.Case().when(endless, _double("0")).else_(value.copy())
        size = exp.Abs(this=exp.paren(finite))
        choice = exp.Case()
        for top in self.tops[:-1]:
            inside = exp.LT(this=size.copy(), expression=_double(repr(2.0**top)))
            part = exp.Case().when(inside, finite.copy()).else_(_double("0"))
            largest = exp.LT(this=exp.Max(this=size.copy()), expression=_double(repr(2.0**top)))
            choice = choice.when(largest, _total(part, top), copy=False)
        total = _total(finite, self.tops[-1])
        if len(self.tops) > 1:
            total = exp.paren(choice.else_(total))
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
    """Find by which powers of two the staged floats become integers of 92 bits at most."""
    value = _column("value")
    endless = exp.func("isinf", value)
    size = exp.Case().when(exp.not_(endless), exp.Abs(this=value.copy()))
    infinite = exp.func("bool_or", endless.copy())
    source = exp.to_table(fact.name).as_(_FACT, quoted=True, table=True)
    found = session.fetch(
        exp.select(exp.Max(this=size).as_("top"), infinite.as_("infinite")).from_(source)
    ).to_pylist()[0]
    top = _top(math.frexp(found["top"] or 1.0)[1])
    scaled = exp.Mul(this=exp.paren(size.copy()), expression=_factor(top))
    exact = exp.EQ(this=scaled, expression=exp.Floor(this=scaled.copy()))
    lossless = session.fetch(
        exp.select(exp.func("bool_and", exact).as_("exact")).from_(source.copy())
    ).to_pylist()[0]["exact"]
    tops = (top,) if lossless is not False else _tops_of(session, source, size)
    return replace(fact, tops=tops, infinite=bool(found["infinite"]))


def _tops_of(session: Session, source: exp.Expr, size: exp.Expr) -> tuple[int, ...]:
    """Return the tops that a window of these values can have."""
    positive = exp.GT(this=exp.paren(size.copy()), expression=_double("0"))
    exponent = exp.Floor(this=exp.Anonymous(this="log2", expressions=[size.copy()]))
    rows = session.fetch(
        exp.select(exponent.as_("exponent")).from_(source.copy()).where(positive).distinct()
    ).to_pylist()
    # A logarithm can be one off beside a power of two.
    near = {int(row["exponent"]) + off for row in rows for off in (0, 1, 2)}
    return tuple(sorted({_top(exponent) for exponent in near}))


def _top(exponent: int) -> int:
    """Return the multiple of the step at or above an exponent, within what doubles hold."""
    return min(1024, max(_LOWEST_TOP, -(-exponent // _TOP_STEP) * _TOP_STEP))


def _factor(top: int) -> exp.Expr:
    return _double(repr(2.0 ** (_SUM_BITS - top)))


def _total(value: exp.Expr, top: int) -> exp.Expr:
    """Return the sum of floats below ``2**top``, rounded once.

    SQL's conversion of a long integer to a double rounds both halves; adding what it missed mends
    that, so that an exact sum is the same whatever it was scaled by.
    """
    scaled = exp.Mul(this=exp.paren(value), expression=_factor(top))
    total = exp.Sum(this=exp.cast(scaled, "HUGEINT"))
    near = exp.cast(total, "DOUBLE")
    missed = exp.Sub(this=total.copy(), expression=exp.cast(near.copy(), "HUGEINT"))
    exactly = exp.Add(this=near, expression=exp.cast(exp.paren(missed), "DOUBLE"))
    return exp.Div(this=exp.paren(exactly), expression=_factor(top))


def _column(name: str, table: str = _FACT) -> exp.Column:
    return exp.column(name, table=table, quoted=True)


def _double(text: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), "DOUBLE")
