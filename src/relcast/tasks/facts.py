"""Aggregations over windows, as SQL: the rows that reach an entity, and their value at a moment.

Each aggregation's rows are staged once (joined to their entity, inner filter applied, NULL removed,
times as int64 ns); windows then join the staged rows to the examples that contain them, so that one
pass serves every anchor.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlglot import exp

from relcast.core.errors import InternalError
from relcast.core.schema import Link
from relcast.pql.ast import Aggregation, AggregationKind, Comparison, Condition, Operator
from relcast.tasks.conditions import (
    FALSE,
    Kind,
    Operand,
    both,
    compile_leaf,
    leaves,
    number,
)
from relcast.tasks.scan import Catalog, Scan
from relcast.tasks.sql import (
    appearance_order,
    at_earliest,
    at_latest,
    column,
    earliest,
    latest,
    middle,
    present,
    same,
    without_nan,
)
from relcast.tasks.staging import Focus, StagedLeaves, within_life
from relcast.tasks.sums import PLAIN, Scale, deviation, total

__all__ = ["Fact", "Sight", "fact_of"]

_FACT = "fact"
_ITEM = "item"
_ZERO = (AggregationKind.COUNT, AggregationKind.SUM, AggregationKind.COUNT_DISTINCT)
_ADDED = (AggregationKind.SUM, AggregationKind.AVG)
_ORDERED = (AggregationKind.FIRST, AggregationKind.LAST, AggregationKind.LIST_DISTINCT)
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
            tests.append(exp.paren(exp.or_(both(ahead, *self._filter(None)), both(*as_of))))
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


def fact_of(
    catalog: Catalog,
    aggregation: Aggregation,
    place: int,
    *,
    sight: Sight,
    of_target: bool = False,
    stepped: bool = False,
    rows_listed: bool = False,
    tested: tuple[Comparison, ...] = (),
) -> Fact:
    """Return an aggregation as ``fact_<place>``: the SQL of its rows and how to aggregate them.

    Args:
        catalog: The tables.
        aggregation: A checked aggregation.
        place: Its number in the query.
        sight: Whether its windows lie ahead of the anchor or, in the WHERE clause, in the past.
        of_target: Whether it stands in the target.
        stepped: Whether each window of a forecast has a value of its own.
        rows_listed: Whether LIST_DISTINCT of a foreign key lists dense rows rather than keys.
        tested: For LIST_DISTINCT in a condition: the comparisons with it.
    """
    if not aggregation.path or aggregation.column.table != aggregation.path[0].table:
        raise InternalError("the query was not checked: an aggregation has no link")
    scan = catalog.scan(aggregation.column.table)
    time = scan.time("own")
    if time is None and aggregation.window is not None:
        raise InternalError(f"the query was not checked: {scan.table.name} has no time column")
    focus = Focus(catalog, scan, "own")
    looks_back = sight is not Sight.ahead
    way = _Way.of(catalog, aggregation, looks_back=looks_back)
    kind, value = _value(catalog, scan, aggregation, rows_listed=rows_listed, tested=bool(tested))

    tests: list[exp.Expr] = [present(v) for v in (time, value) if v is not None]
    extra: list[exp.Expr] = []
    staged: StagedLeaves | None = None
    if aggregation.where is not None:
        staged = _as_of_anchor(focus, aggregation.where) if looks_back else None
        condition = focus.condition(aggregation.where)
        if staged is None:
            tests.append(condition)
        else:
            extra += staged.projections(focus)
    end = scan.end_time("own") if looks_back else None
    ends = ([] if end is None else [end]) + way.ends
    if way.begins:
        extra.append(latest(way.begins).as_("begun", quoted=True))
    if ends:
        extra.append(earliest(ends).as_("ended", quoted=True))
    entity = catalog.scan(aggregation.path[-1].to).row(way.last)
    if aggregation.kind in _ORDERED:
        extra.append(_row_order(scan, entity).as_("place", quoted=True))
    holds: dict[Comparison, str] = {}
    for n, leaf in enumerate(dict.fromkeys(tested)):
        holds[leaf] = f"holds_{n}"
        extra.append(_has_constant(scan, aggregation, leaf).as_(holds[leaf], quoted=True))

    select = focus.from_(
        exp.select(
            entity.as_("entity", quoted=True),
            exp.cast(exp.null() if time is None else time.copy(), "BIGINT").as_(
                "time", quoted=True
            ),
            (exp.Literal.number(1) if value is None else value).as_("value", quoted=True),
            *extra,
        )
    )
    select = way.join(catalog, select)
    return Fact(
        aggregation,
        place,
        kind,
        select.where(*tests) if tests else select,
        of_target=of_target,
        stepped=stepped,
        sight=sight,
        staged=staged,
        begins=bool(way.begins),
        ends=bool(ends),
        holds=holds,
    )


@dataclass(frozen=True)
class _Way:
    """The tables between a row and its entity, and the one whose rows are listed.

    Attributes:
        joins: Link, alias of its table and alias of the table that it points to.
        last: Alias of the entity table.
        begins, ends: For a window in the past: times at which the rows between become known, and
            end.
    """

    joins: tuple[tuple[Link, str, str], ...]
    last: str
    begins: list[exp.Expr]
    ends: list[exp.Expr]

    @classmethod
    def of(cls, catalog: Catalog, aggregation: Aggregation, *, looks_back: bool) -> _Way:
        joins: list[tuple[Link, str, str]] = []
        at = "own"
        for n, link in enumerate(aggregation.path):
            joins.append((link, at, f"up_{n}"))
            at = f"up_{n}"
        between = joins[:-1]
        if aggregation.items is not None:
            joins.append((aggregation.items, "own", _ITEM))
            between = [*between, joins[-1]]
        begins: list[exp.Expr] = []
        ends: list[exp.Expr] = []
        for link, _, alias in between if looks_back else ():
            other = catalog.scan(link.to)
            begin, end = other.time(alias), other.end_time(alias)
            begins += [] if begin is None else [begin]
            ends += [] if end is None else [end]
        return cls(tuple(joins), at, begins, ends)

    def join(self, catalog: Catalog, select: exp.Select) -> exp.Select:
        """Add the joins; a key that names no row is no edge."""
        for link, child, parent in self.joins:
            other = catalog.scan(link.to).relation(parent)
            select = select.join(other, on=catalog.join_on(link, child, parent), copy=False)
        return select


def _as_of_anchor(focus: Focus, condition: Condition) -> StagedLeaves | None:
    """Return the leaves of an inner filter that must be decided at each anchor, if any must."""
    staged = StagedLeaves.of(focus, list(leaves(condition)))
    return staged if staged.lives else None


def _value(
    catalog: Catalog, scan: Scan, aggregation: Aggregation, *, rows_listed: bool, tested: bool
) -> tuple[Kind, exp.Expr | None]:
    """Return the kind of an aggregation's value and the SQL of a row's; None counts rows."""
    name = aggregation.column.column
    if name is None:
        return "integer", None
    value, kind = scan.value(name, "own"), scan.kind(name)
    match aggregation.kind:
        case AggregationKind.COUNT | AggregationKind.COUNT_DISTINCT:
            return "integer", value
        case AggregationKind.LIST_DISTINCT:
            items = aggregation.items
            if items is not None and not tested:
                other = catalog.scan(items.to)
                key = other.table.primary_key
                listed = rows_listed or key is None
                value = other.row(_ITEM) if listed else other.value(str(key), _ITEM)
            return "list", value
        case AggregationKind.SUM | AggregationKind.AVG:
            if kind == "bool":
                value, kind = exp.cast(value, "BIGINT"), "integer"
            elif kind != "integer":
                value, kind = exp.cast(value, "DOUBLE"), "double"
            return ("double" if aggregation.kind is AggregationKind.AVG else kind), value
        case AggregationKind.MEDIAN | AggregationKind.STDDEV:
            if kind == "bool":
                value = exp.cast(value, "BIGINT")
            return "double", exp.cast(value, "DOUBLE")
        case _:
            return kind, value


def _has_constant(scan: Scan, aggregation: Aggregation, leaf: Comparison) -> exp.Expr:
    """Return whether a row has the constant that a list is asked to contain."""
    name = aggregation.column.column
    if name is None:
        raise InternalError("the query was not checked: a list of no column")
    equal = replace(leaf, operator=Operator.EQ)
    return compile_leaf(equal, Operand(scan.value(name, "own"), scan.kind(name)))


def _row_order(scan: Scan, entity: exp.Expr) -> exp.Expr:
    """Return each row's place among its entity's, by time, primary key and row order."""
    keys = [scan.time("own")]
    if scan.table.primary_key is not None:
        keys.append(scan.value(scan.table.primary_key, "own"))
    keys.append(scan.row("own"))
    return appearance_order([key for key in keys if key is not None], among=entity)
